// biome-ignore-all lint/style/noNonNullAssertion: typed arrays are read within their bounds
import { BOOSTS } from '../boosts.ts'
import type { EntrySource } from '../search-engine.ts'
import { ENTRY_FIELDS, type Entry, TOKEN_UNITS, type TokenUnit, tokensOf } from '../tokens.ts'
import { Growing } from './arrays.ts'
import { Attributes, type AttributesParts } from './attributes.ts'
import { idfOf, saturation, storedLength } from './bm25.ts'
import { StringTable, type StringTableParts } from './string-table.ts'

export const FIELD_COUNT = ENTRY_FIELDS.length

/** The inverted index and forward lists of one token unit. */
export interface UnitParts {
  terms: StringTableParts
  /** Where each term's postings start; one more for the end. */
  starts: Uint32Array
  /** Postings: entries ascending, each with what the term adds to its score, all fields together. */
  entries: Int32Array
  impacts: Float32Array
  /** Each term's highest impact. */
  maxima: Float32Array
  /** Frequent terms: where in `ranks` each one's part starts; -1 for the others. */
  rankStarts: Int32Array
  /** For each 32 entries two numbers: a bit for each that holds the term, and how many hold it before. */
  ranks: Uint32Array
  /** Entries that hold the term in any field. */
  df: Uint32Array
  /** Entries that hold the term in the field, at term · FIELD_COUNT + field. */
  fieldDf: Uint32Array
  /** Entries that have the field, and its average length among them. */
  fieldEntries: Float64Array
  averageLengths: Float64Array
  /** Sorted distinct terms of each form, form after form. */
  formTerms: Uint32Array
  formStarts: Uint32Array
}

/** A whole index as typed arrays, to hand from one thread to another. */
export interface IndexParts {
  /** Change-feed sequence it stands at. */
  sequence: number
  attributes: AttributesParts
  keys: StringTableParts
  /** Entries in key order, and each entry's place in it: a database need not order keys as we do. */
  byKey: Uint32Array
  rank: Uint32Array
  /** First form of each entry; one more for the end. Forms stand in the order of ENTRY_FIELDS. */
  entryForms: Uint32Array
  /** Which field a form belongs to. */
  formFields: Uint8Array
  /** Single characters of each form in text order, form after form: term numbers of `units.characters`. */
  sequences: Uint16Array | Uint32Array
  sequenceStarts: Uint32Array
  units: Record<TokenUnit, UnitParts>
}

/** Runs through term numbers, sorting them in place, and reports each distinct one with its count. */
export function countTerms(numbers: Uint32Array, report: (term: number, tf: number) => void): void {
  numbers.sort()
  for (let i = 0; i < numbers.length; ) {
    const term = numbers[i] as number
    const first = i
    while (i < numbers.length && numbers[i] === term) i++
    report(term, i - first)
  }
}

class UnitBuilder {
  readonly #unit: TokenUnit
  readonly #terms = new StringTable()
  readonly #formTerms = new Growing(Uint32Array, 1024)
  readonly #formTf = new Growing(Uint16Array, 1024)
  readonly #formStarts = new Growing(Uint32Array)
  #scratch = new Uint32Array(1024)

  constructor(unit: TokenUnit) {
    this.#unit = unit
    this.#formStarts.push(0)
  }

  /** @param sequence takes the terms as they follow each other */
  addForm(tokens: readonly string[], sequence: Growing<Uint32Array> | null): void {
    const { length } = tokens
    if (length > this.#scratch.length) this.#scratch = new Uint32Array(length * 2)
    for (let i = 0; i < length; i++) {
      const term = this.#terms.intern(tokens[i] as string)
      this.#scratch[i] = term
      sequence?.push(term)
    }
    countTerms(this.#scratch.subarray(0, length), (term, tf) => {
      this.#formTerms.push(term)
      this.#formTf.push(Math.min(tf, 0xffff))
    })
    this.#formStarts.push(this.#formTerms.length)
  }

  finish(entryForms: Uint32Array, formFields: Uint8Array): UnitParts {
    const boosts = ENTRY_FIELDS.map((field) => BOOSTS[this.#unit][field])
    const terms = this.#terms.size
    const formTerms = this.#formTerms.trimmed()
    const formTf = this.#formTf.array
    const formStarts = this.#formStarts.trimmed()
    const fieldDf = new Uint32Array(terms * FIELD_COUNT)
    const df = new Uint32Array(terms)
    const fieldEntries = new Float64Array(FIELD_COUNT)
    const lengths = new Float64Array(FIELD_COUNT)
    const tfs = new Uint32Array(terms)
    // Entry + 1 in which a term was met last: tells a term's first field in an entry from the others.
    const met = new Uint32Array(terms)

    /** Calls back for every entry's every field: its forms' terms, their frequencies summed in `tfs`. */
    const eachField = (
      visit: (entry: number, field: number, length: number, first: number, end: number) => void
    ): void => {
      for (let entry = 0; entry + 1 < entryForms.length; entry++) {
        const lastForm = entryForms[entry + 1] as number
        for (let form = entryForms[entry] as number; form < lastForm; ) {
          const field = formFields[form] as number
          const first = formStarts[form] as number
          while (form < lastForm && formFields[form] === field) form++
          const end = formStarts[form] as number
          let length = 0
          for (let i = first; i < end; i++) {
            const tf = formTf[i] as number
            tfs[formTerms[i] as number]! += tf
            length += tf
          }
          if (length > 0) visit(entry, field, length, first, end)
        }
      }
    }

    eachField((entry, field, length, first, end) => {
      fieldEntries[field]!++
      lengths[field]! += length
      for (let i = first; i < end; i++) {
        const term = formTerms[i] as number
        if (tfs[term] === 0) continue
        tfs[term] = 0
        fieldDf[term * FIELD_COUNT + field]!++
        if (met[term] === entry + 1) continue
        met[term] = entry + 1
        df[term]!++
      }
    })

    const averageLengths = lengths.map((length, field) => length / Math.max(1, fieldEntries[field] as number))
    const idfs = Array.from(fieldEntries, (n) => Float64Array.from({ length: n + 1 }, (_, held) => idfOf(held, n)))
    const starts = new Uint32Array(terms + 1)
    for (let term = 0; term < terms; term++) starts[term + 1] = (starts[term] as number) + (df[term] as number)
    const entries = new Int32Array(starts[terms] as number)
    const impacts = new Float32Array(starts[terms] as number)
    const next = starts.slice()
    met.fill(0)
    eachField((entry, field, length, first, end) => {
      const boost = boosts[field] as number
      const idf = idfs[field] as Float64Array
      const average = averageLengths[field] as number
      const stored = storedLength(length)
      for (let i = first; i < end; i++) {
        const term = formTerms[i] as number
        const tf = tfs[term] as number
        if (tf === 0) continue
        tfs[term] = 0
        if (met[term] !== entry + 1) {
          met[term] = entry + 1
          entries[next[term]!++] = entry
        }
        const held = fieldDf[term * FIELD_COUNT + field] as number
        impacts[(next[term] as number) - 1]! += boost * (idf[held] as number) * saturation(tf, stored, average)
      }
    })
    return {
      terms: this.#terms.parts(),
      starts,
      entries,
      impacts,
      maxima: maximaOf(starts, impacts),
      ...ranksOf(starts, entries, entryForms.length - 1),
      df,
      fieldDf,
      fieldEntries,
      averageLengths,
      formTerms,
      formStarts
    }
  }
}

function maximaOf(starts: Uint32Array, impacts: Float32Array): Float32Array {
  const maxima = new Float32Array(starts.length - 1)
  for (let term = 0; term < maxima.length; term++) {
    for (let p = starts[term]!; p < starts[term + 1]!; p++) maxima[term] = Math.max(maxima[term]!, impacts[p]!)
  }
  return maxima
}

/** Terms in at least one of 32 entries can be looked up for one entry without a search: see `rankOf` in base.ts. */
function ranksOf(starts: Uint32Array, entries: Int32Array, count: number): Pick<UnitParts, 'rankStarts' | 'ranks'> {
  const width = 2 * Math.ceil(count / 32)
  const rankStarts = new Int32Array(starts.length - 1).fill(-1)
  let size = 0
  for (let term = 0; term < rankStarts.length; term++) {
    if ((starts[term + 1]! - starts[term]!) * 32 < count) continue
    rankStarts[term] = size
    size += width
  }
  const ranks = new Uint32Array(size)
  for (let term = 0; term < rankStarts.length; term++) {
    const first = rankStarts[term]!
    if (first === -1) continue
    let p = starts[term]!
    for (let at = 0; at < width; at += 2) {
      ranks[first + at + 1] = p - starts[term]!
      for (; p < starts[term + 1]! && entries[p]! >> 5 === at >> 1; p++) ranks[first + at]! |= 1 << (entries[p]! & 31)
    }
  }
  return { rankStarts, ranks }
}

/** At half the size where every number allows it. */
function narrowed(numbers: Uint32Array): Uint16Array | Uint32Array {
  return numbers.every((number) => number <= 0xffff) ? Uint16Array.from(numbers) : numbers
}

/** Builds an index from entries in any order. */
export class IndexBuilder {
  readonly #attributes = new Attributes()
  readonly #keys = new StringTable()
  readonly #entryForms = new Growing(Uint32Array)
  readonly #formFields = new Growing(Uint8Array)
  readonly #sequences = new Growing(Uint32Array, 1024)
  readonly #sequenceStarts = new Growing(Uint32Array)
  readonly #units = TOKEN_UNITS.map((unit) => [unit, new UnitBuilder(unit)] as const)

  constructor() {
    this.#entryForms.push(0)
    this.#sequenceStarts.push(0)
  }

  add(entry: Entry): void {
    // A key read twice (its row moved while pages were read) stays as it was read first; the change feed brings the rest.
    if (this.#keys.find(entry.key) !== -1) return
    this.#keys.intern(entry.key)
    this.#attributes.push(entry)
    ENTRY_FIELDS.forEach((field, number) => {
      for (const form of entry.fields[field]) {
        this.#formFields.push(number)
        for (const [unit, builder] of this.#units) {
          builder.addForm(tokensOf(form, unit), unit === 'characters' ? this.#sequences : null)
        }
        this.#sequenceStarts.push(this.#sequences.length)
      }
    })
    this.#entryForms.push(this.#formFields.length)
  }

  finish(sequence: number): IndexParts {
    const count = this.#keys.size
    const keys = Array.from({ length: count }, (_, index) => this.#keys.at(index))
    const byKey = Uint32Array.from({ length: count }, (_, index) => index)
    if (keys.some((key, index) => index > 0 && key < (keys[index - 1] as string))) {
      byKey.sort((a, b) => ((keys[a] as string) < (keys[b] as string) ? -1 : 1))
    }
    const rank = new Uint32Array(count)
    byKey.forEach((index, place) => {
      rank[index] = place
    })
    const entryForms = this.#entryForms.trimmed()
    const formFields = this.#formFields.trimmed()
    return {
      sequence,
      attributes: this.#attributes.parts(),
      keys: this.#keys.parts(),
      byKey,
      rank,
      entryForms,
      formFields,
      sequences: narrowed(this.#sequences.trimmed()),
      sequenceStarts: this.#sequenceStarts.trimmed(),
      units: Object.fromEntries(
        this.#units.map(([unit, builder]) => [unit, builder.finish(entryForms, formFields)])
      ) as Record<TokenUnit, UnitParts>
    }
  }
}

/**
 * Builds an index from a source.
 * @param report hears how many entries are in, after each; the caller's chance to yield
 */
export async function buildIndex(
  source: EntrySource,
  report: (read: number) => Promise<void> | void
): Promise<IndexParts> {
  const builder = new IndexBuilder()
  let read = 0
  for await (const entry of source.entries) {
    builder.add(entry)
    const pause = report(++read)
    if (pause !== undefined) await pause
  }
  return builder.finish(source.sequence)
}
