import * as z from 'zod'
import { day, KIND_NAMES, KINDS } from '../src/content/kinds.ts'
import { RECORD_KINDS, type RecordKind } from '../src/database/schema.ts'

/** How a cell's text becomes a value: `codes` are short items that may share a line, `lines` are one item a line. */
export type ColumnType = 'text' | 'code' | 'day' | 'boolean' | 'status' | 'codes' | 'lines' | 'basis'

export interface Column {
  field: string
  /** Header in a sheet, key in a front matter. */
  title: string
  type: ColumnType
  /** What may be chosen, where that is a fixed list. */
  options: readonly string[] | null
  /** The schema refuses the value of an empty cell. */
  mandatory: boolean
  /** Kind of record whose code (or name) it holds. */
  refersTo: RecordKind | null
}

const REFERENCES: Partial<Record<RecordKind, Record<string, RecordKind>>> = {
  unit: { parent: 'unit', guide: 'document' },
  zone: { unit: 'unit' },
  board: { zone: 'zone' },
  qa: { unit: 'unit', topic: 'topic' },
  document: { issuers: 'unit', topic: 'topic', successor: 'document', changedBy: 'document' }
}

/** Lists whose items are so short that clerks write them on one line, separated by ； or 、. */
const SHORT_LISTS = new Set(['aliases', 'keywords', 'others'])

/** Pseudo fields: columns a sheet may have that are no part of the record. */
export const SAMPLE_FIELD = '$sample'
export const FILE_FIELD = '$file'
export const SAMPLE_TITLE = '示例数据'
const SAMPLE_COLUMN = pseudoColumn(SAMPLE_FIELD, SAMPLE_TITLE, 'boolean')
const FILE_COLUMN = pseudoColumn(FILE_FIELD, '文件', 'text')

function pseudoColumn(field: string, title: string, type: ColumnType): Column {
  return { field, title, type, options: null, mandatory: false, refersTo: null }
}

function columnOf(kind: RecordKind, field: string, schema: z.ZodType): Column {
  const inner = schema instanceof z.ZodNullable ? (schema.unwrap() as z.ZodType) : schema
  const element = inner instanceof z.ZodArray ? (inner.element as z.ZodType) : null
  const refersTo = REFERENCES[kind]?.[field] ?? null
  const chosen = element ?? inner
  const options = chosen instanceof z.ZodEnum ? chosen.options.map(String) : null
  let type: ColumnType = 'text'
  if (kind === 'document' && field === 'status') type = 'status'
  else if (field === 'basis') type = 'basis'
  else if (element !== null) type = options !== null || refersTo !== null || SHORT_LISTS.has(field) ? 'codes' : 'lines'
  else if (inner instanceof z.ZodBoolean) type = 'boolean'
  // A schema with a title is a copy, of the same definition.
  else if ((inner as z.ZodType).def === day.def) type = 'day'
  else if (refersTo !== null || field === 'id') type = 'code'
  const mandatory = type !== 'status' && !schema.safeParse(emptyValue(type, schema)).success
  return { field, title: (schema.meta()?.title as string | undefined) ?? field, type, options, mandatory, refersTo }
}

function emptyValue(type: ColumnType, schema: z.ZodType): unknown {
  if (type === 'codes' || type === 'lines' || type === 'basis') return []
  if (type === 'boolean') return false
  return schema instanceof z.ZodNullable ? null : ''
}

/** Columns of each kind of record, in schema order, derived from the schemas so that the two cannot part. */
export const COLUMNS = Object.fromEntries(
  RECORD_KINDS.map((kind) => [
    kind,
    Object.entries(KINDS[kind].shape as Record<string, z.ZodType>).map(([field, schema]) =>
      columnOf(kind, field, schema)
    )
  ])
) as Record<RecordKind, Column[]>

/** Where a value stands, in the words a clerk sees: row as Excel numbers it, header with its column letter. */
export interface Cell {
  value: unknown
  row: number
  column: string
  /** What is wrong with the cell itself, whatever its field. */
  fault?: Fault
  /** The value runs over lines of the file from `row` on, so that a finding can name its own line. */
  spansLines?: boolean
  /** Where it stands when that is not the draft's own file: a catalogue of files. */
  from?: { file: string; sheet: string | null }
}

export interface Fault {
  problem: string
  remedy: string
}

/** One record as its file words it, before any check. */
export interface Draft {
  kind: RecordKind
  source: string
  sheet: string | null
  row: number
  /** By field. */
  cells: Record<string, Cell>
  /** Values of fields the input has no place for. */
  defaults: Record<string, unknown>
}

const INVISIBLE = /[\s\u0000-\u001f\u200b-\u200f\u2060\ufeff]/g

/** A header without what does not tell it apart: blanks, width, byte order mark, asterisks, remarks in brackets. */
function headerKey(header: string): string {
  return header
    .normalize('NFKC')
    .replace(INVISIBLE, '')
    .replace(/\([^)]*\)|[*:]/g, '')
    .toLowerCase()
}

const BY_HEADER = Object.fromEntries(
  RECORD_KINDS.map((kind) => {
    const extra = kind === 'document' ? [SAMPLE_COLUMN, FILE_COLUMN] : [SAMPLE_COLUMN]
    const columns = [...COLUMNS[kind].filter(({ field }) => kind !== 'district' || field !== 'id'), ...extra]
    return [
      kind,
      new Map(columns.flatMap((column) => [column.title, column.field].map((key) => [headerKey(key), column])))
    ]
  })
) as Record<RecordKind, Map<string, Column>>

/** The column a header names in this kind of sheet, by Chinese title or English field name. */
export function columnNamed(kind: RecordKind, header: string): Column | null {
  return BY_HEADER[kind].get(headerKey(header)) ?? null
}

const NAME_HINTS: Record<RecordKind, RegExp> = {
  district: /区情|district/i,
  unit: /单位|机构|\bunits?\b/i,
  zone: /专区|\bzones?\b/i,
  topic: /主题|\btopics?\b/i,
  qa: /问答|答复|\bqa\b|\bbank\b/i,
  board: /公示|\bboards?\b/i,
  document: /文件|\bdocuments?\b/i,
  word: /词典|\bdictionary\b/i,
  synonym: /同义词|\bsynonyms?\b/i,
  place: /地名|\bplaces?\b/i
}

export interface Recognised {
  kind: RecordKind
  /** By position in the row. */
  columns: (Column | null)[]
  unknown: string[]
  missing: Column[]
}

/**
 * Which kind of record a header row announces; the name of file or sheet breaks ties.
 * @returns null when fewer than two headers belong to any one kind
 */
export function recognise(headers: readonly string[], name: string): Recognised | null {
  let best: (Recognised & { score: number }) | null = null
  for (const kind of RECORD_KINDS) {
    // The district's own sheet is a list of names and values, not a table.
    if (kind === 'district') continue
    const columns = headers.map((header) => columnNamed(kind, header))
    const known = new Set(columns.filter((column) => column !== null))
    const found = known.size - (known.has(SAMPLE_COLUMN) ? 1 : 0)
    const hinted = NAME_HINTS[kind].test(name)
    if (found < (hinted ? 1 : 2)) continue
    const missing = COLUMNS[kind].filter(
      (column) => column.mandatory && !known.has(column) && !isGiven(kind, column, known)
    )
    const score = found - missing.length / 2 + (hinted ? 1.5 : 0)
    if (best !== null && best.score >= score) continue
    const unknown = headers.filter((header, at) => header !== '' && columns[at] === null)
    best = { kind, columns, unknown, missing, score }
  }
  return best
}

/** In a catalogue of files the text comes from the file; code and title too, when the catalogue leaves them out. */
function isGiven(kind: RecordKind, column: Column, known: ReadonlySet<Column>): boolean {
  return kind === 'document' && known.has(FILE_COLUMN) && ['id', 'title', 'category', 'body'].includes(column.field)
}

/** Whether a header row is the district's own sheet (项目,内容). */
export function isDistrictHeader(headers: readonly string[]): boolean {
  const keys = headers.map(headerKey)
  return keys.includes('项目') && keys.includes('内容')
}

/** What a kind of record is called, for messages. */
export function kindName(kind: RecordKind): string {
  return KIND_NAMES[kind]
}

/** Excel's letter of a column, from 0: A, B, … Z, AA. */
export function columnLetter(at: number): string {
  let letters = ''
  for (let rest = at + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    letters = String.fromCharCode(65 + ((rest - 1) % 26)) + letters
  }
  return letters
}
