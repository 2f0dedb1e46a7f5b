import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import { MODEL_VERSION } from '../src/matching/confidence.ts'
import { match } from '../src/matching/match.ts'
import type { Parts } from '../src/parts.ts'
import { type Asked, askAll, byService, openWithVectors } from './asked.ts'
import { bankFolder } from './bank.ts'
import { rounded } from './figures.ts'
import { qualityOf } from './measures.ts'
import type { BenchOptions } from './run.ts'

export const describe =
  'How often are the judged questions of corpus/ answered rightly, by half and topic, and do near neighbours stay apart? --embeddings URL'

export interface Question {
  text: string
  relevant: string[]
  kind: string
}

export interface JudgedQuestion extends Question {
  id: string
  topic: string
  /** 甲 or 乙, about as many each: a figure that only one of them reaches is luck. */
  half: string
}

/** The judged everyday questions of the sample bank. */
export function judgedQuestions(): JudgedQuestion[] {
  return rowsOf('corpus/judged.csv').map((row) => ({
    id: row.编号 ?? '',
    text: row.问题 ?? '',
    relevant: (row.答案 ?? '').split(/\s+/).filter((id) => id !== ''),
    kind: row.类型 ?? '',
    topic: row.主题 ?? '',
    half: row.组 ?? ''
  }))
}

/** The same without what only reports group by: the data hash of a model is made of these. */
export function corpusQuestions(): Question[] {
  return judgedQuestions().map(({ text, relevant, kind }) => ({ text, relevant, kind }))
}

export async function run(options: BenchOptions): Promise<Record<string, unknown>> {
  const folder = await bankFolder({ corpus: true, records: [] })
  try {
    const parts = await openWithVectors(folder, typeof options.embeddings === 'string' ? options.embeddings : null)
    try {
      return { ...(await measureCorpus(parts)) }
    } finally {
      await parts.close()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Percentages 0–100 of the answerable questions of one group. */
export interface GroupFigures {
  group: string
  answerable: number
  hit1: number
  answeredRight: number
  answeredWrong: number
}

export type CorpusFigures = Awaited<ReturnType<typeof measureCorpus>>

/** What the corpus' own judged questions say of a service that holds the corpus; percentages 0–100. */
export async function measureCorpus(parts: Parts) {
  const asked = await askAll(parts, judgedQuestions(), { decide: byService(parts) })
  const answerable = asked.filter(isAnswerable)
  const unanswerable = asked.filter((one) => !isAnswerable(one))
  const answered = asked.filter(({ decision }) => decision === 'answer')
  const choice = answerable.filter(({ decision }) => decision === 'choose')
  const holdsAnswer = ({ offered, question }: Asked) => offered.some((id) => question.relevant.includes(id))
  const falseAnswers = unanswerable.filter(({ decision }) => decision === 'answer')
  const topics = [...new Set(answerable.map(({ question }) => question.topic))].sort()
  const entries = ownQuestions()
  return {
    model: MODEL_VERSION,
    questions: asked.length,
    answerable: answerable.length,
    unanswerable: unanswerable.length,
    hit1: share(answerable.filter(isFirstRight), answerable),
    auroc: qualityOf(asked.map(({ judged }) => judged)).auroc,
    precision: share(answered.filter(isFirstRight), answered),
    answeredRight: share(answerable.filter(isAnsweredRight), answerable),
    choiceHoldsAnswer: share(choice.filter(holdsAnswer), answerable),
    falseAnswers: share(falseAnswers, unanswerable),
    ...(await ownWordings(parts, entries)),
    neighbours: await neighbours(parts, entries),
    answerableBy: {
      right: answerable.filter(isAnsweredRight).length,
      wrong: answerable.filter(isAnsweredWrong).length,
      chooseHolds: choice.filter(holdsAnswer).length,
      chooseMisses: choice.filter((one) => !holdsAnswer(one)).length,
      escalated: answerable.filter(({ decision }) => decision === 'escalate').length
    },
    unanswerableBy: {
      answered: falseAnswers.length,
      choose: unanswerable.filter(({ decision }) => decision === 'choose').length,
      escalated: unanswerable.filter(({ decision }) => decision === 'escalate').length
    },
    byHalf: ['甲', '乙'].map((half) =>
      groupFigures(
        half,
        answerable.filter(({ question }) => question.half === half)
      )
    ),
    byTopic: topics.map((topic) =>
      groupFigures(
        topic,
        answerable.filter(({ question }) => question.topic === topic)
      )
    ),
    wrongAnswers: [...answerable.filter(isAnsweredWrong), ...falseAnswers].map(
      ({ question: { text, relevant }, offered }) =>
        `${text} → ${offered[0]} (${relevant.length === 0 ? 'no answer in the bank' : `right: ${relevant.join(' ')}`})`
    )
  }
}

const isAnswerable = ({ judged }: Asked) => judged.answerable
const isFirstRight = ({ judged }: Asked) => judged.rightAt[0] === 0
const isAnsweredRight = (one: Asked) => one.decision === 'answer' && isFirstRight(one)
const isAnsweredWrong = (one: Asked) => one.decision === 'answer' && !isFirstRight(one)

function share(some: readonly unknown[], all: readonly unknown[]): number {
  return rounded((100 * some.length) / Math.max(all.length, 1), 1)
}

function groupFigures(group: string, asked: readonly Asked[]): GroupFigures {
  return {
    group,
    answerable: asked.length,
    hit1: share(asked.filter(isFirstRight), asked),
    answeredRight: share(asked.filter(isAnsweredRight), asked),
    answeredWrong: share(asked.filter(isAnsweredWrong), asked)
  }
}

interface OwnQuestion {
  id: string
  /** The question, then its variants. */
  texts: string[]
}

async function found(parts: Parts, text: string): Promise<string[]> {
  const { candidates } = await match(parts, text)
  return candidates.map(({ hit }) => hit.id)
}

/** Each entry's own question and variants must find it. */
async function ownWordings(parts: Parts, entries: readonly OwnQuestion[]) {
  const own = entries.flatMap(({ id, texts }) => texts.map((text) => ({ id, text })))
  const first: typeof own = []
  const inThree: typeof own = []
  for (const wording of own) {
    const ids = (await found(parts, wording.text)).slice(0, 3)
    if (ids[0] === wording.id) first.push(wording)
    if (ids.includes(wording.id)) inThree.push(wording)
  }
  return {
    ownWordings: own.length,
    ownWordingsHit1: share(first, own),
    ownWordingsHit3: share(inThree, own),
    ownWordingsMissed: own.filter((one) => !inThree.includes(one)).map(({ id, text }) => `${id} ${text}`)
  }
}

/** Entries that are easily taken for each other: each one's own question must put it before the other. */
async function neighbours(parts: Parts, entries: readonly OwnQuestion[]) {
  const questions = new Map(entries.map(({ id, texts }) => [id, texts[0] ?? '']))
  const pairs = rowsOf('corpus/neighbours.csv').map(({ 甲: one = '', 乙: other = '', 差别: difference = '' }) => ({
    one,
    other,
    difference
  }))
  const ranked = new Map<string, string[]>()
  for (const id of new Set(pairs.flatMap(({ one, other }) => [one, other]))) {
    ranked.set(id, await found(parts, questions.get(id) ?? ''))
  }
  const isBefore = (id: string, neighbour: string) => {
    const ids = ranked.get(id) ?? []
    const at = ids.indexOf(id)
    return at >= 0 && (!ids.includes(neighbour) || at < ids.indexOf(neighbour))
  }
  const missed = pairs.flatMap(({ one, other, difference }) =>
    [
      [one, other],
      [other, one]
    ].flatMap(([id = '', neighbour = '']) =>
      isBefore(id, neighbour)
        ? []
        : [{ pair: `${one} ${other}`, text: `${questions.get(id)} (${id}) → ${neighbour}: ${difference}` }]
    )
  )
  const missedPairs = new Set(missed.map(({ pair }) => pair))
  return {
    pairs: pairs.length,
    apart: share(
      pairs.filter(({ one, other }) => !missedPairs.has(`${one} ${other}`)),
      pairs
    ),
    missed: missed.map(({ text }) => text)
  }
}

/** The wordings of the corpus' own entries. */
export function ownQuestions(): OwnQuestion[] {
  return readdirSync('corpus/qa')
    .flatMap((file) => rowsOf(`corpus/qa/${file}`))
    .map((row) => ({
      id: row.编号 ?? '',
      texts: [row.问题 ?? '', ...(row.其他问法 ?? '').split('\n')].filter((text) => text.trim() !== '')
    }))
}

function rowsOf(file: string): Record<string, string>[] {
  return parse(readFileSync(file), { bom: true, columns: true })
}
