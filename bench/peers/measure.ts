import { createReadStream, readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** What bench/engines.ts asks every peer, in this order on the command line. */
export interface Order {
  /** One entry a line, its columns' tokens parted by blanks, columns by tabs. */
  entries: string
  count: number
  /** One question a line, token units parted by tabs. */
  questions: string[][][]
  /** Token unit and boost of each column of the entries file. */
  columns: { unit: number; boost: number }[]
  limit: number
  rounds: number
  hits: string
}

type Ask = (question: string[][]) => Found[] | Promise<Found[]>
interface Found {
  entry: number
  score: number
}

/** Seconds after which a slow peer asks no further questions, in each of its two passes. */
const PATIENCE_S = 30

export function order(): Order {
  const [entries, count, questions, columns, limit, rounds, hits] = process.argv.slice(2) as [
    string,
    string,
    string,
    string,
    string,
    string,
    string
  ]
  return {
    entries,
    count: Number(count),
    questions: readFileSync(questions, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t').map((tokens) => tokens.split(' ').filter((token) => token !== ''))),
    columns: columns.split(',').map((column) => {
      const [unit, boost] = column.split(':').map(Number) as [number, number]
      return { unit, boost }
    }),
    limit: Number(limit),
    rounds: Number(rounds),
    hits
  }
}

/** The columns of each entry. */
export async function* rows({ entries, count }: Order): AsyncIterable<string[]> {
  let read = 0
  for await (const line of createInterface({ input: createReadStream(entries) })) {
    if (read++ === count) return
    yield line.split('\t')
  }
}

/** Opens a peer, warms it up, measures it, and prints what bench/engines.ts reads. */
export async function measure(open: (order: Order) => Promise<Ask>): Promise<void> {
  const given = order()
  const started = performance.now()
  const ask = await open(given)
  const buildMs = Math.round(performance.now() - started)
  const lines: string[] = []
  const first = performance.now()
  for (const question of given.questions) {
    if (performance.now() > first + PATIENCE_S * 1e3) break
    const found = await ask(question)
    lines.push(found.map(({ entry, score }) => `${entry}:${score}`).join(' '))
  }
  writeFileSync(given.hits, `${lines.join('\n')}\n`)
  const questions = given.questions.slice(0, lines.length)
  // Lucene has as many rounds more for its compiler; a peer that is slow needs none.
  const warm = performance.now() < first + 5000 ? Math.max(3, given.rounds) : 0
  for (let round = 0; round < warm; round++) for (const question of questions) await ask(question)
  const times: number[] = []
  const end = performance.now() + PATIENCE_S * 1e3
  for (let round = 0; round < given.rounds && (round === 0 || performance.now() < end); round++) {
    for (const question of questions) {
      const before = performance.now()
      await ask(question)
      times.push(Number((performance.now() - before).toFixed(4)))
    }
  }
  console.log(JSON.stringify({ buildMs, peakMb: Math.round(process.resourceUsage().maxRSS / 1024), times }))
}
