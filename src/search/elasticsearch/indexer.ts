import { type Client, errors } from '@elastic/elasticsearch'
import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import { dropLease, takeLease } from '../../database/lease.ts'
import { type Database, withoutWaiting } from '../../database/open.ts'
import type { SearchIndexesTable } from '../../database/schema.ts'
import { type Changes, changesAfter, rebuildsAsked, recordChanges } from '../change-feed.ts'
import { decodeEntry, lastSequence } from '../stored-entries.ts'
import type { Entry } from '../tokens.ts'
import { ClusterProblem, type ElasticsearchAddress, isMissing, mustBeOurs, problemOf, readOnly } from './client.ts'
import {
  type Body,
  bodyOf,
  identityOf,
  isWhole,
  OWN_SCHEMA,
  PROPERTIES,
  recordOf,
  schemaOf,
  settingsOf,
  SETTINGS
} from './schema.ts'

export interface IndexerNeeds {
  db: Database
  client: Client
  address: ElasticsearchAddress
  logger: Pick<FastifyBaseLogger, 'info' | 'warn'>
}

type Row = SearchIndexesTable

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

/** Whoever indexes says so this often, … */
const RENEW_EVERY_MS = 3000
/** … and who has not for so long is taken to be gone: another takes over within 15 s. */
const LEASE_MS = 10_000
const LOOK_EVERY_MS = 500
/** How often the cluster is looked at; also how long the breaker stays open. */
export const INSPECT_EVERY_MS = 5000
/** An import of many thousand entries takes its time; an index further behind than this is not asked. */
const BEHIND_MS = 10_000
/** Entries copied between two looks at the standing index, so that a clerk's edit is not kept waiting (R4: 2 s). */
const LEG = 4000
const PAGE = 1000
/** Entries compared word for word before a new index stands. */
const SAMPLE = 200
/** Indexes kept, the standing one included. */
const KEPT = 2
/** Passages of one record found at once: Elasticsearch's own limit of a page. */
const MOST_PASSAGES = 10_000
const ADMIN_TIMEOUT_MS = 30_000

/**
 * Keeps the cluster's index in step with the change feed and builds it anew; one process at a time does so, any may take over.
 * What stands is told by the database: the alias follows it.
 */
export class Indexer {
  readonly #needs: IndexerNeeds
  readonly #holder = randomUUID()
  readonly #lease: string
  #state: State | null = null
  #seen: ClusterProblem | null = null
  #met: ClusterProblem | null = null
  #usable = false
  #behindSince: number | null = null
  #leads = false
  #renewedAt = 0
  #askedAt = 0
  #inspectedAt = 0
  #repairedAt = 0
  #closed = false
  #loops: Promise<unknown> = Promise.resolve()
  #wakers = new Set<() => void>()

  constructor(needs: IndexerNeeds) {
    this.#needs = needs
    this.#lease = `index ${needs.address.alias}`
  }

  /** Begins to look and, when it is this process's turn, to index. */
  start(): void {
    this.#loops = Promise.all([this.#loop(() => this.#watch()), this.#loop(() => this.#lead())])
  }

  async close(): Promise<void> {
    this.#closed = true
    this.poke()
    await this.#loops
    if (this.#leads) await dropLease(this.#needs.db, this.#lease, this.#holder).catch(() => {})
  }

  /** Something changed or failed: look now. */
  poke(): void {
    this.#inspectedAt = 0
    this.#repairedAt = 0
    for (const wake of this.#wakers) wake()
  }

  /** What was seen of the cluster, else what was met when indexing. */
  get problem(): ClusterProblem | null {
    return this.#seen ?? this.#met
  }

  get leads(): boolean {
    return this.#leads
  }

  get state(): State | null {
    return this.#state
  }

  /** Whether the standing index may be asked: looked at, of our schema, not far behind. */
  get mayBeAsked(): boolean {
    const { standing } = this.#state ?? { standing: null }
    if (standing === null || !this.#usable || schemaOf(standing.identity) !== OWN_SCHEMA) return false
    return this.#behindSince === null || Date.now() - this.#behindSince < BEHIND_MS
  }

  /** Whether an index is one of ours. */
  knows(index: string): boolean {
    return this.#state?.rows.some(({ name }) => name === index) ?? false
  }

  /** Text for an operator while an index is built. */
  get progress(): string | null {
    const building = this.#state?.rows.find(({ state }) => state === 'building')
    if (building === undefined) return null
    return building.copied_to === null ? '正在核对新索引' : `正在建立集群索引，已写入 ${building.entries} 条`
  }

  /**
   * Resolves when the standing index holds all changes and what was asked for is done.
   * @throws {ClusterProblem} when that takes longer than `ms`
   */
  async caughtUp(ms: number, onWait: () => void = () => {}): Promise<void> {
    for (const until = Date.now() + ms; ; ) {
      const state = await readState(this.#needs)
      if (state.standing !== null && !isBuildDue(state) && state.standing.sequence >= state.sequence) {
        this.#state = state
        if (this.#usable) return
      }
      if (Date.now() > until) {
        throw this.problem ?? new ClusterProblem('集群索引没有按时跟上', '请看 /readyz 和服务的日志')
      }
      onWait()
      this.poke()
      await wait(50)
    }
  }

  async #loop(turn: () => Promise<void>): Promise<void> {
    while (!this.#closed) {
      await turn()
      if (this.#closed) return
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          this.#wakers.delete(done)
          resolve()
        }
        const timer = setTimeout(done, LOOK_EVERY_MS)
        timer.unref()
        this.#wakers.add(done)
      })
    }
  }

  /** What the database says, and now and then what the cluster says. */
  async #watch(): Promise<void> {
    try {
      const state = await readState(this.#needs)
      this.#state = state
      const isBehind = state.standing !== null && state.standing.sequence < state.sequence
      this.#behindSince = isBehind ? (this.#behindSince ?? Date.now()) : null
    } catch {
      // The database is away: what was read last holds, and /readyz tells.
      return
    }
    if (Date.now() - this.#inspectedAt < INSPECT_EVERY_MS) return
    this.#inspectedAt = Date.now()
    const before = this.problem
    try {
      const { problem, usable } = await inspect(this.#needs, this.#state.standing)
      this.#usable = usable
      this.#seen = problem
    } catch (error) {
      // Whether an index can be asked is then for the breaker to find out.
      this.#seen = problemOf(error)
    }
    this.#tell(before)
  }

  #tell(before: ClusterProblem | null): void {
    const { logger } = this.#needs
    const now = this.problem
    if (now !== null && now.message !== before?.message) {
      logger.warn({ problem: now.message, remedy: now.remedy }, 'Elasticsearch cannot be used as it should')
    } else if (now === null && before !== null) logger.info('Elasticsearch is well again')
  }

  async #lead(): Promise<void> {
    const before = this.problem
    try {
      if (!(await this.#holds())) return
      if (Date.now() - this.#repairedAt >= INSPECT_EVERY_MS) {
        await repair(this.#needs)
        this.#repairedAt = Date.now()
      }
      await this.#follow()
      const state = await readState(this.#needs)
      const back = state.rows.find((row) => row.state === 'returning')
      if (back !== undefined) await this.#stand(back)
      else if (isBuildDue(state)) await this.#build(state)
      this.#met = null
    } catch (error) {
      this.#repairedAt = 0
      if (this.#closed || error instanceof LeaseLost) return
      if (error instanceof ClusterProblem || error instanceof errors.ElasticsearchClientError) {
        this.#met = problemOf(error)
      } else this.#needs.logger.warn({ err: error }, 'not indexed, tried again')
      // A cluster in trouble is not helped by haste.
      await wait(LOOK_EVERY_MS, undefined, { ref: false })
    }
    this.#tell(before)
  }

  /** Takes or keeps the lease. */
  async #holds(): Promise<boolean> {
    const now = Date.now()
    if (now - (this.#leads ? this.#renewedAt : this.#askedAt) < RENEW_EVERY_MS) return this.#leads
    this.#askedAt = now
    const { db, logger, address } = this.#needs
    const had = this.#leads
    try {
      this.#leads = await withoutWaiting(db, (own) => takeLease(own, this.#lease, this.#holder, LEASE_MS))
      if (this.#leads) this.#renewedAt = now
    } catch {
      // The database is busy or away: what was taken holds for its time.
      this.#leads = had && now - this.#renewedAt < LEASE_MS - RENEW_EVERY_MS
    }
    if (this.#leads !== had) {
      logger.info({ alias: address.alias }, this.#leads ? 'this process indexes' : 'another process indexes')
    }
    return this.#leads
  }

  async #mustHold(): Promise<void> {
    if (this.#closed || !(await this.#holds())) throw new LeaseLost()
  }

  async #follow(): Promise<void> {
    const { standing } = await readState(this.#needs)
    if (standing !== null) await follow(this.#needs, standing, () => this.#mustHold())
  }

  /** Goes on with what was begun under the same identity, or begins. */
  async #build(state: State): Promise<void> {
    const { logger } = this.#needs
    const begun = performance.now()
    let row = await begin(this.#needs, state)
    while (row.copied_to !== null) {
      await this.#mustHold()
      row = await copyLeg(this.#needs, row)
      await this.#follow()
    }
    await this.#stand(row)
    logger.info({ index: row.name, entries: row.entries, ms: Math.round(performance.now() - begun) }, 'index built')
  }

  /** Catches up, checks and makes it the standing one. */
  async #stand(row: Row): Promise<void> {
    const { client } = this.#needs
    await client.indices.putSettings(
      { index: row.name, settings: { refresh_interval: SETTINGS.refresh_interval.value } },
      { requestTimeout: ADMIN_TIMEOUT_MS }
    )
    await client.indices.refresh({ index: row.name }, { requestTimeout: ADMIN_TIMEOUT_MS })
    const current = await follow(this.#needs, row, () => this.#mustHold())
    await check(this.#needs, current)
    await this.#mustHold()
    await swap(this.#needs, current)
    await follow(this.#needs, current, () => this.#mustHold())
    this.#inspectedAt = 0
  }
}

class LeaseLost extends Error {}

/** The write alias: with it gone, the index is gone, and no write makes one without our mapping. */
const writeAliasOf = (index: string) => `${index}-write`

/** Versions leave room between two changes, for repairs (src/search/elasticsearch/compare.ts). */
export const VERSION_STEP = 1000

async function readState({ db, address }: IndexerNeeds): Promise<State> {
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

function isBuildDue({ standing, identity, rebuild }: State): boolean {
  return standing === null || standing.identity !== identity || standing.rebuild < rebuild
}

/** What is wrong with the cluster, the worst first, and whether the standing index can be asked all the same. */
async function inspect(
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
  const { status } = await client.cluster.health({ index: standing.name, timeout: '0s' }, { requestTimeout: 3000 })
  if (status === 'red') {
    return unusable(`索引 ${standing.name} 有分片缺失（red）`, '请恢复缺的节点；恢复不了时运行 npm run reindex')
  }
  return { problem: shape.isReadOnly ? readOnly() : null, usable: true }
}

async function shapeOf(client: Client, index: string) {
  try {
    const found = (await client.indices.get({ index }, { requestTimeout: 3000 }))[index]
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
    return Object.keys(await client.indices.getAlias({ name: alias }, { requestTimeout: 3000 }))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Makes the cluster what the database says: the alias on the standing index alone; forgets an index that is gone or not ours. */
async function repair(needs: IndexerNeeds): Promise<void> {
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
async function begin(needs: IndexerNeeds, { rows, identity, rebuild, sequence }: State): Promise<Row> {
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

async function copyLeg(needs: IndexerNeeds, row: Row): Promise<Row> {
  const { db } = needs
  let copied = row.copied_to ?? ''
  let count = 0
  let ended = false
  async function* bodies(): AsyncGenerator<Operation> {
    while (count < LEG && !ended) {
      const rows = await db
        .selectFrom('entries')
        .select(['key', 'entry'])
        .where('key', '>', copied)
        .orderBy('key')
        .limit(PAGE)
        .execute()
      for (const { entry } of rows) {
        const body = bodyOf(decodeEntry(entry))
        yield { key: body.key, body }
      }
      count += rows.length
      copied = rows.at(-1)?.key ?? copied
      ended = rows.length < PAGE
    }
  }
  await write(needs, row, bodies(), row.sequence)
  const to = { copied_to: ended ? null : copied, entries: row.entries + count }
  await db.updateTable('search_indexes').set(to).where('name', '=', row.name).execute()
  return { ...row, ...to }
}

/** Takes in what changed since; searchable when it resolves. */
async function follow(needs: IndexerNeeds, from: Row, mayGoOn: () => Promise<void>): Promise<Row> {
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

/** An entry to be written, or one to be taken away. */
export interface Operation {
  key: string
  body: Body | null
}

/**
 * Writes, with retries, in whatever order the cluster takes it: every entry carries the change it is as new as, and what is
 * newer stays. What the cluster refuses for good is written down.
 * @param sequence the change feed's number that all of `operations` are at least as new as
 * @param extra added to the version: a repair outranks what it mends
 * @throws {ClusterProblem} and the client's errors, with some of it written: to be done again
 */
export async function write(
  { client, db }: IndexerNeeds,
  { name }: Row,
  operations: Operation[] | AsyncGenerator<Operation>,
  sequence: number,
  extra = 0
): Promise<void> {
  const refused = new Map<string, string>()
  const newer: string[] = []
  let failure: { status: number; reason: string } | null = null
  const version = { version: sequence * VERSION_STEP + extra, version_type: 'external_gte' as const }
  const written = new Set<string>()
  await client.helpers.bulk<Operation>(
    {
      index: writeAliasOf(name),
      require_alias: true,
      datasource: operations,
      onDocument: ({ key, body }) => {
        written.add(key)
        return body === null
          ? { delete: { _id: key, ...version } }
          : [{ index: { _id: key, ...version } }, body as never]
      },
      flushBytes: 2_000_000,
      concurrency: 2,
      retries: 5,
      wait: 500,
      onDrop: ({ status, error, operation }) => {
        const action = operation as { index?: { _id: string }; delete?: { _id: string } }
        const key = (action.index ?? action.delete)?._id as string
        const reason = error?.reason ?? String(status)
        if (status === 409) newer.push(key)
        else if (status === 404 && action.delete !== undefined && !error) return
        else if (status === 400) refused.set(key, reason)
        else failure = { status, reason }
      }
    },
    { requestTimeout: 60_000, maxRetries: 2 }
  )
  if (failure !== null) throw failed(failure)
  if (newer.length > 0) await mustNotBeAhead({ client, db }, name, newer)
  await noteRefused(db, name, [...written], refused)
}

function failed({ status, reason }: { status: number; reason: string }): ClusterProblem {
  if (status === 403) return readOnly()
  return new ClusterProblem(
    `Elasticsearch 没有收下改动（${status}：${reason.slice(0, 200)}）`,
    '会自动再试；请看各节点的日志'
  )
}

/** An index newer than the database itself: the database was restored from an older copy. */
async function mustNotBeAhead(
  { client, db }: Pick<IndexerNeeds, 'client' | 'db'>,
  index: string,
  keys: readonly string[]
): Promise<void> {
  const { docs } = await client.mget(
    { index, ids: keys.slice(0, 100), _source: false },
    { requestTimeout: ADMIN_TIMEOUT_MS }
  )
  const most = ((await lastSequence(db)) + 1) * VERSION_STEP
  if (docs.every((doc) => !('_version' in doc) || (doc._version ?? 0) < most)) return
  // Forgotten, it is built anew.
  await db.deleteFrom('search_indexes').where('name', '=', index).execute()
  throw new ClusterProblem('索引比数据库还新：数据库是从较早的备份恢复的', '会自动重建索引，不用做什么')
}

async function noteRefused(
  db: Database,
  index: string,
  written: readonly string[],
  refused: ReadonlyMap<string, string>
): Promise<void> {
  const known = await db.selectFrom('search_refused').select('key').where('index_name', '=', index).execute()
  const taken = new Set(written)
  const mended = known.map(({ key }) => key).filter((key) => taken.has(key) || refused.has(key))
  if (mended.length > 0) {
    await db.deleteFrom('search_refused').where('index_name', '=', index).where('key', 'in', mended).execute()
  }
  if (refused.size === 0) return
  const refused_at = new Date().toISOString()
  const rows = Array.from(refused, ([key, error]) => ({
    index_name: index,
    key,
    error: error.slice(0, 500),
    refused_at
  }))
  await db.insertInto('search_refused').values(rows).execute()
}

/**
 * Counts, and some entries word for word.
 * @throws {ClusterProblem} when they are not the database's; the index is removed
 */
async function check(needs: IndexerNeeds, row: Row): Promise<void> {
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
async function swap(needs: IndexerNeeds, row: Row): Promise<void> {
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
export async function askForPrevious(needs: IndexerNeeds): Promise<string> {
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
