import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { MODEL_VERSION, THRESHOLDS, type Thresholds } from '../src/matching/confidence.ts'
import type { Parts } from '../src/parts.ts'
import { type Asked, askAll, byRule, byService, openWithVectors, say } from './asked.ts'
import { BadInput } from './bad-input.ts'
import { bankFolder, bankRecord } from './bank.ts'
import type { EngineName } from './cluster.ts'
import { percentile, rounded } from './figures.ts'
import { judgedQuestions, ownQuestions } from './judged.ts'
import { atThreshold, type Judged, qualityOf, reliability, thresholdFor } from './measures.ts'
import { type Entry, mistakesOf, type ReportedRun, reportPage } from './quality-report.ts'
import type { BenchOptions } from './run.ts'
import { type BankRow, CORPUS, chosenSets, filesOf, readSample, type Sample } from './samples.ts'

export const describe =
  'How well are the questions of any judged bank matched? --bank FILE --queries FILE [--engine embedded|elasticsearch] [--embeddings URL] [--threshold-from FILE_BANK FILE_QUERIES] [--report FILE.html]; without files every set that is there'

/** The share of instant answers that must be right. */
const PRECISION = 0.95
/** Questions asked before the clock runs, so that compiled code is measured. */
const WARM_UP = 60
const OPTIONS = ['json', 'bank', 'queries', 'engine', 'embeddings', 'thresholdFrom', 'report', 'sets']

export async function run(options: BenchOptions): Promise<Record<string, unknown>> {
  const { files, thresholdFrom, embeddings, engine, report, sets } = readOptions(options)
  const learntFrom = thresholdFrom === null ? null : readSample(...thresholdFrom)
  const given = files === null ? null : readSample(...files)
  const answer = learntFrom === null ? THRESHOLDS.answer : await learnThreshold(learntFrom, embeddings, engine)
  const measuring: Measuring = {
    thresholds: { ...THRESHOLDS, answer },
    embeddings,
    engine,
    isReported: report !== null
  }
  let result: Record<string, unknown>
  let runs: ReportedRun[]
  if (given !== null && files !== null) {
    const measured = await measureSample(given, files[1], measuring)
    runs = [measured.reported]
    result = { ...measured.figures, model: MODEL_VERSION, reliability: reliability(measured.judged) }
  } else {
    const measured = []
    for (const name of sets) {
      const one =
        name === CORPUS
          ? await measureCorpus(measuring)
          : await measureSample(readSample(...filesOf(name)), name, measuring)
      say(`${name}: hit1 ${one.figures.hit1}, auroc ${one.figures.auroc}, c95 ${one.figures.c95}`)
      measured.push(one)
    }
    runs = measured.map(({ reported }) => reported)
    const mix = measured.flatMap(({ judged }) => judged)
    result = {
      sets: measured.map(({ figures }, at) => ({ set: sets[at], ...figures })),
      mix: qualityOf(mix),
      model: MODEL_VERSION,
      reliability: reliability(mix)
    }
  }
  if (report !== null) {
    writeFileSync(report, reportPage(runs, MODEL_VERSION))
    say(`report: ${report}`)
  }
  return result
}

// ---- What is asked for

function readOptions(options: BenchOptions) {
  const unknown = Object.keys(options).filter((name) => !OPTIONS.includes(name))
  if (unknown.length > 0)
    throw new BadInput(`--${unknown[0]?.replace(/[A-Z]/g, '-$&').toLowerCase()} is no option of this bench.`)
  const one = (name: string): string | null => {
    const value = options[name]
    if (value === undefined) return null
    if (typeof value !== 'string' || value === '') throw new BadInput(`--${name} takes one value.`)
    return value
  }
  const bank = one('bank')
  const queries = one('queries')
  if ((bank === null) !== (queries === null)) {
    throw new BadInput(
      `--${bank === null ? 'queries' : 'bank'} needs --${bank === null ? 'bank' : 'queries'} beside it.`
    )
  }
  const engine = engineName(one('engine') ?? 'embedded')
  let thresholdFrom: [string, string] | null = null
  if (options.thresholdFrom !== undefined) {
    const [learnBank, learnQueries, ...more] = [options.thresholdFrom].flat()
    if (typeof learnBank !== 'string' || typeof learnQueries !== 'string' || more.length > 0) {
      throw new BadInput('--threshold-from takes two files, a bank and its queries.')
    }
    thresholdFrom = [learnBank, learnQueries]
  }
  const report = one('report')
  if (report !== null && !existsSync(dirname(report))) {
    throw new BadInput(`--report ${report}: there is no folder ${dirname(report)}.`)
  }
  if (report !== null && existsSync(report) && !statSync(report).isFile()) {
    throw new BadInput(`--report ${report} is there and is no file.`)
  }
  const files: [string, string] | null = bank === null || queries === null ? null : [bank, queries]
  return { files, thresholdFrom, embeddings: one('embeddings'), engine, report, sets: chosenSets(options.sets) }
}

function engineName(given: string): EngineName {
  if (given === 'embedded' || given === 'elasticsearch') return given
  throw new BadInput(`--engine ${given}: there are embedded and elasticsearch.`)
}

// ---- Measuring

interface Measuring {
  thresholds: Thresholds
  embeddings: string | null
  engine: EngineName
  isReported: boolean
}

interface Measured {
  figures: ReturnType<typeof figuresOf>
  judged: Judged[]
  reported: ReportedRun
}

/** A bank's own ids may hold anything; record ids may not. */
const recordId = (at: number) => `row-${String(at).padStart(7, '0')}`

/** Opens the product over a bank, an index of its own, and takes both away again. */
export async function withBank<T>(
  bank: readonly BankRow[],
  embeddings: string | null,
  use: (parts: Parts, recordOf: (id: string) => string) => Promise<T>,
  engine: EngineName = 'embedded'
): Promise<T> {
  const ids = new Map(bank.map(({ id }, at) => [id, recordId(at)]))
  const records = bank.map((row, at) => bankRecord('bench', { ...row, id: recordId(at) }))
  return withRecords({ corpus: false, records }, embeddings, engine, (parts) => use(parts, (id) => ids.get(id) ?? ''))
}

export async function withCorpus<T>(
  embeddings: string | null,
  use: (parts: Parts) => Promise<T>,
  engine: EngineName = 'embedded'
): Promise<T> {
  return withRecords({ corpus: true, records: [] }, embeddings, engine, use)
}

async function withRecords<T>(
  records: Parameters<typeof bankFolder>[0],
  embeddings: string | null,
  engine: EngineName,
  use: (parts: Parts) => Promise<T>
): Promise<T> {
  const folder = await bankFolder(records)
  try {
    const parts = await openWithVectors(folder, embeddings, engine)
    try {
      return await use(parts)
    } finally {
      await parts.close()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function askSample({ bank, queries }: Sample, { embeddings, engine, thresholds }: Omit<Measuring, 'isReported'>) {
  return withBank(
    bank,
    embeddings,
    (parts, recordOf) => {
      const questions = queries.map((query) => ({ ...query, relevant: query.relevant.map(recordOf) }))
      // The bank's own words: a query asked beforehand would be remembered where an embeddings server takes part.
      const warmUp = bank.slice(0, WARM_UP).map(({ question, answer }) => (question || answer).slice(0, 60))
      return askAll(parts, questions, { decide: byRule(thresholds), warmUp })
    },
    engine
  )
}

/** Where 95 % of what is not withheld anyway is right. */
async function learnThreshold(sample: Sample, embeddings: string | null, engine: EngineName): Promise<number> {
  const asked = await askSample(sample, { embeddings, engine, thresholds: { ...THRESHOLDS, answer: 0 } })
  const learnt = thresholdFor(
    asked.filter(({ decision }) => decision === 'answer').map(({ judged }) => judged),
    PRECISION
  )
  say(`learnt threshold: ${rounded(learnt, 4)}`)
  return learnt
}

async function measureSample(sample: Sample, name: string, measuring: Measuring): Promise<Measured> {
  const asked = await askSample(sample, measuring)
  const byRecord = new Map(sample.bank.map((row, at) => [recordId(at), row]))
  const textOf = async (id: string): Promise<Entry> => {
    const row = byRecord.get(id)
    return { id: row?.id ?? id, title: row?.question ?? '', text: row?.answer ?? '' }
  }
  return measured(name, asked, sample.bank.length, textOf, measuring)
}

async function measureCorpus(measuring: Measuring): Promise<Measured> {
  return withCorpus(
    measuring.embeddings,
    async (parts) => {
      const { library } = parts
      const entries = ownQuestions()
      const documents = await library.documents()
      const warmUp = entries.slice(0, WARM_UP).flatMap(({ texts }) => texts.slice(0, 1))
      // A learnt threshold is a bank's; what the service withholds for its validity only the service knows.
      const asked = await askAll(parts, judgedQuestions(), { decide: byService(parts), warmUp })
      const textOf = async (id: string): Promise<Entry> => {
        const entry = (await library.get('qa', id))?.content
        const title = entry?.question ?? documents.get(id)?.content.title ?? ''
        return { id, title, text: entry?.answer ?? '' }
      }
      const size = entries.length + documents.size
      return measured(CORPUS, asked, size, textOf, { ...measuring, thresholds: THRESHOLDS })
    },
    measuring.engine
  )
}

async function measured(
  name: string,
  asked: readonly Asked[],
  entries: number,
  textOf: (id: string) => Promise<Entry>,
  { thresholds, embeddings, isReported }: Measuring
): Promise<Measured> {
  const judged = asked.map((one) => one.judged)
  const figures = figuresOf(asked, entries, thresholds)
  const semantic = asked.filter(({ isSemantic }) => isSemantic).length
  return {
    figures: { ...figures, ...(embeddings === null ? {} : { questionsByMeaning: percent(semantic, asked.length) }) },
    judged,
    reported: {
      name,
      figures,
      reliability: reliability(judged),
      mistakes: isReported ? await mistakesOf(asked, textOf) : []
    }
  }
}

const percent = (some: number, all: number) => rounded((100 * some) / Math.max(all, 1), 1)

/** The contract's keys first (design §3); percentages 0–100. */
function figuresOf(asked: readonly Asked[], entries: number, thresholds: Thresholds) {
  const judged = asked.map((one) => one.judged)
  const { ece, ...quality } = qualityOf(judged)
  const answered = new Set(asked.filter(({ decision }) => decision === 'answer').map((one) => one.judged))
  const answerable = asked.filter((one) => one.judged.answerable)
  const unanswerable = asked.filter((one) => !one.judged.answerable)
  const share = (all: readonly Asked[], holds: (one: Asked) => boolean) => percent(all.filter(holds).length, all.length)
  const isOffered = ({ decision }: Asked) => decision === 'choose'
  const holdsAnswer = ({ offered, question }: Asked) => offered.some((id) => question.relevant.includes(id))
  const times = asked.map(({ ms }) => ms)
  const own95 = thresholdFor(judged, PRECISION)
  return {
    ...quality,
    ...atThreshold(judged, (one) => answered.has(one)),
    msP50: rounded(percentile(times, 0.5)),
    msP95: rounded(percentile(times, 0.95)),
    entries,
    queries: asked.length,
    unanswerable: unanswerable.length,
    ece,
    answered: answered.size,
    choiceHoldsAnswer: share(answerable, (one) => isOffered(one) && holdsAnswer(one)),
    choiceMissesAnswer: share(answerable, (one) => isOffered(one) && !holdsAnswer(one)),
    escalated: share(answerable, ({ decision }) => decision === 'escalate'),
    unanswerableOffered: share(unanswerable, isOffered),
    /** Null: learnt, and no threshold reached the precision, so that nothing is answered at once. */
    threshold: Number.isFinite(thresholds.answer) ? rounded(thresholds.answer, 4) : null,
    /** Where these very questions would be 95 % right; null: nowhere. */
    ownThreshold95: Number.isFinite(own95) ? rounded(own95, 4) : null
  }
}
