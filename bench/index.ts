import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { loadFiles } from '../indexer/load.ts'
import { migrate, openDatabase } from '../src/database/open.ts'
import { openSegmenter } from '../src/text/segment.ts'
import { rounded } from './figures.ts'
import type { BenchOptions } from './run.ts'

export const describe = 'Loading 910 statutes against segmenting their text alone, and a second, unchanged run'

const STATUTES = resolve(import.meta.dirname, '../../shared/data/documents/laws_and_chongqing_rules.jsonl')

/**
 * `--file FILE.jsonl`: other documents in the same form; `--rounds N`.
 * Each round segments, loads into a new database and loads again; of each the best round counts, because whatever else
 * the machine does only ever adds time.
 */
export async function run(options: BenchOptions): Promise<Record<string, unknown>> {
  const file = typeof options.file === 'string' ? options.file : STATUTES
  const rounds = Number(options.rounds ?? 4)
  const texts = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { text: string; articles?: number })
  // Loads the dictionary (about a second), which neither side is charged for: a service does it once at its start.
  const segmenter = openSegmenter({ words: [], synonyms: [] })
  segmenter.tokens('预热')

  const best = { segment: Number.POSITIVE_INFINITY, first: Number.POSITIVE_INFINITY, second: Number.POSITIVE_INFINITY }
  const timed = async <T>(what: keyof typeof best, work: () => T): Promise<Awaited<T>> => {
    const started = performance.now()
    const result = await work()
    best[what] = Math.min(best[what], performance.now() - started)
    return result
  }
  let [stored, unchanged] = [0, 0]
  for (let round = 1; round <= rounds; round++) {
    console.error(`round ${round} of ${rounds}`)
    await timed('segment', () => {
      for (const { text } of texts) segmenter.tokens(text)
    })
    const folder = mkdtempSync(join(tmpdir(), 'bench-index-'))
    const db = await openDatabase({ kind: 'sqlite', file: join(folder, 'index.sqlite') })
    try {
      await migrate(db)
      const load = () => loadFiles(db, [file], { by: 'bench', at: new Date().toISOString() })
      stored = (await timed('first', load)).records.new
      unchanged = (await timed('second', load)).records.unchanged
    } finally {
      await db.destroy()
      rmSync(folder, { recursive: true })
    }
  }
  return {
    documents: stored,
    articles: texts.reduce((sum, { articles = 0 }) => sum + articles, 0),
    characters: texts.reduce((sum, { text }) => sum + text.length, 0),
    segmentMs: Math.round(best.segment),
    loadMs: Math.round(best.first),
    secondRunMs: Math.round(best.second),
    unchanged,
    /** Goal: at least 0.6. */
    loadSpeedToSegmenting: rounded(best.segment / best.first),
    /** Goal: at least 10. */
    secondRunTimesFaster: rounded(best.first / best.second, 1)
  }
}
