import { setTimeout } from 'node:timers/promises'
import { BadConfig } from '../src/config.ts'
import { ask } from '../src/consultations/ask.ts'
import { maskPersonalData, withoutMarks } from '../src/consultations/mask.ts'
import { MODELS, shapeOf, type Thresholds } from '../src/matching/confidence.ts'
import { type Decision, decide } from '../src/matching/decide.ts'
import { AT } from '../src/matching/features.ts'
import { type Candidate, type Match, match } from '../src/matching/match.ts'
import type { Parts } from '../src/parts.ts'
import { BadInput } from './bad-input.ts'
import { openFolder } from './bank.ts'
import type { EngineName } from './cluster.ts'
import type { Judged } from './measures.ts'

export interface AskedQuestion {
  text: string
  /** Record ids; empty: the bank holds no answer. */
  relevant: readonly string[]
}

/** A question, what was found, and what was decided. */
export interface Asked<Q extends AskedQuestion = AskedQuestion> {
  question: Q
  judged: Judged
  decision: Decision
  /** Record ids shown: the answer first, or the choice; none when escalated. */
  offered: readonly string[]
  first: Candidate | null
  /** In the order of SHAPE_NAMES. */
  shape: Float64Array
  isSemantic: boolean
  /** Finding, ranking and confidence of the first attempt. */
  ms: number
}

type Decide = (found: Match, text: string) => Promise<Pick<Asked, 'decision' | 'offered'>>

/** As many as the desk's page shows. */
const SHOWN = 5

/** The product's rule, for entries that are all in force and not past their review, as a bank's are. */
export function byRule(thresholds: Thresholds): Decide {
  return async ({ candidates }) => {
    const shown = candidates.slice(0, SHOWN)
    const { decision, offered } = decide(
      shown.map(({ hit, confidence, features }) => ({
        kind: hit.kind,
        confidence,
        validity: 'current',
        isOverdue: false,
        placeConflict: features[AT.placeConflict] === 1
      })),
      thresholds
    )
    return { decision, offered: shown.slice(0, offered).map(({ hit }) => hit.id) }
  }
}

/** The whole of the product: what is dated or rests on a repealed document is withheld. */
export function byService(parts: Parts): Decide {
  return async (_, text) => {
    const { decision, hits } = await ask(parts, { question: text, zone: null, limit: SHOWN, live: true })
    return { decision, offered: hits.map(({ id }) => id) }
  }
}

/** How long a question whose vector came too late is asked again: a server kept away is tried after 10 s. */
const PATIENCE_MS = 11_000
/** A server that lets so many questions down in a row is not waited for any more. */
const MOST_LET_DOWN = 3

/** Asks one question after the other, as one person after the other does. */
export async function askAll<Q extends AskedQuestion>(
  parts: Parts,
  questions: readonly Q[],
  { decide, warmUp = [] }: { decide: Decide; warmUp?: readonly string[] }
): Promise<Asked<Q>[]> {
  // As `ask` does: what names a person is not searched for.
  const find = (text: string) => match(parts, withoutMarks(maskPersonalData(text)))
  for (const text of warmUp) await find(text)
  let letDown = 0
  const all: Asked<Q>[] = []
  for (const question of questions) {
    const started = performance.now()
    let found = await find(question.text)
    const ms = performance.now() - started
    if (parts.semantic !== null && found.candidates.length > 0 && letDown < MOST_LET_DOWN) {
      const until = Date.now() + PATIENCE_MS
      while (!found.isSemantic && Date.now() < until) {
        await setTimeout(200)
        found = await find(question.text)
      }
      letDown = found.isSemantic ? 0 : letDown + 1
      if (letDown === MOST_LET_DOWN)
        say('The embeddings server is too slow for a question; by words alone from here on.')
    }
    const { candidates, isSemantic } = found
    const confidence = candidates[0]?.confidence ?? 0
    // No order, no threshold and no average holds with such a value: better no figures than wrong ones.
    if (!Number.isFinite(confidence)) throw new Error(`The confidence of 「${question.text}」 is ${confidence}.`)
    all.push({
      question,
      judged: {
        confidence,
        answerable: question.relevant.length > 0,
        rightAt: candidates.flatMap(({ hit }, at) => (question.relevant.includes(hit.id) ? [at] : [])),
        relevant: question.relevant.length
      },
      ...(await decide(found, question.text)),
      first: candidates[0] ?? null,
      shape: shapeOf(
        Float64Array.from(candidates, ({ score }) => score),
        MODELS[isSemantic ? 'semantic' : 'lexical'].nothing
      ).shape,
      isSemantic,
      ms
    })
  }
  return all
}

const LOOK_EVERY_MS = 1000
/** Vectors that stand still so long while the server fails will not come. */
const MOST_STANDSTILL_MS = 60_000

/**
 * A service's parts over a data folder with every vector there.
 * @throws {BadInput} when the embeddings server gives none
 */
export async function openWithVectors(
  folder: string,
  embeddings: string | null,
  engine: EngineName = 'embedded'
): Promise<Parts> {
  const parts = await openFolder(folder, embeddings, engine).catch((error: unknown) => {
    throw error instanceof BadConfig ? new BadInput(`--embeddings ${embeddings}: ${lastLine(error)}`) : error
  })
  const { semantic } = parts
  if (semantic === null) return parts
  let settled = false
  const settling = semantic.settled().then(() => {
    settled = true
  })
  let done = -1
  let since = Date.now()
  while (!settled) {
    await Promise.race([settling, setTimeout(LOOK_EVERY_MS)])
    const status = semantic.status()
    if (status.done !== done) {
      done = status.done
      since = Date.now()
      if (!settled) say(`vectors ${done}/${status.total}`)
    } else if (!settled && status.state === 'failing' && Date.now() - since > MOST_STANDSTILL_MS) {
      await parts.close()
      throw new BadInput(`--embeddings ${embeddings}: the server gives no vectors (${status.text}).`)
    }
  }
  return parts
}

function lastLine(error: Error): string {
  return error.message.trim().split('\n').at(-1)?.trim() ?? ''
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
