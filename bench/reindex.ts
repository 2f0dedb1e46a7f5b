import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { openDatabase } from '../src/database/open.ts'
import { openEmbeddedEngine } from '../src/search/embedded/engine.ts'
import { TOKEN_UNITS, tokensOf } from '../src/search/tokens.ts'
import { benchDatabase, benchEntries, benchQuestions, WORK } from './entries.ts'
import { percentile, rounded } from './figures.ts'
import type { BenchOptions } from './run.ts'

export const describe =
  'Query time and event-loop delay of the embedded engine while its index is rebuilt in the background'

const EVERY_MS = 5

/** Options: `--entries 50000`, `--seconds 10` of queries before the rebuild, `--limit 50`. One query every 5 ms. */
export async function run(options: BenchOptions): Promise<Record<string, unknown>> {
  const entries = benchEntries(Number(options.entries ?? 50_000))
  const questions = benchQuestions(600).map((question) => {
    const [words = [], bigrams = [], characters = []] = TOKEN_UNITS.map((unit) => tokensOf(question, unit))
    return { words, bigrams, characters }
  })
  const limit = Number(options.limit ?? 50)
  const file = join(WORK, 'reindex.sqlite')
  rmSync(file, { force: true })
  const address = await benchDatabase(file, entries)
  const count = entries.length
  entries.length = 0
  const db = await openDatabase(address)
  const engine = openEmbeddedEngine({ db, address })
  await engine.firstIndex

  /** Asks on until told to stop, each question every few milliseconds; the longest delay of the event loop beside. */
  const ask = async (until: Promise<unknown>) => {
    const times: number[] = []
    const delay = monitorEventLoopDelay({ resolution: 1 })
    let going = true
    until.finally(() => {
      going = false
    })
    delay.enable()
    for (let at = 0; going; at++) {
      const before = performance.now()
      await engine.search({ tokens: questions[at % questions.length] as (typeof questions)[number], limit })
      times.push(performance.now() - before)
      await setTimeout(EVERY_MS)
    }
    delay.disable()
    return { times, longestDelayMs: rounded(delay.max / 1e6, 1) }
  }
  await ask(setTimeout(3000))
  const before = await ask(setTimeout(Number(options.seconds ?? 10) * 1000))
  const started = performance.now()
  const during = await ask(engine.rebuild())
  const rebuildMs = Math.round(performance.now() - started)
  await engine.close()
  await db.destroy()
  rmSync(file)
  const figures = ({ times, longestDelayMs }: typeof before) => ({
    queries: times.length,
    p50Ms: rounded(percentile(times, 0.5)),
    p99Ms: rounded(percentile(times, 0.99)),
    longestDelayMs
  })
  return {
    entries: count,
    rebuildMs,
    before: figures(before),
    during: figures(during),
    p99Ratio: rounded(percentile(during.times, 0.99) / percentile(before.times, 0.99)),
    longestDelayMs: during.longestDelayMs
  }
}
