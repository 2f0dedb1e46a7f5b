import { once } from 'node:events'
import { PassThrough, Readable, type Writable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { stringify } from 'csv-stringify/sync'
import type ExcelJS from 'exceljs'
import { instantInChina } from '../calendar/day.ts'
import { minuteLabel, type Value } from './consultations.ts'

export const FORMATS = ['xlsx', 'csv', 'json'] as const
export type Format = (typeof FORMATS)[number]

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  csv: 'text/csv; charset=utf-8',
  json: 'application/json; charset=utf-8'
}

/** A ledger to be written: what stands above its rows, and the rows as they are read. */
export interface Sheet {
  title: string
  /** Who made it and when, as a paper ledger has it. */
  facts: readonly { name: string; text: string }[]
  columns: readonly { key: string; title: string; width: number; instant?: true }[]
  filters: Readonly<Record<string, unknown>>
  /** Rows in the order of the columns. */
  pages: AsyncIterable<Value[][]>
}

/** Writes a ledger as it is read; whoever stops reading the stream stops the reading of rows too. */
export function writeSheet(format: Format, sheet: Sheet): Readable {
  if (format === 'xlsx') return xlsx(sheet)
  return Readable.from(format === 'csv' ? csv(sheet) : json(sheet), { objectMode: false })
}

// Control characters, halves of characters, non-characters: XML and PostgreSQL know none of them. Marks that turn the
// direction of writing could make a row read as another.
const UNPRINTABLE =
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\p{Surrogate}\ufffe\uffff\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** Text fit for a cell: lines kept, no control characters, nothing that turns the direction of writing. */
export function cellText(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(UNPRINTABLE, '').replace(/\t/g, ' ').trim()
}

/** A value as it is shown on paper and on the screen. */
export function shownValue({ instant }: { instant?: true }, value: Value): string | number {
  if (typeof value === 'number') return value
  if (value === null) return ''
  return instant === true ? minuteLabel(value) : cellText(value)
}

async function* json({ title, facts, columns, filters, pages }: Sheet): AsyncGenerator<string> {
  const head = { title, facts, columns: columns.map(({ key, title: name }) => ({ key, title: name })), filters }
  yield `${JSON.stringify(head).slice(0, -1)},"rows":[`
  let total = 0
  for await (const rows of pages) {
    const texts = rows.map((row) => {
      const values = columns.map(({ key, instant }, at) => {
        const value = row[at] ?? null
        if (typeof value !== 'string') return [key, value]
        return [key, instant === true ? instantInChina(value) : cellText(value)]
      })
      return JSON.stringify(Object.fromEntries(values))
    })
    yield `${total === 0 ? '' : ','}\n${texts.join(',\n')}`
    total += rows.length
  }
  yield `\n],"total":${total}}\n`
}

async function* csv({ columns, pages }: Sheet): AsyncGenerator<string> {
  // Only the whole delimiter is quoted by itself: an answer of two lines would be two rows.
  const options = { escape_formulas: true, record_delimiter: 'windows', quoted_match: /[\r\n]/ } as const
  yield stringify([columns.map(({ title }) => title)], { ...options, bom: true })
  for await (const rows of pages) {
    yield stringify(
      rows.map((row) => columns.map((column, at) => shownValue(column, row[at] ?? null))),
      options
    )
  }
}

/** Excel's limit; a cell with more makes it repair the file. */
const MOST_CELL_CHARACTERS = 32_767

function cellOf(column: { instant?: true }, value: Value): string | number | null {
  const shown = shownValue(column, value)
  if (typeof shown === 'number') return shown
  if (shown.length <= MOST_CELL_CHARACTERS) return shown === '' ? null : shown
  const note = `…（共 ${shown.length} 字，此处放不下，全文见办件）`
  return cellText(shown.slice(0, MOST_CELL_CHARACTERS - note.length)) + note
}

const THIN = { style: 'thin' } as const
const BORDER = { top: THIN, left: THIN, bottom: THIN, right: THIN }
// exceljs knows a style it has met only as the same object: one for all cells, or each of three million is looked up as text.
const TITLE: Partial<ExcelJS.Style> = {
  font: { name: '宋体', size: 20, bold: true },
  alignment: { horizontal: 'center', vertical: 'middle' }
}
const FACT: Partial<ExcelJS.Style> = { font: { name: '宋体', size: 12 }, alignment: { vertical: 'middle' } }
const HEADER: Partial<ExcelJS.Style> = {
  font: { name: '宋体', size: 12, bold: true },
  alignment: { horizontal: 'center', vertical: 'middle', wrapText: true },
  border: BORDER,
  fill: { type: 'pattern', pattern: 'solid', fgColor: { argb: 'FFF2F2F2' } }
}
const TEXT: Partial<ExcelJS.Style> = {
  font: { name: '宋体', size: 12 },
  alignment: { vertical: 'top', wrapText: true },
  border: BORDER,
  // Text, so that a number with leading zeros stays as it is when somebody edits the cell.
  numFmt: '@'
}
const NUMBER: Partial<ExcelJS.Style> = {
  font: { name: '宋体', size: 12 },
  alignment: { horizontal: 'center', vertical: 'top' },
  border: BORDER,
  numFmt: '0'
}

/** Rows written before others may run: about 10 ms (bench/ledger.ts). */
const SLICE = 50
/** What may wait to be packed, in bytes. */
const MOST_WAITING = 256 * 1024
/** A4 in the numbering of ECMA-376, 18.3.1.63. */
const A4 = 9

function xlsx(sheet: Sheet): Readable {
  const output = new PassThrough()
  const gone = new AbortController()
  output.on('close', () => gone.abort())
  fill(output, sheet, gone.signal).catch((error: unknown) => output.destroy(error as Error))
  return output
}

async function fill(output: PassThrough, { title, facts, columns, pages }: Sheet, gone: AbortSignal): Promise<void> {
  // The writer alone: the whole of exceljs takes 0.4 s to load, in which nobody is answered.
  const { default: WorkbookWriter } = await import('exceljs/lib/stream/xlsx/workbook-writer.js')
  const workbook = new WorkbookWriter({ stream: output, useStyles: true })
  const worksheet = workbook.addWorksheet('台账', {
    views: [{ state: 'frozen', xSplit: 2, ySplit: 3, zoomScale: 80 }],
    pageSetup: {
      paperSize: A4,
      orientation: 'landscape',
      fitToPage: true,
      fitToWidth: 1,
      fitToHeight: 0,
      printTitlesRow: '1:3',
      horizontalCentered: true,
      margins: { left: 0.4, right: 0.4, top: 0.5, bottom: 0.5, header: 0.2, footer: 0.2 }
    },
    headerFooter: { oddFooter: '第 &P 页，共 &N 页' }
  })
  worksheet.columns = columns.map(({ width }) => ({ width }))

  const first = worksheet.addRow([cellText(title)])
  first.height = 36
  first.getCell(1).style = TITLE
  worksheet.mergeCells(1, 1, 1, columns.length)
  first.commit()
  const second = worksheet.addRow([])
  second.height = 24
  for (const [at, { name, text }] of facts.entries()) {
    const [from, to] = [at, at + 1].map((n) => Math.floor((columns.length * n) / facts.length)) as [number, number]
    second.getCell(from + 1).value = cellText(`${name}：${text}`)
    second.getCell(from + 1).style = FACT
    if (to > from + 1) worksheet.mergeCells(2, from + 1, 2, to)
  }
  second.commit()
  const header = worksheet.addRow(columns.map((column) => column.title))
  for (let at = 1; at <= columns.length; at++) header.getCell(at).style = HEADER
  header.commit()

  for await (const rows of pages) {
    for (const [n, values] of rows.entries()) {
      const row = worksheet.addRow([])
      for (const [at, column] of columns.entries()) {
        const cell = row.getCell(at + 1)
        cell.value = cellOf(column, values[at] ?? null)
        cell.style = typeof cell.value === 'number' ? NUMBER : TEXT
      }
      row.commit()
      if (n % SLICE === SLICE - 1) await setImmediate()
    }
    await packed(worksheet, gone)
  }
  worksheet.commit()
  await workbook.commit()
}

/** Waits until what was written has been packed and taken: exceljs itself never waits, and would hold the whole sheet. */
async function packed(worksheet: ExcelJS.Worksheet, gone: AbortSignal): Promise<void> {
  gone.throwIfAborted()
  const { pipes } = (worksheet as unknown as { stream: { pipes: Writable[] } }).stream
  for (const pipe of pipes) {
    if (pipe.writableLength > MOST_WAITING) await once(pipe, 'drain', { signal: gone })
  }
}
