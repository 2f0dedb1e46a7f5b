import { setImmediate } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config.ts'
import type { Library } from '../content/library.ts'
import type { Database } from '../database/open.ts'
import type { RecordKind } from '../database/schema.ts'
import { Breaker } from '../breaker.ts'
import { type EmbeddingsAddress, type EmbeddingsClient, EmbeddingsFailed, openEmbeddingsClient } from './client.ts'
import { cosineOf, quantise } from './quantise.ts'
import { type Nearness, type SemanticHit, SemanticIndex } from './semantic-index.ts'
import { documentTexts, type EntryTexts, qaTexts, questionText, type Role } from './texts.ts'
import { forgetUnused, storedVectors, storeVectors, vectorHash, type VectorRow, vectorRow } from './vectors.ts'

/** Nearness in meaning of entries to a question. */
export interface SemanticHits {
  /** Best entries first, by the highest cosine of any of their texts. */
  hits: readonly SemanticHit[]
  /** Null when nothing is known of the entry. Valid until the next change: do not keep. */
  of(key: string): Nearness | null
}

export interface SemanticStatus {
  /** `failing`: the last attempt to get a vector failed; what is built goes on being used. */
  state: 'building' | 'ready' | 'failing'
  /** Records whose texts have their vectors, and all records. */
  done: number
  total: number
  /** For an operator: how far it is, or what is wrong and where to look; null when all is well. */
  text: string | null
}

/** Finds entries that mean the same in other words. Optional and never waited for: without it matching goes by words. */
export interface Semantic {
  /**
   * Null while it is not built, slower than the time budget, or kept away from a failing server; never throws.
   * @param question personal data masked: it leaves the process
   */
  near(question: string, limit: number): Promise<SemanticHits | null>
  /** Resolves when every text has its vector, or when it is closed; for benches and tests. */
  settled(): Promise<void>
  status(): SemanticStatus
  /** Takes in that records changed; their entries are unknown until they are embedded anew. */
  apply(records: readonly { kind: RecordKind; id: string }[]): void
  close(): Promise<void>
}

export interface SemanticNeeds {
  db: Database
  library: Library
  config: Pick<Config, 'embeddings'>
  logger: Pick<FastifyBaseLogger, 'info' | 'warn'>
  /** For tests and benches; each has a default. */
  times?: Partial<Times>
}

interface Times {
  /** A question's vector later than this is not waited for: an answer takes milliseconds, and a clerk notices 200. */
  budgetMs: number
  /** How long a late vector is still taken in, for who asks the same again. */
  lateMs: number
  /** How long three failures in a row keep questions away. */
  openMs: number
  /** Wait before a failed piece of background work is tried again; doubles up to 64 times. */
  retryMs: number
  /** Longest wait for a batch: 32 chunks take 6 s on two slow cores. */
  batchTimeoutMs: number
}

const TIMES: Times = { budgetMs: 150, lateMs: 5000, openMs: 10_000, retryMs: 1000, batchTimeoutMs: 60_000 }
const MOST_DOUBLINGS = 6
/** A server that asks for more patience than this is tried anyway. */
const LONGEST_PATIENCE_MS = 10 * 60_000

/** Texts a request carries while nothing can be answered yet, and later, when questions wait behind it. */
const BATCH_BUILDING = 32
const BATCH_SERVING = 8
/** After this many batches without trouble a batch that was made smaller is doubled. */
const CALM_BATCHES = 16
/** How often a text may fail alone before its entry is left to its words. */
const MOST_ATTEMPTS = 3
/** Codes of records listed at once. */
const PAGE = 2000
/** Records read at once. */
const RECORDS = 16
/** Questions under way at once; a further one would only wait behind them. */
const MOST_QUESTIONS = 8
/** Question vectors kept: what is asked on one day at a desk is asked again. 500 × 384 × 2 bytes = 0.4 MB. */
const KEPT_QUESTIONS = 500
const TELL_EVERY_MS = 10_000
/** Vectors of one text from one model differ by rounding only; from another, or another quantisation, by more. */
const SAME_MODEL = 0.99
/** Tells one model from another by its vector. */
const PROBE = '退休人员的职工医保怎么从外地转到本区？需要带什么材料，到哪里办理？'

const ROLES: readonly Role[] = ['query', 'passage']

/**
 * Opens semantic matching and starts to embed what has no vector yet, in the background.
 * @returns null without EMBEDDINGS_URL
 */
export function openSemantic({ config, ...needs }: SemanticNeeds): Semantic | null {
  return config.embeddings === null ? null : new Matching(needs, config.embeddings)
}

interface Pending {
  kind: 'qa' | 'document'
  id: string
}

/** A text that has no stored vector. */
interface Wanted {
  hash: string
  role: Role
  text: string
}

class Matching implements Semantic {
  readonly #db: Database
  readonly #library: Library
  readonly #logger: SemanticNeeds['logger']
  readonly #address: EmbeddingsAddress
  readonly #client: EmbeddingsClient
  readonly #times: Times
  readonly #breaker: Breaker
  readonly #work: Promise<void>

  #index: SemanticIndex | null = null
  /** Every record was embedded once since the start, or since the model changed. */
  #built = false
  /** Records to embed, by `kind/ID`; a record that changes while it is embedded has a new value. */
  #pending = new Map<string, Pending>()
  /** Whether `pending` was filled with all records. */
  #listed = false
  #done = new Set<string>()
  /** The model's vectors of the probe; null: to be asked for before the next batch. */
  #probe: Record<Role, Int16Array> | null = null
  #mustProbe = true
  /** Vectors that the database did not take yet. */
  readonly #unwritten = new Map<string, VectorRow>()
  /** Hashes in use, collected until everything is built once. */
  #used = new Set<string>()
  readonly #attempts = new Map<string, number>()
  readonly #refused = new Set<string>()

  #trouble: string | null = null
  #failures = 0
  #batch = BATCH_BUILDING
  #calm = 0
  #toldAt = 0

  readonly #questions = new Map<string, Int16Array>()
  readonly #asking = new Map<string, Promise<Int16Array | null>>()

  #closed = false
  #wake: () => void = () => {}
  #waiting: (() => void)[] = []

  constructor({ db, library, logger, times }: Omit<SemanticNeeds, 'config'>, address: EmbeddingsAddress) {
    this.#db = db
    this.#library = library
    this.#logger = logger
    this.#address = address
    this.#client = openEmbeddingsClient(address)
    this.#times = { ...TIMES, ...times }
    this.#breaker = new Breaker(this.#times.openMs)
    this.#work = this.#run()
  }

  async near(question: string, limit: number): Promise<SemanticHits | null> {
    const text = questionText(question)
    if (text === '' || !this.#built || this.#closed) return null
    const query = this.#kept(text) ?? (await this.#ask(text))
    const index = this.#index
    // The model may have changed meanwhile.
    if (query === null || index === null || !this.#built || query.length !== index.dimension) return null
    return { hits: index.nearest(query, limit), of: (key) => index.of(key, query) }
  }

  async settled(): Promise<void> {
    if (this.#closed || (this.#built && this.#pending.size === 0)) return
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  status(): SemanticStatus {
    const done = this.#done.size
    const total = done + this.#pending.size
    if (this.#trouble !== null) {
      return { state: 'failing', done, total, text: `${this.#trouble}（已完成 ${done}/${total}，其余按字词匹配）` }
    }
    if (!this.#built) return { state: 'building', done, total, text: `正在计算向量 ${done}/${total}` }
    if (this.#breaker.open) {
      return { state: 'failing', done, total, text: '语义服务没有及时答复提问，暂按字词匹配。 Too slow or failing.' }
    }
    const refused = this.#refused.size
    const text = refused === 0 ? null : `语义服务不接受 ${refused} 段文字，所属条目只按字词匹配`
    return { state: 'ready', done, total, text }
  }

  apply(records: readonly { kind: RecordKind; id: string }[]): void {
    for (const { kind, id } of records) {
      if (kind !== 'qa' && kind !== 'document') continue
      const record = `${kind}/${id}`
      this.#index?.drop(record)
      this.#done.delete(record)
      this.#pending.set(record, { kind, id })
    }
    if (this.#pending.size > 0) this.#wake()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#client.close()
    this.#wake()
    await this.#work
    await this.#write()
    this.#tellWaiting()
  }

  // ---- A question

  #kept(text: string): Int16Array | null {
    const vector = this.#questions.get(text)
    if (vector === undefined) return null
    this.#questions.delete(text)
    this.#questions.set(text, vector)
    return vector
  }

  /** Null when the vector is late; one that comes late is kept for who asks the same again. */
  async #ask(text: string): Promise<Int16Array | null> {
    let answer = this.#asking.get(text)
    if (answer === undefined) {
      if (this.#asking.size >= MOST_QUESTIONS || !this.#breaker.lets(Date.now())) return null
      answer = this.#embedQuestion(text).finally(() => this.#asking.delete(text))
      this.#asking.set(text, answer)
    }
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, this.#times.budgetMs, null)
    })
    return await Promise.race([answer, late]).finally(() => clearTimeout(timer))
  }

  async #embedQuestion(text: string): Promise<Int16Array | null> {
    const wasOpen = this.#breaker.open
    const index = this.#index
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      this.#questionFailed(
        new EmbeddingsFailed('timeout', `语义服务 ${this.#times.budgetMs} 毫秒内没有答复提问。 Too late.`)
      )
    }, this.#times.budgetMs)
    try {
      const [vector] = await this.#client.embed('query', [text], this.#times.lateMs)
      const query = quantise(vector as Float32Array)
      // The model changed meanwhile.
      if (index !== this.#index) return null
      if (query.length !== index?.dimension) {
        this.#probeAgain()
        throw otherDimension(query.length)
      }
      this.#breaker.succeeded()
      // A server that was away may have come back with another model.
      if (wasOpen) this.#probeAgain()
      this.#questions.set(text, query)
      const [oldest] = this.#questions.keys()
      if (this.#questions.size > KEPT_QUESTIONS && oldest !== undefined) this.#questions.delete(oldest)
      return query
    } catch (error) {
      if (!isLate) this.#questionFailed(error)
      return null
    } finally {
      clearTimeout(timer)
    }
  }

  #questionFailed(error: unknown): void {
    if (this.#closed) return
    const wasOpen = this.#breaker.open
    this.#breaker.failed(Date.now())
    if (this.#breaker.open && !wasOpen) {
      this.#logger.warn({ err: error }, 'semantic matching: questions kept away from a slow or failing server')
    }
  }

  // ---- The background

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#step()
      } catch (error) {
        if (this.#closed) return
        await this.#failed(error)
      }
    }
  }

  /** One piece of the work; throws where it has to be tried again. */
  async #step(): Promise<void> {
    if (this.#mustProbe) await this.#askProbe()
    if (!this.#listed) await this.#list()
    if (this.#pending.size > 0) {
      await this.#embedRecords()
      this.#well()
      this.#tellProgress()
    } else {
      await this.#finish()
      if (this.#pending.size === 0 && !this.#mustProbe) await this.#pause(null)
    }
  }

  /** Asks for the probe's vectors: whether the server answers, and whether its model is the one the vectors are of. */
  async #askProbe(): Promise<void> {
    const probe = await this.#embedProbe()
    const hashes = ROLES.map((role) => vectorHash(this.#address, role, PROBE))
    const stored = await storedVectors(this.#db, hashes)
    const before = ROLES.flatMap((role, at) => {
      const vector = stored.get(hashes[at] as string)
      return vector === undefined ? [] : [{ role, vector }]
    })
    if (before.some(({ role, vector }) => !isSame(vector, probe[role]))) {
      // One strange answer must not throw hours of work away.
      const again = await this.#embedProbe()
      if (ROLES.some((role) => !isSame(again[role], probe[role]))) {
        throw new EmbeddingsFailed(
          'answer',
          '语义服务对同一段文字给出不同的向量。 Its vectors change from one answer to the next.'
        )
      }
      await forgetUnused(this.#db, new Set())
      this.#logger.warn(
        { dimension: probe.query.length },
        'semantic matching: another model under the same name, all texts are embedded anew'
      )
    }
    const own = this.#probe
    if (own === null || ROLES.some((role) => !isSame(own[role], probe[role]))) this.#startOver(probe)
    for (const [at, role] of ROLES.entries()) {
      const hash = hashes[at] as string
      this.#unwritten.set(hash, vectorRow(hash, this.#address.models[role], probe[role]))
      this.#used.add(hash)
    }
    await this.#write()
    this.#mustProbe = false
  }

  async #embedProbe(): Promise<Record<Role, Int16Array>> {
    const embed = async (role: Role) => {
      const [vector] = await this.#client.embed(role, [PROBE], this.#times.batchTimeoutMs)
      return quantise(vector as Float32Array)
    }
    const probe = { query: await embed('query'), passage: await embed('passage') }
    const { length: query } = probe.query
    const { length: passage } = probe.passage
    if (query !== passage) {
      throw new EmbeddingsFailed(
        'answer',
        `提问模型 ${query} 维，答复模型 ${passage} 维，请检查 EMBEDDINGS_MODEL。 The two models differ in dimension.`
      )
    }
    return probe
  }

  /** Forgets all vectors in memory: those of another model say nothing. */
  #startOver(probe: Record<Role, Int16Array>): void {
    this.#index = new SemanticIndex(probe.query.length)
    this.#probe = probe
    this.#built = false
    this.#listed = false
    this.#used = new Set()
    this.#done = new Set()
    this.#questions.clear()
    // Questions failed because of the change.
    this.#breaker.succeeded()
    this.#unwritten.clear()
    this.#refused.clear()
    this.#attempts.clear()
  }

  /** Every record is to be embedded, Q&A first: there a question finds a question. */
  async #list(): Promise<void> {
    for (const kind of ['qa', 'document'] as const) {
      for (let after = ''; ; ) {
        const rows = await this.#db
          .selectFrom('records')
          .select('id')
          .where('kind', '=', kind)
          .where('id', '>', after)
          .where('retired', '=', 0)
          .orderBy('id')
          .limit(PAGE)
          .execute()
        for (const { id } of rows) this.#pending.set(`${kind}/${id}`, { kind, id })
        const last = rows.at(-1)
        if (last === undefined || rows.length < PAGE) break
        after = last.id
        await setImmediate()
      }
    }
    this.#listed = true
  }

  async #embedRecords(): Promise<void> {
    const records: [string, Pending][] = []
    for (const record of this.#pending) if (records.push(record) === RECORDS) break
    const entries = new Map<string, readonly EntryTexts[]>()
    const wanted = new Map<string, Wanted>()
    for (const [record, { kind, id }] of records) {
      const texts = await this.#textsOf(kind, id)
      entries.set(record, texts)
      for (const entry of texts) for (const text of this.#wantedOf(entry)) wanted.set(text.hash, text)
      // A long document takes milliseconds to cut; SQLite answers without letting others have their turn.
      await setImmediate()
    }
    const vectors = await storedVectors(this.#db, [...wanted.keys()])
    for (const [hash, vector] of vectors) if (vector.length !== this.#index?.dimension) vectors.delete(hash)
    for (const [hash, { vector }] of this.#unwritten) {
      if (wanted.has(hash)) vectors.set(hash, new Int16Array(vector.buffer, vector.byteOffset, vector.length / 2))
    }
    for (const role of ROLES) {
      const missing = [...wanted.values()].filter(
        (text) => text.role === role && !vectors.has(text.hash) && !this.#refused.has(text.hash)
      )
      for (let at = 0; at < missing.length; ) {
        const texts = missing.slice(at, at + this.#batch)
        for (const [hash, vector] of await this.#embed(role, texts)) vectors.set(hash, vector)
        at += texts.length
        this.#tellProgress()
      }
    }
    for (const [record, token] of records) {
      // Changed meanwhile: it is embedded again.
      if (this.#pending.get(record) !== token) continue
      this.#takeIn(record, entries.get(record) ?? [], vectors)
      this.#pending.delete(record)
    }
    if (!this.#built) for (const hash of wanted.keys()) this.#used.add(hash)
  }

  async #textsOf(kind: Pending['kind'], id: string): Promise<EntryTexts[]> {
    if (kind === 'qa') {
      const item = await this.#library.get('qa', id)
      return item === null || item.retired ? [] : qaTexts(item.content)
    }
    const item = await this.#library.get('document', id)
    return item === null || item.retired ? [] : documentTexts(item, this.#library.passages(item))
  }

  #wantedOf({ questions, answers }: EntryTexts): Wanted[] {
    const wanted = (role: Role) => (text: string) => ({ hash: vectorHash(this.#address, role, text), role, text })
    return [...questions.map(wanted('query')), ...answers.map(wanted('passage'))]
  }

  /** Embeds a batch and stores it; in trouble makes the next one smaller. */
  async #embed(role: Role, texts: readonly Wanted[]): Promise<[string, Int16Array][]> {
    try {
      const vectors = await this.#client.embed(
        role,
        texts.map(({ text }) => text),
        this.#times.batchTimeoutMs
      )
      const dimension = vectors[0]?.length
      if (dimension !== this.#index?.dimension) throw otherDimension(dimension ?? 0)
      const quantised = vectors.map(
        (vector, at) => [(texts[at] as Wanted).hash, quantise(vector)] as [string, Int16Array]
      )
      for (const [hash, vector] of quantised)
        this.#unwritten.set(hash, vectorRow(hash, this.#address.models[role], vector))
      await this.#write()
      this.#eased()
      return quantised
    } catch (error) {
      if (error instanceof EmbeddingsFailed && !['denied', 'unknown', 'busy'].includes(error.kind)) this.#shrink(texts)
      throw error
    }
  }

  #eased(): void {
    this.#well()
    const most = this.#built ? BATCH_SERVING : BATCH_BUILDING
    if (this.#batch >= most) this.#batch = most
    else if (++this.#calm % CALM_BATCHES === 0) this.#batch = Math.min(this.#batch * 2, most)
  }

  /** A batch may be too large, too slow, or hold one text that the server cannot take: that one is found and left out. */
  #shrink(texts: readonly Wanted[]): void {
    this.#calm = 0
    this.#batch = Math.max(1, Math.ceil(texts.length / 2))
    const [only] = texts
    if (texts.length > 1 || only === undefined) return
    const attempts = (this.#attempts.get(only.hash) ?? 0) + 1
    this.#attempts.set(only.hash, attempts)
    if (attempts < MOST_ATTEMPTS) return
    this.#refused.add(only.hash)
    this.#logger.warn({ text: only.text.slice(0, 40) }, 'semantic matching: a text the server cannot take is left out')
  }

  #takeIn(record: string, entries: readonly EntryTexts[], vectors: ReadonlyMap<string, Int16Array>): void {
    const find = (role: Role, texts: readonly string[]) =>
      texts.map((text) => vectors.get(vectorHash(this.#address, role, text)))
    const whole = entries.flatMap(({ key, kind, id, anchor, questions, answers }) => {
      const found = { questions: find('query', questions), answers: find('passage', answers) }
      // An entry is known with all its texts or not at all.
      if ([...found.questions, ...found.answers].includes(undefined)) return []
      return [
        {
          entry: { key, kind, id, anchor },
          questions: found.questions as Int16Array[],
          answers: found.answers as Int16Array[]
        }
      ]
    })
    this.#index?.replace(record, whole)
    if (entries.length > 0) this.#done.add(record)
  }

  async #finish(): Promise<void> {
    this.#well()
    await this.#write()
    if (!this.#built) {
      this.#built = true
      this.#batch = Math.min(this.#batch, BATCH_SERVING)
      this.#logger.info({ records: this.#done.size }, 'semantic matching: every text has its vector')
      await this.#tidy()
    }
    if (this.#pending.size === 0) this.#tellWaiting()
  }

  /** Deletes the vectors of texts that are gone. */
  async #tidy(): Promise<void> {
    try {
      const forgotten = await forgetUnused(this.#db, this.#used)
      if (forgotten > 0) this.#logger.info({ forgotten }, 'semantic matching: vectors of texts that are gone deleted')
    } catch (error) {
      this.#logger.info({ err: error }, 'semantic matching: old vectors not deleted, tried again at the next start')
    }
    this.#used.clear()
  }

  #well(): void {
    this.#trouble = null
    this.#failures = 0
  }

  /** Stores what is not stored yet; what another program's writing prevents is stored later. */
  async #write(): Promise<void> {
    const rows = [...this.#unwritten.values()]
    if (rows.length === 0) return
    try {
      await storeVectors(this.#db, rows)
      for (const row of rows) if (this.#unwritten.get(row.hash) === row) this.#unwritten.delete(row.hash)
    } catch (error) {
      this.#logger.info({ err: error }, 'semantic matching: vectors not stored yet, tried again')
    }
  }

  async #failed(error: unknown): Promise<void> {
    const known = error instanceof EmbeddingsFailed ? error : null
    const text = error instanceof Error ? error.message : String(error)
    if (this.#trouble !== text)
      this.#logger.warn({ err: error }, 'semantic matching: background work failed, tried again')
    this.#trouble = text
    this.#mustProbe = true
    this.#failures++
    // What lies in the texts is not mended by waiting.
    const doublings = known?.kind === 'input' ? 0 : Math.min(this.#failures - 1, MOST_DOUBLINGS)
    const asked = known?.retryAfterMs ?? null
    await this.#pause(
      asked === null
        ? this.#times.retryMs * 2 ** doublings
        : Math.min(Math.max(asked, this.#times.retryMs), LONGEST_PATIENCE_MS)
    )
  }

  #probeAgain(): void {
    this.#mustProbe = true
    this.#wake()
  }

  /**
   * Waits so long, or with null until there is something to do.
   * A wait after a failure is not cut short by changes, only by the end.
   */
  async #pause(ms: number | null): Promise<void> {
    if (this.#closed) return
    await new Promise<void>((resolve) => {
      const timer = ms === null ? null : setTimeout(resolve, ms).unref()
      this.#wake = () => {
        if (ms !== null && !this.#closed) return
        if (timer !== null) clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = () => {}
  }

  #tellProgress(): void {
    const now = Date.now()
    if (this.#built || now - this.#toldAt < TELL_EVERY_MS) return
    this.#toldAt = now
    const { done, total } = this.status()
    this.#logger.info({ done, total }, 'semantic matching: computing vectors')
  }

  #tellWaiting(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

function otherDimension(dimension: number): EmbeddingsFailed {
  return new EmbeddingsFailed(
    'answer',
    `语义服务的向量变成 ${dimension} 维。 Its vectors now have ${dimension} dimensions.`
  )
}

function isSame(a: Int16Array, b: Int16Array): boolean {
  if (a.length !== b.length) return false
  let product = 0
  for (let i = 0; i < a.length; i++) product += (a[i] as number) * (b[i] as number)
  return cosineOf(product) >= SAME_MODEL
}
