import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import { ask } from '../src/consultations/ask.ts'
import { FEATURE_NAMES, type Features } from '../src/matching/features.ts'
import { match } from '../src/matching/match.ts'
import model from '../src/matching/model.json' with { type: 'json' }
import type { Parts } from '../src/parts.ts'
import { bankFolder, bankRecords, openFolder } from './bank.ts'
import { jsonLines, random } from './entries.ts'
import { rounded } from './figures.ts'
import type { BenchOptions } from './run.ts'

export const describe =
  'How often are the judged questions of corpus/ answered rightly, and how often wrongly? --fit makes the model anew'

interface Question {
  text: string
  relevant: string[]
  kind: string
}

/** The judged everyday questions of the sample bank. */
function corpusQuestions(): Question[] {
  const rows = parse(readFileSync('corpus/judged.csv'), { bom: true, columns: true }) as Record<string, string>[]
  return rows.map((row) => ({
    text: row.问题 ?? '',
    relevant: (row.答案 ?? '').split(/\s+/).filter((id) => id !== ''),
    kind: row.类型 ?? ''
  }))
}

/** One ranked question, as the fit sees it. */
interface Example {
  candidates: { features: Features; right: boolean }[]
  answerable: boolean
  set: string
}

export async function run(options: BenchOptions): Promise<Record<string, unknown>> {
  const folder = await bankFolder({ corpus: true, records: [] })
  const parts = await openFolder(folder)
  const questions = corpusQuestions()
  const result =
    options.fit === undefined
      ? await measure(parts, questions)
      : fit([...(await examples(parts, questions, 'corpus')), ...(await deskExamples())])
  await parts.close()
  rmSync(folder, { recursive: true })
  return result
}

async function measure(parts: Parts, questions: readonly Question[]) {
  const count = { right: 0, wrong: 0, chooseHolds: 0, chooseMisses: 0, escalated: 0 }
  const none = { answered: 0, choose: 0, escalated: 0 }
  const wrong: string[] = []
  let first = 0
  for (const { text, relevant } of questions) {
    const answer = await ask(parts, { question: text, zone: null, limit: 5, live: true })
    const ids = answer.hits.map(({ id }) => id)
    if (relevant.length === 0) {
      if (answer.decision === 'answer') none.answered++
      else if (answer.decision === 'choose') none.choose++
      else none.escalated++
      if (answer.decision === 'answer') wrong.push(`${text} → ${ids[0]} (no answer in the bank)`)
      continue
    }
    const { candidates } = await match(parts, text)
    if (candidates[0] !== undefined && relevant.includes(candidates[0].hit.id)) first++
    if (answer.decision === 'answer') {
      if (relevant.includes(ids[0] as string)) count.right++
      else {
        count.wrong++
        wrong.push(`${text} → ${ids[0]} (right: ${relevant.join(' ')})`)
      }
    } else if (answer.decision === 'choose') {
      if (ids.some((id) => relevant.includes(id))) count.chooseHolds++
      else count.chooseMisses++
    } else count.escalated++
  }
  const answerable = questions.filter(({ relevant }) => relevant.length > 0).length
  const unanswerable = questions.length - answerable
  const answered = count.right + count.wrong + none.answered
  let own = 0
  let ownFirst = 0
  for (const { id, texts } of ownQuestions()) {
    for (const text of texts) {
      own++
      const { candidates } = await match(parts, text)
      if (candidates[0]?.hit.id === id) ownFirst++
    }
  }
  return {
    model: model.version,
    questions: questions.length,
    answerable,
    unanswerable,
    hit1: rounded((100 * first) / answerable, 1),
    precision: rounded((100 * count.right) / Math.max(answered, 1), 1),
    answeredRight: rounded((100 * count.right) / answerable, 1),
    choiceHoldsAnswer: rounded((100 * count.chooseHolds) / answerable, 1),
    falseAnswers: rounded((100 * none.answered) / unanswerable, 1),
    ownQuestionsHit1: rounded((100 * ownFirst) / own, 1),
    answerableBy: count,
    unanswerableBy: none,
    wrongAnswers: wrong
  }
}

/** Each entry's own question and variants must find it. */
function ownQuestions(): { id: string; texts: string[] }[] {
  return readdirSync('corpus/qa')
    .flatMap(
      (file) => parse(readFileSync(`corpus/qa/${file}`), { bom: true, columns: true }) as Record<string, string>[]
    )
    .map((row) => ({
      id: row.编号 ?? '',
      texts: [row.问题 ?? '', ...(row.其他问法 ?? '').split('\n')].filter((text) => text.trim() !== '')
    }))
}

async function examples(parts: Parts, questions: readonly Question[], set: string) {
  const made: Example[] = []
  for (const { text, relevant } of questions) {
    const { candidates } = await match(parts, text)
    made.push({
      set,
      answerable: relevant.length > 0,
      candidates: candidates.map(({ hit, features }) => ({ features, right: relevant.includes(hit.id) }))
    })
  }
  return made
}

/** The real policy questions beside the project, where they are. */
async function deskExamples(): Promise<Example[]> {
  const desk = '../shared/data/sets/desk'
  if (!existsSync(desk)) return []
  const folder = await bankFolder({ corpus: false, records: bankRecords(`${desk}/dev.bank.jsonl`) })
  const parts = await openFolder(folder)
  const made = await examples(parts, jsonLines<Question>(`${desk}/dev.queries.jsonl`), 'desk')
  await parts.close()
  rmSync(folder, { recursive: true })
  return made
}

const WEIGHTS = FEATURE_NAMES.length
const values = (features: Features) => FEATURE_NAMES.map((name) => features[name])
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, at) => sum + value * (b[at] as number), 0)

/** Listwise softmax over the candidates of answerable questions; L2 keeps the few examples from being learnt by heart. */
function fitRanking(given: readonly Example[]): number[] {
  const weights = new Array<number>(WEIGHTS).fill(0)
  const usable = given.filter(({ candidates }) => candidates.some(({ right }) => right))
  for (let step = 0; step < 800; step++) {
    const gradient = weights.map((weight) => -0.01 * weight * usable.length)
    for (const { candidates } of usable) {
      const rows = candidates.map(({ features }) => values(features))
      const scores = rows.map((row) => Math.exp(dot(weights, row)))
      const all = scores.reduce((a, b) => a + b, 0)
      const right = candidates.reduce((sum, candidate, at) => sum + (candidate.right ? (scores[at] as number) : 0), 0)
      rows.forEach((row, at) => {
        const pull = (candidates[at]?.right ? (scores[at] as number) / right : 0) - (scores[at] as number) / all
        for (let w = 0; w < WEIGHTS; w++) gradient[w] = (gradient[w] as number) + pull * (row[w] as number)
      })
    }
    for (let w = 0; w < WEIGHTS; w++)
      weights[w] = (weights[w] as number) + (0.5 * (gradient[w] as number)) / usable.length
  }
  return weights
}

/** The best candidate under a ranking: its features, its lead, and whether it is right. */
function tops(given: readonly Example[], ranking: readonly number[]) {
  return given.map(({ candidates, set, answerable }) => {
    const scored = candidates
      .map(({ features, right }) => ({ row: values(features), right, score: dot(ranking, values(features)) }))
      .sort((a, b) => b.score - a.score)
    const [best, next] = scored
    if (best === undefined) return { row: new Array<number>(WEIGHTS + 2).fill(0), right: false, set, answerable }
    return { row: [1, best.score - (next?.score ?? 0), ...best.row], right: best.right, set, answerable }
  })
}

function fitConfidence(rows: readonly { row: number[]; right: boolean }[]): number[] {
  const weights = new Array<number>(WEIGHTS + 2).fill(0)
  for (let step = 0; step < 3000; step++) {
    const gradient = weights.map((weight, at) => (at === 0 ? 0 : -0.001 * weight * rows.length))
    for (const { row, right } of rows) {
      const error = (right ? 1 : 0) - 1 / (1 + Math.exp(-dot(weights, row)))
      for (let w = 0; w < row.length; w++) gradient[w] = (gradient[w] as number) + error * (row[w] as number)
    }
    for (let w = 0; w < weights.length; w++)
      weights[w] = (weights[w] as number) + (0.3 * (gradient[w] as number)) / rows.length
  }
  return weights
}

const FOLDS = 5
/** The share of instant answers that must be right (R26; the matching issue's default). */
const PRECISION = 0.95

/** Fits both models, sets the thresholds on questions the models have not seen, and writes src/matching/model.json. */
function fit(given: readonly Example[]): Record<string, unknown> {
  const next = random(95)
  const folds = given.map(() => Math.floor(next() * FOLDS))
  const unseen: { confidence: number; right: boolean; set: string; answerable: boolean }[] = []
  for (let fold = 0; fold < FOLDS; fold++) {
    const training = given.filter((_, at) => folds[at] !== fold)
    const ranking = fitRanking(training)
    const confidence = fitConfidence(tops(training, ranking))
    for (const { row, ...rest } of tops(
      given.filter((_, at) => folds[at] === fold),
      ranking
    )) {
      unseen.push({ ...rest, confidence: 1 / (1 + Math.exp(-dot(confidence, row))) })
    }
  }
  unseen.sort((a, b) => b.confidence - a.confidence)
  let right = 0
  let answer = 1
  unseen.forEach((example, at) => {
    if (example.right) right++
    if (right / (at + 1) >= PRECISION) answer = example.confidence
  })
  const ranking = fitRanking(given)
  const confidence = fitConfidence(tops(given, ranking))
  const named = (weights: readonly number[]) =>
    Object.fromEntries(FEATURE_NAMES.map((name, at) => [name, rounded(weights[at] as number, 4)]))
  const [bias, gap, ...rest] = confidence
  const made = {
    version: `judged-${new Date().toISOString().slice(0, 10)}`,
    madeBy: `npm run bench -- judged --fit (${given.length} questions, ${FOLDS}-fold cross-validation, threshold for ${PRECISION * 100} % precision)`,
    ranking: named(ranking),
    confidence: { bias: rounded(bias as number, 4), gap: rounded(gap as number, 4), ...named(rest) },
    thresholds: {
      ...model.thresholds,
      answer: rounded(answer, 3),
      // A passage was not written as an answer: halfway from the entry's threshold to certainty.
      answerPassage: rounded((1 + answer) / 2, 3)
    }
  }
  writeFileSync('src/matching/model.json', `${JSON.stringify(made, null, 2)}\n`)
  const bySet = Object.fromEntries(
    [...new Set(unseen.map(({ set }) => set))].map((set) => {
      const own = unseen.filter((example) => example.set === set)
      const answerable = own.filter((example) => example.answerable)
      const answered = own.filter((example) => example.confidence >= answer)
      return [
        set,
        {
          hit1: rounded((100 * answerable.filter((example) => example.right).length) / answerable.length, 1),
          answeredRight: rounded((100 * answered.filter((example) => example.right).length) / answerable.length, 1),
          precision: rounded(
            (100 * answered.filter((example) => example.right).length) / Math.max(1, answered.length),
            1
          )
        }
      ]
    })
  )
  return { ...made, crossValidated: bySet }
}
