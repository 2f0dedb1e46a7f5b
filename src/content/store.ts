import { CompiledQuery, type Transaction } from 'kysely'
import type { Database } from '../database/open.ts'
import type { RecordKind, Schema } from '../database/schema.ts'
import { hashOf } from './hash.ts'
import { documentEntries, qaEntries } from '../search/entries.ts'
import { encodeEntry } from '../search/stored-entries.ts'
import { openSegmenter, type Segmenter } from '../text/segment.ts'
import { dayOf } from '../calendar/day.ts'
import { type ContentOf, fieldTitle, KIND_NAMES } from './kinds.ts'

/** A record as a source states it, already checked against its schema. */
export interface Incoming<K extends RecordKind = RecordKind> {
  kind: K
  content: ContentOf[K]
  /** File it comes from, relative to what was loaded. */
  source: string
  sample: boolean
}

export interface FieldChange {
  field: string
  title: string
  before: unknown
  after: unknown
}

/** What storing would do to one record. */
export interface Difference {
  kind: RecordKind
  id: string
  change: 'new' | 'changed' | 'unchanged' | 'retired'
  /** For changed records, field by field. */
  fields: FieldChange[]
  /** Sequence number of the revision it was compared with; null where there was none. */
  before: number | null
}

/** Somebody stored the same record between the comparison and now. */
export class ChangedMeanwhile extends Error {
  constructor(kind: RecordKind, id: string) {
    super(
      `${KIND_NAMES[kind]} ${id} 刚刚被别人改动过，什么也没有存入；请重新导入。 ` +
        `${kind} ${id} was changed by someone else meanwhile; nothing was stored.`
    )
    this.name = 'ChangedMeanwhile'
  }
}

const KEY_SEPARATOR = '/'
const keyOf = (kind: RecordKind, id: string) => `${kind}${KEY_SEPARATOR}${id}`

/**
 * Compares what sources say with what is stored; reads only.
 * @param sources files read whole: what came from them before and is in no file now is retired
 */
export async function compare(
  db: Database | Transaction<Schema>,
  incoming: readonly Incoming[],
  sources: readonly string[]
): Promise<Difference[]> {
  const heads = await db
    .selectFrom('records')
    .innerJoin('revisions', 'revisions.sequence', 'records.sequence')
    .select(['records.kind', 'records.id', 'records.sequence', 'records.retired', 'records.source'])
    .select(['revisions.hash', 'revisions.sample'])
    .execute()
  const stored = new Map(heads.map((head) => [keyOf(head.kind, head.id), head]))
  const differences: Difference[] = []
  const seen = new Set<string>()
  const changed: { difference: Difference; content: ContentOf[RecordKind]; wasRetired: boolean }[] = []
  for (const { kind, content, sample } of incoming) {
    const key = keyOf(kind, content.id)
    seen.add(key)
    const head = stored.get(key)
    const difference: Difference = { kind, id: content.id, change: 'new', fields: [], before: head?.sequence ?? null }
    differences.push(difference)
    if (head === undefined) continue
    const same = head.retired === 0 && head.hash === hashOf(JSON.stringify(content)) && (head.sample === 1) === sample
    difference.change = same ? 'unchanged' : 'changed'
    if (!same) changed.push({ difference, content, wasRetired: head.retired === 1 })
  }
  for (const { difference, content, wasRetired } of changed) {
    const before = await currentRevision(db, difference.kind, difference.id)
    difference.fields = fieldChanges(difference.kind, JSON.parse(before.content), content)
    if (wasRetired) difference.fields.push({ field: 'retired', title: '状态', before: '已撤下', after: '重新启用' })
  }
  const whole = new Set(sources)
  for (const head of heads) {
    if (head.retired === 0 && whole.has(head.source) && !seen.has(keyOf(head.kind, head.id))) {
      differences.push({ kind: head.kind, id: head.id, change: 'retired', fields: [], before: head.sequence })
    }
  }
  return differences
}

function fieldChanges(kind: RecordKind, before: Record<string, unknown>, after: object): FieldChange[] {
  const now = after as Record<string, unknown>
  const changes: FieldChange[] = []
  for (const field of new Set([...Object.keys(before), ...Object.keys(now)])) {
    if (JSON.stringify(before[field]) !== JSON.stringify(now[field])) {
      changes.push({ field, title: fieldTitle(kind, field), before: before[field] ?? null, after: now[field] ?? null })
    }
  }
  return changes
}

export interface StoreOptions {
  incoming: readonly Incoming[]
  differences: readonly Difference[]
  /** Who makes the change: an account name, or the command's user. */
  by: string
  /** Instant, ISO 8601. */
  at: string
  /** Why a person withdrew what is retired. */
  reason?: string
  onProgress?: (done: number, total: number) => void
}

/**
 * Stores what `compare` found, whole or not at all: records, a revision for each change and stored tokens, in one
 * transaction. A change of vocabulary makes every stored token anew.
 * @returns the change feed's last sequence number
 * @throws {ChangedMeanwhile} when a record is no longer as it was compared
 */
export async function storeChanges(db: Database, options: StoreOptions): Promise<{ sequence: number }> {
  return await db.transaction().execute((trx) => storeWithin(trx, options))
}

/** As `storeChanges`, in a transaction that holds something else too. */
export async function storeWithin(trx: Transaction<Schema>, options: StoreOptions): Promise<{ sequence: number }> {
  const { incoming, differences, by, at, reason, onProgress } = options
  const contents = new Map(incoming.map((record) => [keyOf(record.kind, record.content.id), record]))
  const wanted = differences.filter(({ change }) => change !== 'unchanged')
  // The counter row is locked first: change numbers are given in commit order, so a reader that follows them misses none.
  const first = await lockSequence(trx, wanted.length)
  const stored = await storedHeads(trx)
  for (const { kind, id, before } of wanted) {
    if ((stored.get(keyOf(kind, id))?.sequence ?? null) !== before) throw new ChangedMeanwhile(kind, id)
  }
  await moveSources(
    trx,
    incoming.filter((record) => record.kind !== 'district'),
    stored
  )
  const insert = bulkInserter(trx)
  let sequence = first
  let done = 0
  const heads: Schema['records'][] = []
  const searchable: { kind: 'qa' | 'document'; id: string }[] = []
  for (const difference of wanted) {
    sequence++
    const { kind, id, change } = difference
    const record = contents.get(keyOf(kind, id))
    const before = change === 'new' ? null : await currentRevision(trx, kind, id)
    const content = record === undefined ? (before?.content as string) : JSON.stringify(record.content)
    const retired = change === 'retired' ? (1 as const) : (0 as const)
    const source = record?.source ?? (before?.source as string)
    await insert.add('revisions', {
      sequence,
      kind,
      id,
      revision: (before?.revision ?? 0) + 1,
      retired,
      content,
      hash: hashOf(content),
      sample: (record === undefined ? before?.sample === 1 : record.sample) ? 1 : 0,
      source,
      changed_at: at,
      changed_by: by,
      reason: reason ?? null
    })
    if (before !== null) await trx.deleteFrom('records').where('kind', '=', kind).where('id', '=', id).execute()
    heads.push({ kind, id, sequence, retired, source })
    if (kind === 'qa' || kind === 'document') searchable.push({ kind, id })
  }
  await insert.flush()
  for (const head of heads) await insert.add('records', head)
  await insert.flush()

  const segmenter = openSegmenter(await vocabularyOf(trx))
  const retired = new Set(wanted.filter((d) => d.change === 'retired').map((d) => keyOf(d.kind, d.id)))
  const fresh = new Set(wanted.filter((d) => d.change === 'new').map((d) => keyOf(d.kind, d.id)))
  for (const { kind, id } of searchable) {
    const key = keyOf(kind, id)
    if (!fresh.has(key)) await forgetEntries(trx, kind, id)
    if (!retired.has(key)) {
      const record = contents.get(key) as Incoming
      await writeEntries(insert, record.kind as 'qa' | 'document', record.content, dayOf(at), segmenter)
    }
    onProgress?.(++done, searchable.length)
  }
  await insert.flush()
  await renew(trx, segmenter, await staleRecords(trx, segmenter), onProgress)
  return { sequence }
}

/** Stored words and synonyms, for the segmenter. */
export async function vocabularyOf(db: Database | Transaction<Schema>) {
  const rows = await db
    .selectFrom('records')
    .innerJoin('revisions', 'revisions.sequence', 'records.sequence')
    .select(['records.kind', 'revisions.content'])
    .where('records.kind', 'in', ['word', 'synonym', 'place'])
    .where('records.retired', '=', 0)
    .execute()
  const words: string[] = []
  const synonyms: { standard: string; others: string[] }[] = []
  for (const { kind, content } of rows) {
    if (kind === 'synonym') {
      const { id, others } = JSON.parse(content) as ContentOf['synonym']
      synonyms.push({ standard: id, others })
    } else if (kind === 'place') {
      const { id, aliases } = JSON.parse(content) as ContentOf['place']
      words.push(id, ...aliases)
    } else words.push((JSON.parse(content) as ContentOf['word']).id)
  }
  return { words, synonyms }
}

type OnProgress = StoreOptions['onProgress']

/**
 * Makes anew the stored tokens that were made under another identity: after a change of vocabulary, segmenter or text rules.
 * @returns how many records' tokens were made anew
 */
export async function renewEntries(db: Database, segmenter: Segmenter, onProgress?: OnProgress): Promise<number> {
  // Most starts find nothing, and wait for no writer.
  if ((await staleRecords(db, segmenter)).length === 0) return 0
  return await db.transaction().execute(async (trx) => {
    await lockSequence(trx, 0)
    return await renew(trx, segmenter, await staleRecords(trx, segmenter), onProgress)
  })
}

/**
 * Makes every stored token anew from the records, whatever the entries held, and asks running services to build their index
 * again (src/search/change-feed.ts).
 * @returns how many records are searchable
 */
export async function remakeEntries(db: Database, onProgress?: OnProgress): Promise<number> {
  return await db.transaction().execute(async (trx) => {
    await lockSequence(trx, 0)
    await trx.deleteFrom('entries').execute()
    const records = await trx
      .selectFrom('records')
      .select(['kind', 'id'])
      .where('kind', 'in', ['qa', 'document'])
      .where('retired', '=', 0)
      .orderBy('sequence')
      .execute()
    await raiseCounter(trx, 'rebuild', 1)
    return await renew(trx, openSegmenter(await vocabularyOf(trx)), records as Searchable[], onProgress)
  })
}

interface Searchable {
  kind: 'qa' | 'document'
  id: string
}

async function staleRecords(db: Database | Transaction<Schema>, { identity }: Segmenter): Promise<Searchable[]> {
  const rows = await db.selectFrom('entries').select('key').where('identity', '!=', identity).execute()
  const records = new Set(rows.map(({ key }) => key.split('#')[0] as string))
  return Array.from(records, (key) => {
    const [kind, id] = key.split(KEY_SEPARATOR) as [Searchable['kind'], string]
    return { kind, id }
  })
}

async function renew(
  trx: Transaction<Schema>,
  segmenter: Segmenter,
  records: readonly Searchable[],
  onProgress: OnProgress
): Promise<number> {
  const insert = bulkInserter(trx)
  for (const [at, { kind, id }] of records.entries()) {
    await forgetEntries(trx, kind, id)
    const record = await findRevision(trx, kind, id).executeTakeFirst()
    if (record?.retired === 0)
      await writeEntries(insert, kind, JSON.parse(record.content), dayOf(record.changed_at), segmenter)
    onProgress?.(at + 1, records.length)
  }
  await insert.flush()
  return records.length
}

function currentRevision(db: Database | Transaction<Schema>, kind: RecordKind, id: string) {
  return findRevision(db, kind, id).executeTakeFirstOrThrow()
}

function findRevision(db: Database | Transaction<Schema>, kind: RecordKind, id: string) {
  return db
    .selectFrom('records')
    .innerJoin('revisions', 'revisions.sequence', 'records.sequence')
    .selectAll('revisions')
    .where('records.kind', '=', kind)
    .where('records.id', '=', id)
}

/** Takes so many numbers of the change feed, and with them the turn to write; returns the last one taken before. */
async function lockSequence(trx: Transaction<Schema>, by: number): Promise<number> {
  return (await raiseCounter(trx, 'change', by)) - by
}

async function raiseCounter(trx: Transaction<Schema>, name: Schema['counters']['name'], by: number): Promise<number> {
  const { value } = await trx
    .insertInto('counters')
    .values({ name, value: by })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet((e) => ({ value: e('counters.value', '+', e.ref('excluded.value')) }))
    )
    .returning('value')
    .executeTakeFirstOrThrow()
  return value
}

async function storedHeads(trx: Transaction<Schema>) {
  const rows = await trx.selectFrom('records').select(['kind', 'id', 'sequence', 'source']).execute()
  return new Map(rows.map((row) => [keyOf(row.kind, row.id), row]))
}

/** A record that is now in another file belongs to that file; this is no change of the record. */
async function moveSources(
  trx: Transaction<Schema>,
  incoming: readonly Incoming[],
  stored: Awaited<ReturnType<typeof storedHeads>>
): Promise<void> {
  for (const { kind, content, source } of incoming) {
    const before = stored.get(keyOf(kind, content.id))
    if (before === undefined || before.source === source) continue
    await trx.updateTable('records').set({ source }).where('kind', '=', kind).where('id', '=', content.id).execute()
  }
}

async function forgetEntries(trx: Transaction<Schema>, kind: 'qa' | 'document', id: string): Promise<void> {
  const key = keyOf(kind, id)
  // A document's keys are its own followed by '#', which sorts right before '$'.
  const own = trx.deleteFrom('entries')
  await (kind === 'qa'
    ? own.where('key', '=', key)
    : own.where('key', '>', `${key}#`).where('key', '<', `${key}$`)
  ).execute()
}

async function writeEntries(
  insert: BulkInserter,
  kind: 'qa' | 'document',
  content: ContentOf[RecordKind],
  changedOn: string,
  segmenter: Segmenter
): Promise<void> {
  const entries =
    kind === 'qa'
      ? qaEntries(content as ContentOf['qa'], changedOn, segmenter)
      : documentEntries(content as ContentOf['document'], segmenter)
  for (const { entry, pinyin } of entries) {
    await insert.add('entries', {
      key: entry.key,
      identity: segmenter.identity,
      entry: encodeEntry(entry),
      pinyin
    })
  }
}

interface BulkInserter {
  add<T extends keyof Schema>(table: T, row: Schema[T]): Promise<void>
  flush(): Promise<void>
}

/** Rows a statement carries: 64 rows of 11 columns stay far below SQLite's 32,766 and PostgreSQL's 65,535 parameters. */
const BATCH = 64

/** Collects rows and inserts them many at a time; the statement is worded once a table, which building it anew would cost more than running it. */
function bulkInserter(trx: Transaction<Schema>): BulkInserter {
  const waiting = new Map<keyof Schema, Record<string, unknown>[]>()
  const worded = new Map<keyof Schema, { sql: string; columns: string[] }>()
  const insertBatch = async (table: keyof Schema, rows: Record<string, unknown>[]) => {
    const known = worded.get(table)
    if (rows.length === BATCH && known !== undefined) {
      const parameters = rows.flatMap((row) => known.columns.map((column) => row[column]))
      await trx.executeQuery(CompiledQuery.raw(known.sql, parameters))
      return
    }
    const compiled = trx
      .insertInto(table)
      .values(rows as never)
      .compile()
    if (rows.length === BATCH) worded.set(table, { sql: compiled.sql, columns: Object.keys(rows[0] as object) })
    await trx.executeQuery(compiled)
  }
  return {
    async add(table, row) {
      const rows = waiting.get(table) ?? []
      waiting.set(table, rows)
      rows.push(row as unknown as Record<string, unknown>)
      if (rows.length < BATCH) return
      waiting.set(table, [])
      await insertBatch(table, rows)
    },
    async flush() {
      for (const [table, rows] of waiting) if (rows.length > 0) await insertBatch(table, rows)
      waiting.clear()
    }
  }
}
