import type { Client, estypes } from '@elastic/elasticsearch'
import type { Database } from '../../database/open.ts'
import type { SearchIndexesTable } from '../../database/schema.ts'
import { decodeEntry, lastSequence } from '../stored-entries.ts'
import { type Operation, VERSION_STEP, write } from './write.ts'
import { bodyOf } from './schema.ts'

export interface Differences {
  /** In the database and not in the index, … */
  missing: readonly string[]
  /** … in the index and not in the database, … */
  extra: readonly string[]
  /** … in both, but not the same. */
  changed: readonly string[]
  /** What the cluster refused, and why. */
  refused: readonly { key: string; error: string }[]
}

const PAGE = 2000
const TIMEOUT_MS = 30_000

/** What the cluster refused of an index's entries. */
export async function refusedBy(db: Database, index: string): Promise<{ key: string; error: string }[]> {
  return await db
    .selectFrom('search_refused')
    .select(['key', 'error'])
    .where('index_name', '=', index)
    .orderBy('key')
    .execute()
}

/** The index that stands under an alias, as the database has it. */
export async function standingIndex(db: Database, alias: string): Promise<SearchIndexesTable | null> {
  const row = await db
    .selectFrom('search_indexes')
    .selectAll()
    .where('alias', '=', alias)
    .where('state', '=', 'standing')
    .executeTakeFirst()
  return row ?? null
}

/**
 * Compares every entry of the index with the database by hash; with `repair`, writes what is missing or differs and takes
 * away what is too much. What changes meanwhile is the change feed's to bring.
 */
export async function compareIndex(
  needs: { db: Database; client: Client },
  row: SearchIndexesTable,
  repair: boolean
): Promise<Differences> {
  const { db, client } = needs
  const sequence = await lastSequence(db)
  await client.indices.refresh({ index: row.name }, { requestTimeout: TIMEOUT_MS })
  const held = await hashesIn(client, row.name)
  const refused = await refusedBy(db, row.name)
  const known = new Set(refused.map(({ key }) => key))
  const missing: string[] = []
  const changed: string[] = []
  const wrong: string[] = []
  for await (const { key, hash } of hashesOf(db)) {
    const there = held.get(key)
    held.delete(key)
    if (there === hash) continue
    if (there !== undefined) changed.push(key)
    else if (!known.has(key)) missing.push(key)
    wrong.push(key)
  }
  const extra = [...held.keys()]
  if (repair && (wrong.length > 0 || extra.length > 0)) {
    await write(needs, row, await operationsFor(db, wrong, extra), sequence, VERSION_STEP - 1)
    await client.indices.refresh({ index: row.name }, { requestTimeout: TIMEOUT_MS })
  }
  return { missing, extra, changed, refused }
}

/** Every key of the index with its hash. */
async function hashesIn(client: Client, index: string): Promise<Map<string, string>> {
  const hashes = new Map<string, string>()
  let after: string | null = null
  for (;;) {
    const { hits }: estypes.SearchResponse = await client.search(
      {
        index,
        size: PAGE,
        _source: false,
        docvalue_fields: ['hash'],
        query: { bool: {} },
        sort: [{ key: 'asc' }],
        track_total_hits: false,
        ...(after === null ? {} : { search_after: [after] })
      },
      { requestTimeout: TIMEOUT_MS }
    )
    for (const { _id, fields } of hits.hits) hashes.set(_id as string, String(fields?.hash?.[0]))
    after = (hits.hits.at(-1)?.sort?.[0] as string | undefined) ?? null
    if (hits.hits.length < PAGE || after === null) return hashes
  }
}

async function* hashesOf(db: Database): AsyncGenerator<{ key: string; hash: string }> {
  for (let after = ''; ; ) {
    const rows = await db
      .selectFrom('entries')
      .select(['key', 'entry'])
      .where('key', '>', after)
      .orderBy('key')
      .limit(PAGE)
      .execute()
    for (const { key, entry } of rows) yield { key, hash: bodyOf(decodeEntry(entry)).hash }
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE) return
    after = last.key
  }
}

async function operationsFor(db: Database, wrong: readonly string[], extra: readonly string[]): Promise<Operation[]> {
  const operations: Operation[] = extra.map((key) => ({ key, body: null }))
  for (let at = 0; at < wrong.length; at += PAGE) {
    const rows = await db
      .selectFrom('entries')
      .select(['key', 'entry'])
      .where('key', 'in', wrong.slice(at, at + PAGE))
      .execute()
    operations.push(...rows.map(({ key, entry }) => ({ key, body: bodyOf(decodeEntry(entry)) })))
  }
  return operations
}
