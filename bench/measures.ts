/** One judged question, answered. */
export interface Judged {
  /** Of the first hit, 0–1; 0 without hits. */
  confidence: number
  answerable: boolean
  /** Places of right entries among the hits, from 0; empty when none was found. */
  rightAt: readonly number[]
  /** How many right entries the bank holds. */
  relevant: number
}

export interface Quality {
  hit1: number
  mrr10: number
  ndcg10: number
  auroc: number
  c90: number
  c95: number
  ece: number
}

const percent = (share: number) => Math.round(share * 1000) / 10
const isRight = ({ rightAt }: Judged) => rightAt[0] === 0

/** The measures of ../shared/data/README: percentages 0–100. */
export function qualityOf(judged: readonly Judged[]): Quality {
  const answerable = judged.filter((one) => one.answerable)
  const mean = (value: (one: Judged) => number) =>
    answerable.reduce((sum, one) => sum + value(one), 0) / Math.max(answerable.length, 1)
  return {
    hit1: percent(mean((one) => (isRight(one) ? 1 : 0))),
    mrr10: percent(mean(({ rightAt }) => (rightAt[0] !== undefined && rightAt[0] < 10 ? 1 / (rightAt[0] + 1) : 0))),
    ndcg10: percent(mean(ndcg10)),
    auroc: percent(auroc(judged)),
    c90: percent(coverageAt(judged, 0.9)),
    c95: percent(coverageAt(judged, 0.95)),
    ece: percent(calibrationError(judged))
  }
}

function ndcg10({ rightAt, relevant }: Judged): number {
  const gain = (at: number) => 1 / Math.log2(at + 2)
  let ideal = 0
  for (let at = 0; at < Math.min(relevant, 10); at++) ideal += gain(at)
  return ideal === 0 ? 0 : rightAt.filter((at) => at < 10).reduce((sum, at) => sum + gain(at), 0) / ideal
}

/** Chance that an answerable question has more confidence than an unanswerable one; level counts half. */
export function auroc(judged: readonly Judged[]): number {
  if (judged.some(({ confidence }) => Number.isNaN(confidence))) throw new Error('A confidence is not a number')
  const sorted = [...judged].sort((a, b) => a.confidence - b.confidence)
  let ranks = 0
  let positives = 0
  for (let from = 0; from < sorted.length; ) {
    let to = from
    while (to < sorted.length && sorted[to]?.confidence === sorted[from]?.confidence) to++
    for (let at = from; at < to; at++) {
      if (!sorted[at]?.answerable) continue
      positives++
      ranks += (from + 1 + to) / 2
    }
    from = to
  }
  const negatives = sorted.length - positives
  return positives === 0 || negatives === 0 ? 0 : (ranks - (positives * (positives + 1)) / 2) / (positives * negatives)
}

/** The lowest confidence from which on `precision` of the answers are right; above 1 when none is. */
export function thresholdFor(judged: readonly Judged[], precision: number): number {
  const sorted = [...judged].sort((a, b) => b.confidence - a.confidence)
  let right = 0
  let threshold = Number.POSITIVE_INFINITY
  sorted.forEach((one, at) => {
    if (isRight(one)) right++
    const ends = sorted[at + 1]?.confidence !== one.confidence
    if (ends && right / (at + 1) >= precision) threshold = one.confidence
  })
  return threshold
}

/** Share of the answerable questions answered at once and right where `precision` of all instant answers are right. */
function coverageAt(judged: readonly Judged[], precision: number): number {
  const threshold = thresholdFor(judged, precision)
  const right = judged.filter((one) => one.confidence >= threshold && isRight(one)).length
  return right / Math.max(judged.filter(({ answerable }) => answerable).length, 1)
}

const BINS = 10

/** Confidence against the share that was right, in tenths. */
export function reliability(
  judged: readonly Judged[]
): { from: number; questions: number; said: number; right: number }[] {
  return Array.from({ length: BINS }, (_, bin) => {
    const inside = judged.filter(({ confidence }) => Math.min(BINS - 1, Math.floor(confidence * BINS)) === bin)
    const mean = (value: (one: Judged) => number) =>
      percent(inside.reduce((sum, one) => sum + value(one), 0) / Math.max(inside.length, 1))
    return {
      from: (bin * 100) / BINS,
      questions: inside.length,
      said: mean(({ confidence }) => confidence),
      right: mean((one) => (isRight(one) ? 1 : 0))
    }
  })
}

/** Expected calibration error, 0–1: how far said and true confidence lie apart, weighted by bin. */
function calibrationError(judged: readonly Judged[]): number {
  const gaps = reliability(judged).map(({ questions, said, right }) => questions * Math.abs(said - right))
  return gaps.reduce((a, b) => a + b, 0) / 100 / Math.max(judged.length, 1)
}

/** What a threshold lets through; percentages 0–100. */
export function atThreshold(judged: readonly Judged[], passes: (one: Judged) => boolean) {
  const answered = judged.filter(passes)
  const right = answered.filter(isRight).length
  const answerable = judged.filter((one) => one.answerable).length
  const none = judged.length - answerable
  return {
    precisionAtThreshold: percent(right / Math.max(answered.length, 1)),
    coverageAtThreshold: percent(right / Math.max(answerable, 1)),
    falseAnswerRate: percent(answered.filter((one) => !one.answerable).length / Math.max(none, 1))
  }
}
