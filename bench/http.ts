import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import autocannon from 'autocannon'
import { match } from '../src/matching/match.ts'
import { openFolder, serviceFolder } from './bank.ts'
import { percentile, rounded } from './figures.ts'
import { startProcess } from './service.ts'

export const describe =
  'How many requests a second, as a share of bare Fastify sending the same JSON? --seconds 8 --connections 20'

/** Rounds of each server in turn; the median counts, so that a drifting machine harms no side. */
const ROUNDS = 3

export async function run(options: Record<string, unknown>): Promise<Record<string, unknown>> {
  const seconds = Number(options.seconds ?? 8)
  const connections = Number(options.connections ?? 20)
  const data = await serviceFolder()
  const ask = (question: string) => `/api/v1/answers?q=${encodeURIComponent(question)}`
  const [first = ''] = data.questions
  const ours = await startProcess(
    ['scripts/start.mjs'],
    { DATA_DIR: data.folder, RATE_LIMIT: '0', LOG_LEVEL: 'info' },
    ask(first)
  )
  const body = join(data.folder, 'answer.json')
  const sample = await Promise.all(
    data.questions.slice(0, 50).map(async (q) => (await fetch(ours.origin + ask(q))).text())
  )
  // The peer sends an answer of the middle size, so that both put as much on the wire.
  sample.sort((a, b) => a.length - b.length)
  writeFileSync(body, sample[25] as string)
  const bare = await startProcess(['bench/bare.mjs', body], {}, ask(first))
  const rate = async (origin: string, paths: readonly string[]) => {
    const result = await autocannon({
      url: origin,
      connections,
      duration: seconds,
      requests: paths.map((path) => ({ path, headers: { accept: path.startsWith('/api') ? '*/*' : 'text/html' } }))
    })
    if (result.non2xx > 0 || result.errors > 0)
      throw new Error(`${origin}: ${result.non2xx} refused, ${result.errors} failed`)
    return result.requests.average
  }
  const answers = data.questions.map(ask)
  const pages = data.questions.map((question) => `/z/XZZX01/ask?q=${encodeURIComponent(question)}`)
  const rates = { bare: [] as number[], json: [] as number[], page: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    rates.bare.push(await rate(bare.origin, answers))
    rates.json.push(await rate(ours.origin, answers))
    rates.page.push(await rate(ours.origin, pages))
  }
  await ours.stop()
  await bare.stop()
  const median = (numbers: number[]) => percentile(numbers, 0.5)
  const { matchingMs, entries } = await timeMatching(data.folder, data.questions)
  data.remove()
  return {
    entries,
    questions: data.questions.length,
    bytes: (sample[25] as string).length,
    bareJson: rounded(median(rates.bare), 0),
    answerJson: rounded(median(rates.json), 0),
    answerPage: rounded(median(rates.page), 0),
    jsonToBare: rounded(median(rates.json) / median(rates.bare)),
    pageToJson: rounded(median(rates.page) / median(rates.json)),
    matchingMsP50: rounded(percentile(matchingMs, 0.5)),
    matchingMsP99: rounded(percentile(matchingMs, 0.99))
  }
}

/** Finding and ranking alone, in this process: the part of an answer's time that the matching figures bound. */
async function timeMatching(
  folder: string,
  questions: readonly string[]
): Promise<{ matchingMs: number[]; entries: number }> {
  const parts = await openFolder(folder)
  const matchingMs: number[] = []
  for (let round = 0; round < 4; round++) {
    for (const question of questions) {
      const started = performance.now()
      await match(parts, question)
      if (round > 0) matchingMs.push(performance.now() - started)
    }
  }
  const { entries } = parts.engine.status()
  await parts.close()
  return { matchingMs, entries }
}
