import type { Transaction } from 'kysely'
import { verifyChains } from '../consultations/events.ts'
import { hashOf } from '../content/hash.ts'
import { type Document, KIND_NAMES } from '../content/kinds.ts'
import { vocabularyOf } from '../content/store.ts'
import type { Database, DatabaseAddress } from '../database/open.ts'
import type { RecordKind, Schema } from '../database/schema.ts'
import { cutPassages } from '../documents/passages.ts'
import { openEmbeddedEngine } from '../search/embedded/engine.ts'
import { lastSequence, storedEntries } from '../search/stored-entries.ts'
import { openSegmenter } from '../text/segment.ts'

export interface Finding {
  /** What is wrong and with which record, in Chinese. */
  what: string
  /** What the operator does about it. */
  remedy: string
}

export interface Verified {
  revisions: number
  records: number
  entries: number
  /** Of consultations, both chains. */
  events: number
  findings: Finding[]
}

const RESTORE = '内容可能损坏或被绕过程序改动：请停止服务，从最近的备份恢复数据库'
const REINDEX = '请运行 npm run reindex'

/** Rows read at once; a row may hold a whole statute. */
const PAGE = 500

/**
 * Checks that the record is whole and that what is searched comes from it: hashes, revisions without gaps, heads, stored
 * tokens, and an index built from them. Reads one state of the database, whatever is written meanwhile; changes nothing.
 */
export async function verify(db: Database, address: DatabaseAddress): Promise<Verified> {
  const findings: Finding[] = []
  const reading = db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
  const [revisions, heads, entries] = await reading.execute(async (trx) => {
    const history = await readHistory(trx, findings)
    return [history.count, await checkHeads(trx, history.last, findings), await checkEntries(trx, findings)]
  })
  await checkIndex(db, address, findings)
  const chains = await verifyChains(db)
  findings.push(...chains.findings.map((what) => ({ what, remedy: RESTORE })))
  return { revisions, records: heads, entries, events: chains.events, findings }
}

interface LastRevision {
  kind: RecordKind
  id: string
  sequence: number
  revision: number
  retired: 0 | 1
}

const keyOf = (kind: RecordKind, id: string) => `${kind}/${id}`
const named = (kind: RecordKind, id: string) => `${KIND_NAMES[kind]} ${id}`

async function readHistory(trx: Transaction<Schema>, findings: Finding[]) {
  const last = new Map<string, LastRevision>()
  let count = 0
  let sequence = 0
  for (;;) {
    const rows = await trx
      .selectFrom('revisions')
      .select(['sequence', 'kind', 'id', 'revision', 'retired', 'content', 'hash'])
      .where('sequence', '>', sequence)
      .orderBy('sequence')
      .limit(PAGE)
      .execute()
    for (const { content, hash, ...row } of rows) {
      const name = `${named(row.kind, row.id)} 第 ${row.revision} 版`
      if (hashOf(content) !== hash) findings.push({ what: `${name}的内容与校验值不符`, remedy: RESTORE })
      const before = last.get(keyOf(row.kind, row.id))?.revision ?? 0
      if (row.revision !== before + 1) findings.push({ what: `${name}之前缺第 ${before + 1} 版`, remedy: RESTORE })
      last.set(keyOf(row.kind, row.id), row)
      sequence = row.sequence
    }
    count += rows.length
    if (rows.length < PAGE) break
  }
  const counter = await trx.selectFrom('counters').select('value').where('name', '=', 'change').executeTakeFirst()
  if ((counter?.value ?? 0) < sequence) {
    findings.push({ what: `变更序号记到 ${counter?.value ?? 0}，但已有第 ${sequence} 号变更`, remedy: RESTORE })
  }
  return { last, count }
}

async function checkHeads(
  trx: Transaction<Schema>,
  last: ReadonlyMap<string, LastRevision>,
  findings: Finding[]
): Promise<number> {
  const heads = await trx.selectFrom('records').select(['kind', 'id', 'sequence', 'retired']).execute()
  const seen = new Set<string>()
  for (const { kind, id, sequence, retired } of heads) {
    seen.add(keyOf(kind, id))
    const revision = last.get(keyOf(kind, id))
    if (revision?.sequence !== sequence) {
      findings.push({ what: `${named(kind, id)} 现行的不是最后一版`, remedy: RESTORE })
    } else if (revision.retired !== retired) {
      findings.push({ what: `${named(kind, id)} 的撤下状态与最后一版不符`, remedy: RESTORE })
    }
  }
  for (const [key, { kind, id }] of last) {
    if (!seen.has(key)) findings.push({ what: `${named(kind, id)} 有修订而没有现行记录`, remedy: RESTORE })
  }
  return heads.length
}

async function checkEntries(trx: Transaction<Schema>, findings: Finding[]): Promise<number> {
  const { identity } = openSegmenter(await vocabularyOf(trx))
  const rows = await trx.selectFrom('entries').select(['key', 'identity']).execute()
  const stored = new Set(rows.map(({ key }) => key))
  const stale = rows.filter((row) => row.identity !== identity).length
  if (stale > 0) findings.push({ what: `${stale} 条检索词是按旧词典或旧规则切分的`, remedy: REINDEX })
  for (let after = 0; ; ) {
    const heads = await trx
      .selectFrom('records')
      .innerJoin('revisions', 'revisions.sequence', 'records.sequence')
      .select(['records.kind', 'records.id', 'records.sequence', 'revisions.content'])
      .where('records.kind', 'in', ['qa', 'document'])
      .where('records.retired', '=', 0)
      .where('records.sequence', '>', after)
      .orderBy('records.sequence')
      .limit(PAGE)
      .execute()
    for (const { kind, id, content, sequence } of heads) {
      after = sequence
      const key = keyOf(kind, id)
      const expected = kind === 'qa' ? [key] : passagesOf(content).map((anchor) => `${key}#${anchor}`)
      const missing = expected.filter((one) => !stored.delete(one)).length
      if (missing > 0) findings.push({ what: `${named(kind, id)} 缺 ${missing} 条检索词`, remedy: REINDEX })
    }
    if (heads.length < PAGE) break
  }
  if (stored.size > 0) {
    const some = [...stored].slice(0, 3).join('、')
    findings.push({ what: `${stored.size} 条检索词没有对应的现行内容（${some}）`, remedy: REINDEX })
  }
  return rows.length
}

/** No passages where the content cannot be read: its hash has told already. */
function passagesOf(content: string): string[] {
  try {
    return cutPassages((JSON.parse(content) as Document).body).map(({ anchor }) => anchor)
  } catch {
    return []
  }
}

async function checkIndex(db: Database, address: DatabaseAddress, findings: Finding[]): Promise<void> {
  const sequence = await lastSequence(db)
  const { count } = await storedEntries(db)
  const engine = openEmbeddedEngine({ db, address })
  try {
    await engine.firstIndex
    const { entries } = engine.status()
    // What an import stored meanwhile is no finding.
    if (entries !== count && (await lastSequence(db)) === sequence) {
      findings.push({ what: `索引有 ${entries} 条，检索词有 ${count} 条`, remedy: REINDEX })
    }
  } catch (error) {
    findings.push({ what: `索引建不起来：${(error as Error).message}`, remedy: REINDEX })
  } finally {
    await engine.close()
  }
}
