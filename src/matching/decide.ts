import { isInForce, type Validity } from '../content/validity.ts'
import { THRESHOLDS, type Thresholds } from './confidence.ts'

export type Decision = 'answer' | 'choose' | 'escalate'

/** What the decision needs to know of a candidate. */
export interface Judged {
  kind: 'qa' | 'document'
  confidence: number
  validity: Validity
  /** Its day of review has come: nobody has confirmed since that it still holds. */
  isOverdue: boolean
  placeConflict: boolean
}

/**
 * Answer, offer a choice, or escalate (R26–R27). Candidates come best first.
 */
export function decide(
  candidates: readonly Judged[],
  thresholds: Thresholds = THRESHOLDS
): { decision: Decision; offered: number } {
  const [best] = candidates
  if (best === undefined) return { decision: 'escalate', offered: 0 }
  const enough = best.kind === 'qa' ? thresholds.answer : thresholds.answerPassage
  if (best.confidence >= enough && !isWithheld(best)) {
    return { decision: 'answer', offered: candidates.length }
  }
  // The sum is the chance that the answer is among them at all; each by itself may be small where many are alike.
  const sum = candidates.reduce((total, { confidence, placeConflict }) => total + (placeConflict ? 0 : confidence), 0)
  if (best.placeConflict || sum < thresholds.choose) return { decision: 'escalate', offered: 0 }
  const plausible = candidates.filter(
    ({ confidence, placeConflict }) => confidence >= best.confidence * WORTH_OFFERING && !placeConflict
  )
  // A choice is between at least two; a single doubtful candidate is shown beside the next best.
  const offered = Math.min(Math.max(plausible.length, 2), thresholds.chooseMost, candidates.length)
  return offered < 2 ? { decision: 'escalate', offered: 0 } : { decision: 'choose', offered }
}

/** A rule that is not in force or past its review, or one for another place, is never an instant answer. */
export function isWithheld({ validity, isOverdue, placeConflict }: Omit<Judged, 'kind' | 'confidence'>): boolean {
  return !isInForce(validity) || isOverdue || placeConflict
}

/** Beside the best, what is a tenth as likely is still worth a line. */
const WORTH_OFFERING = 0.1
