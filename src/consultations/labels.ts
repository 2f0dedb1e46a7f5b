import { parse } from 'csv-parse/sync'
import * as z from 'zod'
import { dayOf } from '../calendar/day.ts'
import { day } from '../content/kinds.ts'
import { Library } from '../content/library.ts'
import type { Database } from '../database/open.ts'
import type { LabelsTable, QueriesTable } from '../database/schema.ts'
import { MODEL_VERSION, THRESHOLDS, type Thresholds } from '../matching/confidence.ts'
import type { Confirmed, Proposal } from '../matching/refit.ts'
import type { Evidence } from './ask.ts'

/** Names of a labels file's columns: as a clerk writes them, and as programs do. */
const COLUMNS = {
  queryId: ['咨询编号', 'queryId'],
  label: ['判定', 'label'],
  entry: ['正确条目', 'entry'],
  date: ['日期', 'date']
} as const
type Field = keyof typeof COLUMNS
const FIELDS = Object.keys(COLUMNS) as Field[]

const LABELS: ReadonlyMap<string, LabelsTable['label']> = new Map([
  ['对', 'right'],
  ['错', 'wrong'],
  ['另一条', 'other'],
  ['right', 'right'],
  ['wrong', 'wrong'],
  ['other', 'other']
])
export const LABEL_NAMES: Record<LabelsTable['label'], string> = { right: '对', wrong: '错', other: '另一条' }

/** What keeps a labels file out: where it stands, what it is, what to do. In Chinese. */
export interface LabelProblem {
  /** As Excel numbers it; of JSON lines the line. */
  row: number | null
  /** Header and letter. */
  column: string | null
  value: string | null
  problem: string
  remedy: string
}

/** A row of a labels file, not yet checked. */
export interface LabelRow {
  row: number
  cells: Record<Field, { text: string; column: string }>
}

export type ReadLabels =
  | { kind: 'read'; rows: LabelRow[]; ignored: string[] }
  | { kind: 'refused'; problems: LabelProblem[] }

/**
 * Reads a labels file, CSV (comma, semicolon or tab) or one JSON object a line; checks its form only.
 * Columns it does not know are not taken in: a file from a desk may name people.
 */
export function readLabels(text: string): ReadLabels {
  const whole = text.replace(/^\ufeff/, '')
  if (/[\0\ufffd]/.test(whole)) {
    return unreadable('不是文本文件，或者编码无法识别', '请在 Excel/WPS 里另存为“CSV UTF-8（逗号分隔）”后再导入。')
  }
  if (whole.trim() === '') return unreadable('文件是空的', '请确认选对了文件。')
  return whole.trimStart().startsWith('{') ? readJsonLines(whole) : readCsv(whole)
}

function unreadable(problem: string, remedy: string, place: Partial<LabelProblem> = {}): ReadLabels {
  return { kind: 'refused', problems: [{ row: null, column: null, value: null, problem, remedy, ...place }] }
}

function readCsv(text: string): ReadLabels {
  const [firstLine = ''] = text.split('\n', 1)
  const count = (mark: string) => firstLine.split(mark).length
  const delimiter = [',', '\t', ';'].reduce((best, mark) => (count(mark) > count(best) ? mark : best))
  let table: string[][]
  try {
    table = parse(text, { delimiter, relax_column_count: true, relax_quotes: true, skip_empty_lines: false })
  } catch (error) {
    const { records, lines } = error as { records?: number; lines?: number }
    return unreadable(
      `引号没有成对，从文件第 ${lines ?? '?'} 行起无法分清各列`,
      '单元格里的英文双引号要写成两个（""）；最稳妥是在 Excel/WPS 里另存为 CSV。',
      { row: (records ?? 0) + 1 }
    )
  }
  const filled = table
    .map((cells, at) => ({ row: at + 1, cells: cells.map((cell) => cell.trim()) }))
    .filter(({ cells }) => cells.some((cell) => cell !== ''))
  const [head, ...rest] = filled
  const headers = head?.cells ?? []
  const places = new Map<Field, number>()
  const ignored: string[] = []
  for (const [at, header] of headers.entries()) {
    const field = fieldNamed(header)
    if (field === undefined) {
      if (header !== '') ignored.push(excerpt(header))
    } else if (places.has(field)) {
      return unreadable(`「${COLUMNS[field][0]}」这一列出现了两次`, '请只保留一列。', {
        row: head?.row ?? null,
        column: headed(header, at)
      })
    } else places.set(field, at)
  }
  const missing = (['queryId', 'label'] as const).filter((field) => !places.has(field))
  if (missing.length > 0) {
    return unreadable(
      `第一行表头里没有「${missing.map((field) => COLUMNS[field][0]).join('」「')}」`,
      '请在第一行写上表头：咨询编号、判定、正确条目、日期（后两列可以不要）。显示为乱码时，请另存为“CSV UTF-8”。',
      { row: head?.row ?? null }
    )
  }
  const rows = rest.map(({ row, cells }) => ({
    row,
    cells: cellsOf((field) => {
      const at = places.get(field)
      return at === undefined
        ? { text: '', column: COLUMNS[field][0] }
        : { text: cells[at] ?? '', column: headed(headers[at] as string, at) }
    })
  }))
  return rows.length === 0 ? unreadable('表头下面没有内容', '请确认选对了文件。') : { kind: 'read', rows, ignored }
}

const LETTERS = 26
const headed = (header: string, at: number) =>
  at < LETTERS ? `${header}（${String.fromCharCode(65 + at)} 列）` : `${header}（第 ${at + 1} 列）`

function fieldNamed(name: string): Field | undefined {
  return FIELDS.find((field) => COLUMNS[field].some((known) => known.toLowerCase() === name.toLowerCase()))
}

function cellsOf(cell: (field: Field) => LabelRow['cells'][Field]): LabelRow['cells'] {
  return { queryId: cell('queryId'), label: cell('label'), entry: cell('entry'), date: cell('date') }
}

function readJsonLines(text: string): ReadLabels {
  const rows: LabelRow[] = []
  const problems: LabelProblem[] = []
  const ignored = new Set<string>()
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const row = at + 1
    const object = z.record(z.string(), z.unknown()).safeParse(parsedJson(line))
    if (!object.success) {
      problems.push({
        row,
        column: null,
        value: line.trim(),
        problem: '这一行不是一个完整的 JSON 对象',
        remedy: 'jsonl 文件每行写一个 {…}，请检查引号、逗号和括号。'
      })
      continue
    }
    const given = new Map<Field, { text: string; column: string }>()
    for (const [key, value] of Object.entries(object.data)) {
      const field = fieldNamed(key)
      if (field === undefined) ignored.add(excerpt(key))
      else if (typeof value === 'string') given.set(field, { text: value.trim(), column: key })
      else if (value !== null) {
        problems.push({
          row,
          column: key,
          value: JSON.stringify(value),
          problem: '不是文字',
          remedy: '请用英文双引号括起来，例如 "label": "right"。'
        })
      }
    }
    rows.push({ row, cells: cellsOf((field) => given.get(field) ?? { text: '', column: COLUMNS[field][1] }) })
  }
  return problems.length > 0 ? { kind: 'refused', problems } : { kind: 'read', rows, ignored: [...ignored] }
}

function parsedJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

const LONGEST_EXCERPT = 60
/** What somebody wrote into a file, fit for a terminal: no control characters, not endless. */
function excerpt(text: string): string {
  const plain = text.replace(/\p{C}/gu, ' ')
  return plain.length > LONGEST_EXCERPT ? `${plain.slice(0, LONGEST_EXCERPT)}…` : plain
}

export type Imported =
  | { kind: 'refused'; problems: LabelProblem[] }
  | {
      kind: 'stored'
      added: number
      replaced: number
      unchanged: number
      /** Rows older than what is known of their query. */
      outdated: number
    }

/** What a row says, once it holds. */
interface Draft {
  row: number
  label: LabelsTable['label']
  entry: string | null
  /** `YYYY-MM-DD`; null = now. */
  date: string | null
}

/** Stores confirmations, all or none; a later one replaces an earlier one of the same query. */
export async function importLabels(db: Database, rows: readonly LabelRow[], now: Date): Promise<Imported> {
  return await db.transaction().execute(async (trx) => {
    const ids = rows.map(({ cells }) => cells.queryId.text)
    const queries = await byId(ids, (some) => trx.selectFrom('queries').selectAll().where('id', 'in', some).execute())
    const stored = await byId(ids, async (some) =>
      (await trx.selectFrom('labels').selectAll().where('query_id', 'in', some).execute()).map((label) => ({
        ...label,
        id: label.query_id
      }))
    )
    const library = new Library(trx)
    const problems: LabelProblem[] = []
    const drafts = new Map<string, Draft>()
    const changes: LabelsTable[] = []
    const counts = { added: 0, replaced: 0, unchanged: 0, outdated: 0 }
    for (const row of rows) {
      const refuse = (field: Field, problem: string, remedy: string) => {
        const { text, column } = row.cells[field]
        problems.push({ row: row.row, column, value: text === '' ? null : text, problem, remedy })
      }
      const draft = draftOf(row, dayOf(now), refuse)
      const queryId = row.cells.queryId.text
      if (draft === null) continue
      const other = drafts.get(queryId)
      if (other !== undefined) {
        if (other.label !== draft.label || other.entry !== draft.entry) {
          refuse('label', `同一次咨询在第 ${other.row} 行判定不同`, '一次咨询只写一行：请核对后删去写错的一行。')
        }
        continue
      }
      drafts.set(queryId, draft)
      const known = stored.get(queryId)
      // Not looked up again: the entry may have been retired and the query deleted since.
      if (known !== undefined && says(known, draft)) {
        counts.unchanged++
        continue
      }
      const query = queries.get(queryId)
      if (query === undefined) {
        refuse(
          'queryId',
          '没有这个编号的咨询',
          '请核对编号（答复里的 queryId）；也可能已过保存期限（QUERY_LOG_DAYS），请删去这一行。'
        )
        continue
      }
      if (draft.date !== null && draft.date < dayOf(query.asked_at)) {
        refuse('date', `早于提问的日期 ${dayOf(query.asked_at)}`, '请核对日期，或者留空。')
        continue
      }
      const label = await labelOf(library, query, draft, refuse)
      if (label === null) continue
      if (known !== undefined && draft.date !== null && draft.date < dayOf(known.labelled_at)) {
        counts.outdated++
        continue
      }
      const labelledAt = draft.date === null ? now : new Date(`${draft.date}T00:00:00+08:00`)
      changes.push({ ...label, labelled_at: labelledAt.toISOString() })
      counts[known === undefined ? 'added' : 'replaced']++
    }
    if (problems.length > 0) return { kind: 'refused', problems }
    for (const label of changes) {
      await trx
        .insertInto('labels')
        .values(label)
        .onConflict((conflict) => conflict.column('query_id').doUpdateSet(label))
        .execute()
    }
    return { kind: 'stored', ...counts }
  })
}

/** Fewer than SQLite's 32,766 variables a statement. */
const AT_ONCE = 500
/** Only what can be an id is asked for: PostgreSQL takes no NUL. */
const QUERY_ID = /^[A-Za-z0-9-]{1,64}$/

async function byId<R extends { id: string }>(
  ids: readonly string[],
  read: (some: string[]) => Promise<R[]>
): Promise<Map<string, R>> {
  const wanted = [...new Set(ids)].filter((id) => QUERY_ID.test(id))
  const found = new Map<string, R>()
  for (let at = 0; at < wanted.length; at += AT_ONCE) {
    for (const row of await read(wanted.slice(at, at + AT_ONCE))) found.set(row.id, row)
  }
  return found
}

type Refuse = (field: Field, problem: string, remedy: string) => void

/** `qa/ID`, `document/ID`, `document/ID#ANCHOR`, or the code alone. */
const ENTRY = /^(?:(qa|document)\/)?([A-Za-z0-9][A-Za-z0-9._-]{0,79})(?:#([A-Za-z0-9._-]{1,80}))?$/
const DATE = /^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?$/

/** What a row says by itself; null when it was refused. */
function draftOf({ row, cells }: LabelRow, today: string, refuse: Refuse): Draft | null {
  const label = LABELS.get(cells.label.text.toLowerCase())
  const entry = cells.entry.text === '' ? null : cells.entry.text
  const date = cells.date.text === '' ? null : cells.date.text.replace(DATE, isoDay)
  let holds = true
  const fail: Refuse = (...why) => {
    holds = false
    refuse(...why)
  }
  if (cells.queryId.text === '') fail('queryId', '没有写咨询编号', '请填写答复里的 queryId，或者删去这一行。')
  if (label === undefined) {
    fail(
      'label',
      cells.label.text === '' ? '没有写判定' : '判定写法不对',
      '请写 对、错 或 另一条（也可以写 right、wrong、other）。'
    )
  }
  if (label === 'other' && entry === null) {
    fail('entry', '判为另一条，却没有写是哪一条', '请填写正确条目的编号；库里没有合适的条目时请判 错。')
  }
  if (label === 'wrong' && entry !== null) {
    fail('entry', '判为错，却写了正确条目', '正确的是这一条时请判 另一条；都不对时请把正确条目留空。')
  }
  if (entry !== null && !ENTRY.test(entry)) {
    fail('entry', '不是条目的编号', '请写问答或文件的编号，例如 yibao-001、document/zc-1#art-2。')
  }
  if (date !== null && !day.safeParse(date).success) {
    fail('date', '不是日期，或者没有这一天', '请写成 2026-11-23 这样，或者留空。')
  } else if (date !== null && date > today) fail('date', '日期还没有到', '请核对日期，或者留空。')
  return holds && label !== undefined ? { row, label, entry, date } : null
}

const isoDay = (_: string, year: string, month: string, date: string) =>
  `${year}-${month.padStart(2, '0')}-${date.padStart(2, '0')}`

/** Whether what a clerk calls an entry is the one of this key: kind and clause may be left out. */
function isNamed(key: string | null, name: string): boolean {
  return (
    key !== null && [name, `qa/${name}`, `document/${name}`].some((one) => key === one || key.startsWith(`${one}#`))
  )
}

/** Whether a row says what is known already. */
function says({ label, entry, first }: LabelsTable, draft: Draft): boolean {
  return label === draft.label && (draft.entry === null || isNamed(label === 'other' ? entry : first, draft.entry))
}

/** A label with what was decided then; null when it was refused. */
async function labelOf(
  library: Library,
  query: QueriesTable,
  { label, entry }: Draft,
  refuse: Refuse
): Promise<Omit<LabelsTable, 'labelled_at'> | null> {
  const evidence = JSON.parse(query.evidence) as Evidence
  const keys = evidence.candidates.map(({ key }) => key)
  const [first = null] = keys
  if (label === 'right' && first === null) {
    refuse('label', '这次咨询没有候选条目，不能判为对', '请判 错；知道正确条目时请判 另一条。')
    return null
  }
  if (label === 'right' && entry !== null && !isNamed(first, entry)) {
    refuse('entry', `判为对，写的却不是当时的第一条 ${first}`, '请改判 另一条，或者把正确条目留空。')
    return null
  }
  let place = label === 'right' ? 0 : null
  let held: string | null = null
  if (label === 'other' && entry !== null) {
    held = await heldEntry(library, entry)
    if (held === null) {
      refuse('entry', '问答库和文件里没有这一条，或者已撤下', '请核对编号；需要补充时请先把条目导入。')
      return null
    }
    const at = keys.findIndex((key) => isNamed(key, held as string))
    if (at === 0) {
      refuse('entry', '这一条就是当时的第一条', '请判 对；如果不对，请改写正确条目。')
      return null
    }
    place = at === -1 ? null : at
  }
  return {
    query_id: query.id,
    label,
    entry: held,
    asked_at: query.asked_at,
    model: evidence.model,
    decision: query.decision,
    confidence: query.confidence,
    among: amongOf(evidence),
    first,
    withheld: evidence.withheld ? 1 : 0,
    place
  }
}

/** Key of the standing entry so named; null when the bank holds none. A code alone is a Q&A entry's before a document's. */
async function heldEntry(library: Library, name: string): Promise<string | null> {
  const [, kind, id, anchor] = ENTRY.exec(name) as unknown as [string, string?, string?, string?]
  if (id === undefined) return null
  if (kind !== 'document' && anchor === undefined) {
    const item = await library.get('qa', id)
    if (item !== null && !item.retired) return `qa/${id}`
  }
  if (kind === 'qa') return null
  const item = await library.get('document', id)
  if (item === null || item.retired) return null
  if (anchor === undefined) return `document/${id}`
  return library.passages(item).some((passage) => passage.anchor === anchor) ? `document/${id}#${anchor}` : null
}

/** As src/matching/decide.ts adds it up: another place's candidates do not count, and behind one of them nothing is offered. */
function amongOf({ candidates }: Evidence): number | null {
  const isElsewhere = ({ features }: Evidence['candidates'][number]) => features.placeConflict === 1
  const [first] = candidates
  if (first === undefined || isElsewhere(first)) return null
  return candidates.reduce((sum, one) => sum + (isElsewhere(one) ? 0 : one.confidence), 0)
}

/**
 * Stores what a clerk confirmed of one query by registering it; a later word replaces an earlier one.
 * @param entry key of the entry that answers it, with `other`
 * @returns false where the query is not stored (yet), or what is said of it does not hold
 */
export async function labelQuery(
  db: Database,
  queryId: string,
  label: LabelsTable['label'],
  entry: string | null,
  now: Date
): Promise<boolean> {
  const query = await db.selectFrom('queries').selectAll().where('id', '=', queryId).executeTakeFirst()
  if (query === undefined) return false
  const drafted = await labelOf(new Library(db), query, { row: 1, label, entry, date: null }, () => {})
  if (drafted === null) return false
  const row = { ...drafted, labelled_at: now.toISOString() }
  await db
    .insertInto('labels')
    .values(row)
    .onConflict((conflict) => conflict.column('query_id').doUpdateSet(row))
    .execute()
  return true
}

/** What staff confirmed under the present model, and how many labels another model's decisions have. */
export async function confirmedQueries(db: Database): Promise<{ confirmed: Confirmed[]; otherModels: number }> {
  const labels = await db.selectFrom('labels').selectAll().orderBy('query_id').execute()
  const confirmed = labels
    .filter(({ model }) => model === MODEL_VERSION)
    .map(({ query_id, first, confidence, among, withheld, place }) => ({
      queryId: query_id,
      kind: first === null ? null : first.startsWith('qa/') ? ('qa' as const) : ('document' as const),
      confidence,
      among,
      withheld: withheld === 1,
      place
    }))
  return { confirmed, otherModels: labels.length - confirmed.length }
}

/** What staff confirmed of one query. */
export async function labelOn(db: Database, queryId: string): Promise<LabelsTable | null> {
  return (await db.selectFrom('labels').selectAll().where('query_id', '=', queryId).executeTakeFirst()) ?? null
}

const share = z.number().min(0).max(1)
const StoredThresholds = z.object({
  answer: share,
  answerPassage: share,
  choose: share,
  chooseMost: z.number().int().min(2)
})

/** Labels that stood behind a refit, and what it was expected to change. */
type MadeFrom = Pick<Proposal, 'moves' | 'fitted' | 'before' | 'after'> & { labels: number; otherModels: number }

export interface Standing {
  thresholds: Thresholds
  /** Where they stand in the database; 0 = the shipped ones. */
  row: number
  /** Where the ones before them stand; null where there are none. */
  previous: number | null
  /** Labels behind the refit that made them; 0 where they are the shipped ones, or were gone back to. */
  usedLabels: number
}

/**
 * The thresholds in force: the newest of the present model, else the shipped ones. Those of other models say nothing here.
 * @throws when the stored ones cannot be read
 */
export async function standingThresholds(db: Database): Promise<Standing> {
  const newest = await db
    .selectFrom('thresholds')
    .selectAll()
    .where('model', '=', MODEL_VERSION)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (newest === undefined) return { thresholds: THRESHOLDS, row: 0, previous: null, usedLabels: 0 }
  const { id: row, previous, content, made_from: madeFrom } = newest
  const usedLabels = madeFrom === null ? 0 : (JSON.parse(madeFrom) as MadeFrom).labels
  return { thresholds: readThresholds(content), row, previous, usedLabels }
}

const readThresholds = (content: string): Thresholds => StoredThresholds.parse(JSON.parse(content))

/** Puts proposed thresholds in force; running services take them up within half a second. */
export async function confirmThresholds(
  db: Database,
  { proposal, previous, labels, otherModels, now }: Confirmation
): Promise<void> {
  const { thresholds, moves, fitted, before, after } = proposal
  const madeFrom: MadeFrom = { labels, otherModels, fitted, moves, before, after }
  await db
    .insertInto('thresholds')
    .values({
      model: MODEL_VERSION,
      content: JSON.stringify(thresholds),
      made_at: now.toISOString(),
      made_from: JSON.stringify(madeFrom),
      previous: previous.row
    })
    .execute()
}

interface Confirmation {
  proposal: Proposal
  /** What it was made against. */
  previous: Standing
  labels: number
  otherModels: number
  now: Date
}

/**
 * Goes back to the thresholds before the last refit, by a new row: what stood when stays on record. Undone again it goes
 * back one refit further.
 * @returns what was in force and what is now; null when the shipped ones are in force already
 */
export async function undoThresholds(db: Database, now: Date): Promise<{ from: Thresholds; to: Thresholds } | null> {
  return await db.transaction().execute(async (trx) => {
    const { thresholds: from, previous } = await standingThresholds(trx)
    if (previous === null) return null
    // What stood before the shipped ones, row 0, is nothing.
    const before =
      previous === 0
        ? null
        : await trx.selectFrom('thresholds').selectAll().where('id', '=', previous).executeTakeFirstOrThrow()
    const to = before === null ? THRESHOLDS : readThresholds(before.content)
    await trx
      .insertInto('thresholds')
      .values({
        model: MODEL_VERSION,
        content: JSON.stringify(to),
        made_at: now.toISOString(),
        made_from: null,
        previous: before === null ? null : before.previous
      })
      .execute()
    return { from, to }
  })
}

/** How often an instant answer was wrong, by what staff confirmed; published (domain.md §4, 4). */
export interface Quality {
  /** Instant answers that staff confirmed or corrected. */
  confirmed: number
  wrong: number
  /** Null below FEWEST_FOR_A_RATE. */
  falseAnswerRate: number | null
  /** First and last day of asking, `YYYY-MM-DD`. */
  from: string
  to: string
}

/** Days the published rate looks back. */
export const QUALITY_DAYS = 90
/** A rate of fewer would jump by more than 5 points with a single answer. */
const FEWEST_FOR_A_RATE = 20
const DAY_MS = 24 * 3600 * 1000

/** @param now the period's last day is the one it falls on */
export async function qualityOf(db: Database, now: Date): Promise<Quality> {
  const to = dayOf(now)
  const from = dayOf(new Date(now.getTime() - (QUALITY_DAYS - 1) * DAY_MS))
  const counts = await db
    .selectFrom('labels')
    .select((e) => ['label', e.fn.countAll<number>().as('count')])
    .where('decision', '=', 'answer')
    .where('asked_at', '>=', new Date(`${from}T00:00:00+08:00`).toISOString())
    .groupBy('label')
    .execute()
  const confirmed = counts.reduce((sum, { count }) => sum + Number(count), 0)
  const right = Number(counts.find(({ label }) => label === 'right')?.count ?? 0)
  const wrong = confirmed - right
  return { confirmed, wrong, falseAnswerRate: confirmed < FEWEST_FOR_A_RATE ? null : wrong / confirmed, from, to }
}

/** One problem of a labels file in a line of Chinese. */
export function problemLine({ row, column, value, problem, remedy }: LabelProblem): string {
  const place = [row === null ? null : `第 ${row} 行`, column === null ? null : `「${excerpt(column)}」`]
  const at = place.filter((part) => part !== null).join('')
  const given = value === null ? '' : `（写的是：${excerpt(value)}）`
  return `${at === '' ? '' : `${at}：`}${problem}${given}。${remedy}`
}
