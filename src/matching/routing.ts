// biome-ignore-all lint/style/noNonNullAssertion: typed arrays are read within their bounds
import { setImmediate } from 'node:timers/promises'
import { charactersOf } from '../text/tokens.ts'

/** A text whose unit is known: a duty, a name, a question of an entry it owns, the title of a document it issued. */
export interface UnitText {
  unit: string
  words: readonly string[]
  /** Normalised. */
  text: string
}

export interface LikelyUnit {
  unit: string
  /** 0–1; of all units together at most 1. */
  probability: number
}

/** Knows whose duty a question is. */
export interface Router {
  /** Best first, level ones by code; empty when nothing in the question was ever a unit's matter. */
  likely(question: { text: string; words: readonly string[] }, limit: number): LikelyUnit[]
}

/** Ridge of the regression; a quarter or four times as much changes no figure by half a point (bench routing). */
const RIDGE = 0.2
/** Conjugate gradients: further steps change less than a tenth of a point (bench routing). */
const STEPS = 12
const ENOUGH = 1e-3
/** Sharpness of the softmax over scores that are near 1 for the right unit and near 0 for the rest (bench routing). */
const SHARPNESS = 13
/** A score below is what any unit gets from a few common characters. */
const FLOOR = 0.08
/** Milliseconds of work before others get their turn. */
const TURN_MS = 12

/** What a text is told by: words, single characters, and pairs with the text's beginning and end. */
function featuresOf({ text, words }: { text: string; words: readonly string[] }): Set<string> {
  const features = new Set<string>()
  for (const word of words) features.add(`w${word}`)
  for (const character of charactersOf(text)) features.add(`c${character}`)
  const whole = `^${text}$`
  for (let at = 1; at < whole.length; at++) features.add(`p${whole.slice(at - 1, at + 1)}`)
  return features
}

/** Rows of a sparse matrix, one after the other. */
interface Rows {
  starts: Uint32Array
  ids: Uint32Array
  values: Float32Array
}

/**
 * Learns whose matter a text is: least squares with a ridge, one target a unit, over idf-weighted features of unit length.
 * It beat votes of the nearest, naive Bayes and a softmax on the routing set (docs/decisions/0009).
 */
export async function openRouter(texts: readonly UnitText[]): Promise<Router> {
  const units = [...new Set(texts.map(({ unit }) => unit))].sort()
  const unitAt = new Map(units.map((unit, at) => [unit, at]))
  const sets = texts.map(featuresOf)
  const df = new Map<string, number>()
  const held = new Map<string, Set<string>>()
  sets.forEach((set, at) => {
    for (const feature of set) {
      const by = held.get(feature) ?? new Set()
      held.set(feature, by.add(texts[at]!.unit))
    }
  })
  for (const [feature, by] of held) df.set(feature, by.size)
  const idOf = new Map([...df.keys()].map((feature, at) => [feature, at]))
  const idf = Float32Array.from(df.values(), (held) => Math.log(1 + units.length / held))
  const rows = rowsOf(sets, idOf, idf)
  const weights = new Float32Array(idOf.size * units.length)
  const solution = await solve(rows, texts, unitAt, idOf.size)
  spread(rows, solution, units.length, weights)
  return {
    likely(question, limit) {
      // Brackets alone are no question, though some unit's headlines are the only ones to have them.
      if (charactersOf(question.text).length === 0) return []
      const asked = [...featuresOf(question)].flatMap((feature) => idOf.get(feature) ?? [])
      let length = 0
      for (const id of asked) length += idf[id]! ** 2
      if (length === 0) return []
      const scores = new Float64Array(units.length)
      for (const id of asked) {
        const value = idf[id]! / Math.sqrt(length)
        for (let unit = 0, at = id * units.length; unit < units.length; unit++, at++)
          scores[unit]! += value * weights[at]!
      }
      // Rounded, so that level units are level whatever order their sums were made in.
      const level = scores.map((score) => Math.round(score * 1e5))
      const order = [...level.keys()].sort((a, b) => level[b]! - level[a]! || a - b)
      if (scores[order[0]!]! < FLOOR) return []
      let total = 0
      for (const score of scores) total += Math.exp(SHARPNESS * score)
      return order
        .slice(0, limit)
        .map((at) => ({ unit: units[at]!, probability: Math.exp(SHARPNESS * scores[at]!) / total }))
    }
  }
}

function rowsOf(sets: readonly ReadonlySet<string>[], idOf: ReadonlyMap<string, number>, idf: Float32Array): Rows {
  const count = sets.reduce((sum, set) => sum + set.size, 0)
  const rows: Rows = {
    starts: new Uint32Array(sets.length + 1),
    ids: new Uint32Array(count),
    values: new Float32Array(count)
  }
  let next = 0
  sets.forEach((set, row) => {
    let length = 0
    for (const feature of set) length += idf[idOf.get(feature)!]! ** 2
    for (const feature of set) {
      const id = idOf.get(feature)!
      rows.ids[next] = id
      rows.values[next++] = idf[id]! / Math.sqrt(length)
    }
    rows.starts[row + 1] = next
  })
  return rows
}

/** Adds each row times its values to the features' sums: Xᵀ A. */
function spread({ starts, ids, values }: Rows, given: Float32Array, width: number, into: Float32Array): void {
  for (let row = 0; row + 1 < starts.length; row++) {
    for (let i = starts[row]!; i < starts[row + 1]!; i++) {
      const value = values[i]!
      for (let from = row * width, to = ids[i]! * width, n = 0; n < width; n++)
        into[to + n]! += value * given[from + n]!
    }
  }
}

/** Solves (X Xᵀ + ridge) A = T for all units at once, each by its own conjugate gradients. */
async function solve(
  rows: Rows,
  texts: readonly UnitText[],
  unitAt: ReadonlyMap<string, number>,
  features: number
): Promise<Float32Array> {
  const width = unitAt.size
  const size = texts.length * width
  const solution = new Float32Array(size)
  const residual = new Float32Array(size)
  texts.forEach(({ unit }, row) => {
    residual[row * width + unitAt.get(unit)!] = 1
  })
  const direction = residual.slice()
  const image = new Float32Array(size)
  const sums = new Float32Array(features * width)
  let norms = columnProducts(residual, residual, width)
  const first = norms.slice()
  let since = performance.now()
  for (let step = 0; step < STEPS && norms.some((norm, at) => norm > ENOUGH ** 2 * first[at]!); step++) {
    sums.fill(0)
    spread(rows, direction, width, sums)
    for (let row = 0; row < texts.length; row++) {
      const to = row * width
      for (let n = 0; n < width; n++) image[to + n] = RIDGE * direction[to + n]!
      for (let i = rows.starts[row]!; i < rows.starts[row + 1]!; i++) {
        const value = rows.values[i]!
        for (let from = rows.ids[i]! * width, n = 0; n < width; n++) image[to + n]! += value * sums[from + n]!
      }
      if ((row & 127) === 0 && performance.now() - since > TURN_MS) {
        await setImmediate()
        since = performance.now()
      }
    }
    const slopes = columnProducts(direction, image, width)
    const steps = norms.map((norm, at) => (slopes[at]! > 0 ? norm / slopes[at]! : 0))
    for (let at = 0; at < size; at++) {
      const by = steps[at % width]!
      solution[at]! += by * direction[at]!
      residual[at]! -= by * image[at]!
    }
    const next = columnProducts(residual, residual, width)
    for (let at = 0; at < size; at++) {
      const column = at % width
      direction[at] = residual[at]! + (norms[column]! > 0 ? next[column]! / norms[column]! : 0) * direction[at]!
    }
    norms = next
  }
  return solution
}

function columnProducts(a: Float32Array, b: Float32Array, width: number): Float64Array {
  const products = new Float64Array(width)
  for (let at = 0; at < a.length; at++) products[at % width]! += a[at]! * b[at]!
  return products
}
