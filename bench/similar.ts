import { existsSync, readFileSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import {
  CONFLICTS,
  conflictOf,
  normalOf,
  PAIR_FEATURES,
  pairFeatures,
  PROPOSED_FROM,
  readWording,
  type SimilarNeeds,
  similarTickets
} from '../src/consultations/similar.ts'
import type { Parts } from '../src/parts.ts'
import { bigramsOf, charactersOf } from '../src/text/tokens.ts'
import { random } from './entries.ts'
import { percentile, rounded } from './figures.ts'
import { judgedQuestions, ownQuestions } from './judged.ts'
import { minimise } from './lbfgs.ts'
import { auroc, type Judged } from './measures.ts'
import { withBank, withCorpus } from './quality.ts'
import type { BenchOptions } from './run.ts'
import { CORPUS, readSample } from './samples.ts'

export const describe =
  'Which open tickets ask the same? Five folds over everyday pairs and near neighbours; --data FOLDER, --weights prints the model, --mistakes'

const SETS = '../shared/data/sets'
const NAMES = ['desk', 'covid-faq', 'lcqmc'] as const
const FOLDS = 5
const RIDGE = 3e-3
const STEPS = 200
/** Questions asked of each set: more change no figure by a point. */
const MOST_ASKED = 600
/** A queue: tickets on mixed matters, and the nearest of other matters in the whole bank. */
const MIXED = 48
/** Of the mixed ones so many are drawn, and count for all. */
const DRAWN = 16
const NEAR = 5
/** How many of the nearest in the whole bank are open: 50 tickets drawn from the corpus' 553 entries hold half of one. */
const NEAR_OPEN = 1
/** Share of questions for which a ticket that asks the same is open. */
const DOUBLES = 0.5
const PRECISION = 0.9
/** Of pairs with hardly a word in common every so many-th is fitted to, and counts for all. */
const EASY = 5
const EASY_BELOW = 0.15
/** Policy questions are what the product is for; the others keep the weights from learning this bank's words. */
const SET_WEIGHT: Record<string, number> = { corpus: 1, desk: 3, 'covid-faq': 0.5, lcqmc: 0.5 }
const POLICY: ReadonlySet<string> = new Set([CORPUS, 'desk'])

interface Pair {
  set: string
  fold: number
  same: boolean
  /** One of the nearest rather than any. */
  isNear: boolean
  /** Hardly a word in common. */
  isEasy: boolean
  features: Float64Array
  apart: string | null
  similarity: number
  /** How often it comes up in queues: a double for every second question. */
  weight: number
  texts: [string, string]
}

interface Family {
  id: string
  texts: readonly string[]
}

/** A question, the wordings that ask the same, and families known to be easily taken for it. */
interface Asked {
  family: string
  text: string
  same: readonly string[]
  near: readonly string[]
}

export async function run(options: BenchOptions): Promise<Record<string, unknown>> {
  const folder = typeof options.data === 'string' ? options.data : SETS
  const pairs: Pair[] = []
  await withCorpus(null, async (parts) => collect(parts, CORPUS, corpusSample(), pairs, (id) => id))
  for (const name of NAMES) {
    const [bankFile, queriesFile] = [`${folder}/${name}/dev.bank.jsonl`, `${folder}/${name}/dev.queries.jsonl`]
    if (!existsSync(bankFile)) continue
    const { bank, queries } = readSample(bankFile, queriesFile)
    const families = bank.map(({ id, question }) => ({ id, texts: [question] }))
    const textOf = new Map(bank.map(({ id, question }) => [id, question]))
    const asked = queries.map(({ id, text, relevant }) => ({
      family: relevant[0] ?? id,
      text,
      same: relevant.slice(0, 1).map((one) => textOf.get(one) ?? ''),
      near: [] as string[],
      excluded: relevant
    }))
    await withBank(bank, null, async (parts, recordOf) => {
      const back = new Map(bank.map(({ id }) => [recordOf(id), id]))
      await collect(parts, name, { families, asked }, pairs, (id) => back.get(id) ?? '')
    })
  }
  process.stderr.write(`${pairs.length} pairs, ${pairs.filter(({ same }) => same).length} the same\n`)

  const unseen = new Float64Array(pairs.length)
  for (let fold = 0; fold < FOLDS; fold++) {
    const model = fit(pairs.filter((pair) => pair.fold !== fold))
    pairs.forEach((pair, at) => {
      if (pair.fold === fold) unseen[at] = probability(model, pair)
    })
  }
  const sets = [...new Set(pairs.map(({ set }) => set))]
  const places = (holds: (pair: Pair) => boolean) => [...pairs.keys()].filter((at) => holds(pairs[at] as Pair))
  const policy = places(({ set }) => POLICY.has(set))
  const least = thresholdFor(pairs, unseen, policy)
  const threshold = typeof options.threshold === 'string' ? Number(options.threshold) : PROPOSED_FROM
  const final = fit(pairs)
  const result: Record<string, unknown> = {
    bySet: [
      ...sets.map((set) => ({
        set,
        ...figures(
          pairs,
          unseen,
          places((pair) => pair.set === set),
          threshold
        )
      })),
      { set: 'policy', ...figures(pairs, unseen, policy, threshold) },
      { set: 'all', ...figures(pairs, unseen, [...pairs.keys()], threshold) }
    ],
    curve: [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95].map((at) => {
      const { precision, recall } = figures(pairs, unseen, policy, at)
      return { threshold: at, precision, recall }
    }),
    threshold,
    /** Where policy questions reach the precision on unseen folds. */
    leastThreshold: rounded(least, 3),
    reliability: calibration(pairs, unseen, policy),
    keptApart: sets.map((set) => ({ set, ...apartFigures(pairs.filter((pair) => pair.set === set)) })),
    speed: await speed()
  }
  if (options.mistakes === true) {
    const shown = (holds: (pair: Pair, p: number) => boolean, sign: number) =>
      policy
        .filter((at) => holds(pairs[at] as Pair, unseen[at] as number))
        .sort((a, b) => sign * ((unseen[b] as number) - (unseen[a] as number)))
        .slice(0, 60)
        .map(
          (at) =>
            `${rounded(unseen[at] as number)} ${pairs[at]?.apart ?? ''} ${pairs[at]?.set}: ${pairs[at]?.texts.join(' | ')}`
        )
    result.wrong = shown(({ same }, p) => !same && p >= threshold, 1)
    result.missed = shown(({ same }, p) => same && p < threshold, 1)
    result.vetoed = shown(({ same, apart }) => same && apart !== null, 1)
  }
  if (options.weights === true) {
    result.bias = rounded(final.bias, 4)
    result.weights = Object.fromEntries(
      PAIR_FEATURES.map((name, at) => [name, rounded(final.weights[at] as number, 3)])
    )
  }
  return result
}

/** In another order, always the same. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const next = random(seed)
  return items
    .map((item) => ({ item, at: next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

// ---- Pairs

interface Excluding extends Asked {
  excluded: readonly string[]
}

/** Wordings of one entry ask the same; entries of corpus/neighbours.csv do not, and nothing of ours asks what judged questions without answer do. */
function corpusSample(): { families: Family[]; asked: Excluding[] } {
  const entries = ownQuestions()
  const rows: Record<string, string>[] = parse(readFileSync('corpus/neighbours.csv'), { bom: true, columns: true })
  const near = new Map<string, string[]>()
  for (const { 甲: one = '', 乙: other = '' } of rows) {
    near.set(one, [...(near.get(one) ?? []), other])
    near.set(other, [...(near.get(other) ?? []), one])
  }
  // Where one question is answered by two entries, nobody said that they ask different things.
  const related = new Map<string, Set<string>>()
  for (const { relevant } of judgedQuestions()) {
    for (const id of relevant) related.set(id, new Set([...(related.get(id) ?? []), ...relevant]))
  }
  const notStrange = (id: string) =>
    [id, ...(related.get(id) ?? [])].filter((other) => !(near.get(id) ?? []).includes(other))
  const asked = entries.flatMap(({ id, texts }) => {
    const [first, second, third, fourth] = shuffled(texts, 17)
    const pair = (text: string | undefined, other: string | undefined) =>
      text === undefined || other === undefined
        ? []
        : [{ family: id, text, same: [other], near: near.get(id) ?? [], excluded: notStrange(id) }]
    return [...pair(first, second), ...pair(second, third), ...pair(third, first), ...pair(fourth, first)]
  })
  const texts = new Map(entries.map((entry) => [entry.id, shuffled(entry.texts, 23)]))
  const judged = judgedQuestions().map(({ id, text, relevant }) => ({
    family: relevant[0] ?? id,
    text,
    same: relevant.slice(0, 1).flatMap((entry) => texts.get(entry)?.slice(0, 1) ?? []),
    near: relevant
      .slice(0, 1)
      .flatMap((entry) => near.get(entry) ?? [])
      .filter((entry) => !relevant.includes(entry)),
    excluded: [...relevant, ...relevant.slice(0, 1).flatMap(notStrange)]
  }))
  return { families: entries, asked: [...asked, ...judged] }
}

async function collect(
  parts: Parts,
  set: string,
  { families, asked }: { families: readonly Family[]; asked: readonly Excluding[] },
  into: Pair[],
  idOf: (record: string) => string
): Promise<void> {
  const next = random(20261124)
  const folds = new Map<string, number>()
  const byId = new Map(families.map((family) => [family.id, family]))
  const chosen = set === CORPUS || asked.length <= MOST_ASKED ? asked : shuffled(asked, 3).slice(0, MOST_ASKED)
  for (const { family, text, same, near, excluded } of chosen) {
    const fold = folds.get(family) ?? Math.floor(next() * FOLDS)
    folds.set(family, fold)
    const own = readWording(parts, text)
    const add = (other: string, isSame: boolean, isNear: boolean) => {
      if (other === '' || normalOf(other) === normalOf(text)) return
      const wording = readWording(parts, other)
      const features = pairFeatures(own, wording)
      const similarity = ((features[0] ?? 0) + (features[2] ?? 0) + (features[3] ?? 0)) / 3
      into.push({
        set,
        fold,
        same: isSame,
        isNear,
        features,
        apart: conflictOf(own, wording),
        similarity,
        isEasy: !isSame && !isNear && similarity < EASY_BELOW,
        weight: isSame ? DOUBLES : isNear ? NEAR_OPEN / NEAR : MIXED / DRAWN,
        texts: [text, other]
      })
    }
    for (const other of same) add(other, true, false)
    const tokens = parts.segmenter.tokens(text)
    const { hits } = await parts.engine.search({
      tokens: { words: tokens.words, bigrams: bigramsOf(tokens.text), characters: charactersOf(tokens.text) },
      limit: 20
    })
    const others = new Set([...near, ...hits.map(({ id }) => idOf(id))].filter((id) => !excluded.includes(id)))
    const nearest = [...others].map((id) => byId.get(id)?.texts ?? []).slice(0, NEAR)
    for (const texts of nearest) add(texts[Math.floor(next() * texts.length)] ?? '', false, true)
    for (let count = 0; count < DRAWN; count++) {
      const other = families[Math.floor(next() * families.length)] as Family
      if (excluded.includes(other.id)) continue
      add(other.texts[Math.floor(next() * other.texts.length)] as string, false, false)
    }
  }
}

// ---- The model

interface Model {
  weights: Float64Array
  bias: number
}

function probability({ weights, bias }: Model, { features, apart }: Pair): number {
  if (apart !== null) return 0
  let logit = bias
  for (let at = 0; at < weights.length; at++) logit += (weights[at] as number) * (features[at] as number)
  return 1 / (1 + Math.exp(-logit))
}

/** Banks of open questions hold the same one twice without saying so: most of their nearest strangers above this are no strangers. */
const STRANGE = 0.5
const isUnlabelled = ({ set, isNear, similarity }: Pair) => isNear && !POLICY.has(set) && similarity > STRANGE

/** Logistic regression over what nothing keeps apart; in units of deviation while it is fitted. */
function fit(all: readonly Pair[]): Model {
  const pairs = all.filter(
    (pair, at) => pair.apart === null && !isUnlabelled(pair) && (!pair.isEasy || at % EASY === 0)
  )
  const width = PAIR_FEATURES.length
  const means = new Float64Array(width)
  const deviations = new Float64Array(width)
  const near = pairs.filter(({ same, isNear }) => same || isNear)
  for (const { features } of near) {
    features.forEach((value, f) => {
      means[f] = (means[f] as number) + value / near.length
    })
  }
  for (const { features } of near) {
    features.forEach((value, f) => {
      deviations[f] = (deviations[f] as number) + (value - (means[f] as number)) ** 2 / near.length
    })
  }
  for (let f = 0; f < width; f++) deviations[f] = Math.sqrt(deviations[f] as number) + 1e-3
  const rows = pairs.map(({ features }) =>
    features.map((value, f) => (value - (means[f] as number)) / (deviations[f] as number))
  )
  const weights = pairs.map(({ set, weight, isEasy }) => weight * (isEasy ? EASY : 1) * (SET_WEIGHT[set] ?? 1))
  const positives = pairs.reduce((sum, { same }, at) => sum + (same ? (weights[at] as number) : 0), 0)
  const x = minimise(
    (x, gradient) => {
      gradient.fill(0)
      let loss = 0
      for (let at = 0; at < rows.length; at++) {
        const row = rows[at] as Float64Array
        let logit = x[width] as number
        for (let f = 0; f < width; f++) logit += (x[f] as number) * (row[f] as number)
        const right = pairs[at]?.same === true ? 1 : 0
        const weight = weights[at] as number
        loss += weight * (Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit))) - right * logit)
        const error = weight * (1 / (1 + Math.exp(-logit)) - right)
        if (Math.abs(error) < 1e-6) continue
        for (let f = 0; f < width; f++) gradient[f] = (gradient[f] as number) + error * (row[f] as number)
        gradient[width] = (gradient[width] as number) + error
      }
      for (let f = 0; f < width; f++) {
        loss += RIDGE * positives * (x[f] as number) ** 2
        gradient[f] = (gradient[f] as number) + 2 * RIDGE * positives * (x[f] as number)
      }
      return loss
    },
    new Float64Array(width + 1),
    STEPS
  )
  let bias = x[width] as number
  const own = Float64Array.from({ length: width }, (_, f) => (x[f] as number) / (deviations[f] as number))
  own.forEach((value, f) => {
    bias -= value * (means[f] as number)
  })
  return { weights: own, bias }
}

// ---- Figures

const percent = (share: number) => Math.round(share * 1000) / 10

function judgedOf({ same }: Pair, confidence: number): Judged {
  return { confidence, answerable: same, rightAt: same ? [0] : [], relevant: same ? 1 : 0 }
}

/** Percentages 0–100; precision as queues of 50 have it, a double for every second question. */
function figures(pairs: readonly Pair[], said: Float64Array, places: readonly number[], threshold: number) {
  let right = 0
  let wrong = 0
  let wrongNear = 0
  let proposedWrong = 0
  let same = 0
  let found = 0
  for (const at of places) {
    const pair = pairs[at] as Pair
    const isProposed = (said[at] as number) >= threshold
    if (pair.same) same++
    if (!isProposed) continue
    if (pair.same) {
      right += pair.weight
      found++
    } else {
      proposedWrong++
      wrong += pair.weight
      if (pair.isNear) wrongNear += pair.weight
    }
  }
  const judged = (holds: (pair: Pair) => boolean) =>
    places.flatMap((at) => (holds(pairs[at] as Pair) ? [judgedOf(pairs[at] as Pair, said[at] as number)] : []))
  return {
    same,
    near: places.filter((at) => pairs[at]?.isNear).length,
    mixed: places.filter((at) => !pairs[at]?.isNear && !pairs[at]?.same).length,
    aurocNear: percent(auroc(judged((pair) => pair.same || pair.isNear))),
    aurocQueue: percent(auroc(judged(() => true))),
    precision: percent(right / Math.max(right + wrong, 1e-9)),
    /** The same where doubles are half as many and near neighbours twice. */
    precisionHarder: percent(right / 2 / Math.max(right / 2 + wrong + wrongNear, 1e-9)),
    right: found,
    wrong: proposedWrong,
    recall: percent(found / Math.max(same, 1)),
    bySimilarity: percent(
      auroc(
        places.flatMap((at) => {
          const pair = pairs[at] as Pair
          return pair.same || pair.isNear ? [judgedOf(pair, pair.similarity)] : []
        })
      )
    )
  }
}

/** Said against right in fifths, as queues have it; percentages 0–100. */
function calibration(pairs: readonly Pair[], said: Float64Array, places: readonly number[]) {
  return [0, 0.2, 0.4, 0.6, 0.8].map((from) => {
    const inside = places.filter(
      (at) => (said[at] as number) >= from && (from === 0.8 || (said[at] as number) < from + 0.2)
    )
    const sum = (value: (at: number) => number) =>
      inside.reduce((total, at) => total + value(at) * (pairs[at]?.weight ?? 0), 0)
    const all = Math.max(
      sum(() => 1),
      1e-9
    )
    return {
      from: percent(from),
      pairs: inside.length,
      said: percent(sum((at) => said[at] as number) / all),
      right: percent(sum((at) => (pairs[at]?.same ? 1 : 0)) / all)
    }
  })
}

function thresholdFor(pairs: readonly Pair[], said: Float64Array, places: readonly number[]): number {
  const sorted = [...places].sort((a, b) => (said[b] as number) - (said[a] as number))
  let right = 0
  let all = 0
  let threshold = Number.POSITIVE_INFINITY
  for (const at of sorted) {
    const { same, weight } = pairs[at] as Pair
    all += weight
    if (same) right += weight
    if (right / all >= PRECISION) threshold = said[at] as number
  }
  return threshold
}

/** Share of pairs that something keeps apart, by what; percentages 0–100 of the same and of the near. */
function apartFigures(pairs: readonly Pair[]) {
  const share = (some: readonly Pair[], by?: string) =>
    percent(
      some.filter(({ apart }) => (by === undefined ? apart !== null : apart === by)).length / Math.max(some.length, 1)
    )
  const same = pairs.filter((pair) => pair.same)
  const near = pairs.filter(({ isNear }) => isNear)
  return Object.fromEntries([
    ['same', share(same)],
    ['near', share(near)],
    ...CONFLICTS.map((by) => [by, `${share(same, by)} / ${share(near, by)}`])
  ])
}

/** 300 open tickets, as short as questions at a desk and as long as letters; `firstMs`: none of them read before. */
async function speed() {
  return withCorpus(null, async (parts: SimilarNeeds) => {
    const texts = shuffled(
      ownQuestions().flatMap((entry) => entry.texts),
      5
    )
    const letters = texts.map((_, at) =>
      Array.from({ length: 40 }, (_, more) => texts[(at * 7 + more) % texts.length]).join('，')
    )
    similarTickets(parts, texts[0] ?? '', [{ number: 'T', question: texts[1] ?? '' }], 3)
    return [texts, letters].map((wordings) => {
      const open = wordings.slice(0, 300).map((question, at) => ({ number: `T${at}`, question }))
      const timed = (question: string) => {
        const started = performance.now()
        similarTickets(parts, question, open, 3)
        return performance.now() - started
      }
      const first = timed(wordings[300] ?? '')
      const times = wordings.slice(301, 501).map(timed)
      return {
        tickets: open.length,
        characters: percentile(
          open.map(({ question }) => question.length),
          0.5
        ),
        firstMs: rounded(first, 1),
        msP50: rounded(percentile(times, 0.5), 2),
        msP95: rounded(percentile(times, 0.95), 2)
      }
    })
  })
}
