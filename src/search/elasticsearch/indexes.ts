import type { Client } from '@elastic/elasticsearch'
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import type { Database } from '../../database/open.ts'
import type { SearchIndexesTable } from '../../database/schema.ts'
import { type Changes, changesAfter, rebuildsAsked, recordChanges } from '../change-feed.ts'
import { decodeEntry, lastSequence } from '../stored-entries.ts'
import type { Entry } from '../tokens.ts'
import { type ElasticsearchAddress, isMissing, mustBeOurs, readOnly } from './client.ts'
import { ClusterProblem } from './problem.ts'
import {
  type Body,
  bodyOf,
  identityOf,
  isWhole,
  OWN_SCHEMA,
  PROPERTIES,
  recordOf,
  schemaOf,
  settingsOf
} from './schema.ts'
import { type Operation, write, writeAliasOf } from './write.ts'

export interface IndexerNeeds {
  db: Database
  client: Client
  address: ElasticsearchAddress
  logger: Pick<FastifyBaseLogger, 'info' | 'warn'>
}

export type Row = SearchIndexesTable

/** What the database says of the indexes, as it was read last. */
export interface State {
  rows: readonly Row[]
  standing: Row | null
  /** The change feed's end. */
  sequence: number
  /** Identity a new index would have. */
  identity: string
  /** The `rebuild` counter. */
  rebuild: number
}

/** How long is copied before it is noted how far: what a kill undoes at most. Shorter legs wait more often for the last writes. */
const LEG_MS = 3000
const PAGE = 1000
/** Entries compared word for word before a new index stands. */
const SAMPLE = 200
/** Indexes kept, the standing one included. */
const KEPT = 2
/** Passages of one record found at once: Elasticsearch's own limit of a page. */
const MOST_PASSAGES = 10_000
/** Waits of a question about the cluster, and of a change to it. */
const LOOK_TIMEOUT_MS = 3000
export const ADMIN_TIMEOUT_MS = 30_000

export async function readState({ db, address }: Pick<IndexerNeeds, 'db' | 'address'>): Promise<State> {
  const rows = await db.selectFrom('search_indexes').selectAll().where('alias', '=', address.alias).execute()
  const one = await db.selectFrom('entries').select('identity').orderBy('key').limit(1).executeTakeFirst()
  return {
    rows,
    standing: rows.find(({ state }) => state === 'standing') ?? null,
    sequence: await lastSequence(db),
    identity: identityOf(one?.identity ?? 'nothing'),
    rebuild: await rebuildsAsked(db)
  }
}

export function isBuildDue({ standing, identity, rebuild }: State): boolean {
  return standing === null || standing.identity !== identity || standing.rebuild < rebuild
}

/** What is wrong with the cluster, the worst first, and whether the standing index can be asked all the same. */
export async function inspect(
  { client, address }: IndexerNeeds,
  standing: Row | null
): Promise<{ problem: ClusterProblem | null; usable: boolean }> {
  await mustBeOurs(client)
  if (standing === null) return { problem: null, usable: false }
  const unusable = (what: string, remedy: string) => ({ problem: new ClusterProblem(what, remedy), usable: false })
  const shape = await shapeOf(client, standing.name)
  const waiting = '负责建索引的进程会自动重建，其间由本机索引应答；若一直不好，请看服务的日志'
  if (shape === null) return unusable(`Elasticsearch 里的索引 ${standing.name} 不见了`, waiting)
  if (!shape.isOurs(standing)) return unusable(`索引 ${standing.name} 的映射与本程序不符`, waiting)
  const named = await aliasTargets(client, address.alias)
  if (named.length !== 1 || named[0] !== standing.name) {
    return unusable(
      named.length === 0
        ? `别名 ${address.alias} 没有指向任何索引`
        : `别名 ${address.alias} 指向了 ${named.join('、')}，应只指向 ${standing.name}`,
      '会自动改回；若反复出现，请查是不是另一套程序用了同一个别名（ELASTICSEARCH_INDEX）'
    )
  }
  const { status } = await client.cluster.health(
    { index: standing.name, timeout: '0s' },
    { requestTimeout: LOOK_TIMEOUT_MS }
  )
  if (status === 'red') {
    return unusable(`索引 ${standing.name} 有分片缺失（red）`, '请恢复缺的节点；恢复不了时运行 npm run reindex')
  }
  return { problem: shape.isReadOnly ? readOnly() : null, usable: true }
}

async function shapeOf(client: Client, index: string) {
  try {
    const found = (await client.indices.get({ index }, { requestTimeout: LOOK_TIMEOUT_MS }))[index]
    const { _meta: meta, properties } = found?.mappings ?? {}
    const blocks = found?.settings?.index?.blocks ?? {}
    return {
      isOurs: (row: Row) =>
        (meta?.zhengxun as { identity?: unknown } | undefined)?.identity === row.identity &&
        (schemaOf(row.identity) !== OWN_SCHEMA || isDeepStrictEqual(properties, PROPERTIES)),
      isReadOnly: Object.values(blocks).some((value) => String(value) === 'true')
    }
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

async function aliasTargets(client: Client, alias: string): Promise<string[]> {
  try {
    return Object.keys(await client.indices.getAlias({ name: alias }, { requestTimeout: LOOK_TIMEOUT_MS }))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Makes the cluster what the database says: the alias on the standing index alone; forgets an index that is gone or not ours. */
export async function repair(needs: IndexerNeeds): Promise<void> {
  const { client, db, logger, address } = needs
  const { rows, standing } = await readState(needs)
  for (const row of rows) {
    const shape = await shapeOf(client, row.name)
    if (shape?.isOurs(row)) continue
    logger.warn({ index: row.name }, 'index gone or not as it was made, forgotten')
    if (shape !== null) await client.indices.delete({ index: row.name }, { requestTimeout: ADMIN_TIMEOUT_MS })
    await db.deleteFrom('search_indexes').where('name', '=', row.name).execute()
    if (row === standing) return
  }
  if (standing === null) return
  const named = await aliasTargets(client, address.alias)
  if (named.length === 1 && named[0] === standing.name) return
  logger.warn({ alias: address.alias, named }, 'alias put back')
  await pointAlias(needs, standing.name, named)
}

async function pointAlias({ client, address }: IndexerNeeds, to: string, from: readonly string[]): Promise<void> {
  const removed = from.filter((index) => index !== to).map((index) => ({ remove: { index, alias: address.alias } }))
  await client.indices.updateAliases(
    { actions: [...removed, { add: { index: to, alias: address.alias } }] },
    { requestTimeout: ADMIN_TIMEOUT_MS }
  )
}

/** An index to copy into: one begun before and still what is wanted, or a new one. */
export async function begin(needs: IndexerNeeds, { rows, identity, rebuild, sequence }: State): Promise<Row> {
  const { client, db, address } = needs
  for (const row of rows.filter(({ state }) => state === 'building')) {
    if (row.identity === identity && row.rebuild >= rebuild) return row
    await remove(needs, row.name)
  }
  const stamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  const row: Row = {
    name: `${address.alias}-${stamp}-${randomBytes(3).toString('hex')}`,
    alias: address.alias,
    state: 'building',
    identity,
    rebuild,
    sequence,
    copied_to: '',
    entries: 0,
    begun_at: new Date().toISOString(),
    stood_at: null
  }
  // The row first: an index no row knows of would stay for ever.
  await db.insertInto('search_indexes').values(row).execute()
  await client.indices.create(
    {
      index: row.name,
      settings: settingsOf(address.shards),
      mappings: { dynamic: 'strict', _meta: { zhengxun: { identity } }, properties: PROPERTIES },
      aliases: { [writeAliasOf(row.name)]: { is_write_index: true } }
    },
    { requestTimeout: ADMIN_TIMEOUT_MS }
  )
  return row
}

async function remove({ client, db }: IndexerNeeds, name: string): Promise<void> {
  await client.indices.delete({ index: name, ignore_unavailable: true }, { requestTimeout: ADMIN_TIMEOUT_MS })
  await db.deleteFrom('search_indexes').where('name', '=', name).execute()
}

export async function copyLeg(needs: IndexerNeeds, row: Row): Promise<Row> {
  const { db } = needs
  let copied = row.copied_to ?? ''
  let count = 0
  let ended = false
  const until = performance.now() + LEG_MS
  const page = (after: string) => {
    const rows = db
      .selectFrom('entries')
      .select(['key', 'entry'])
      .where('key', '>', after)
      .orderBy('key')
      .limit(PAGE)
      .execute()
    // Told when it is awaited, which is later.
    rows.catch(() => {})
    return rows
  }
  async function* bodies(): AsyncGenerator<Operation> {
    let next = page(copied)
    for (let isLast = false; !isLast && !ended; ) {
      const rows = await next
      count += rows.length
      copied = rows.at(-1)?.key ?? copied
      ended = rows.length < PAGE
      // The database reads on while the cluster writes.
      isLast = performance.now() > until
      if (!ended && !isLast) next = page(copied)
      for (const { entry } of rows) {
        const body = bodyOf(decodeEntry(entry))
        yield { key: body.key, body }
      }
    }
  }
  await write(needs, row, bodies(), row.sequence)
  const to = { copied_to: ended ? null : copied, entries: row.entries + count }
  await db.updateTable('search_indexes').set(to).where('name', '=', row.name).execute()
  return { ...row, ...to }
}

/** Takes in what changed since; searchable when it resolves. */
export async function follow(needs: IndexerNeeds, from: Row, mayGoOn: () => Promise<void>): Promise<Row> {
  const { db, client } = needs
  let row = from
  for (;;) {
    const changes = await changesAfter(db, row.sequence)
    if (changes === null) return row
    await mayGoOn()
    const operations: Operation[] = []
    for (const { kind, id, entries } of await recordChanges(db, changes.records)) {
      const bodies = entries.map(bodyOf)
      operations.push(...bodies.map((body) => ({ key: body.key, body })))
      const held = kind === 'qa' ? [`qa/${id}`] : await heldOf(client, row.name, recordOf({ kind, id }))
      const kept = new Set(bodies.map(({ key }) => key))
      operations.push(...held.filter((key) => !kept.has(key)).map((key) => ({ key, body: null })))
    }
    if (operations.length > 0) {
      await write(needs, row, operations, changes.sequence)
      await client.indices.refresh({ index: row.name }, { requestTimeout: ADMIN_TIMEOUT_MS })
    }
    row = { ...row, sequence: changes.sequence }
    await db.updateTable('search_indexes').set({ sequence: row.sequence }).where('name', '=', row.name).execute()
  }
}

/** Keys of a record's passages in the index. */
async function heldOf(client: Client, index: string, record: string): Promise<string[]> {
  const { hits } = await client.search(
    { index, size: MOST_PASSAGES, _source: false, query: { bool: { filter: { term: { record } } } } },
    { requestTimeout: ADMIN_TIMEOUT_MS }
  )
  return hits.hits.map(({ _id }) => _id as string)
}

/**
 * Counts, and some entries word for word.
 * @throws {ClusterProblem} when they are not the database's; the index is removed
 */
export async function check(needs: IndexerNeeds, row: Row): Promise<void> {
  const { db, client } = needs
  const wanted = await db
    .selectFrom('entries')
    .select((e) => e.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow()
  const refused = await db
    .selectFrom('search_refused')
    .select((e) => e.fn.countAll<number>().as('n'))
    .where('index_name', '=', row.name)
    .executeTakeFirstOrThrow()
  const { count } = await client.count({ index: row.name }, { requestTimeout: ADMIN_TIMEOUT_MS })
  // What is stored meanwhile comes by the feed.
  const isStill = (await lastSequence(db)) === row.sequence
  let wrong: string | null = null
  if (isStill && count !== Number(wanted.n) - Number(refused.n)) wrong = `有 ${count} 条，应有 ${wanted.n} 条`
  const sample = wrong === null ? (await sampleOf(db)).map(bodyOf) : []
  if (sample.length > 0) {
    const ids = sample.map(({ key }) => key)
    const { docs } = await client.mget<Body>({ index: row.name, ids }, { requestTimeout: ADMIN_TIMEOUT_MS })
    const isHeld = (at: number) => {
      const source = (docs[at] as { _source?: Body } | undefined)?._source
      return source !== undefined && isWhole(source) && source.hash === sample[at]?.hash
    }
    const differing = ids.find((_, at) => !isHeld(at))
    if (differing !== undefined && (await lastSequence(db)) === row.sequence) wrong = `${differing} 与数据库不符`
  }
  if (wrong === null) return
  await remove(needs, row.name)
  throw new ClusterProblem(`新建的索引核对不符（${wrong}），没有换上`, '会自动再建一次；若再不符，请看服务的日志')
}

/** What is stored of records from all over the bank. */
async function sampleOf(db: Database): Promise<Entry[]> {
  const last = await lastSequence(db)
  const records = new Map<string, Changes['records'][number]>()
  for (let tries = 0; tries < SAMPLE; tries++) {
    const record = await db
      .selectFrom('revisions')
      .select(['kind', 'id'])
      .where('kind', 'in', ['qa', 'document'])
      .where('sequence', '>=', Math.floor(Math.random() * last))
      .orderBy('sequence')
      .limit(1)
      .executeTakeFirst()
    if (record !== undefined) records.set(`${record.kind}/${record.id}`, record)
  }
  return (await recordChanges(db, [...records.values()])).flatMap(({ entries }) => entries).slice(0, SAMPLE)
}

/** One request to the cluster, then the rows: what dies in between is put right by `repair`, for the alias follows the rows. */
export async function swap(needs: IndexerNeeds, row: Row): Promise<void> {
  const { client, db, address } = needs
  await pointAlias(needs, row.name, await aliasTargets(client, address.alias))
  await db.transaction().execute(async (trx) => {
    const all = trx.updateTable('search_indexes').where('alias', '=', address.alias)
    await all.set({ state: 'previous' }).where('state', '=', 'standing').execute()
    await all.set({ state: 'standing', stood_at: new Date().toISOString() }).where('name', '=', row.name).execute()
  })
  const old = await db
    .selectFrom('search_indexes')
    .select('name')
    .where('alias', '=', address.alias)
    .where('state', '=', 'previous')
    .orderBy('stood_at', 'desc')
    .execute()
  for (const { name } of old.slice(KEPT - 1)) await remove(needs, name)
}

/**
 * Asks for the index that stood before to stand again; whoever indexes catches it up and swaps.
 * @throws {ClusterProblem} when there is none to go back to
 */
export async function askForPrevious(needs: Pick<IndexerNeeds, 'db' | 'address'>): Promise<string> {
  const { rows, identity, rebuild } = await readState(needs)
  const [row] = rows
    .filter(({ state }) => state === 'previous')
    .sort((a, b) => ((a.stood_at ?? '') < (b.stood_at ?? '') ? 1 : -1))
  if (row === undefined) throw new ClusterProblem('没有可退回的旧索引', '请运行 npm run reindex 重建')
  if (row.identity !== identity) {
    throw new ClusterProblem('旧索引是按旧词典或旧版程序建的，不能退回', '请运行 npm run reindex 重建')
  }
  await needs.db
    .updateTable('search_indexes')
    .set({ state: 'returning', rebuild })
    .where('name', '=', row.name)
    .execute()
  return row.name
}
