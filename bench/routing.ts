import { existsSync, rmSync } from 'node:fs'
import { openRouter, type UnitText } from '../src/matching/routing.ts'
import { openSegmenter, type Segmenter } from '../src/text/segment.ts'
import { routerTexts } from '../src/consultations/guidance.ts'
import { bankFolder, openFolder } from './bank.ts'
import { jsonLines, random } from './entries.ts'
import { percentile, rounded } from './figures.ts'
import { corpusQuestions } from './judged.ts'
import type { BenchOptions } from './run.ts'

export const describe =
  'How often is a question sent to the right unit, first or in three? --file FILE [--folds 5], or --train FILE --test FILE'

const FILE = '../shared/data/sets/routing/dev.jsonl'

interface Labelled {
  unit: string
  question: string
}

export async function run(options: BenchOptions): Promise<Record<string, unknown>> {
  const { tokens } = openSegmenter({ words: [], synonyms: [] })
  const labelled = (file: string) =>
    jsonLines<Labelled>(file).map(({ unit, question }) => ({ unit, ...tokens(question) }))
  const result: Record<string, unknown> = {}
  if (typeof options.train === 'string' && typeof options.test === 'string') {
    result.given = await measure(labelled(options.train), labelled(options.test))
  } else {
    const file = typeof options.file === 'string' ? options.file : FILE
    if (existsSync(file)) result.crossValidated = await crossValidate(labelled(file), Number(options.folds ?? 5))
  }
  result.corpus = await measureCorpus()
  return result
}

async function crossValidate(items: readonly UnitText[], folds: number) {
  const next = random(20261123)
  const foldOf = items.map(() => Math.floor(next() * folds))
  const all: Outcome[] = []
  for (let fold = 0; fold < folds; fold++) {
    const known = items.filter((_, at) => foldOf[at] !== fold)
    all.push(
      ...(await outcomes(
        [...known, ...names(items)],
        items.filter((_, at) => foldOf[at] === fold)
      ))
    )
  }
  return figures(all)
}

/** A unit's own name is a text of it too. */
function names(items: readonly UnitText[]): UnitText[] {
  const { tokens } = openSegmenter({ words: [], synonyms: [] })
  return [...new Set(items.map(({ unit }) => unit))].map((unit) => ({ unit, ...tokens(unit) }))
}

async function measure(known: readonly UnitText[], asked: readonly UnitText[]) {
  return figures(await outcomes([...known, ...names(known)], asked))
}

interface Outcome {
  place: number
  probability: number
  ms: number
}

async function outcomes(
  known: readonly UnitText[],
  asked: readonly (Omit<UnitText, 'unit'> & { unit: string | readonly string[] })[]
): Promise<Outcome[]> {
  const router = await openRouter(known)
  return asked.map((item) => {
    const started = performance.now()
    const likely = router.likely(item, 3)
    const ms = performance.now() - started
    const place = likely.findIndex(({ unit }) => [item.unit].flat().includes(unit))
    return { place, probability: likely[0]?.probability ?? 0, ms }
  })
}

function figures(all: readonly Outcome[]) {
  const share = (count: number) => rounded((100 * count) / all.length, 1)
  const times = all.map(({ ms }) => ms)
  return {
    questions: all.length,
    first: share(all.filter(({ place }) => place === 0).length),
    inThree: share(all.filter(({ place }) => place >= 0).length),
    /** What the first was said to be right, against `first`. */
    said: share(all.reduce((sum, { probability }) => sum + probability, 0)),
    msP50: rounded(percentile(times, 0.5), 3),
    msP95: rounded(percentile(times, 0.95), 3)
  }
}

/** The judged everyday questions, by the units of the entries that answer them; what is known is the district's own content. */
async function measureCorpus() {
  const folder = await bankFolder({ corpus: true, records: [] })
  const parts = await openFolder(folder)
  const units = new Map((await parts.library.questions()).map(({ id, unit }) => [id, unit]))
  const known = await routerTexts(parts)
  const { tokens }: Segmenter = parts.segmenter
  const asked = corpusQuestions().flatMap(({ text, relevant }) => {
    const own = relevant.flatMap((id) => units.get(id) ?? [])
    return own.length === 0 ? [] : [{ unit: own, ...tokens(text) }]
  })
  const result = figures(await outcomes(known, asked))
  await parts.close()
  rmSync(folder, { recursive: true })
  return result
}
