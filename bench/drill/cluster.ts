import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { readConfig } from '../../src/config.ts'
import { type Answer, ask } from '../../src/consultations/ask.ts'
import { compare, storeChanges } from '../../src/content/store.ts'
import { migrate, openDatabase } from '../../src/database/open.ts'
import { loadFiles } from '../../indexer/load.ts'
import { verifyCluster } from '../../src/operations/verify-cluster.ts'
import { openParts, type Parts } from '../../src/parts.ts'
import type { ElasticsearchEngine } from '../../src/search/elasticsearch/engine.ts'
import type { SearchEngine } from '../../src/search/search-engine.ts'
import { postgres } from '../../test/peers.ts'
import { type ElasticsearchNode, startElasticsearch } from '../../test/elasticsearch/node.ts'
import { bankRecord } from '../bank.ts'
import { percentile, rounded } from '../figures.ts'
import { judgedQuestions } from '../judged.ts'
import { say } from '../asked.ts'

const CORPUS = fileURLToPath(new URL('../../corpus', import.meta.url))
const PROCESS = fileURLToPath(new URL('../../test/elasticsearch/process.ts', import.meta.url))

export interface ClusterDrill {
  /** Asked at a steady rate while nodes are killed. */
  questions: number
  /** Rebuilds under load, one of them killed half way. */
  swaps: number
}

/** The least rate, a second. */
const LEAST_RATE = 50
const WARM_UP_MS = 10_000
/** A clerk's pace while a correction is typed. */
const CHANGE_EVERY_MS = 500
/** Entries the clerk edits in turn. */
const EDITED = 20

interface AskedOne {
  text: string
  /** When it was due, milliseconds since 1970. */
  at: number
  /** From when it was due: waiting for its turn counts. */
  ms: number
  /** What was answered; null: nothing. */
  said: string | null
  degraded: boolean
}

type Outcome = 'right' | 'fallback' | 'wrong' | 'failed'

/**
 * Three real nodes, three shards with a copy each, PostgreSQL, and the service's own parts asked at a steady rate while a data
 * node, the master, and all nodes are killed and come back, then while the index is rebuilt again and again. A clerk edits
 * entries all the while.
 */
export async function drillCluster({ questions, swaps }: ClusterDrill): Promise<Record<string, unknown>> {
  const teardowns: (() => unknown)[] = []
  const t = { teardown: (work: () => unknown) => void teardowns.unshift(work) } as unknown as Parameters<
    typeof postgres
  >[0]
  const folder = mkdtempSync(join(tmpdir(), 'zhengxun-drill-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  try {
    const cluster = await startElasticsearch(join(folder, 'nodes'), 3)
    t.teardown(() => cluster.close())
    const environment = {
      DATABASE_URL: await postgres(t),
      ELASTICSEARCH_URL: cluster.url,
      ELASTICSEARCH_INDEX: 'drill',
      ELASTICSEARCH_SHARDS: '3',
      DATA_DIR: folder,
      LOG_LEVEL: 'silent',
      RATE_LIMIT: '0'
    }
    const config = readConfig(environment)
    const db = await openDatabase(config.database)
    await migrate(db)
    const at = new Date().toISOString()
    await loadFiles(db, [CORPUS], { by: 'drill', at })
    // There from the start: how rare a word is, and so which of two near choices comes first, is not to change meanwhile.
    for (let n = 0; n < EDITED; n++) await editEntry(db, n)
    await db.destroy()
    const parts = await openParts(config, pino({ level: 'silent' }))
    t.teardown(() => parts.close())
    while (!parts.engine.status().ready) await wait(50)
    const engine = parts.elasticsearch as ElasticsearchEngine
    await engine.indexer.caughtUp(600_000)
    await cluster.settled()
    const run = new Run(parts)
    await run.learn()
    // A cluster just started is still being compiled.
    await run.saturate(WARM_UP_MS)
    const saturated = await run.saturate(3000)
    const rate = Math.max(LEAST_RATE, Math.floor(saturated / 2))
    say(`saturated at ${Math.round(saturated)}/s, asked at ${rate}/s`)
    const edits = run.edit()
    const kills = await killPhase(run, cluster.nodes, cluster.settled, questions, rate)
    say(JSON.stringify(kills))
    const rebuilds = await swapPhase(run, environment.DATABASE_URL, cluster.nodes, swaps, rate)
    say(JSON.stringify(rebuilds))
    const edited = await edits.stop()
    await engine.indexer.caughtUp(60_000)
    const address = config.elasticsearch as NonNullable<typeof config.elasticsearch>
    const findings = await verifyCluster(parts.db, address, false)
    return {
      entries: parts.engine.status().entries,
      saturatedPerSecond: Math.round(saturated),
      ratePerSecond: rate,
      ...kills,
      ...rebuilds,
      edits: edited.made,
      /** Acknowledged bank changes that the cluster lost or took back. Goal: 0. */
      editsLostOrReverted: findings.length,
      findings: findings.map(({ what }) => what)
    }
  } finally {
    for (const work of teardowns) await work()
  }
}

/** Questions, what is right, and what came of them. */
class Run {
  readonly parts: Parts
  readonly texts: string[]
  /** What may be answered: the embedded engine's answer before and after the clerk's edits. */
  readonly #right = new Map<string, Set<string>>()
  #next = 0

  constructor(parts: Parts) {
    this.parts = parts
    this.texts = judgedQuestions().map(({ text }) => text)
  }

  async #ask(text: string, engine: SearchEngine): Promise<Answer> {
    return await ask({ ...this.parts, engine }, { question: text, zone: null, limit: 5, live: true })
  }

  /** The embedded engine's answers are the standard. */
  async learn(): Promise<void> {
    const embedded = this.parts.terms as unknown as SearchEngine
    for (const text of this.texts) {
      const known = this.#right.get(text) ?? new Set()
      this.#right.set(text, known.add(signature(await this.#ask(text, embedded))))
    }
  }

  async one(at: number, due: number): Promise<AskedOne> {
    const text = this.texts[this.#next++ % this.texts.length] as string
    try {
      const answer = await this.#ask(text, this.parts.engine)
      const ms = performance.now() - due
      return { text, at, ms, said: signature(answer), degraded: answer.degraded }
    } catch {
      return { text, at, ms: performance.now() - due, said: null, degraded: false }
    }
  }

  /** What became of a question, by what was learnt before and after the clerk's edits. */
  outcome({ text, said, degraded }: AskedOne): Outcome {
    if (said === null) return 'failed'
    if (!this.#right.get(text)?.has(said)) return 'wrong'
    return degraded ? 'fallback' : 'right'
  }

  /** What was said instead, for whoever must find out why. */
  explain(asked: readonly AskedOne[]): string[] {
    const wrong = asked.filter((one) => this.outcome(one) === 'wrong')
    return wrong.slice(0, 5).map(({ text, said, degraded }) => {
      const right = [...(this.#right.get(text) ?? [])].join(' | ')
      return `${text}: ${said}${degraded ? ' (in process)' : ''}, right: ${right}`
    })
  }

  count(asked: readonly AskedOne[], outcome: Outcome): number {
    return asked.filter((one) => this.outcome(one) === outcome).length
  }

  /** Eight askers without a pause. */
  async saturate(ms: number): Promise<number> {
    const end = performance.now() + ms
    let count = 0
    const asker = async () => {
      for (; performance.now() < end; count++) await this.one(0, performance.now())
    }
    await Promise.all(Array.from({ length: 8 }, asker))
    return (1000 * count) / ms
  }

  /** Asks at a steady rate, whatever becomes of the questions before, until told to stop. */
  async steadily(rate: number, mayStop: (asked: number) => boolean): Promise<AskedOne[]> {
    const started = performance.now()
    const all: Promise<AskedOne>[] = []
    for (let n = 0; !mayStop(n); n++) {
      const due = started + (1000 * n) / rate
      const ahead = due - performance.now()
      if (ahead > 1) await wait(ahead)
      all.push(this.one(performance.timeOrigin + due, due))
    }
    return await Promise.all(all)
  }

  /** A clerk who edits one of twenty entries twice a second. */
  edit(): { stop: () => Promise<{ made: number }> } {
    let going = true
    let made = 0
    const loop = (async () => {
      for (let n = 0; going; n++) {
        await editEntry(this.parts.db, n)
        made++
        await wait(CHANGE_EVERY_MS)
      }
    })()
    return {
      stop: async () => {
        going = false
        await loop
        return { made }
      }
    }
  }
}

/** The n-th edit: one of the entries gets a word that nobody else has, in letters, so that it is one token. */
async function editEntry(db: Parts['db'], n: number): Promise<void> {
  const word = n.toString(26).replace(/\d/g, (digit) => String.fromCharCode(112 + Number(digit)))
  const id = `drill-${n % EDITED}`
  const incoming = [bankRecord('drill', { id, question: `演练条目${id}`, answer: `演练修改xz${word}` })]
  const differences = await compare(db, incoming, [])
  await storeChanges(db, { incoming, differences, by: 'drill', at: new Date().toISOString() })
}

const signature = ({ decision, hits }: Answer) => `${decision} ${hits[0]?.id ?? ''} ${hits[0]?.version ?? ''}`

interface Event {
  what: string
  from: number
  to: number
  /** From the moment the cluster is whole again until a question is answered by it. */
  backMs: number
}

async function killPhase(
  run: Run,
  nodes: readonly ElasticsearchNode[],
  settled: (nodes?: number) => Promise<void>,
  questions: number,
  rate: number
): Promise<Record<string, unknown>> {
  const events: Event[] = []
  const engine = run.parts.elasticsearch as ElasticsearchEngine
  let over = false
  const asking = run.steadily(rate, (asked) => over && asked >= questions)
  const pause = (1000 * questions) / rate / 8
  const strike = async (what: string, victims: readonly ElasticsearchNode[]) => {
    const from = Date.now()
    say(`killing ${what}: ${victims.map(({ name }) => name).join(', ')}`)
    await Promise.all(victims.map((node) => node.kill()))
    await wait(Math.min(pause, 10_000))
    await Promise.all(victims.map((node) => node.start()))
    await settled()
    const whole = Date.now()
    while ((await engine.search({ tokens: { words: ['医保'], bigrams: [], characters: [] }, limit: 1 })).degraded)
      await wait(20)
    const to = Date.now()
    events.push({ what, from, to, backMs: to - whole })
    await wait(pause)
  }
  await wait(pause * 2)
  const master = await masterOf(nodes)
  await strike('a data node', nodes.filter(({ name }) => name !== master).slice(0, 1))
  await strike(
    'the master',
    nodes.filter((node) => node.name === master)
  )
  await strike('all', nodes)
  over = true
  const asked = await asking
  await run.learn()
  const before = asked.filter(({ at }) => at < (events[0]?.from ?? 0))
  const during = asked.filter(({ at }) => events.some(({ from, to }) => at >= from && at <= to))
  const p99 = (some: readonly AskedOne[]) =>
    percentile(
      some.map(({ ms }) => ms),
      0.99
    )
  const count = (outcome: Outcome) => run.count(asked, outcome)
  const good = asked.length - count('failed') - count('wrong')
  return {
    questions: asked.length,
    answeredByCluster: count('right'),
    answeredByFallback: count('fallback'),
    wrong: count('wrong'),
    wrongAnswers: run.explain(asked),
    failed: count('failed'),
    /** Goal: at least 99.99. */
    successPercent: rounded((100 * good) / asked.length, 4),
    p99BeforeMs: rounded(p99(before), 1),
    p99DuringMs: rounded(p99(during), 1),
    /** Goal: at most 3. */
    p99Ratio: rounded(p99(during) / p99(before), 2),
    longestMs: rounded(Math.max(...asked.map(({ ms }) => ms)), 0),
    kills: events.map(({ what, from, to, backMs }) => {
      const some = asked.filter(({ at }) => at >= from && at <= to)
      const fallback = run.count(some, 'fallback')
      return {
        what,
        questions: some.length,
        fallback,
        p99Ms: rounded(p99(some), 1),
        secondsUntilWhole: rounded((to - backMs - from) / 1000, 1),
        breakerClosedMs: backMs
      }
    })
  }
}

async function masterOf(nodes: readonly ElasticsearchNode[]): Promise<string> {
  const answer = await fetch(`${nodes[0]?.url}/_cat/master?format=json`)
  const [master] = (await answer.json()) as { node: string }[]
  return master?.node ?? ''
}

async function swapPhase(
  run: Run,
  databaseUrl: string,
  nodes: readonly ElasticsearchNode[],
  rounds: number,
  rate: number
): Promise<Record<string, unknown>> {
  const { db, elasticsearch } = run.parts
  const { indexer } = elasticsearch as ElasticsearchEngine
  await indexer.caughtUp(60_000)
  await run.learn()
  const calm = await run.steadily(rate, (asked) => asked >= rate * 5)
  let over = false
  const asking = run.steadily(rate, () => over)
  let killed = 0
  for (let round = 0; round < rounds; round++) {
    say(`rebuild ${round + 1} of ${rounds}`)
    const standing = indexer.state?.standing?.name
    const other = round === Math.floor(rounds / 2) ? await otherLeads(indexer, databaseUrl, nodes) : null
    await db
      .updateTable('counters')
      .set((e) => ({ value: e('value', '+', 1) }))
      .where('name', '=', 'rebuild')
      .execute()
    await db
      .insertInto('counters')
      .values({ name: 'rebuild', value: 1 })
      .onConflict((c) => c.doNothing())
      .execute()
    if (other !== null) {
      await building(db)
      if (other.exitCode !== null) throw new Error('the other process ended by itself')
      other.kill('SIGKILL')
      killed++
      indexer.start()
    }
    await indexer.caughtUp(300_000)
    if (indexer.state?.standing?.name === standing) throw new Error('the index was not swapped')
  }
  over = true
  const asked = await asking
  await run.learn()
  const p99 = (some: readonly AskedOne[]) =>
    percentile(
      some.map(({ ms }) => ms),
      0.99
    )
  return {
    swaps: rounds,
    swapsKilledHalfWay: killed,
    swapQuestions: asked.length,
    swapFailed: run.count(asked, 'failed'),
    swapWrong: run.count(asked, 'wrong'),
    swapWrongAnswers: run.explain(asked),
    swapFallback: run.count(asked, 'fallback'),
    swapP99BeforeMs: rounded(p99(calm), 1),
    swapP99DuringMs: rounded(p99(asked), 1),
    /** Goal: at most 2. */
    swapP99Ratio: rounded(p99(asked) / p99(calm), 2)
  }
}

/** Hands the indexing to a process that can be killed. */
async function otherLeads(
  indexer: ElasticsearchEngine['indexer'],
  databaseUrl: string,
  nodes: readonly ElasticsearchNode[]
): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    ['--import=tsx', PROCESS, databaseUrl, nodes[0]?.url as string, 'drill', '0', '3'],
    {
      stdio: ['pipe', 'pipe', 'inherit']
    }
  )
  await indexer.close()
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (line) => String(line).includes('leads') && resolve())
  })
  return child
}

async function building(db: Parts['db']): Promise<void> {
  for (const until = Date.now() + 60_000; Date.now() < until; await wait(20)) {
    const row = await db
      .selectFrom('search_indexes')
      .select('entries')
      .where('state', '=', 'building')
      .executeTakeFirst()
    if (row !== undefined) return
  }
  throw new Error('the other process does not build')
}
