import { type Client, errors, type estypes } from '@elastic/elasticsearch'
import type { FastifyBaseLogger } from 'fastify'
import { Breaker } from '../../breaker.ts'
import type { Database } from '../../database/open.ts'
import type { EngineHit, EngineQuery, EngineStatus, Found, SearchEngine } from '../search-engine.ts'
import { type ElasticsearchAddress, openClient, problemOf } from './client.ts'
import { ClusterProblem } from './problem.ts'
import { refusedBy } from './compare.ts'
import { Indexer } from './indexer.ts'
import { hitOf, searchOf } from './schema.ts'

/** What a question waits for the cluster at most, whatever it does; the in-process index takes milliseconds more. */
const DEADLINE_MS = 2000
/** One node's time to answer: short questions take 40 ms among 243,000 entries, letters of 300 characters half a second (bench elasticsearch). */
const TRY_MS = 1200

/**
 * Questions at the cluster at once; the in-process index answers the others. Eight saturate three nodes on two cores; without
 * a limit questions that came faster waited up to 12 s (bench drill).
 */
const MOST_AT_ONCE = 16

/** While questions go elsewhere one is put to the cluster this often, with nobody waiting for it. */
const TRIAL_EVERY_MS = 1000

export interface ElasticsearchEngineNeeds {
  db: Database
  address: ElasticsearchAddress
  /** Answers while the cluster does not, and explains scores; its owner closes it. */
  embedded: SearchEngine
  logger: Pick<FastifyBaseLogger, 'info' | 'warn'>
}

/** An engine whose candidates come from an Elasticsearch cluster, or from the in-process index while the cluster fails. */
export interface ElasticsearchEngine extends SearchEngine {
  /** What the operator should know of the cluster; null when it is well. */
  problem(): ClusterProblem | null
  /** Questions that the in-process index answered, since the start. */
  fallbacks(): number
  /** What the cluster refused of the standing index's entries, for good. */
  refused(): Promise<{ key: string; error: string }[]>
  indexer: Indexer
  client: Client
}

/**
 * Opens the adapter; resolves nothing of the cluster yet, so that the service starts with the cluster down.
 * @throws {ClusterProblem} when the CA file cannot be read
 */
export function openElasticsearchEngine(needs: ElasticsearchEngineNeeds): ElasticsearchEngine {
  return new Engine(needs)
}

class Engine implements ElasticsearchEngine {
  readonly indexer: Indexer
  readonly client: Client
  readonly #needs: ElasticsearchEngineNeeds
  readonly #breaker = new Breaker(TRIAL_EVERY_MS)
  readonly #trials: NodeJS.Timeout
  #failure: ClusterProblem | null = null
  #lastFailed: EngineQuery | null = null
  #fallbacks = 0
  /** Questions at the cluster now. */
  #asking = 0

  constructor(needs: ElasticsearchEngineNeeds) {
    this.#needs = needs
    this.client = openClient(needs.address)
    this.indexer = new Indexer({ ...needs, client: this.client })
    this.indexer.start()
    this.#trials = setInterval(() => void this.#try(), TRIAL_EVERY_MS).unref()
  }

  async search(query: EngineQuery): Promise<Found> {
    if (query.limit <= 0 || Object.values(query.tokens).every(({ length }) => length === 0)) {
      return { hits: [], degraded: false }
    }
    const isBusy = this.#asking >= MOST_AT_ONCE
    if (this.#breaker.open || isBusy || !this.indexer.mayBeAsked) return this.#fallBack(query)
    this.#asking++
    try {
      const hits = await this.#find(query)
      this.#succeeded()
      return { hits, degraded: false }
    } catch (error) {
      this.#failed(error, query)
      return this.#fallBack(query)
    } finally {
      this.#asking--
    }
  }

  async #fallBack(query: EngineQuery): Promise<Found> {
    this.#fallbacks++
    return { ...(await this.#needs.embedded.search(query)), degraded: true }
  }

  /** Level entries stand by key, as the embedded engine has them; where they are level at the end of the list the cluster has to order them. */
  async #find(query: EngineQuery): Promise<EngineHit[]> {
    const hits = await this.#ask(searchOf(query))
    if (hits[query.limit]?.score === hits[query.limit - 1]?.score && hits.length > query.limit) {
      return await this.#ask(searchOf(query, true))
    }
    return hits.slice(0, query.limit).sort((a, b) => b.score - a.score || (a.key < b.key ? -1 : 1))
  }

  /** Asks one node after the other until one gives a whole answer or the time is up. */
  async #ask(request: estypes.SearchRequest): Promise<EngineHit[]> {
    const until = performance.now() + DEADLINE_MS
    let failure: unknown
    for (let tries = 0; tries <= this.#needs.address.nodes.length; tries++) {
      const left = until - performance.now()
      if (left <= 0) break
      try {
        const answer = await this.client.search(
          { index: this.#needs.address.alias, ...request },
          { requestTimeout: Math.min(TRY_MS, left) }
        )
        return this.#wholeHits(answer)
      } catch (error) {
        failure = error
        if (!isWorthAnother(error)) break
      }
    }
    throw failure
  }

  /** @throws {PartialAnswer} when a shard is missing in it, {ClusterProblem} when it is not out of an index of ours */
  #wholeHits({ hits, _shards, timed_out }: estypes.SearchResponse): EngineHit[] {
    if (timed_out || _shards.failed > 0) throw new PartialAnswer()
    const [first] = hits.hits
    if (hits.hits.some(({ _index }) => _index !== first?._index) || (first && !this.indexer.knows(first._index))) {
      throw new ClusterProblem(
        `别名 ${this.#needs.address.alias} 指向了不是本程序建的索引`,
        '会自动改回；若反复出现，请查是不是另一套程序用了同一个别名（ELASTICSEARCH_INDEX）'
      )
    }
    return hits.hits.map(hitOf)
  }

  /** While the breaker is open the last question that failed is put again and again, so that nobody waits for it. */
  async #try(): Promise<void> {
    if (!this.#breaker.open || this.#lastFailed === null || !this.#breaker.lets(Date.now())) return
    try {
      await this.#find(this.#lastFailed)
      this.#succeeded()
    } catch (error) {
      this.#failed(error, this.#lastFailed)
    }
  }

  #succeeded(): void {
    if (this.#breaker.open) this.#needs.logger.info('questions go to Elasticsearch again')
    this.#breaker.succeeded()
    this.#failure = null
  }

  #failed(error: unknown, query: EngineQuery): void {
    const wasOpen = this.#breaker.open
    this.#breaker.failed(Date.now())
    this.#lastFailed = query
    this.#failure =
      error instanceof PartialAnswer
        ? new ClusterProblem('Elasticsearch 只答了一部分（有分片没有应答）', '请看各节点是否在运行、负载是否过高')
        : problemOf(error)
    if (!wasOpen && this.#breaker.open) {
      this.#needs.logger.warn({ problem: this.#failure.message }, 'questions go to the in-process index')
    }
    this.indexer.poke()
  }

  problem(): ClusterProblem | null {
    return this.indexer.problem ?? (this.#breaker.open ? this.#failure : null)
  }

  async refused() {
    const { standing } = this.indexer.state ?? { standing: null }
    return standing === null ? [] : await refusedBy(this.#needs.db, standing.name)
  }

  fallbacks(): number {
    return this.#fallbacks
  }

  async apply(...args: Parameters<SearchEngine['apply']>): Promise<void> {
    await this.#needs.embedded.apply(...args)
    // The cluster's index follows the change feed by itself.
    this.indexer.wake()
  }

  async rebuild(): Promise<void> {
    await this.#needs.embedded.rebuild()
    this.indexer.wake()
  }

  explain(...args: Parameters<SearchEngine['explain']>) {
    return this.#needs.embedded.explain(...args)
  }

  status(): EngineStatus {
    const status = this.#needs.embedded.status()
    return { ...status, progress: status.progress ?? this.indexer.progress }
  }

  async close(): Promise<void> {
    clearInterval(this.#trials)
    await this.indexer.close()
    await this.client.close()
  }
}

class PartialAnswer extends Error {}

/** A request that is wrong stays wrong on every node. */
function isWorthAnother(error: unknown): boolean {
  if (error instanceof errors.ResponseError) return [429, 502, 503, 504].includes(error.statusCode ?? 0)
  return !(error instanceof ClusterProblem || error instanceof errors.ProductNotSupportedError)
}
