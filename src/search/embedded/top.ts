// biome-ignore-all lint/style/noNonNullAssertion: typed arrays are read within their bounds

import type { EntryTest } from './attributes.ts'

/** Ciura's. */
const GAPS = [1750, 701, 301, 132, 57, 23, 10, 4, 1]

/**
 * The best few of many scored entries. What is offered goes into a buffer some times as large as asked for; when that is
 * full the best are kept and the floor rises. Cheaper than a heap, which sinks every single one.
 */
export class Top {
  /** Scores below this cannot get in any more; always above 0, as an entry without a score is no hit. */
  floor = Number.MIN_VALUE
  #limit = 0
  #size = 0
  #scores = new Float32Array(256)
  #entries = new Int32Array(256)
  #scratch = new Float32Array(256)
  readonly #before: (a: number, b: number) => boolean

  /** @param before whether entry a comes before b at equal score */
  constructor(before: (a: number, b: number) => boolean) {
    this.#before = before
  }

  /** Begins anew. */
  start(limit: number): void {
    this.#limit = limit
    this.#size = 0
    this.floor = Number.MIN_VALUE
    if (this.#scores.length < limit * 4) {
      this.#scores = new Float32Array(limit * 4)
      this.#entries = new Int32Array(limit * 4)
      this.#scratch = new Float32Array(limit * 4)
    }
  }

  /** To be called with scores from the floor up only. */
  offer(entry: number, score: number): void {
    if (this.#size === this.#scores.length) {
      this.#cut()
      if (score < this.floor) return
    }
    this.#scores[this.#size] = score
    this.#entries[this.#size++] = entry
  }

  /**
   * Raises the floor to what `limit` of the first entries reach, without taking them in: offered later, few others are
   * taken in for nothing. Entries must be distinct.
   */
  prime(scores: Float32Array, entries: Int32Array, count: number, test: EntryTest | null): void {
    const looked = Math.min(count, this.#scratch.length)
    let size = 0
    for (let i = 0; i < looked; i++) {
      const entry = entries[i]!
      if (test === null || test(entry)) this.#scratch[size++] = scores[entry]!
    }
    if (size >= this.#limit) this.floor = Math.max(this.floor, this.#nth(this.#limit - 1, size))
  }

  /** Makes the result of each entry taken, best first. */
  finish<T>(make: (entry: number, score: number) => T): T[] {
    if (this.#size > this.#limit) this.#cut()
    const results: T[] = []
    const scores = this.#scores
    const entries = this.#entries
    // Shell sort: nearly an insertion sort for the few dozen usually asked for.
    for (const gap of GAPS) {
      for (let i = gap; i < this.#size; i++) {
        const score = scores[i]!
        const entry = entries[i]!
        let at = i
        for (; at >= gap; at -= gap) {
          const above = scores[at - gap]!
          if (above > score || (above === score && this.#before(entries[at - gap]!, entry))) break
          scores[at] = above
          entries[at] = entries[at - gap]!
        }
        scores[at] = score
        entries[at] = entry
      }
    }
    for (let i = 0; i < this.#size; i++) results.push(make(entries[i]!, scores[i]!))
    return results
  }

  /** Keeps the best `limit`; the worst of them is the new floor. */
  #cut(): void {
    const size = this.#size
    this.#scratch.set(this.#scores)
    const floor = this.#nth(this.#limit - 1, size)
    const level: number[] = []
    this.#size = 0
    for (let i = 0; i < size; i++) {
      const score = this.#scores[i]!
      if (score === floor) level.push(this.#entries[i]!)
      else if (score > floor) this.#keep(this.#entries[i]!, score)
    }
    if (this.#size + level.length > this.#limit) level.sort((a, b) => (this.#before(a, b) ? -1 : 1))
    for (const entry of level.slice(0, this.#limit - this.#size)) this.#keep(entry, floor)
    this.floor = floor
  }

  #keep(entry: number, score: number): void {
    this.#scores[this.#size] = score
    this.#entries[this.#size++] = entry
  }

  /** The score that n others in `scratch` are above, or level with (quickselect). */
  #nth(n: number, size: number): number {
    const scores = this.#scratch
    let low = 0
    let high = size - 1
    while (low < high) {
      const pivot = scores[(low + high) >> 1]!
      let i = low
      let j = high
      while (i <= j) {
        while (scores[i]! > pivot) i++
        while (scores[j]! < pivot) j--
        if (i <= j) {
          const score = scores[i]!
          scores[i++] = scores[j]!
          scores[j--] = score
        }
      }
      if (n <= j) high = j
      else if (n >= i) low = i
      else break
    }
    return scores[n]!
  }
}
