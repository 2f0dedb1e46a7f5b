import { numeralValue } from '../text/normalise.ts'

/** A piece of a document small enough to be an answer: a clause, or what stands under one heading. */
export interface Passage {
  /** From 0, in text order. */
  ordinal: number
  /** Stable within a revision and, for clauses, across revisions: `art-39`, else `p-ORDINAL`. */
  anchor: string
  /** Chapter page it stands on, from 0. */
  chapter: number
  /** Headings above it, outermost first, joined by ' › '; without the document's own title. */
  heading: string
  /** `第三十九条` as written, the heading's own number (`三、`) for notices, or null. */
  clause: string | null
  /** Markdown without HTML. */
  text: string
}

const HEADING = /^(#{1,6})\s+(.+?)\s*#*$/
const ARTICLE =
  /^(?:\*\*)?(第[零〇一二三四五六七八九十百千\d]+条(?:之[一二三四五六七八九十]+)?)(?:\*\*)?(?=[\s　：:，]|$|[^\s的规第至和、款项])/
const CHINESE_HEADING = /^([一二三四五六七八九十]+、)[^。；]{1,40}$/
const NUMBERED = /^([一二三四五六七八九十]+、|[（(][一二三四五六七八九十]+[)）])/

/**
 * Longest passage, in characters. A clause of a statute is 90 characters at the median and under 700 at the 99th percentile
 * of the 40,880 in the benchmark's statutes; longer text is cut at paragraphs so that one passage fits a kiosk screen.
 */
const LONGEST = 900
/** A document is paged by chapter above this many characters: about three kiosk screens. */
const PAGED_ABOVE = 3000

/** Cuts a document's Markdown at headings and at 第X条; nothing but headings and blank lines is dropped. */
export function cutPassages(body: string): Passage[] {
  const passages: Passage[] = []
  const used = new Map<string, number>()
  const headings: string[] = []
  // The first heading of level one is the document's title: it stands above every passage and is left out.
  let titleSeen = false
  let chapter = 0
  let chapters = 0
  let clause: string | null = null
  let lines: string[] = []
  const paged = body.length > PAGED_ABOVE

  const close = () => {
    const text = lines.join('\n').trim()
    lines = []
    if (text === '') return
    for (const part of split(text)) {
      const ordinal = passages.length
      passages.push({
        ordinal,
        anchor: anchorOf(clause, ordinal, used),
        chapter,
        heading: headings.filter((heading) => heading !== undefined).join(' › '),
        clause,
        text: part
      })
    }
  }

  for (const line of body.split('\n')) {
    const heading = HEADING.exec(line)
    if (heading !== null) {
      close()
      const depth = (heading[1] as string).length
      const words = heading[2] as string
      if (depth === 1 && !titleSeen && passages.length === 0) {
        titleSeen = true
        continue
      }
      if (paged && depth <= 2 && chapters++ > 0) chapter++
      headings.length = Math.min(headings.length, depth - 1)
      headings[depth - 1] = words
      clause = NUMBERED.exec(words)?.[1] ?? null
      continue
    }
    const paragraph = line.trimStart()
    const article = ARTICLE.exec(paragraph)
    const chinese = article === null ? CHINESE_HEADING.exec(paragraph) : null
    if (article !== null || chinese !== null) {
      close()
      clause = (article ?? chinese)?.[1] ?? null
    }
    lines.push(line)
  }
  close()
  return passages
}

function anchorOf(clause: string | null, ordinal: number, used: Map<string, number>): string {
  if (clause === null || !clause.startsWith('第')) return `p-${ordinal}`
  const [, number = '', insertion] = /^第(.+?)条(?:之(.+))?$/.exec(clause) ?? []
  const arabic = (numeral: string) => numeralValue(numeral) ?? numeral
  const base = `art-${arabic(number)}${insertion === undefined ? '' : `.${arabic(insertion)}`}`
  const times = (used.get(base) ?? 0) + 1
  used.set(base, times)
  return times === 1 ? base : `${base}-${times}`
}

function split(text: string): string[] {
  if (text.length <= LONGEST) return [text]
  const parts: string[] = []
  let part = ''
  for (const paragraph of text.split('\n')) {
    // A table is kept whole: its rows mean nothing without the header.
    const inTable = paragraph.startsWith('|') && part.trimEnd().split('\n').at(-1)?.startsWith('|') === true
    if (part !== '' && !inTable && part.length + paragraph.length > LONGEST) {
      parts.push(part.trim())
      part = ''
    }
    part += `${paragraph}\n`
  }
  if (part.trim() !== '') parts.push(part.trim())
  return parts
}

/** Plain text of a passage for search, print and the API: Markdown marks dropped, tables as lines. */
export function plainText(markdown: string): string {
  return markdown
    .replace(/^[ \t]*\|?[ \t:|-]{3,}\|?[ \t]*\n?/gm, '')
    .replace(/^#{1,6}\s+/gm, '')
    .replace(/^[ \t]*\|(.*)\|[ \t]*$/gm, (_, row: string) =>
      row
        .split('|')
        .map((cell) => cell.trim())
        .join('　')
    )
    .replace(/\*\*|__|`/g, '')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}
