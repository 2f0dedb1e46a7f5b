// biome-ignore-all lint/style/noNonNullAssertion: typed arrays are read within their bounds
import { AT, FEATURE_NAMES, type Features } from './features.ts'
import model from './model.json' with { type: 'json' }

/** How the list of candidates looks behind its first: the ranking scores' differences and shares. */
export const SHAPE_NAMES = [
  'score',
  'overSecond',
  'overThird',
  'overFive',
  'overRest',
  'share',
  'noneShare',
  'crowd'
] as const

/**
 * What an answer's length changes: a bare question must be met in its own words, in a long text much is said that was not
 * asked. Each has weights of its own (docs/decisions/0011).
 */
export const LENGTHS = ['short', 'none', 'long'] as const
type Length = (typeof LENGTHS)[number]
type ByName = Partial<Record<string, number>>

/** The weights of both models under one kind of evidence, by name of feature; a feature without a weight counts nothing. */
export interface Weights {
  /** Ranking: linear, listwise. */
  ranking: Record<Length, ByName>
  /** Ranking score of "no candidate answers". */
  nothing: number
  /** Confidence: logistic over the first candidate's features and the list's shape. */
  confidence: Record<Length, ByName>
  shape: ByName
  bias: number
}

export interface Model {
  ranking: readonly Float64Array[]
  nothing: number
  confidence: readonly Float64Array[]
  shape: Float64Array
  bias: number
}

export function modelOf({ ranking, nothing, confidence, shape, bias }: Weights): Model {
  const features = (weights: ByName) => Float64Array.from(FEATURE_NAMES, (name) => weights[name] ?? 0)
  return {
    ranking: LENGTHS.map((length) => features(ranking[length])),
    nothing,
    confidence: LENGTHS.map((length) => features(confidence[length])),
    shape: Float64Array.from(SHAPE_NAMES, (name) => shape[name] ?? 0),
    bias
  }
}

/** Place in LENGTHS of the weights that judge a candidate. */
export function lengthOf(features: Features): number {
  return features[AT.hasAnswer] === 0 ? 1 : features[AT.longAnswer] === 1 ? 2 : 0
}

/** With and without nearness in meaning; each has weights of its own. */
export const MODELS: { lexical: Model; semantic: Model } = {
  lexical: modelOf(model.lexical),
  semantic: modelOf(model.semantic)
}
export const MODEL_VERSION = model.version

/** What a decision is made by: `answer` for Q&A entries, `answerPassage` for a document's passage, which nobody wrote as an answer. */
export interface Thresholds {
  answer: number
  answerPassage: number
  choose: number
  chooseMost: number
}
export const THRESHOLDS: Thresholds = model.thresholds

export function dot(weights: Float64Array, values: ArrayLike<number>): number {
  let sum = 0
  for (let at = 0; at < weights.length; at++) sum += weights[at]! * values[at]!
  return sum
}

/** Ranking scores, no probabilities: only their differences mean something. */
export function rankingScores({ ranking }: Model, rows: readonly Features[]): Float64Array {
  return Float64Array.from(rows, (row) => dot(ranking[lengthOf(row)]!, row))
}

const COMPARED_FIVE = 6
const COMPARED_REST = 20

/**
 * What the list's scores say of its first.
 * @param scores best first
 * @returns values in the order of SHAPE_NAMES, and every candidate's share of the softmax
 */
export function shapeOf(scores: Float64Array, nothing: number): { shape: Float64Array; shares: Float64Array } {
  const n = scores.length
  const shape = new Float64Array(SHAPE_NAMES.length)
  const shares = new Float64Array(n)
  if (n === 0) return { shape, shares }
  const first = scores[0]!
  const most = Math.max(first, nothing)
  let total = Math.exp(nothing - most)
  for (let at = 0; at < n; at++) {
    shares[at] = Math.exp(scores[at]! - most)
    total += shares[at]!
  }
  let crowd = 0
  for (let at = 0; at < n; at++) {
    shares[at]! /= total
    crowd += Math.exp(scores[at]! - first)
  }
  // A list too short is filled with one below its last.
  const padding = scores[n - 1]! - 1
  const at = (place: number) => (place < n ? scores[place]! : padding)
  const mean = (from: number, to: number) => {
    let sum = 0
    for (let place = from; place < to; place++) sum += at(place)
    return sum / (to - from)
  }
  shape[0] = first
  shape[1] = first - at(1)
  shape[2] = first - at(2)
  shape[3] = first - mean(1, COMPARED_FIVE)
  shape[4] = first - mean(COMPARED_FIVE - 1, COMPARED_REST)
  shape[5] = shares[0]!
  shape[6] = Math.exp(nothing - most) / total
  shape[7] = Math.log(crowd)
  return { shape, shares }
}

/** Probability that the first candidate answers the question, 0–1 (docs/decisions/0003). */
export function confidenceOf(model: Model, first: Features, shape: Float64Array): number {
  const logit = model.bias + dot(model.confidence[lengthOf(first)]!, first) + dot(model.shape, shape)
  return 1 / (1 + Math.exp(-logit))
}
