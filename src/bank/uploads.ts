import { randomUUID } from 'node:crypto'
import createError from '@fastify/error'
import type { Qa } from '../content/kinds.ts'
import { compare, type Difference, storeWithin } from '../content/store.ts'
import type { GroupCommit } from '../database/group-commit.ts'
import type { Database, DatabaseAddress } from '../database/open.ts'
import type { UploadsTable } from '../database/schema.ts'
import { NotFound } from '../errors.ts'
import { startWorker } from '../worker.ts'

/** What the indexer's thread is given (indexer/load-worker.ts). */
export interface LoadTask {
  database: DatabaseAddress
  /** File name alone; `上传/NAME` is the source of its records, so the next file of that name takes its place. */
  name: string
  bytes: Uint8Array
  by: string
  at: string
  /** Difference the person saw and agreed to; null only compares. */
  agreed: string | null
}

/** What loading a file would do, or did, worded by the indexer. */
export interface LoadOutcome {
  /** Names the difference: the same as long as neither file nor bank change. */
  difference: string
  stored: boolean
  counts: Record<Difference['change'], number>
  /** Rows refused; nothing is loaded until there are none. */
  problems: { place: string; value: string | null; problem: string; remedy: string }[]
  warnings: string[]
  /** All but the unchanged; what is withdrawn or brought back first. */
  changes: {
    change: Difference['change']
    urgent: boolean
    kind: string
    id: string
    title: string
    fields: string[]
  }[]
}

/** A file that is no clerk's table, or a step without its reason; says the way out. */
export const BadUpload = createError<[string]>('BAD_UPLOAD', '%s', 422)

/** The sample bank's 553 entries export to 170 kB: this is room for a hundred times as many. */
export const LARGEST_UPLOAD = 20 * 1024 * 1024
/** Nobody comes back to a difference of yesterday; the bank has moved on. */
const KEPT_MS = 24 * 3600 * 1000
const LONGEST_NAME = 100

interface Needs {
  db: Database
  config: { database: DatabaseAddress }
  writer: GroupCommit
  now: () => Date
}

/** An upload that waits to be confirmed, with what loading it would do. */
export interface Upload extends LoadOutcome {
  id: string
  name: string
  madeAt: string
  madeBy: string
}

/**
 * Keeps a file and finds out what loading it would do; nothing is loaded.
 * @throws {BadUpload} for what is no xlsx
 */
export async function receive(
  needs: Needs,
  { name: typed, bytes, by }: { name: string; bytes: Buffer; by: string }
): Promise<string> {
  const name = (typed.split(/[\\/]/).at(-1) ?? '').normalize('NFC')
  if (bytes.length === 0 || name === '') throw new BadUpload('文件：请选一个文件再上传。')
  if (!/\.xlsx$/i.test(name)) {
    throw new BadUpload(`文件：「${name.slice(0, LONGEST_NAME)}」不是 xlsx。请在 Excel 或 WPS 里另存为 .xlsx 再上传。`)
  }
  if (name.length > LONGEST_NAME || /[\u0000-\u001f<>:"|?*]/.test(name)) {
    throw new BadUpload(`文件名：请改短到 ${LONGEST_NAME} 个字以内，不用 < > : " | ? * 这些符号。`)
  }
  const outcome = await run(needs, { name, bytes, by, agreed: null })
  const id = randomUUID()
  const madeAt = needs.now().toISOString()
  await needs.writer.write(async (trx) => {
    await forgetOld(trx as unknown as Database, needs.now())
    await trx
      .insertInto('uploads')
      .values({
        id,
        name,
        bytes: bytes.toString('base64'),
        report: JSON.stringify(outcome),
        made_at: madeAt,
        made_by: by
      })
      .execute()
  })
  return id
}

/** Forgets uploads nobody confirmed for a day. */
async function forgetOld(db: Database, now: Date): Promise<void> {
  await db
    .deleteFrom('uploads')
    .where('made_at', '<', new Date(now.getTime() - KEPT_MS).toISOString())
    .execute()
}

/** Uploads that wait, newest first. */
export async function waitingUploads({ db, now }: Pick<Needs, 'db' | 'now'>): Promise<Upload[]> {
  const rows = await db
    .selectFrom('uploads')
    .select(['id', 'name', 'report', 'made_at', 'made_by'])
    .where('made_at', '>=', new Date(now().getTime() - KEPT_MS).toISOString())
    .orderBy('made_at', 'desc')
    .execute()
  return rows.map(uploadOf)
}

/** @throws {NotFound} for one that was loaded, put away, or is older than a day */
export async function readUpload(needs: Pick<Needs, 'db' | 'now'>, id: string): Promise<Upload> {
  const found = (await waitingUploads(needs)).find((one) => one.id === id)
  if (found === undefined) throw new NotFound('上传的文件', id)
  return found
}

/**
 * Loads an upload whole, if the difference is still the one that was agreed to.
 * @returns true when it is in; false when bank or file changed meanwhile: what is shown next is the new difference
 */
export async function confirm(needs: Needs, id: string, agreed: string, by: string): Promise<boolean> {
  const row = await needs.db.selectFrom('uploads').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw new NotFound('上传的文件', id)
  const outcome = await run(needs, { name: row.name, bytes: Buffer.from(row.bytes, 'base64'), by, agreed })
  await needs.writer.write(async (trx) => {
    if (outcome.stored) await trx.deleteFrom('uploads').where('id', '=', id).execute()
    else
      await trx
        .updateTable('uploads')
        .set({ report: JSON.stringify(outcome) })
        .where('id', '=', id)
        .execute()
  })
  return outcome.stored
}

/** Puts an upload away; nothing was loaded. */
export async function putAway({ writer }: Pick<Needs, 'writer'>, id: string): Promise<void> {
  await writer.write(async (trx) => {
    await trx.deleteFrom('uploads').where('id', '=', id).execute()
  })
}

function uploadOf({ id, name, report, made_at, made_by }: Omit<UploadsTable, 'bytes'>): Upload {
  return { ...(JSON.parse(report) as LoadOutcome), id, name, madeAt: made_at, madeBy: made_by }
}

function run(
  { config, now }: Needs,
  task: { name: string; bytes: Buffer; by: string; agreed: string | null }
): Promise<LoadOutcome> {
  const data: LoadTask = { ...task, database: config.database, at: now().toISOString() }
  return inThread(new URL('../../indexer/load-worker.ts', import.meta.url), data)
}

/** The bank with its units and topics as the workbook that `receive` takes back. */
export async function exportedBank({ config }: Pick<Needs, 'config'>): Promise<Buffer> {
  const bytes = await inThread<Uint8Array>(new URL('../../indexer/export-worker.ts', import.meta.url), config.database)
  return Buffer.from(bytes)
}

/** Reading or writing a workbook holds a processor for seconds: in a thread of its own, the desk goes on. */
function inThread<Result>(file: URL, data: unknown): Promise<Result> {
  return new Promise((resolve, reject) => {
    const worker = startWorker(file, data)
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`${file.pathname.split('/').at(-1)} ended early (${code})`)))
  })
}

/** An entry as it stands, withdrawn or not. */
export interface Standing {
  content: Qa
  version: number
  sequence: number
  retired: boolean
  reason: string | null
  by: string
  at: string
  source: string
  sample: boolean
}

/** The entry with this code; null where there never was one. */
export async function standing(db: Database, id: string): Promise<Standing | null> {
  const row = await db
    .selectFrom('records')
    .innerJoin('revisions', 'revisions.sequence', 'records.sequence')
    .selectAll('revisions')
    .where('records.kind', '=', 'qa')
    .where('records.id', '=', id)
    .executeTakeFirst()
  if (row === undefined) return null
  return {
    content: JSON.parse(row.content) as Qa,
    version: row.revision,
    sequence: row.sequence,
    retired: row.retired === 1,
    reason: row.reason,
    by: row.changed_by,
    at: row.changed_at,
    source: row.source,
    sample: row.sample === 1
  }
}

/** Entries withdrawn last, newest first. */
export async function withdrawnEntries(db: Database, limit: number): Promise<Standing[]> {
  const rows = await db
    .selectFrom('records')
    .select('id')
    .where('kind', '=', 'qa')
    .where('retired', '=', 1)
    .orderBy('sequence', 'desc')
    .limit(limit)
    .execute()
  const all = await Promise.all(rows.map(({ id }) => standing(db, id)))
  return all.filter((one) => one !== null)
}

const LONGEST_WITHDRAWAL = 500

/**
 * Takes an entry out of the bank at once, or puts it back, by a revision that says why.
 * @param version the one the person looked at
 * @throws {BadUpload} without a reason
 * @throws {ChangedMeanwhile} where somebody else changed it first
 */
export async function setWithdrawn(
  { db, writer, now }: Needs,
  entry: Standing,
  { withdrawn, reason: typed, by }: { withdrawn: boolean; reason: string; by: string }
): Promise<void> {
  const reason = typed.trim()
  if (reason === '') {
    throw new BadUpload(`原因：请写明为什么${withdrawn ? '撤下' : '恢复'}，以后的人要知道。`)
  }
  if (reason.length > LONGEST_WITHDRAWAL) throw new BadUpload(`原因：请缩短到 ${LONGEST_WITHDRAWAL} 个字以内。`)
  const at = now().toISOString()
  const { content, sequence, source, sample } = entry
  if (withdrawn) {
    const gone: Difference = { kind: 'qa', id: content.id, change: 'retired', fields: [], before: sequence }
    await writer.write((trx) => storeWithin(trx, { incoming: [], differences: [gone], by, at, reason }))
    return
  }
  const incoming = [{ kind: 'qa' as const, content, source, sample }]
  const differences = await compare(db, incoming, [])
  await writer.write((trx) => storeWithin(trx, { incoming, differences, by, at, reason }))
}
