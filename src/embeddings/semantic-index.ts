import { Matrix } from './matrix.ts'
import { cosineOf } from './quantise.ts'
import type { EntryTexts } from './texts.ts'

/** An entry that is near in meaning. */
export type SemanticHit = Pick<EntryTexts, 'key' | 'kind' | 'id' | 'anchor'>

/** Cosines of an entry's nearest question form and nearest chunk of its answer or passage; null where it has none. */
export interface Nearness {
  question: number | null
  answer: number | null
}

/** An entry with its texts' vectors, in their order. */
export interface EntryVectors {
  entry: SemanticHit
  questions: readonly Int16Array[]
  answers: readonly Int16Array[]
}

interface Held {
  hit: SemanticHit
  questions: readonly number[]
  answers: readonly number[]
  /** Its place in the list of entries, reused after it. */
  slot: number
}

/** Below every product. */
const NONE = -(2 ** 31)
const NOBODY = -1

/** Which entries are near in meaning to a question, over all of them, exactly. */
export class SemanticIndex {
  readonly #matrix: Matrix
  readonly #entries = new Map<string, Held>()
  /** Keys of each record's entries. */
  readonly #records = new Map<string, readonly string[]>()
  readonly #slots: (Held | null)[] = []
  readonly #freeSlots: number[] = []
  /** The slot of the entry that each row belongs to. */
  #owners = new Int32Array(1024).fill(NOBODY)
  #best = new Int32Array(1024)

  constructor(dimension: number) {
    this.#matrix = new Matrix(dimension)
  }

  get dimension(): number {
    return this.#matrix.dimension
  }

  /** Takes a record's entries in, in place of those it had. */
  replace(record: string, entries: readonly EntryVectors[]): void {
    this.drop(record)
    for (const { entry, questions, answers } of entries) {
      const slot = this.#freeSlots.pop() ?? this.#slots.length
      const take = (vector: Int16Array) => this.#take(vector, slot)
      const held: Held = { hit: entry, questions: questions.map(take), answers: answers.map(take), slot }
      this.#slots[slot] = held
      this.#entries.set(entry.key, held)
    }
    if (entries.length > 0) {
      this.#records.set(
        record,
        entries.map(({ entry }) => entry.key)
      )
    }
  }

  /** Lets go of a record's entries. */
  drop(record: string): void {
    for (const key of this.#records.get(record) ?? []) {
      const held = this.#entries.get(key)
      if (held === undefined) continue
      for (const row of [...held.questions, ...held.answers]) {
        this.#matrix.remove(row)
        this.#owners[row] = NOBODY
      }
      this.#slots[held.slot] = null
      this.#freeSlots.push(held.slot)
      this.#entries.delete(key)
    }
    this.#records.delete(record)
  }

  /** The entries with the nearest text, best first; at equal nearness by key. */
  nearest(query: Int16Array, limit: number): SemanticHit[] {
    const slots = this.#slots.length
    if (this.#best.length < slots) this.#best = new Int32Array(slots * 2)
    const best = this.#best.fill(NONE, 0, slots)
    const owners = this.#owners
    this.#matrix.multiply(query, (products, first) => {
      for (let at = 0; at < products.length; at++) {
        const owner = owners[first + at] as number
        const product = products[at] as number
        if (owner !== NOBODY && product > (best[owner] as number)) best[owner] = product
      }
    })
    const before = (a: Held, b: Held) => {
      const [productA, productB] = [best[a.slot] as number, best[b.slot] as number]
      return productA > productB || (productA === productB && a.hit.key < b.hit.key)
    }
    // Few of many get in: an insertion costs less than a heap.
    const top: Held[] = []
    let floor = NONE
    for (let slot = 0; slot < slots; slot++) {
      const product = best[slot] as number
      if (product === NONE || product < floor) continue
      const held = this.#slots[slot] as Held
      let at = top.length
      while (at > 0 && before(held, top[at - 1] as Held)) at--
      if (at >= limit) continue
      top.splice(at, 0, held)
      if (top.length > limit) top.pop()
      if (top.length === limit) floor = best[(top[limit - 1] as Held).slot] as number
    }
    return top.map(({ hit }) => hit)
  }

  /** Null when the entry is not held. */
  of(key: string, query: Int16Array): Nearness | null {
    const held = this.#entries.get(key)
    if (held === undefined) return null
    const nearest = (rows: readonly number[]) =>
      rows.length === 0 ? null : cosineOf(Math.max(...rows.map((row) => this.#matrix.product(row, query))))
    return { question: nearest(held.questions), answer: nearest(held.answers) }
  }

  #take(vector: Int16Array, slot: number): number {
    const row = this.#matrix.add(vector)
    if (row >= this.#owners.length) {
      const owners = new Int32Array(this.#owners.length * 2).fill(NOBODY)
      owners.set(this.#owners)
      this.#owners = owners
    }
    this.#owners[row] = slot
    return row
  }
}
