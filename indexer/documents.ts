import { createHash } from 'node:crypto'
import { basename, extname } from 'node:path'
import sanitizeHtml from 'sanitize-html'
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { faultOfArchive } from './archive.ts'
import { type Cell, columnNamed, type Draft, FILE_FIELD } from './columns.ts'
import type { Findings } from './report.ts'
import { decodeText } from './sheets.ts'

/** Pages of one PDF; a district's yearly compilation has a few hundred. */
const MOST_PAGES = 2000
/** Characters a page of text holds at least on average; a scan has none, or a stamp's. */
const FEWEST_CHARACTERS_A_PAGE = 10
/** Share of characters without a Unicode meaning above which a PDF's text is taken for garbled. */
const MOST_GARBLED = 0.05

const TAG = /<!--[\s\S]*?-->|<\/?[a-z][a-z0-9]*(?:\s[^<>]*)?\/?>/gi
const ACTIVE =
  /<\/?(?:script|iframe|object|embed|applet|form|input|style|link|meta|base|svg)\b|<[a-z][^<>]*\son[a-z]+\s*=|(?:javascript|vbscript|data:text\/html):?/i

/** Any HTML in a text that should have none: its line, from 0, and the tag as written. */
export function markupIn(text: string, activeOnly: boolean): { line: number; tag: string } | null {
  if (!/[<:]/.test(text)) return null
  const found = (activeOnly ? ACTIVE : new RegExp(`${TAG.source}|${ACTIVE.source}`, 'i')).exec(text)
  if (found === null) return null
  return { line: text.slice(0, found.index).split('\n').length - 1, tag: found[0].slice(0, 40) }
}

/** Markdown without HTML: comments and harmless tags go, their text stays. */
export function withoutMarkup(markdown: string): string {
  if (!markdown.includes('<')) return markdown
  return markdown.replace(/<br\s*\/?>/gi, ' ').replace(TAG, '')
}

/** A document as its file tells it, or null when the file cannot be read at all. */
export async function readDocument(
  source: string,
  bytes: Buffer,
  catalogue: Draft | null,
  findings: Findings
): Promise<Draft | null> {
  const extension = extname(source).toLowerCase()
  if (extension === '.md') return readMarkdown(source, bytes, catalogue, findings)
  const read = extension === '.docx' ? readDocx : extension === '.pdf' ? readPdf : readHtml
  const text = await read(source, bytes, findings)
  if (text === null) return null
  const title = /^#{1,6} (.+)$/m.exec(text.body)?.[1] ?? text.title
  return documentDraft(source, { body: { value: text.body, row: 1, column: '正文' } }, title, catalogue)
}

/** Puts together what the file, its catalogue row and its name say, in this order of trust for title and code. */
function documentDraft(
  source: string,
  cells: Record<string, Cell>,
  title: string | null,
  catalogue: Draft | null
): Draft {
  const name = basename(source, extname(source))
  const listed: Record<string, Cell> = {}
  for (const [field, cell] of Object.entries(catalogue?.cells ?? {})) {
    const isEmpty = (cell.value === null || cell.value === '') && cell.fault === undefined
    if (field === FILE_FIELD || field === 'body' || isEmpty) continue
    listed[field] = { ...cell, from: { file: catalogue?.source as string, sheet: catalogue?.sheet ?? null } }
  }
  const defaults = { id: codeOf(name), title: title ?? name, category: '政策文件' }
  return { kind: 'document', source, sheet: null, row: 1, cells: { ...listed, ...cells }, defaults }
}

/** A code from a file name: the name itself where it can be one, else made from it, the same each time. */
function codeOf(name: string): string {
  const slug = name.trim().replace(/\s+/g, '-')
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/.test(slug)) return slug
  return `doc-${createHash('sha256').update(name.normalize('NFC')).digest('hex').slice(0, 12)}`
}

const FRONT_MATTER = /^---[ \t]*\n([\s\S]*?)\n---[ \t]*(?:\n|$)/

function readMarkdown(source: string, bytes: Buffer, catalogue: Draft | null, findings: Findings): Draft | null {
  const text = decodeText(bytes).replace(/\r\n?/g, '\n')
  const matter = FRONT_MATTER.exec(text)
  const body = text.slice(matter?.[0].length ?? 0)
  const heading = /^# (.+)$/m.exec(body)?.[1] ?? null
  const bodyRow =
    (matter?.[0].split('\n').length ?? 1) + (body.length - body.trimStart().length === 0 ? 0 : leadingLines(body))
  const cells: Record<string, Cell> = { body: { value: body.trim(), row: bodyRow, column: '正文', spansLines: true } }
  if (matter === null) return documentDraft(source, cells, heading, catalogue)

  const lines = new LineCounter()
  const yaml = parseDocument(matter[1] as string, { lineCounter: lines })
  // The opening --- is line 1 of the file.
  const rowAt = (offset: number) => lines.linePos(offset).line + 1
  const [error] = yaml.errors
  if (error !== undefined || !isMap(yaml.contents)) {
    findings.refuse({
      file: source,
      row: error === undefined ? 2 : rowAt(error.pos[0]),
      problem: '文件开头两个 --- 之间的说明写法有误',
      remedy: '每行写成「标题: 内容」（英文冒号后空一格），内容里有冒号、# 或引号时用英文双引号括起来；同一项只写一次。'
    })
    return null
  }
  for (const pair of yaml.contents.items) {
    const key = isScalar(pair.key) ? String(pair.key.value) : ''
    const row = rowAt(isScalar(pair.key) ? (pair.key.range?.[0] ?? 0) : 0)
    const column = columnNamed('document', key)
    if (column === null || column.field === FILE_FIELD) {
      findings.warn({
        file: source,
        row,
        column: key,
        problem: `文件说明里没有「${key}」这一项，已忽略`,
        remedy: '写错了请改正。'
      })
      continue
    }
    const value = (pair.value as { toJS?(document: unknown): unknown } | null)?.toJS?.(yaml) ?? null
    cells[column.field] = { value, row, column: column.title }
  }
  const draft = documentDraft(source, cells, heading, catalogue)
  // A clerk who wrote a front matter meant to state the category; only files without one get a default.
  delete draft.defaults.category
  return draft
}

function leadingLines(text: string): number {
  return (/^\s*\n/.exec(text)?.[0] ?? '').split('\n').length - 1
}

interface Text {
  /** Markdown. */
  body: string
  /** Title stated outside the text. */
  title: string | null
}

async function readDocx(source: string, bytes: Buffer, findings: Findings): Promise<Text | null> {
  const fault = await faultOfArchive(bytes, '.docx')
  if (fault !== null) {
    findings.unreadable({ file: source, ...fault })
    return null
  }
  const { default: mammoth } = await import('mammoth')
  try {
    const { value } = await mammoth.convertToHtml(
      { buffer: bytes },
      {
        styleMap: ["p[style-name='Title'] => h1:fresh", "p[style-name='标题'] => h1:fresh"],
        convertImage: mammoth.images.imgElement(async () => ({ src: '' })),
        externalFileAccess: false
      }
    )
    return usable(source, { body: markdownOf(value), title: null }, findings)
  } catch {
    findings.unreadable({
      file: source,
      problem: '文件已损坏，或者不是真正的 .docx 文件',
      remedy: '请在 Word/WPS 里打开它，另存为 .docx 后再导入。'
    })
    return null
  }
}

async function readHtml(source: string, bytes: Buffer, findings: Findings): Promise<Text | null> {
  const html = decodeText(bytes)
  const removed = ACTIVE_PARTS.flatMap(([name, pattern]) => {
    const count = html.match(pattern)?.length ?? 0
    return count === 0 ? [] : [`${name} ${count} 处`]
  })
  if (removed.length > 0) {
    findings.warn({
      file: source,
      problem: `网页里有不能进入正文的内容，已去掉：${removed.join('、')}`,
      remedy: '正文的文字和表格已保留，请核对导入结果。'
    })
  }
  const stated = /<title[^>]*>([^<]*)<\/title>/i.exec(html)?.[1]?.trim()
  return usable(
    source,
    { body: markdownOf(html), title: stated === undefined || stated === '' ? null : stated },
    findings
  )
}

const ACTIVE_PARTS: readonly (readonly [string, RegExp])[] = [
  ['脚本', /<script\b|(?:href|src)\s*=\s*["']?\s*javascript:/gi],
  ['事件代码', /<[a-z][^<>]*\son[a-z]+\s*=/gi],
  ['嵌入页面', /<(?:iframe|object|embed|applet)\b/gi],
  ['内嵌数据链接', /(?:href|src)\s*=\s*["']?\s*data:/gi]
]

function usable(source: string, text: Text, findings: Findings): Text | null {
  if (text.body !== '') return text
  findings.unreadable({
    file: source,
    problem: '文件里没有文字',
    remedy: '请确认选对了文件；内容是图片的，请先做文字识别（OCR）或录入成文字。'
  })
  return null
}

async function readPdf(source: string, bytes: Buffer, findings: Findings): Promise<Text | null> {
  const { extractText, getDocumentProxy } = await import('unpdf')
  const unreadable = (problem: string, remedy: string) => {
    findings.unreadable({ file: source, problem, remedy })
    return null
  }
  let pages: string[]
  try {
    const pdf = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0, isEvalSupported: false })
    try {
      if (pdf.numPages > MOST_PAGES)
        return unreadable(`PDF 有 ${pdf.numPages} 页，上限 ${MOST_PAGES} 页`, '请拆成几个文件后再导入。')
      pages = (await extractText(pdf, { mergePages: false })).text
    } finally {
      await pdf.loadingTask.destroy()
    }
  } catch (error) {
    return (error as Error).name === 'PasswordException'
      ? unreadable('PDF 有密码保护，读不出内容', '请去掉密码后再导入。')
      : unreadable('PDF 文件已损坏，或者不是真正的 PDF', '请重新导出 PDF，或改用 .docx、.md。')
  }
  const lengths = pages.map((page) => page.replace(/\s/g, '').length)
  const characters = lengths.reduce((sum, length) => sum + length, 0)
  if (characters < FEWEST_CHARACTERS_A_PAGE * pages.length) {
    return unreadable(
      'PDF 是扫描件（图片），里面没有可以检索的文字',
      '请先做文字识别（OCR）后另存为带文字的 PDF 或 .docx，或把内容录入成 .md、.docx 再导入。'
    )
  }
  const garbled = pages.join('').match(/[\ufffd\ue000-\uf8ff]/g)?.length ?? 0
  if (garbled > characters * MOST_GARBLED) {
    return unreadable(
      'PDF 里的文字是乱码（字体没有附带编码）',
      '请从原始文件重新导出 PDF，或直接提供 .docx；也可以做文字识别（OCR）。'
    )
  }
  const empty = lengths.flatMap((length, at) => (length === 0 ? [at + 1] : []))
  if (empty.length > 0) {
    findings.warn({
      file: source,
      problem: `第 ${empty.slice(0, 20).join('、')}${empty.length > 20 ? ' 等' : ''} 页没有文字（可能是图片），这几页的内容没有读入`,
      remedy: '如果这几页有内容，请做文字识别（OCR）后重新导入。'
    })
  }
  return { body: paragraphsOf(pages), title: null }
}

/** PDF writers put blanks between characters to justify a line; the one after 第X条 is the author's. */
const BETWEEN_HAN =
  /(?<!^第[零〇一二三四五六七八九十百千\d]{1,8}[编章节条])(?<=[\p{Script=Han}，。；：、（）《》“”]) +(?=[\p{Script=Han}，。；：、（）《》“”0-9])|(?<=[0-9]) +(?=[\p{Script=Han}])/gu
const PAGE_NUMBER = /^(?:[-—–\s]*\d{1,4}[-—–\s]*|第\s*\d+\s*页.*)$/
const STARTS_PARAGRAPH =
  /^(?:第[零〇一二三四五六七八九十百千\d]+[编章节条]|[一二三四五六七八九十]+、|[（(][一二三四五六七八九十]+[)）]|\d{1,2}[.．、](?!\d)|附件|#)/

/** Paragraphs of a PDF's lines: a line goes on in the next one when it is full and the next starts nothing new. */
function paragraphsOf(pages: readonly string[]): string {
  const lines = pages
    .flatMap((page) => page.split('\n').map((line) => line.trim().replace(BETWEEN_HAN, '')))
    .filter((line) => line !== '' && !PAGE_NUMBER.test(line))
  const lengths = lines.map(({ length }) => length).sort((a, b) => a - b)
  const full = (lengths[Math.floor(lengths.length * 0.9)] ?? 0) * 0.85
  const paragraphs: string[] = []
  let last = 0
  for (const line of lines) {
    if (last >= full && !STARTS_PARAGRAPH.test(line)) {
      const before = paragraphs[paragraphs.length - 1] as string
      const joint = /[a-z0-9]$/i.test(before) && /^[a-z0-9]/i.test(line) ? ' ' : ''
      paragraphs[paragraphs.length - 1] = before + joint + line
    } else paragraphs.push(line)
    last = line.length
  }
  return paragraphs.map(structured).join('\n\n')
}

/** Offices type chapters as plain paragraphs; as headings they cut the text where it is cut on paper. */
function structured(paragraph: string): string {
  if (/^第[零〇一二三四五六七八九十百\d]+[编章][\s　]*\S{0,30}$/.test(paragraph)) return `## ${paragraph}`
  if (/^第[零〇一二三四五六七八九十百\d]+节[\s　]*\S{0,30}$/.test(paragraph)) return `### ${paragraph}`
  return /^[#>]/.test(paragraph) ? `\\${paragraph}` : paragraph
}

const KEPT_TAGS = [
  'h1',
  'h2',
  'h3',
  'h4',
  'h5',
  'h6',
  'p',
  'div',
  'section',
  'blockquote',
  'pre',
  'br',
  'hr',
  'ul',
  'ol',
  'li',
  'dl',
  'dt',
  'dd',
  'table',
  'tr',
  'th',
  'td',
  'caption',
  'strong',
  'b',
  'a'
]
const DROPPED_WITH_TEXT = [
  'script',
  'style',
  'noscript',
  'template',
  'textarea',
  'option',
  'select',
  'button',
  'iframe',
  'object',
  'svg',
  'math',
  'title',
  'nav',
  'footer'
]

/** HTML as Markdown: sanitised to a few well-formed tags first, so that what follows may trust the shape. */
function markdownOf(html: string): string {
  const main = /<(article|main)\b[^>]*>[\s\S]*<\/\1>/i.exec(html)?.[0] ?? html
  const clean = sanitizeHtml(main, {
    allowedTags: KEPT_TAGS,
    allowedAttributes: { a: ['href'], td: ['colspan', 'rowspan'], th: ['colspan', 'rowspan'] },
    allowedSchemes: ['http', 'https', 'mailto'],
    nonTextTags: DROPPED_WITH_TEXT
  })
  return new MarkdownWriter().write(clean)
}

interface OpenTable {
  rows: { text: string; columns: number; rows: number }[][]
  /** Blocks outside the table, put aside while it is open. */
  outside: { blocks: string[] }
  holdsBlocks: boolean
}

const TOKEN = /<(\/?)([a-z0-9]+)([^>]*)>|([^<]+)/g
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', nbsp: ' ' }

class MarkdownWriter {
  #blocks: string[] = []
  #line = ''
  #prefix = ''
  #lists: { ordered: boolean; items: number }[] = []
  #tables: OpenTable[] = []
  #link: string | null = null
  #preformatted = false

  write(html: string): string {
    for (const [, closing, tag, attributes = '', text] of html.matchAll(TOKEN)) {
      if (text !== undefined) this.#text(text)
      else if (closing === '/') this.#close(tag as string)
      else this.#open(tag as string, attributes)
    }
    this.#flush()
    return this.#blocks
      .join('\n\n')
      .replace(/\n{3,}/g, '\n\n')
      .trim()
  }

  #text(escaped: string): void {
    const text = escaped
      .replace(/&(#x?[0-9a-f]+|[a-z]+);/gi, (whole, name: string) => {
        if (!name.startsWith('#')) return ENTITIES[name.toLowerCase()] ?? whole
        const point = name[1]?.toLowerCase() === 'x' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
        return point <= 0x10ffff ? String.fromCodePoint(point) : ''
      })
      .replace(/\*/g, '\\*')
    this.#line += this.#preformatted ? text : text.replace(/[ \t\r\n\f\u00a0]+/g, ' ')
  }

  #open(tag: string, attributes: string): void {
    switch (tag) {
      case 'br':
        this.#line = `${this.#line.trimEnd()}\n`
        break
      case 'strong':
      case 'b':
        this.#line += '**'
        break
      case 'a':
        this.#link = /href="([^"]*)"/.exec(attributes)?.[1]?.replaceAll('&amp;', '&') ?? null
        if (this.#link !== null) this.#line += '['
        break
      case 'ul':
      case 'ol':
        this.#flush()
        this.#lists.push({ ordered: tag === 'ol', items: 0 })
        break
      case 'li': {
        this.#flush()
        const list = this.#lists.at(-1)
        if (list !== undefined) list.items++
        this.#prefix = `${'  '.repeat(Math.max(this.#lists.length - 1, 0))}${list?.ordered === true ? `${list.items}. ` : '- '}`
        break
      }
      case 'table':
        this.#openTable()
        break
      case 'tr':
        this.#tables.at(-1)?.rows.push([])
        break
      case 'td':
      case 'th': {
        const span = (name: string) =>
          Math.min(Math.max(Number(new RegExp(`${name}="(\\d+)"`).exec(attributes)?.[1] ?? 1), 1), 50)
        const table = this.#tables.at(-1)
        if (table === undefined) break
        if (table.rows.length === 0) table.rows.push([])
        table.rows.at(-1)?.push({ text: '', columns: span('colspan'), rows: span('rowspan') })
        this.#blocks = []
        this.#line = ''
        break
      }
      case 'pre':
        this.#flush()
        this.#preformatted = true
        break
      default:
        this.#flush()
        if (/^h[1-6]$/.test(tag)) this.#prefix = `${'#'.repeat(Number(tag[1]))} `
        else if (tag === 'blockquote') this.#prefix = '> '
    }
  }

  #close(tag: string): void {
    switch (tag) {
      case 'strong':
      case 'b':
        // Markdown wants the marks against the words, and none around nothing.
        this.#line = this.#line.endsWith('**') ? this.#line.slice(0, -2) : `${this.#line.trimEnd()}**`
        break
      case 'a':
        if (this.#link !== null)
          this.#line += `](${this.#link.replace(/[()\s]/g, (mark) => `%${mark.charCodeAt(0).toString(16).padStart(2, '0')}`)})`
        this.#link = null
        break
      case 'ul':
      case 'ol':
        this.#flush()
        this.#lists.pop()
        break
      case 'td':
      case 'th': {
        this.#flush()
        const table = this.#tables.at(-1)
        const cell = table?.rows.at(-1)?.at(-1)
        if (table !== undefined && cell !== undefined) {
          cell.text = this.#blocks.join('\n\n')
          if (this.#blocks.some((block) => block.startsWith('|') || block.startsWith('#'))) table.holdsBlocks = true
        }
        this.#blocks = []
        break
      }
      case 'table':
        this.#closeTable()
        break
      case 'tr':
        break
      case 'caption':
        this.#flush()
        this.#tables.at(-1)?.outside.blocks.push(...this.#blocks.splice(0))
        break
      default:
        this.#flush()
        this.#preformatted = false
    }
  }

  #openTable(): void {
    this.#flush()
    this.#tables.push({ rows: [], outside: { blocks: this.#blocks }, holdsBlocks: false })
    this.#blocks = []
  }

  #closeTable(): void {
    const table = this.#tables.pop()
    if (table === undefined) return
    const rows = table.rows.filter((row) => row.some(({ text }) => text !== ''))
    this.#blocks = table.outside.blocks
    this.#line = ''
    // A table of one column, or one that holds headings or tables, only arranges a page.
    if (table.holdsBlocks || rows.every((row) => row.length <= 1)) {
      for (const row of rows) for (const { text } of row) if (text !== '') this.#blocks.push(text)
      return
    }
    const grid = gridOf(rows)
    const width = Math.max(...grid.map((row) => row.length))
    const lines = grid.map(
      (row) => `| ${Array.from({ length: width }, (_, at) => cellText(row[at] ?? '')).join(' | ')} |`
    )
    lines.splice(1, 0, `|${' --- |'.repeat(width)}`)
    this.#blocks.push(lines.join('\n'))
  }

  #flush(): void {
    const lines = (this.#preformatted ? this.#line : this.#line.replace(/ *\n */g, '\n')).trim()
    this.#line = ''
    if (lines === '' || lines === '****') return
    const prefix = this.#prefix
    this.#prefix = ''
    if (prefix.startsWith('#')) this.#blocks.push(prefix + lines.replace(/\s*\n\s*/g, ' ').replaceAll('**', ''))
    else if (prefix !== '') this.#pushItem(prefix, lines)
    else
      this.#blocks.push(
        lines
          .split('\n')
          .map((line) => structured(line.trim()))
          .join('\n\n')
      )
  }

  /** Items of one list stand on adjacent lines. */
  #pushItem(prefix: string, text: string): void {
    const item = prefix + text.replace(/\n/g, ' ')
    const before = this.#blocks.at(-1)
    if (before !== undefined && /^\s*(?:[->]|\d+\.) /.test(before))
      this.#blocks[this.#blocks.length - 1] = `${before}\n${item}`
    else this.#blocks.push(item)
  }
}

/** Spanned rows repeat their text, so that each row can be read by itself; spanned columns stay empty. */
function gridOf(rows: OpenTable['rows']): string[][] {
  const grid: string[][] = rows.map(() => [])
  for (const [at, row] of rows.entries()) {
    let column = 0
    for (const { text, columns, rows: span } of row) {
      while (grid[at]?.[column] !== undefined) column++
      for (let down = 0; down < span && at + down < rows.length; down++) {
        for (let right = 0; right < columns; right++)
          (grid[at + down] as string[])[column + right] = right === 0 ? text : ''
      }
      column += columns
    }
  }
  return grid
}

function cellText(text: string): string {
  return text.replace(/\s*\n+\s*/g, ' ').replaceAll('|', '\\|')
}
