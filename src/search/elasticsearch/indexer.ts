import { errors } from '@elastic/elasticsearch'
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { dropLease, takeLease } from '../../database/lease.ts'
import { withoutWaiting } from '../../database/open.ts'
import { problemOf } from './client.ts'
import { ClusterProblem } from './problem.ts'
import {
  ADMIN_TIMEOUT_MS,
  begin,
  check,
  copyLeg,
  follow,
  inspect,
  type IndexerNeeds,
  isBuildDue,
  readState,
  repair,
  type Row,
  type State,
  swap
} from './indexes.ts'
import { OWN_SCHEMA, schemaOf, SETTINGS } from './schema.ts'

/** Whoever indexes says so this often, … */
const RENEW_EVERY_MS = 3000
/** … and who has not for so long is taken to be gone: another takes over within 15 s. */
const LEASE_MS = 10_000
const LOOK_EVERY_MS = 500
/** How often the cluster is looked at, and put right. */
const INSPECT_EVERY_MS = 5000
/** While something is wrong: who waits for the repair sees it at once. */
const INSPECT_UNWELL_EVERY_MS = 1000
/** An import of many thousand entries takes its time; an index further behind than this is not asked. */
const BEHIND_MS = 10_000

/** Times are the process's own, which run on when somebody sets the machine's clock. */
const NEVER = Number.NEGATIVE_INFINITY

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
  /** A change that the standing index does not hold yet, and when it was first missed. */
  #missing: { sequence: number; since: number } | null = null
  #leads = false
  #renewedAt = NEVER
  #askedAt = NEVER
  #inspectedAt = NEVER
  #repairedAt = NEVER
  #closed = false
  #loops: Promise<unknown> = Promise.resolve()
  #wakers = new Set<() => void>()

  constructor(needs: IndexerNeeds) {
    this.#needs = needs
    this.#lease = `index ${needs.address.alias}`
  }

  /** Begins to look and, when it is this process's turn, to index. */
  start(): void {
    this.#closed = false
    this.#loops = Promise.all([this.#loop(() => this.#watch()), this.#loop(() => this.#lead())])
  }

  async close(): Promise<void> {
    this.#closed = true
    this.wake()
    await this.#loops
    if (this.#leads) await dropLease(this.#needs.db, this.#lease, this.#holder).catch(() => {})
    this.#leads = false
  }

  /** Something failed: look at the cluster now. */
  poke(): void {
    this.#inspectedAt = NEVER
    this.#repairedAt = NEVER
    this.wake()
  }

  /** Something changed: look at the change feed now. */
  wake(): void {
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
    return this.#missing === null || performance.now() - this.#missing.since < BEHIND_MS
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
    for (const until = performance.now() + ms; ; ) {
      const state = await readState(this.#needs)
      const isAsked = state.rows.some((row) => row.state === 'returning')
      if (!isAsked && !isBuildDue(state) && (state.standing?.sequence ?? -1) >= state.sequence) {
        this.#state = state
        if (this.#usable) return
      }
      if (performance.now() > until) {
        throw this.problem ?? new ClusterProblem('集群索引没有按时跟上', '请看 /readyz 和服务的日志')
      }
      onWait()
      this.wake()
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
      const held = state.standing?.sequence ?? 0
      if (held >= state.sequence) this.#missing = null
      else if (held >= (this.#missing?.sequence ?? 0))
        this.#missing = { sequence: state.sequence, since: performance.now() }
    } catch {
      // The database is away: what was read last holds, and /readyz tells.
      return
    }
    const every = this.#seen === null ? INSPECT_EVERY_MS : INSPECT_UNWELL_EVERY_MS
    if (performance.now() - this.#inspectedAt < every) return
    this.#inspectedAt = performance.now()
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
      if (performance.now() - this.#repairedAt >= INSPECT_EVERY_MS) {
        await repair(this.#needs)
        this.#repairedAt = performance.now()
      }
      await this.#follow()
      const state = await readState(this.#needs)
      const back = state.rows.find((row) => row.state === 'returning')
      if (back !== undefined) await this.#stand(back)
      else if (isBuildDue(state)) await this.#build(state)
      this.#met = null
    } catch (error) {
      this.#repairedAt = NEVER
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
    const now = performance.now()
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
      const leg = copyLeg(this.#needs, row)
      // One that fails waits for the other: no leg goes on beside the next.
      const [copied, followed] = await Promise.allSettled([leg, this.#followBeside(leg)])
      if (followed.status === 'rejected') throw followed.reason
      if (copied.status === 'rejected') throw copied.reason
      row = copied.value
    }
    await this.#stand(row)
    logger.info({ index: row.name, entries: row.entries, ms: Math.round(performance.now() - begun) }, 'index built')
  }

  /** A clerk's edit is not kept waiting by what is copied meanwhile (R4: 2 s). */
  async #followBeside(work: Promise<unknown>): Promise<void> {
    let ended = false
    const end = work.then(
      () => (ended = true),
      () => (ended = true)
    )
    while (!ended) {
      await this.#mustHold()
      await this.#follow()
      await Promise.race([end, wait(LOOK_EVERY_MS)])
    }
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
    this.#inspectedAt = NEVER
  }
}

class LeaseLost extends Error {}
