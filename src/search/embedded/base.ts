// biome-ignore-all lint/style/noNonNullAssertion: typed arrays are read within their bounds
import type { FormTerms } from '../search-engine.ts'
import { TOKEN_UNITS, type TokenUnit } from '../tokens.ts'
import { Attributes, type EntryTest } from './attributes.ts'
import type { IndexParts, UnitParts } from './build.ts'
import { StringTable } from './string-table.ts'
import type { Top } from './top.ts'

// Costs in postings gone through (about 1 ns) and shares: tried out by bench engines at 5k and 50k entries, both layouts.

/** Beyond this share of entries touched, looking at every score is quicker than keeping note of which were. */
const TOUCHED_SHARE = 0.125
/** Asking what can still matter. */
const ASKING_COST = 2000
/** Looking one entry up in a frequent term. */
const LOOKUP_COST = 5
/** When the terms left can add no more than this share of the floor, few enough entries are in the running. */
const REST_SHARE = { noted: 0.8, all: 0.3 } as const

interface BaseUnit extends Omit<UnitParts, 'terms'> {
  terms: StringTable
  /** How often the query being scored has each term; all 0 between queries. */
  counts: Uint16Array
}

/** A query term's postings. */
interface List {
  unit: TokenUnit
  term: number
  times: number
  start: number
  end: number
  /** The most it can add to a score. */
  most: number
}

/** The built part of an index: never changes, except that entries can be marked gone. */
export class Base {
  readonly sequence: number
  readonly size: number
  readonly keys: StringTable
  readonly attributes: Attributes
  readonly units: Record<TokenUnit, BaseUnit>
  readonly rank: Uint32Array
  readonly #parts: IndexParts
  readonly #scores: Float32Array
  readonly #touched: Int32Array
  readonly #candidates: Int32Array

  constructor(parts: IndexParts) {
    this.#parts = parts
    this.sequence = parts.sequence
    this.keys = new StringTable(parts.keys)
    this.attributes = new Attributes(parts.attributes)
    this.size = this.keys.size
    this.rank = parts.rank
    this.units = Object.fromEntries(
      TOKEN_UNITS.map((unit) => {
        const terms = new StringTable(parts.units[unit].terms)
        return [unit, { ...parts.units[unit], terms, counts: new Uint16Array(terms.size) }]
      })
    ) as Record<TokenUnit, BaseUnit>
    this.#scores = new Float32Array(this.size)
    this.#touched = new Int32Array(this.size)
    this.#candidates = new Int32Array(this.size + 1)
  }

  /** The query's known terms, rarest first: the order in which scores are summed. */
  lists(terms: Record<TokenUnit, readonly number[]>): List[] {
    const lists: List[] = []
    for (const unit of TOKEN_UNITS) {
      const { starts, counts, maxima } = this.units[unit]
      for (const term of terms[unit]) counts[term]!++
      for (const term of terms[unit]) {
        const times = counts[term]!
        if (times === 0) continue
        counts[term] = 0
        lists.push({ unit, term, times, start: starts[term]!, end: starts[term + 1]!, most: times * maxima[term]! })
      }
    }
    return lists.sort((a, b) => a.end - a.start - (b.end - b.start))
  }

  /**
   * Offers the best entries that pass the test.
   * Rarest terms first, entry scores are added up. Once the terms left, all frequent, cannot lift an entry without any
   * of the others into the best, they are looked up for those entries only that they could lift: a tenth of the postings
   * for a tenth of the entries (bench engines).
   */
  collect(lists: readonly List[], test: EntryTest | null, top: Top, limit: number): void {
    const scores = this.#scores
    const touched = this.#touched
    let touchedCount = 0
    let touchedAll = false
    let risen = 0
    let spent = 0
    let rest = 0
    for (const { most } of lists) rest += most
    let next = 0
    for (; next < lists.length; next++) {
      const list = lists[next]!
      const { unit, times, start, end, most } = list
      // The floor can have risen by what was added since it was looked at, and no more.
      if (rest < top.floor + risen && touchedCount >= limit && spent + end - start > ASKING_COST) {
        top.prime(scores, touched, touchedCount, test)
        spent = 0
        if (rest < top.floor * (touchedAll ? REST_SHARE.all : REST_SHARE.noted)) break
        risen = 0
      }
      spent += end - start
      rest -= most
      risen += most
      const { entries, impacts } = this.units[unit]
      touchedAll ||= touchedCount + end - start > this.size * TOUCHED_SHARE
      if (touchedAll) accumulate(scores, entries, impacts, start, end, times)
      else touchedCount = accumulateNoting(scores, entries, impacts, start, end, times, touched, touchedCount)
    }
    if (next === lists.length) {
      top.prime(scores, touched, touchedCount, test)
      if (touchedAll) scan(scores, this.size, 0, test, top)
      else {
        for (let i = 0; i < touchedCount; i++) {
          const entry = touched[i]!
          const score = scores[entry]!
          if (score >= top.floor && (test === null || test(entry))) top.offer(entry, score)
        }
      }
    } else {
      const candidates = this.#candidates
      let count = touchedAll
        ? gather(scores, this.size, required(top.floor, rest), test, candidates)
        : pick(scores, touched, touchedCount, required(top.floor, rest), test, candidates)
      for (; next < lists.length; next++) {
        const { unit, term, times, start, end, most } = lists[next]!
        const { entries, impacts, rankStarts, ranks } = this.units[unit]
        rest -= most
        if (rankStarts[term] === -1 || count * LOOKUP_COST > end - start) {
          accumulate(scores, entries, impacts, start, end, times)
          touchedAll = true
          spent += end - start
        } else {
          lookUp(scores, candidates, count, ranks, rankStarts[term]!, impacts, start, times)
          spent += count * LOOKUP_COST
        }
        if (spent > ASKING_COST + count) {
          top.prime(scores, candidates, count, null)
          count = pick(scores, candidates, count, required(top.floor, rest), null, candidates)
          spent = 0
        }
      }
      for (let i = 0; i < count; i++) {
        const score = scores[candidates[i]!]!
        if (score >= top.floor) top.offer(candidates[i]!, score)
      }
    }
    if (touchedAll) scores.fill(0)
    else for (let i = 0; i < touchedCount; i++) scores[touched[i]!] = 0
  }

  /** What the term adds to the entry's score. */
  impact(unit: TokenUnit, term: number, entry: number): number {
    const { entries, impacts, starts } = this.units[unit]
    let low = starts[term] as number
    let high = (starts[term + 1] as number) - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const at = entries[middle] as number
      if (at === entry) return impacts[middle] as number
      if (at < entry) low = middle + 1
      else high = middle - 1
    }
    return 0
  }

  /** Field, term list and characters in order of each of the entry's forms. */
  forms(entry: number): { field: number; terms: (unit: TokenUnit) => Uint32Array; sequence: FormTerms['sequence'] }[] {
    const { sequences, sequenceStarts } = this.#parts
    const first = this.#parts.entryForms[entry] as number
    const length = (this.#parts.entryForms[entry + 1] as number) - first
    return Array.from({ length }, (_, i) => ({
      field: this.#parts.formFields[first + i] as number,
      sequence: sequences.subarray(sequenceStarts[first + i], sequenceStarts[first + i + 1]),
      terms: (unit) => {
        const { formTerms, formStarts } = this.units[unit]
        return formTerms.subarray(formStarts[first + i], formStarts[first + i + 1])
      }
    }))
  }

  /** Entries of a record: `KIND/ID` itself and `KIND/ID#ANCHOR`. */
  entriesOf(kind: string, id: string): number[] {
    const record = `${kind}/${id}`
    const found: number[] = []
    const whole = this.keys.find(record)
    if (whole !== -1) found.push(whole)
    const { byKey } = this.#parts
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.keys.at(byKey[middle] as number) < `${record}#`) low = middle + 1
      else high = middle
    }
    for (; low < this.size; low++) {
      const entry = byKey[low] as number
      const key = this.keys.at(entry)
      if (!key.startsWith(`${record}#`)) break
      if (this.attributes.partsOfKey(entry, key).id === id) found.push(entry)
    }
    return found
  }
}

/** What an entry needs to have to reach the floor with `rest`; a little less, for the rounding of sums. */
function required(floor: number, rest: number): number {
  return floor - rest - 1e-5 * floor
}

// The loops below are the hot path. Several postings a turn: a turn's own cost in V8 is as much as a posting's.

function accumulate(
  scores: Float32Array,
  entries: Int32Array,
  impacts: Float32Array,
  start: number,
  end: number,
  times: number
): void {
  const even = start + ((end - start) & ~3)
  let p = start
  for (; p < even; p += 4) {
    scores[entries[p]!]! += times * impacts[p]!
    scores[entries[p + 1]!]! += times * impacts[p + 1]!
    scores[entries[p + 2]!]! += times * impacts[p + 2]!
    scores[entries[p + 3]!]! += times * impacts[p + 3]!
  }
  for (; p < end; p++) scores[entries[p]!]! += times * impacts[p]!
}

/** The same, noting entries met for the first time; returns how many are noted. */
function accumulateNoting(
  scores: Float32Array,
  entries: Int32Array,
  impacts: Float32Array,
  start: number,
  end: number,
  times: number,
  touched: Int32Array,
  count: number
): number {
  const even = start + ((end - start) & ~3)
  let noted = count
  let p = start
  // Four scores are fetched before any is used, for most are far apart in memory.
  for (; p < even; p += 4) {
    const a = entries[p]!
    const b = entries[p + 1]!
    const c = entries[p + 2]!
    const d = entries[p + 3]!
    const scoreA = scores[a]!
    const scoreB = scores[b]!
    const scoreC = scores[c]!
    const scoreD = scores[d]!
    if (scoreA === 0) touched[noted++] = a
    if (scoreB === 0) touched[noted++] = b
    if (scoreC === 0) touched[noted++] = c
    if (scoreD === 0) touched[noted++] = d
    scores[a] = scoreA + times * impacts[p]!
    scores[b] = scoreB + times * impacts[p + 1]!
    scores[c] = scoreC + times * impacts[p + 2]!
    scores[d] = scoreD + times * impacts[p + 3]!
  }
  for (; p < end; p++) {
    const entry = entries[p]!
    const score = scores[entry]!
    if (score === 0) touched[noted++] = entry
    scores[entry] = score + times * impacts[p]!
  }
  return noted
}

/** Adds a frequent term's impact to candidates that hold it. */
function lookUp(
  scores: Float32Array,
  candidates: Int32Array,
  count: number,
  ranks: Uint32Array,
  rankStart: number,
  impacts: Float32Array,
  start: number,
  times: number
): void {
  for (let i = 0; i < count; i++) {
    const entry = candidates[i]!
    const at = rankStart + 2 * (entry >> 5)
    const bits = ranks[at]!
    const bit = 1 << (entry & 31)
    if ((bits & bit) !== 0) scores[entry]! += times * impacts[start + ranks[at + 1]! + bitCount(bits & (bit - 1))]!
  }
}

function bitCount(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x55555555)
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** Copies those of `from` that score enough and pass; `into` may be `from` itself. Returns how many. */
function pick(
  scores: Float32Array,
  from: Int32Array,
  count: number,
  enough: number,
  test: EntryTest | null,
  into: Int32Array
): number {
  let picked = 0
  for (let i = 0; i < count; i++) {
    const entry = from[i]!
    if (scores[entry]! >= enough && (test === null || test(entry))) into[picked++] = entry
  }
  return picked
}

/** The same from all entries. */
function gather(scores: Float32Array, size: number, enough: number, test: EntryTest | null, into: Int32Array): number {
  const even = size & ~7
  let picked = 0
  for (let i = 0; i < even; i += 8) {
    if (
      scores[i]! >= enough ||
      scores[i + 1]! >= enough ||
      scores[i + 2]! >= enough ||
      scores[i + 3]! >= enough ||
      scores[i + 4]! >= enough ||
      scores[i + 5]! >= enough ||
      scores[i + 6]! >= enough ||
      scores[i + 7]! >= enough
    ) {
      for (let entry = i; entry < i + 8; entry++) {
        into[picked] = entry
        picked += +(scores[entry]! >= enough && (test === null || test(entry)))
      }
    }
  }
  for (let entry = even; entry < size; entry++) {
    if (scores[entry]! >= enough && (test === null || test(entry))) into[picked++] = entry
  }
  return picked
}

/** Offers the best of `scores`, entry numbers counted from `first`. */
export function scan(scores: Float32Array, size: number, first: number, test: EntryTest | null, top: Top): void {
  const even = size & ~7
  let { floor } = top
  for (let i = 0; i < even; i += 8) {
    if (
      scores[i]! >= floor ||
      scores[i + 1]! >= floor ||
      scores[i + 2]! >= floor ||
      scores[i + 3]! >= floor ||
      scores[i + 4]! >= floor ||
      scores[i + 5]! >= floor ||
      scores[i + 6]! >= floor ||
      scores[i + 7]! >= floor
    ) {
      offerAll(scores, i, i + 8, first, test, top)
      floor = top.floor
    }
  }
  offerAll(scores, even, size, first, test, top)
}

function offerAll(
  scores: Float32Array,
  from: number,
  to: number,
  first: number,
  test: EntryTest | null,
  top: Top
): void {
  for (let i = from; i < to; i++) {
    const score = scores[i]!
    if (score >= top.floor && (test === null || test(i))) top.offer(first + i, score)
  }
}
