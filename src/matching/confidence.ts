import { FEATURE_NAMES, type Features } from './features.ts'
import model from './model.json' with { type: 'json' }

/** The features of the best candidate, and how the list looks behind it. */
export interface ListShape {
  /** Ranking score of the best minus that of the second; the best's own when it is alone. */
  gap: number
}

/** Orders candidates; a linear sum, no probability. */
export function rankingScore(features: Features): number {
  let score = 0
  for (const name of FEATURE_NAMES) score += model.ranking[name] * features[name]
  return score
}

/** Probability that the candidate answers the question, 0–1 (docs/decisions/0003). */
export function confidenceOf(features: Features, { gap }: ListShape): number {
  let logit = model.confidence.bias + model.confidence.gap * gap
  for (const name of FEATURE_NAMES) logit += model.confidence[name] * features[name]
  return 1 / (1 + Math.exp(-logit))
}

/** Above `answer` the best candidate is the answer; above `choose` candidates are offered; else the question goes to the unit. */
export const THRESHOLDS = model.thresholds
/** A passage must be surer than a Q&A entry, which somebody wrote as an answer. */
export const MODEL_VERSION = model.version
