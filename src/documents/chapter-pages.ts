import type { Passage } from './passages.ts'

/** One page of a long document. */
export interface ChapterPage {
  title: string
  passages: readonly Passage[]
}

/** Text and marks of one page, in bytes: with head, metadata and contents a page stays under 60 kB (docs/architecture.md). */
const LARGEST_PAGE = 36_000
/** A passage's own marks. */
const MARKS = 120

const bytesOf = ({ text }: Passage) => Buffer.byteLength(text) + MARKS

/** A document's passages by chapter; a chapter too large for a page goes on on the next. */
export function chapterPages(passages: readonly Passage[]): ChapterPage[] {
  const pages: { title: string; passages: Passage[] }[] = []
  let bytes = 0
  let chapter = -1
  for (const passage of passages) {
    const page = pages.at(-1)
    const size = bytesOf(passage)
    if (page === undefined || passage.chapter !== chapter || bytes + size > LARGEST_PAGE) {
      pages.push({ title: '', passages: [passage] })
      bytes = size
    } else {
      page.passages.push(passage)
      bytes += size
    }
    chapter = passage.chapter
  }
  let before: readonly string[] = []
  for (const page of pages) {
    const path = commonPath(page.passages)
    // A part's name is said where the part begins, the chapter's own name always.
    const named = path.filter((words, level) => level === path.length - 1 || words !== before[level])
    page.title = named.length === 0 || path.join() === before.join() ? range(named, page.passages) : named.join('　')
    before = path
  }
  return pages
}

/** Headings that stand above all of a page's passages; a preamble before the first heading is passed over. */
function commonPath(passages: readonly Passage[]): string[] {
  const paths = passages.flatMap(({ heading }) => (heading === '' ? [] : [heading.split(' › ')]))
  const [first = []] = paths
  const length = first.findIndex((words, level) => paths.some((path) => path[level] !== words))
  return length === -1 ? first : first.slice(0, length)
}

/** For a page without a heading over all of it, or the second page of a chapter: its clauses, else its first heading. */
function range(named: readonly string[], passages: readonly Passage[]): string {
  const clauses = passages.flatMap(({ clause }) => (clause?.startsWith('第') === true ? [clause] : []))
  const [from, to] = [clauses[0], clauses.at(-1)]
  if (from === undefined || to === undefined) {
    return named.at(-1) ?? passages.find(({ heading }) => heading !== '')?.heading.split(' › ')[0] ?? '正文'
  }
  return [...named.slice(-1), from === to ? from : `${from}至${to}`].join('　')
}

const bare = (text: string) => text.replace(/\s/g, '')

/** Where an anchor or a clause (`第八条`, `三、要交的税费`) stands; null when the document has none such. */
export function findPassage(pages: readonly ChapterPage[], at: string): { page: number; passage: Passage } | null {
  const wanted = bare(at)
  const tests: ((passage: Passage) => boolean)[] = [
    ({ anchor }) => anchor === at,
    ({ clause }) => clause !== null && bare(clause) === wanted,
    ({ heading }) => heading.split(' › ').some((words) => bare(words) === wanted),
    // 「第八条第二款」 and 「三、要交的税费（二）」 open at what they stand in.
    ({ clause }) => clause?.startsWith('第') === true && wanted.startsWith(bare(clause)),
    ({ heading }) => heading !== '' && heading.split(' › ').some((words) => wanted.startsWith(bare(words)))
  ]
  for (const test of tests) {
    for (const [page, { passages }] of pages.entries()) {
      const passage = passages.find(test)
      if (passage !== undefined) return { page, passage }
    }
  }
  return null
}
