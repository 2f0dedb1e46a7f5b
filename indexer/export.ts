import { existsSync, renameSync } from 'node:fs'
import type ExcelJS from 'exceljs'
import { AUDIENCES, type ContentOf } from '../src/content/kinds.ts'
import type { Database } from '../src/database/open.ts'
import { COLUMNS, type Column, columnLetter, kindName } from './columns.ts'

const EXPORTED = ['qa', 'unit', 'topic'] as const
type Exported = (typeof EXPORTED)[number]

/** Widths in characters of the columns that hold sentences; codes and dates need no more than the default. */
const WIDTHS: Record<string, number> = {
  question: 34,
  variants: 34,
  answer: 60,
  materials: 30,
  steps: 36,
  place: 24,
  basis: 28,
  duties: 50,
  address: 28,
  name: 24,
  hours: 24,
  note: 40,
  aliases: 20
}
const DEFAULT_WIDTH = 14
/** Empty rows below the last record that have drop-downs and date format too. */
const SPARE_ROWS = 500
/** Excel's limit for the text of one cell. */
const MOST_CELL_CHARACTERS = 32_767

/** The file to export to is there already, perhaps with a clerk's unsaved-here edits. */
export class ExportExists extends Error {
  constructor(file: string) {
    super(`${file} 已经存在，没有覆盖。请换一个文件名，或先移走它。`)
    this.name = 'ExportExists'
  }
}

/**
 * Writes the bank with its units and topics as a workbook to edit; loaded back unchanged it changes nothing.
 * @returns number of Q&A entries written
 * @throws {ExportExists}
 */
export async function exportBank(db: Database, file: string): Promise<number> {
  if (existsSync(file)) throw new ExportExists(file)
  const rows = await db
    .selectFrom('records')
    .innerJoin('revisions', 'revisions.sequence', 'records.sequence')
    .select(['records.kind', 'records.id', 'revisions.content', 'revisions.sample'])
    .where('records.kind', 'in', EXPORTED)
    .where('records.retired', '=', 0)
    .orderBy('records.id')
    .execute()
  const { default: Excel } = await import('exceljs')
  const workbook = new Excel.Workbook()
  const contents = rows.map((row) => ({ ...row, content: JSON.parse(row.content) as ContentOf[Exported] }))
  const names = { unit: namesOf('unit', contents), topic: namesOf('topic', contents) }
  for (const kind of EXPORTED) {
    const sheet = workbook.addWorksheet(kindName(kind), { views: [{ state: 'frozen', xSplit: 2, ySplit: 1 }] })
    const columns = COLUMNS[kind]
    sheet.columns = [
      ...columns.map(({ field, title }) => ({ header: title, key: field, width: WIDTHS[field] ?? DEFAULT_WIDTH })),
      { header: '示例数据', key: 'sample', width: 10 }
    ]
    const own = contents.filter((row) => row.kind === kind)
    for (const { content, sample } of own) {
      const values = content as unknown as Record<string, unknown>
      const cells = columns.map((column) => cellOf(column, values[column.field], names))
      for (const [at, cell] of cells.entries()) {
        if (typeof cell === 'string' && cell.length > MOST_CELL_CHARACTERS) {
          throw new Error(
            `${kindName(kind)} ${content.id} 的「${columns[at]?.title}」有 ${cell.length} 个字符，Excel 一格最多 ${MOST_CELL_CHARACTERS} 个，无法导出。`
          )
        }
      }
      sheet.addRow([...cells, sample === 1 ? '是' : '否'])
    }
    dress(sheet, columns, own.length)
    offerChoices(sheet, columns, own.length, names)
  }
  // A half-written workbook under its final name would look like a whole one.
  const partial = `${file}.partial`
  await workbook.xlsx.writeFile(partial)
  renameSync(partial, file)
  return contents.filter(({ kind }) => kind === 'qa').length
}

type Names = Record<'unit' | 'topic', Map<string, string>>

/** Names by code; a name that two records share, or that is another's code, cannot stand for either. */
function namesOf(
  kind: 'unit' | 'topic',
  rows: readonly { kind: string; content: ContentOf[Exported] }[]
): Map<string, string> {
  const own = rows
    .filter((row) => row.kind === kind)
    .map(({ content }) => content as ContentOf['unit'] | ContentOf['topic'])
  const uses = new Map<string, number>()
  const count = (name: string) => uses.set(name, (uses.get(name) ?? 0) + 1)
  for (const record of own) {
    count(record.id)
    for (const name of new Set([record.name, ...('aliases' in record ? record.aliases : [])])) count(name)
  }
  return new Map(own.map(({ id, name }) => [id, uses.get(name) === 1 ? name : id]))
}

function cellOf(column: Column, value: unknown, names: Names): ExcelJS.CellValue {
  if (value === null || value === undefined) return null
  const named = (id: string) =>
    column.refersTo === 'unit' || column.refersTo === 'topic' ? (names[column.refersTo].get(id) ?? id) : id
  switch (column.type) {
    case 'boolean':
      return value === true ? '是' : '否'
    case 'day':
      return new Date(`${String(value)}T00:00:00Z`)
    case 'basis':
      return (value as ContentOf['qa']['basis'])
        .map(({ document, clause }) => (clause === null ? document : `${document} ${clause}`))
        .join('\n')
    case 'codes':
      return (value as string[]).map(named).join(column.options === null ? '\n' : '、')
    case 'lines':
      return (value as string[]).join('\n')
    default:
      return named(String(value))
  }
}

function dress(sheet: ExcelJS.Worksheet, columns: readonly Column[], records: number): void {
  const header = sheet.getRow(1)
  header.height = 24
  header.font = { bold: true, color: { argb: 'FFFFFFFF' } }
  header.fill = { type: 'pattern', pattern: 'solid', fgColor: { argb: 'FF1F4E79' } }
  header.alignment = { vertical: 'middle', horizontal: 'center' }
  for (const [at, { type }] of columns.entries()) {
    const column = sheet.getColumn(at + 1)
    // Text format, so that Excel does not make a date of a code or drop a phone number's leading zero.
    column.numFmt = type === 'day' ? 'yyyy-mm-dd' : '@'
  }
  for (let row = 2; row <= records + 1; row++) sheet.getRow(row).alignment = { vertical: 'top', wrapText: true }
  sheet.autoFilter = { from: { row: 1, column: 1 }, to: { row: records + 1, column: columns.length + 1 } }
  sheet.pageSetup = { orientation: 'landscape', fitToPage: true, fitToWidth: 1, fitToHeight: 0, printTitlesRow: '1:1' }
}

type Validations = { add(range: string, validation: ExcelJS.DataValidation): void }

function offerChoices(sheet: ExcelJS.Worksheet, columns: readonly Column[], records: number, names: Names): void {
  // exceljs has the range form, its types do not.
  const { dataValidations } = sheet as unknown as { dataValidations: Validations }
  const offer = (at: number, formula: string) =>
    dataValidations.add(`${columnLetter(at)}2:${columnLetter(at)}${records + 1 + SPARE_ROWS}`, {
      type: 'list',
      allowBlank: true,
      formulae: [formula],
      showErrorMessage: true,
      // A warning only: a code instead of the name, or two choices together, are right as well.
      errorStyle: 'warning',
      errorTitle: '不在下拉选项里',
      error: '这个内容不在下拉选项里，确认要填吗？'
    })
  for (const [at, column] of columns.entries()) {
    const { refersTo } = column
    if (refersTo === 'unit' || refersTo === 'topic') {
      const nameAt = COLUMNS[refersTo].findIndex(({ field }) => field === 'name')
      const letter = columnLetter(nameAt)
      offer(at, `${kindName(refersTo)}!$${letter}$2:$${letter}$${names[refersTo].size + 1 + SPARE_ROWS}`)
    } else if (column.field === 'audience') offer(at, `"${[...AUDIENCES, AUDIENCES.join('、')].join(',')}"`)
    else if (column.type === 'boolean') offer(at, '"是,否"')
    else if (column.options !== null && column.type === 'text') offer(at, `"${column.options.join(',')}"`)
  }
  offer(columns.length, '"是,否"')
}
