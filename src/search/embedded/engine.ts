import { setImmediate } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import type { Database, DatabaseAddress } from '../../database/open.ts'
import { startWorker } from '../../worker.ts'
import type { EngineQuery, EngineStatus, Found, SearchEngine, TermSource } from '../search-engine.ts'
import { storedEntries } from '../stored-entries.ts'
import type { RecordChange } from '../tokens.ts'
import { buildIndex, type IndexParts } from './build.ts'
import type { BuildMessage } from './build-worker.ts'
import { EMPTY, LiveIndex } from './live-index.ts'

/** Entries the delta may hold before a build takes them in; smaller banks are rebuilt at half their size. */
const DELTA_LIMIT = 500
/** Changes with more entries than this are taken over by a build: the delta would slow every query down. */
const BULK = 2000
/** Entries up to which building here is quicker than starting a worker thread, at start (beside the segmenter's second) and beside queries. */
const IN_PROCESS_AT_START = 1500
const IN_PROCESS_LATER = 1000
/** Milliseconds of work on the main thread before others get their turn. */
const TURN_MS = 8

/** The in-process engine; also the matcher's source of terms, whichever engine proposes candidates. */
export interface EmbeddedEngine extends SearchEngine, TermSource {
  /** Resolves when the first index stands, rejects when it could not be built; until then a search finds nothing. */
  firstIndex: Promise<void>
}

/**
 * Opens the in-process engine and starts to build its index from the stored entries.
 * @param db the process's own connection, for small builds
 * @param address where a worker thread reads large ones from; an in-memory database is always read by `db`
 */
export function openEmbeddedEngine(options: { db: Database; address: DatabaseAddress }): EmbeddedEngine {
  const engine = new Engine(options.db, options.address)
  engine.firstIndex.catch(() => {})
  return engine
}

class Engine implements EmbeddedEngine {
  readonly firstIndex: Promise<void>
  readonly #db: Database
  readonly #address: DatabaseAddress
  #index = new LiveIndex(EMPTY)
  #ready = false
  #progress: string | null = null
  #sequence = 0
  /** What was applied since the running build began; null when none runs. */
  #kept: { changes: readonly RecordChange[]; sequence: number }[] | null = null
  #running: Promise<void> | null = null
  #queued: Promise<void> | null = null
  /** Tail of the queue of those who change the index. */
  #turn: Promise<unknown> = Promise.resolve()
  #worker: Worker | null = null
  #closed = false

  constructor(db: Database, address: DatabaseAddress) {
    this.#db = db
    this.#address = address
    this.firstIndex = this.rebuild()
  }

  async search(query: EngineQuery): Promise<Found> {
    return { hits: this.#index.search(query), degraded: false }
  }

  async explain(...args: Parameters<SearchEngine['explain']>) {
    return this.#index.explain(...args)
  }

  entryCount(): number {
    return this.#index.entryCount()
  }

  lookup(...args: Parameters<TermSource['lookup']>) {
    return this.#index.lookup(...args)
  }

  weights(...args: Parameters<TermSource['weights']>) {
    return this.#index.weights(...args)
  }

  token(...args: Parameters<TermSource['token']>) {
    return this.#index.token(...args)
  }

  terms(key: string) {
    return this.#index.terms(key)
  }

  status(): EngineStatus {
    return { ready: this.#ready, entries: this.entryCount(), sequence: this.#sequence, progress: this.#progress }
  }

  async apply(changes: readonly RecordChange[], sequence: number): Promise<void> {
    if (changes.reduce((sum, change) => sum + change.entries.length, 0) > BULK) {
      // The database holds them already; a failed build is told by status, and the delta takes them after all.
      await this.rebuild().catch(() => {})
      if (this.#index.sequence >= sequence) return
    }
    await this.#inTurn(async () => {
      await takeOver(this.#index, changes)
      this.#kept?.push({ changes, sequence })
      this.#sequence = Math.max(this.#sequence, sequence)
    })
    this.#rebuildIfDue()
  }

  rebuild(): Promise<void> {
    if (this.#running === null) return this.#start()
    // What runs may have read past what the caller wants in: build once more, for all who ask meanwhile.
    this.#queued ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#queued = null
        return this.#start()
      })
    return this.#queued
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#worker?.terminate()
    await Promise.allSettled([this.#running, this.#queued, this.#turn])
  }

  #start(): Promise<void> {
    this.#running = this.#build()
      .finally(() => {
        this.#running = null
        this.#kept = null
      })
      .then(() => this.#rebuildIfDue())
    return this.#running
  }

  async #build(): Promise<void> {
    this.#kept = []
    this.#progress = '正在建立索引'
    try {
      const parts = await this.#readParts()
      await this.#inTurn(async () => {
        const index = new LiveIndex(parts)
        for (const { changes, sequence } of this.#kept ?? []) {
          if (sequence > parts.sequence) await takeOver(index, changes)
        }
        this.#index = index
        this.#kept = null
        this.#sequence = Math.max(this.#sequence, parts.sequence)
      })
      this.#ready = true
      this.#progress = null
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      this.#progress = this.#ready ? `索引重建失败，仍用原索引：${text}` : `索引建立失败：${text}`
      throw error
    }
  }

  async #readParts(): Promise<IndexParts> {
    this.#mustBeOpen()
    const source = await storedEntries(this.#db)
    this.#mustBeOpen()
    const own = this.#address.kind === 'sqlite' && ['', ':memory:'].includes(this.#address.file)
    if (!own && source.count > (this.#ready ? IN_PROCESS_LATER : IN_PROCESS_AT_START)) return this.#readInWorker()
    const pause = pauses()
    return buildIndex(source, (read) => {
      if (read % 1000 === 0) this.#tell(read, source.count)
      this.#mustBeOpen()
      return pause()
    })
  }

  #readInWorker(): Promise<IndexParts> {
    return new Promise((resolve, reject) => {
      const worker = startWorker(new URL('./build-worker.ts', import.meta.url), this.#address)
      this.#worker = worker
      worker.on('message', (message: BuildMessage) => {
        if (message.kind === 'built') resolve(message.parts)
        else this.#tell(message.read, message.count)
      })
      worker.once('error', reject)
      worker.once('exit', (code) => {
        this.#worker = null
        reject(new Error(`The index builder ended early (${code})`))
      })
    })
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Error('The search engine is closed')
  }

  #tell(read: number, count: number): void {
    this.#progress = `正在建立索引 ${read}/${count}`
  }

  #rebuildIfDue(): void {
    const { deltaSize, baseSize } = this.#index
    if (this.#closed || this.#running !== null || deltaSize <= Math.min(DELTA_LIMIT, baseSize / 2)) return
    // A failure is told by status, and tried again with the next change.
    this.rebuild().catch(() => {})
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}

/** Brings changes into an index record by record, letting others have their turn. */
async function takeOver(index: LiveIndex, changes: readonly RecordChange[]): Promise<void> {
  const pause = pauses()
  for (const change of changes) {
    const prepared = []
    for (const entry of change.entries) {
      prepared.push(index.prepare(entry))
      const due = pause()
      if (due !== undefined) await due
    }
    index.replace(change, prepared)
  }
}

/** A promise to await when work has gone on for long enough, else undefined. */
function pauses(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < TURN_MS) return undefined
    return setImmediate().then(() => {
      since = performance.now()
    })
  }
}
