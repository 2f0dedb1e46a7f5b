import { isInForce, type Validity } from '../content/validity.ts'
import { THRESHOLDS } from './confidence.ts'

export type Decision = 'answer' | 'choose' | 'escalate'

/** What the decision needs to know of a candidate. */
export interface Judged {
  kind: 'qa' | 'document'
  confidence: number
  validity: Validity
  placeConflict: boolean
}

/**
 * Answer, offer a choice, or escalate (R26–R27). Candidates come best first.
 * A rule that is not in force is never an instant answer, and neither is one for another place.
 */
export function decide(candidates: readonly Judged[]): { decision: Decision; offered: number } {
  const [best] = candidates
  if (best === undefined) return { decision: 'escalate', offered: 0 }
  const enough = best.kind === 'qa' ? THRESHOLDS.answer : THRESHOLDS.answerPassage
  if (best.confidence >= enough && isInForce(best.validity) && !best.placeConflict) {
    return { decision: 'answer', offered: candidates.length }
  }
  const plausible = candidates.filter(
    ({ confidence, placeConflict }) => confidence >= THRESHOLDS.choose && !placeConflict
  )
  if (plausible.length === 0) return { decision: 'escalate', offered: 0 }
  // A choice is between at least two; a single doubtful candidate is shown beside the next best.
  const offered = Math.min(Math.max(plausible.length, 2), THRESHOLDS.chooseMost, candidates.length)
  return offered < 2 ? { decision: 'escalate', offered: 0 } : { decision: 'choose', offered }
}
