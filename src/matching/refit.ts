import { createHash } from 'node:crypto'
import type { Thresholds } from './confidence.ts'

/** What staff confirmed of one query, and what the decision on it rested on. */
export interface Confirmed {
  queryId: string
  /** The first candidate's kind; null where there was none. */
  kind: 'qa' | 'document' | null
  /** The first candidate's. */
  confidence: number
  /** All candidates' together, what `choose` is compared with; null where nothing could be offered whatever it is. */
  among: number | null
  /** Never an instant answer however sure: not in force, or another place's. */
  withheld: boolean
  /** Where the entry that answers stood among the candidates, 0 the first; null where none of them does. */
  place: number | null
}

/** How thresholds would have decided confirmed queries. */
export interface Figures {
  labels: number
  answered: number
  /** Answered at once, and not by the entry that answers. */
  wrong: number
  /** Not answered at once although the first candidate answers and nothing but the threshold held it back. */
  needless: number
  /** Escalated although the entry that answers could have been offered. */
  missed: number
}

/** `few`: too few labels to say; `unsure`: enough, but they do not speak clearly; `distance`: moved with `answer`. */
type Because = 'precise' | 'imprecise' | 'few' | 'unsure' | 'distance'

/** What becomes of one threshold. */
export interface Move {
  from: number
  to: number
  because: Because
  /** The most that one refit may move was reached. */
  limited: boolean
}

export interface Proposal {
  kind: 'proposed'
  thresholds: Thresholds
  moves: { answer: Move; answerPassage: Move; choose: Move }
  /** Labels that were fitted to. */
  fitted: number
  /** On the half that was not fitted to. */
  before: Figures
  after: Figures
}

export type Refit = { kind: 'too-few'; labels: number; missing: number } | Proposal

/** Of all instant answers this share must be right (issue 5: 95 % unless stated otherwise). */
export const TARGET_PRECISION = 0.95
/** Under so many labels nothing is proposed: a half of fewer cannot even show that a threshold is bad. */
export const FEWEST_LABELS = 50
/** Labels to come in between two refits: else the same ones could be used up to move on and on. */
const FEWEST_NEW = 20
/** Passages move on their own from so many labels; below they keep their distance from the entries. */
const FEWEST_PASSAGES = 30
/** Labels that a threshold concerns (above `answer`, below `choose`) before they may speak against it. */
const FEWEST_CONCERNED = 10
/** Below `choose` the entry that answers was among the offered in less than this share. */
const WORTH_OFFERING = 0.1

/**
 * Lower bounds are those of the two-sided 90 % Wilson interval. One-sided 90 % (1.28) is too bold so near to 1: at a true
 * precision of 95 % it lets a threshold fall in 20 cases of 100, this one in 7.
 */
const Z_LOWER = 1.645
/** To answer less, weaker evidence is enough: a wrong instant answer costs more than a needless escalation. */
const Z_RAISE = 1.282

/** Thresholds move in log-odds, where a step means the same near 0.5 and near 1. */
const STEP = 0.05
/** Most steps of one refit: 0.86 may become 0.79 or 0.91, no more, whatever the labels say. */
const MOST_STEPS = 10

/**
 * Proposes thresholds from what staff confirmed; fits to one half of the labels and shows the effect on the other.
 * A threshold is lowered step by step while the lower bound of the precision stays at the target, from the present one
 * down, and stops at the first step that fails: tested in a fixed order, the steps need no correction for being many.
 * @param usedBefore how many labels the last refit had; 0 where there was none
 */
export function refit(present: Thresholds, confirmed: readonly Confirmed[], usedBefore = 0): Refit {
  const labels = confirmed.length
  const needed = Math.max(FEWEST_LABELS, usedBefore === 0 ? 0 : usedBefore + FEWEST_NEW)
  if (labels < needed) return { kind: 'too-few', labels, missing: needed - labels }
  const fitting = confirmed.filter(({ queryId }) => !isHeldBack(queryId))
  const heldBack = confirmed.filter(({ queryId }) => isHeldBack(queryId))
  const answerable = (kind: 'qa' | 'document') => fitting.filter((one) => one.kind === kind && !one.withheld)
  const answer = moveAnswer(present.answer, answerable('qa'))
  const passages = confirmed.filter(({ kind }) => kind === 'document').length
  const answerPassage =
    passages < FEWEST_PASSAGES
      ? keepDistance(present, answer)
      : notBelow(answer.to, moveAnswer(present.answerPassage, answerable('document')))
  const choose = notAbove(answer.to, moveChoose(present, fitting))
  const thresholds = {
    answer: answer.to,
    answerPassage: answerPassage.to,
    choose: choose.to,
    chooseMost: present.chooseMost
  }
  return {
    kind: 'proposed',
    thresholds,
    moves: { answer, answerPassage, choose },
    fitted: fitting.length,
    before: figuresOf(present, heldBack),
    after: figuresOf(thresholds, heldBack)
  }
}

/** By a hash of the query: a label stays in its half at every refit, so that no threshold is ever judged by what made it. */
export function isHeldBack(queryId: string): boolean {
  return ((createHash('sha256').update(queryId).digest()[0] as number) & 1) === 1
}

/** How these thresholds would have decided. */
export function figuresOf(thresholds: Thresholds, confirmed: readonly Confirmed[]): Figures {
  const figures: Figures = { labels: confirmed.length, answered: 0, wrong: 0, needless: 0, missed: 0 }
  for (const { kind, confidence, among, withheld, place } of confirmed) {
    const enough = kind === 'document' ? thresholds.answerPassage : thresholds.answer
    if (kind !== null && !withheld && confidence >= enough) {
      figures.answered++
      if (place !== 0) figures.wrong++
      continue
    }
    if (place === 0 && !withheld) figures.needless++
    if (among !== null && among < thresholds.choose && couldBeOffered(place, thresholds)) figures.missed++
  }
  return figures
}

/**
 * Bounds of a share by Wilson's score interval.
 * @returns 0 and 1 where there is nothing to count
 */
export function wilson(successes: number, of: number, z: number): { lower: number; upper: number } {
  if (of === 0) return { lower: 0, upper: 1 }
  const share = successes / of
  const middle = share + (z * z) / (2 * of)
  const margin = z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of))
  const scale = 1 + (z * z) / of
  return { lower: (middle - margin) / scale, upper: (middle + margin) / scale }
}

function moveAnswer(from: number, labels: readonly Confirmed[]): Move {
  const at = (threshold: number) => {
    const answered = labels.filter(({ confidence }) => confidence >= threshold)
    return { right: answered.filter(({ place }) => place === 0).length, answered: answered.length }
  }
  const isPrecise = (threshold: number) => {
    const { right, answered } = at(threshold)
    return wilson(right, answered, Z_LOWER).lower >= TARGET_PRECISION
  }
  const here = at(from)
  if (here.answered < FEWEST_CONCERNED) return kept(from, 'few')
  if (wilson(here.right, here.answered, Z_RAISE).upper < TARGET_PRECISION) {
    return walk(from, 1, 'imprecise', (threshold) => {
      const { right, answered } = at(threshold)
      return right < TARGET_PRECISION * answered
    })
  }
  if (!isPrecise(from)) return kept(from, 'unsure')
  return whilst(from, -1, 'precise', isPrecise)
}

function moveChoose(present: Thresholds, labels: readonly Confirmed[]): Move {
  const { choose: from } = present
  const below = (threshold: number) => {
    const escalated = labels.filter(({ among }) => among !== null && among < threshold)
    return { hits: escalated.filter(({ place }) => couldBeOffered(place, present)).length, escalated: escalated.length }
  }
  // Offering too much costs a glance and offering too little costs days: both bounds are the careful ones.
  const isUseless = (threshold: number) => {
    const { hits, escalated } = below(threshold)
    return wilson(hits, escalated, Z_LOWER).upper < WORTH_OFFERING
  }
  const { hits, escalated } = below(from)
  if (escalated >= FEWEST_CONCERNED && wilson(hits, escalated, Z_LOWER).lower > WORTH_OFFERING) {
    return walk(from, -1, 'imprecise', (threshold) => {
      const lower = below(threshold)
      return lower.hits > 0 && lower.hits >= WORTH_OFFERING * lower.escalated
    })
  }
  const raised = whilst(from, 1, 'precise', isUseless)
  return raised.to === from && escalated < FEWEST_CONCERNED ? kept(from, 'few') : raised
}

function couldBeOffered(place: number | null, { chooseMost }: Thresholds): boolean {
  return place !== null && place < chooseMost
}

const kept = (from: number, because: Because): Move => ({ from, to: from, because, limited: false })

/** As far as every step holds. */
function whilst(from: number, direction: 1 | -1, because: Because, holds: (threshold: number) => boolean): Move {
  let steps = 0
  while (steps < MOST_STEPS && holds(shifted(from, direction * (steps + 1)))) steps++
  const to = shifted(from, direction * steps)
  return to === from ? kept(from, 'unsure') : { from, to, because, limited: steps === MOST_STEPS }
}

/** Until what is amiss is so no more. */
function walk(from: number, direction: 1 | -1, because: Because, isAmiss: (threshold: number) => boolean): Move {
  let steps = 1
  while (steps < MOST_STEPS && isAmiss(shifted(from, direction * steps))) steps++
  const to = shifted(from, direction * steps)
  return { from, to, because, limited: steps === MOST_STEPS && isAmiss(to) }
}

/** Up to three decimals, never down: a threshold errs on the careful side. 0 and 1 mean always and never, and stay. */
function shifted(threshold: number, steps: number): number {
  if (steps === 0 || threshold <= 0 || threshold >= 1) return threshold
  const moved = sigmoid(logit(threshold) + steps * STEP)
  return Math.min(Math.ceil(moved * 1000 - 1e-9) / 1000, 0.999)
}

const logit = (probability: number) => Math.log(probability / (1 - probability))
const sigmoid = (odds: number) => 1 / (1 + Math.exp(-odds))

function keepDistance({ answer, answerPassage: from }: Thresholds, moved: Move): Move {
  const isOpen = [answer, from, moved.to].every((threshold) => threshold > 0 && threshold < 1)
  if (moved.to === answer || !isOpen) return kept(from, 'few')
  const to = shifted(from, (logit(moved.to) - logit(answer)) / STEP)
  return { from, to, because: 'distance', limited: moved.limited }
}

/** Nobody wrote a passage as an answer: it never needs less than an entry does. */
function notBelow(least: number, move: Move): Move {
  return move.to >= least ? move : { ...move, to: least, because: 'distance' }
}

function notAbove(most: number, move: Move): Move {
  return move.to <= most ? move : { ...move, to: most, because: 'distance' }
}
