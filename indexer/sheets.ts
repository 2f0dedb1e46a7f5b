import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { parse } from 'csv-parse/sync'
import type ExcelJS from 'exceljs'
import { faultOfArchive } from './archive.ts'
import {
  type Cell,
  COLUMNS,
  type Column,
  columnLetter,
  columnNamed,
  type Draft,
  type Fault,
  isDistrictHeader,
  kindName,
  recognise
} from './columns.ts'
import type { Finding, Findings } from './report.ts'

/** A sheet as a clerk sees it: rows by their number, cells by position. */
interface Table {
  sheet: string | null
  rows: { row: number; cells: Value[] }[]
}

/** What a cell holds; a fault stands in for a value that cannot be read. */
type Value = string | number | boolean | null | { fault: Fault }

/** A header row stands at most this far down: offices put a title and a line of remarks above it. */
const HEADER_WITHIN = 10
/** Widest sheet read; the widest kind has 24 columns. */
const MOST_COLUMNS = 200
/** Sheets of a workbook that explain and hold no records. */
const REMARKS = /说明|须知|下拉|选项|readme|judged/i

/** exceljs expands data validations and the like over every cell they cover; none of it is content. */
const IGNORED_NODES = [
  'dataValidations',
  'conditionalFormatting',
  'extLst',
  'hyperlinks',
  'autoFilter',
  'drawing',
  'picture',
  'tableParts',
  'sheetProtection',
  'rowBreaks',
  'headerFooter',
  'printOptions',
  'pageSetup',
  'pageMargins'
]

/** Reads a workbook's sheets into drafts. */
export async function readWorkbook(source: string, bytes: Buffer, findings: Findings): Promise<Draft[]> {
  const fault = await faultOfArchive(bytes, '.xlsx')
  if (fault !== null) {
    findings.unreadable({ file: source, ...fault })
    return []
  }
  const { default: Excel } = await import('exceljs')
  const workbook = new Excel.Workbook()
  try {
    await workbook.xlsx.load(bytes as unknown as ExcelJS.Buffer, { ignoreNodes: IGNORED_NODES } as never)
  } catch {
    findings.unreadable({
      file: source,
      problem: '表格文件已损坏，或者不是真正的 .xlsx 文件',
      remedy: '请在 Excel/WPS 里打开它，另存为 .xlsx 后再导入。'
    })
    return []
  }
  const tables = workbook.worksheets.map((sheet) => tableOf(sheet, workbook.properties.date1904 === true))
  const filled = tables.filter(({ rows }) => rows.length > 0)
  if (filled.length === 0) {
    findings.unreadable({ file: source, problem: '工作簿里没有内容', remedy: '请确认选对了文件。' })
    return []
  }
  const drafts: Draft[] = []
  const strangers: Table[] = []
  let recognised = 0
  for (const table of filled) {
    const read = draftsOf(source, table, findings)
    if (read === null) strangers.push(table)
    else {
      recognised++
      drafts.push(...read)
    }
  }
  for (const table of strangers) {
    // A sheet of remarks beside real ones is common; a workbook of nothing but strangers is a mistake.
    if (recognised > 0) {
      findings.warn({
        file: source,
        sheet: table.sheet,
        problem: '认不出这张表是哪一类，没有读入',
        remedy: REMARKS.test(table.sheet ?? '') ? '说明页可以保留，不影响导入。' : headerRemedy()
      })
    } else findings.unreadable(unrecognised(source, table))
  }
  return drafts
}

function tableOf(worksheet: ExcelJS.Worksheet, date1904: boolean): Table {
  const rows: Table['rows'] = []
  worksheet.eachRow({ includeEmpty: false }, (line, row) => {
    const cells: Value[] = []
    line.eachCell({ includeEmpty: false }, (cell, column) => {
      if (column <= MOST_COLUMNS) cells[column - 1] = cellValue(cell, date1904)
    })
    const filled = Array.from(cells, (cell) => cell ?? null)
    if (filled.some((cell) => cell !== null && cell !== '')) rows.push({ row, cells: filled })
  })
  return { sheet: worksheet.name, rows }
}

function cellValue(cell: ExcelJS.Cell, date1904: boolean): Value {
  // A merged area speaks for each of its rows, but only in its first column: a title over five columns is one title.
  if (cell.isMerged && cell.master.col !== cell.col) return null
  const value: ExcelJS.CellValue = cell.master.value
  if (value === null || value === undefined) return null
  if (typeof value === 'number')
    return /%/.test(cell.numFmt ?? '') ? `${Number((value * 100).toPrecision(12))}%` : dateSerial(value, date1904)
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (value instanceof Date) return dayText(value)
  if ('error' in value)
    return { fault: { problem: `单元格是公式错误 ${value.error}`, remedy: '请在 Excel 里改正公式，或直接填写内容。' } }
  if ('richText' in value) return value.richText.map(({ text }) => text).join('')
  if ('text' in value) return String((value as ExcelJS.CellHyperlinkValue).text)
  if ('formula' in value || 'sharedFormula' in value) {
    const result = (value as ExcelJS.CellFormulaValue).result
    if (result === undefined || result === null) {
      return {
        fault: {
          problem: '单元格是公式，文件里没有保存它的计算结果',
          remedy: '请在 Excel 里打开并保存一次，或把公式换成内容（复制后“选择性粘贴为数值”）。'
        }
      }
    }
    if (result instanceof Date) return dayText(result)
    if (typeof result === 'object')
      return {
        fault: { problem: `单元格是公式错误 ${result.error}`, remedy: '请在 Excel 里改正公式，或直接填写内容。' }
      }
    return result
  }
  return { fault: { problem: '单元格里是图片或其他对象，不是文字', remedy: '请改为文字。' } }
}

/** A workbook from an old Mac counts days from 1904; from here on numbers count from 1900 like everyone's. */
function dateSerial(value: number, date1904: boolean): number {
  return date1904 && Number.isInteger(value) && value > 20_000 ? value + 1462 : value
}

function dayText(date: Date): string {
  if (Number.isNaN(date.getTime())) return ''
  const iso = date.toISOString()
  // Excel's day 0 is 1899-12-31: a time without a day.
  return date.getUTCFullYear() < 1901 ? iso.slice(11, 16) : iso.slice(0, 10)
}

/**
 * Text of bytes whose encoding nobody stated: UTF-8 and UTF-16 by their marks, else UTF-8 if it is valid, else GB18030.
 * What fits none of them holds U+FFFD where it does not.
 */
export function decodeText(bytes: Buffer): string {
  const decode = (encoding: string) => new TextDecoder(encoding).decode(bytes)
  if (isUtf8(bytes)) return decode('utf-8')
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return decode('utf-16le')
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return decode('utf-16be')
  // The encoding with the fewest bad places fits, or shows best where they are.
  const [national, unicode] = [decode('gb18030'), decode('utf-8')]
  const badPlaces = (text: string) => text.split('\ufffd').length
  return badPlaces(national) <= badPlaces(unicode) ? national : unicode
}

/** Reads a csv file (comma, semicolon or tab) into drafts. */
export function readCsv(source: string, bytes: Buffer, findings: Findings): Draft[] {
  const text = decodeText(bytes)
  if (text.includes('\0')) {
    findings.unreadable({
      file: source,
      problem: '不是文本文件，或者编码无法识别',
      remedy: '请在 Excel/WPS 里另存为“CSV UTF-8（逗号分隔）”后再导入。'
    })
    return []
  }
  const firstLine = text.slice(0, Math.max(text.indexOf('\n'), 0) || undefined)
  const count = (mark: string) => firstLine.split(mark).length
  const delimiter = [',', '\t', ';'].reduce((best, mark) => (count(mark) > count(best) ? mark : best))
  let rows: string[][]
  try {
    rows = parse(text, { delimiter, bom: true, relax_column_count: true, relax_quotes: true, skip_empty_lines: false })
  } catch (error) {
    const { records, lines } = error as { records?: number; lines?: number }
    findings.unreadable({
      file: source,
      row: (records ?? 0) + 1,
      problem: `引号没有成对，从文件第 ${lines ?? '?'} 行起无法分清各列`,
      remedy: '单元格里的英文双引号要写成两个（""）；最稳妥是在 Excel/WPS 里另存为 CSV。'
    })
    return []
  }
  const table: Table = {
    sheet: null,
    rows: rows.flatMap((cells, at) => (cells.some((cell) => cell.trim() !== '') ? [{ row: at + 1, cells }] : []))
  }
  if (table.rows.length === 0) {
    findings.unreadable({ file: source, problem: '文件是空的', remedy: '请确认选对了文件。' })
    return []
  }
  const drafts = draftsOf(source, table, findings)
  if (drafts === null) findings.unreadable(unrecognised(source, table))
  return drafts ?? []
}

function unrecognised(source: string, table: Table): Finding {
  const [first] = table.rows
  const headers =
    first?.cells
      .map(textOf)
      .filter((header) => header !== '')
      .slice(0, 8)
      .join('、') ?? ''
  return {
    file: source,
    sheet: table.sheet,
    problem: `认不出这张表是哪一类：前 ${HEADER_WITHIN} 行里没有可用的表头（第一行是：${headers.slice(0, 80)}）`,
    remedy: `${headerRemedy()}显示为乱码时，请另存为“CSV UTF-8”或 .xlsx。`
  }
}

function headerRemedy(): string {
  const example = COLUMNS.qa.filter(({ mandatory }) => mandatory).map(({ title }) => title)
  return `请在第一行写上表头，例如问答表：${example.join('、')}。`
}

const textOf = (value: Value | undefined) =>
  value === null || value === undefined || typeof value === 'object' ? '' : String(value).trim()

function draftsOf(source: string, table: Table, findings: Findings): Draft[] | null {
  const name = `${source} ${table.sheet ?? ''}`
  const head = table.rows.slice(0, HEADER_WITHIN)
  const district = head.findIndex(({ cells }) => isDistrictHeader(cells.map(textOf)))
  if (district >= 0) return districtDraft(source, table, district, findings)
  let best: { at: number; found: NonNullable<ReturnType<typeof recognise>>; known: number } | null = null
  for (const [at, { cells }] of head.entries()) {
    const found = recognise(cells.map(textOf), name)
    const known = found?.columns.filter((column) => column !== null).length ?? 0
    if (found !== null && known > (best?.known ?? 0)) best = { at, found, known }
  }
  if (best === null) return null
  const { kind, columns, unknown, missing } = best.found
  const headers = (table.rows[best.at] as Table['rows'][number]).cells.map(textOf)
  const label = (at: number) => `${headers[at]}（${columnLetter(at)} 列）`
  for (const header of unknown) {
    findings.warn({
      file: source,
      sheet: table.sheet,
      row: table.rows[best.at]?.row ?? null,
      column: label(headers.indexOf(header)),
      problem: `${kindName(kind)}表里没有「${header}」这一列，已忽略`,
      remedy: '写错了请改正列名；不需要可以删去。'
    })
  }
  const seen = new Set<Column>()
  for (const [at, column] of columns.entries()) {
    if (column === null) continue
    if (seen.has(column)) {
      findings.unreadable({
        file: source,
        sheet: table.sheet,
        column: label(at),
        problem: `「${column.title}」这一列出现了两次`,
        remedy: '请只保留一列。'
      })
      return []
    }
    seen.add(column)
  }
  if (missing.length > 0) {
    for (const { title } of missing) {
      findings.unreadable({
        file: source,
        sheet: table.sheet,
        column: title,
        problem: `${kindName(kind)}表缺少必需的列「${title}」`,
        remedy: `请在表头加上「${title}」并逐行填写${unknown.length > 0 ? `；如果是「${unknown.join('」「')}」写错了名字，请改名` : ''}。`
      })
    }
    return []
  }
  return table.rows.slice(best.at + 1).map(({ row, cells }) => {
    const draft: Draft = { kind, source, sheet: table.sheet, row, cells: {}, defaults: {} }
    for (const [at, column] of columns.entries()) {
      if (column === null) continue
      const value = cells[at] ?? null
      draft.cells[column.field] = cellOf(value, row, label(at))
    }
    return draft
  })
}

function cellOf(value: Value, row: number, column: string): Cell {
  return typeof value === 'object' && value !== null
    ? { value: null, row, column, fault: value.fault }
    : { value, row, column }
}

/** The district's sheet is one record, a field a row. */
function districtDraft(source: string, table: Table, at: number, findings: Findings): Draft[] {
  const headers = (table.rows[at] as Table['rows'][number]).cells.map(textOf)
  const keyAt = headers.findIndex((header) => /项目/.test(header))
  const valueAt = headers.findIndex((header) => /内容/.test(header))
  const first = (table.rows[at] as Table['rows'][number]).row
  const draft: Draft = {
    kind: 'district',
    source,
    sheet: table.sheet,
    row: first,
    cells: {},
    defaults: { id: 'district' }
  }
  for (const { row, cells } of table.rows.slice(at + 1)) {
    const key = textOf(cells[keyAt])
    const column = columnNamed('district', key)
    const label = `${key}（${columnLetter(valueAt)} 列）`
    if (column === null) {
      findings.warn({
        file: source,
        sheet: table.sheet,
        row,
        column: label,
        problem: `区情里没有「${key}」这一项，已忽略`,
        remedy: '写错了请改正。'
      })
    } else draft.cells[column.field] = cellOf(cells[valueAt] ?? null, row, label)
  }
  return [draft]
}

const LAW_KEYS = ['path', 'title', 'level', 'text']

/** Reads a jsonl file: one object a line, keys as in the sheets or their English names; also statutes and plain banks. */
export function readJsonLines(source: string, bytes: Buffer, findings: Findings): Draft[] {
  const text = decodeText(bytes)
  const drafts: Draft[] = []
  const warned = new Set<string>()
  let row = 0
  for (const line of text.split('\n')) {
    row++
    const json = line.trim()
    if (json === '') continue
    let object: unknown
    try {
      object = JSON.parse(json)
    } catch {
      object = null
    }
    if (typeof object !== 'object' || object === null || Array.isArray(object)) {
      findings.refuse({
        file: source,
        row,
        value: json.slice(0, 60),
        problem: '这一行不是一个完整的 JSON 对象',
        remedy: 'jsonl 文件每行写一个 {…}，请检查引号、逗号和括号。'
      })
      continue
    }
    const values = object as Record<string, unknown>
    const draft = LAW_KEYS.every((key) => typeof values[key] === 'string')
      ? lawDraft(source, row, values)
      : objectDraft(source, row, values, warned, findings)
    if (draft === null) {
      findings.unreadable({
        file: source,
        row,
        problem: `认不出这一行是哪一类记录（键：${Object.keys(values).slice(0, 8).join('、')}）`,
        remedy: '键名请用表头的中文名或英文字段名，例如 编号、问题、答复、责任单位、面向。'
      })
      return []
    }
    drafts.push(draft)
  }
  if (drafts.length === 0 && !findings.hasAny(source)) {
    findings.unreadable({ file: source, problem: '文件是空的', remedy: '请确认选对了文件。' })
  }
  return drafts
}

/** A statute of shared/data/documents: its code is made from its path, so it stays the same whatever the text becomes. */
function lawDraft(source: string, row: number, law: Record<string, unknown>): Draft {
  const { path, title, date, level, text } = law as Record<'path' | 'title' | 'date' | 'level' | 'text', string>
  const id = `law-${createHash('sha256').update(path).digest('hex').slice(0, 12)}`
  const cells: Draft['cells'] = {
    id: { value: id, row, column: 'path' },
    title: { value: title, row, column: 'title' },
    issuerName: { value: level, row, column: 'level' },
    publishedOn: { value: date ?? null, row, column: 'date' },
    body: { value: text.replace(/^<!--.*-->\n?/gm, ''), row, column: 'text' }
  }
  return { kind: 'document', source, sheet: null, row, cells, defaults: { category: '政策文件' } }
}

function objectDraft(
  source: string,
  row: number,
  values: Record<string, unknown>,
  warned: Set<string>,
  findings: Findings
): Draft | null {
  const keys = Object.keys(values)
  const found = recognise(keys, source)
  if (found === null) return null
  const { kind, columns } = found
  const draft: Draft = { kind, source, sheet: null, row, cells: {}, defaults: {} }
  for (const [at, key] of keys.entries()) {
    const column = columns[at]
    if (column === null || column === undefined) {
      if (warned.has(key)) continue
      warned.add(key)
      findings.warn({
        file: source,
        row,
        column: key,
        problem: `${kindName(kind)}里没有「${key}」这一项，已忽略`,
        remedy: '写错了请改正键名。'
      })
    } else draft.cells[column.field] = { value: values[key], row, column: key }
  }
  // A plain bank {id, question, answer} says nothing of its audience: whoever asks may read it.
  if (kind === 'qa' && draft.cells.audience === undefined) draft.defaults.audience = ['群众', '企业']
  return draft
}
