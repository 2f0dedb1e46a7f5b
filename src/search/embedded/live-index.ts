// biome-ignore-all lint/style/noNonNullAssertion: typed arrays are read within their bounds
import { BOOSTS } from '../boosts.ts'
import { SMALLEST_BANK } from '../search-engine.ts'
import type {
  EngineHit,
  EngineQuery,
  EntryTerms,
  FormTerms,
  QueryTokens,
  TermExplanation,
  TermSource
} from '../search-engine.ts'
import { ENTRY_FIELDS, type Entry, type RecordChange, TOKEN_UNITS, type TokenUnit, tokensOf } from '../tokens.ts'
import { Attributes } from './attributes.ts'
import { Base, scan } from './base.ts'
import { idfOf, saturation, storedLength } from './bm25.ts'
import { countTerms, FIELD_COUNT, IndexBuilder, type IndexParts } from './build.ts'
import { StringTable } from './string-table.ts'
import { Top } from './top.ts'

const ANSWERS: readonly string[] = ['answer', 'passage']

/** Entries whose terms are held ready to compare: about 2 kB each, a bank of 20,000. */
const MOST_TERMS = 20_000

/** An entry ready to be added: its terms looked up, its impacts computed. */
export interface PreparedEntry {
  entry: Entry
  forms: (FormTerms & { field: number })[]
  impacts: Record<TokenUnit, Map<number, number>>
}

interface DeltaUnit {
  /** Terms the base has never seen; their numbers follow the base's. */
  terms: StringTable
  postings: Map<number, { entries: number[]; impacts: number[] }>
  /** Entries that hold each of these terms. */
  df: number[]
}

/** An index of no entries. */
export const EMPTY: IndexParts = new IndexBuilder().finish(0)

/**
 * What was built (base) and what changed since (delta: a small inverted index of its own; what it replaces in the base
 * is marked gone). Impacts keep the statistics of the base until the next build, so that an entry scores alike in both;
 * a term the base has never seen counts as rare as can be.
 * Entry numbers: the base's, then the delta's.
 */
export class LiveIndex implements TermSource {
  readonly sequence: number
  readonly #base: Base
  readonly #attributes = new Attributes()
  readonly #added: PreparedEntry[] = []
  readonly #numberOf = new Map<string, number>()
  readonly #ofRecord = new Map<string, number[]>()
  readonly #units: Record<TokenUnit, DeltaUnit>
  readonly #top = new Top((a, b) => this.#before(a, b))
  /** Names of entries that were hits before. */
  readonly #names: Omit<EngineHit, 'score'>[]
  #scores = new Float32Array(64)
  #live: number
  /** idf by document frequency, made anew when the number of entries has changed. */
  #idfs = new Float32Array(0)
  /** idf by term, made when first asked for after a change. */
  #weights: Partial<Record<TokenUnit, Float32Array>> = {}
  readonly #terms = new Map<number, EntryTerms>()

  constructor(parts: IndexParts) {
    this.sequence = parts.sequence
    this.#base = new Base(parts)
    this.#live = this.#base.size
    this.#names = new Array(this.#base.size)
    this.#units = perUnit(() => ({ terms: new StringTable(), postings: new Map(), df: [] }))
  }

  /** Entries of the delta, gone ones included: what the next build will take in. */
  get deltaSize(): number {
    return this.#added.length
  }

  get baseSize(): number {
    return this.#base.size
  }

  search({ tokens, filter, limit }: EngineQuery): EngineHit[] {
    if (limit <= 0) return []
    const top = this.#top
    top.start(limit)
    const numbers = perUnit((unit) => this.#numbers(unit, tokens[unit]))
    const lists = this.#base.lists(perUnit((unit) => numbers[unit].known))
    const baseTest = this.#base.attributes.test(filter)
    if (baseTest !== 'none') this.#base.collect(lists, baseTest === 'all' ? null : baseTest, top, limit)
    const deltaTest = this.#added.length === 0 ? 'none' : this.#attributes.test(filter)
    if (deltaTest !== 'none') {
      // In the base's order, so that an entry's sum is rounded as its twin's there.
      for (const { unit, term, times } of lists) this.#scoreAdded(unit, term, times)
      for (const unit of TOKEN_UNITS) for (const term of numbers[unit].added) this.#scoreAdded(unit, term, 1)
      scan(this.#scores, this.#added.length, this.#base.size, deltaTest === 'all' ? null : deltaTest, top)
      this.#scores.fill(0)
    }
    return top.finish((entry, score) => {
      const { key, kind, id, anchor } = this.#named(entry)
      return { key, kind, id, anchor, score }
    })
  }

  explain(tokens: QueryTokens, key: string): TermExplanation[] {
    const number = this.#find(key)
    if (number === null) return []
    const explanations: TermExplanation[] = []
    for (const unit of TOKEN_UNITS) {
      const times = new Map<string, number>()
      for (const token of tokens[unit]) times.set(token, (times.get(token) ?? 0) + 1)
      for (const [term, count] of times) {
        const id = this.#idOf(unit, term)
        const impact = id === -1 ? 0 : count * this.#impact(unit, id, number)
        if (impact > 0) explanations.push({ unit, term, documentFrequency: this.#df(unit, id), impact })
      }
    }
    return explanations.sort((a, b) => b.impact - a.impact)
  }

  /** Looks up terms and computes impacts: most of the work of adding an entry, and not yet visible. */
  prepare(entry: Entry): PreparedEntry {
    const forms: PreparedEntry['forms'] = []
    const impacts = perUnit(() => new Map<number, number>())
    ENTRY_FIELDS.forEach((name, field) => {
      const tfs = perUnit(() => new Map<number, number>())
      for (const form of entry.fields[name]) {
        let sequence = new Uint32Array()
        const terms = perUnit((unit) => {
          const ids = Uint32Array.from(tokensOf(form, unit), (token) => this.#intern(unit, token))
          if (unit === 'characters') sequence = ids.slice()
          const distinct: number[] = []
          countTerms(ids, (term, tf) => {
            distinct.push(term)
            tfs[unit].set(term, (tfs[unit].get(term) ?? 0) + tf)
          })
          return Uint32Array.from(distinct)
        })
        forms.push({ field, terms, sequence })
      }
      for (const unit of TOKEN_UNITS) this.#addImpacts(impacts[unit], unit, field, tfs[unit])
    })
    return { entry, forms, impacts }
  }

  /** Replaces a record's entries by the given ones; all at once, as readers see it. */
  replace(change: RecordChange, entries: readonly PreparedEntry[]): void {
    const record = `${change.kind}/${change.id}`
    const before = this.#ofRecord.get(record) ?? this.#base.entriesOf(change.kind, change.id)
    for (const number of before) this.#remove(number)
    this.#ofRecord.set(
      record,
      entries.map((entry) => this.#add(entry))
    )
    if (this.#scores.length < this.#added.length) this.#scores = new Float32Array(this.#added.length * 2)
  }

  entryCount(): number {
    return this.#live
  }

  lookup(unit: TokenUnit, tokens: readonly string[]): { ids: Int32Array; idf: Float32Array } {
    const ids = new Int32Array(tokens.length)
    const idf = new Float32Array(tokens.length)
    for (let i = 0; i < tokens.length; i++) {
      const id = this.#idOf(unit, tokens[i] as string)
      ids[i] = id
      idf[i] = this.#idf(unit, id)
    }
    return { ids, idf }
  }

  weights(unit: TokenUnit): Float32Array {
    const known = this.#weights[unit]
    if (known !== undefined) return known
    const size = this.#base.units[unit].terms.size + this.#units[unit].terms.size
    const weights = Float32Array.from({ length: size }, (_, id) => this.#idf(unit, id))
    this.#weights[unit] = weights
    return weights
  }

  token(unit: TokenUnit, id: number): string {
    const { terms } = this.#base.units[unit]
    return id < terms.size ? terms.at(id) : this.#units[unit].terms.at(id - terms.size)
  }

  terms(key: string): EntryTerms | null {
    const number = this.#find(key)
    if (number === null) return null
    const held = this.#terms.get(number)
    if (held !== undefined) return held
    const questions: FormTerms[] = []
    const answers: FormTerms[] = []
    for (const { field, terms, sequence } of this.#forms(number)) {
      ;(ANSWERS.includes(ENTRY_FIELDS[field] as string) ? answers : questions).push({ terms, sequence })
    }
    const terms = { questions, answers }
    if (this.#terms.size >= MOST_TERMS) this.#terms.clear()
    this.#terms.set(number, terms)
    return terms
  }

  #idf(unit: TokenUnit, id: number): number {
    if (this.#idfs.length !== this.#live + 1) {
      const entries = Math.max(this.#live, SMALLEST_BANK)
      this.#idfs = Float32Array.from({ length: this.#live + 1 }, (_, df) => idfOf(df, entries))
    }
    return this.#idfs[this.#df(unit, id)] as number
  }

  #scoreAdded(unit: TokenUnit, term: number, times: number): void {
    const found = this.#units[unit].postings.get(term)
    found?.entries.forEach((entry, at) => {
      this.#scores[entry]! += times * found.impacts[at]!
    })
  }

  #numbers(unit: TokenUnit, tokens: readonly string[]): { known: number[]; added: number[] } {
    const { terms } = this.#base.units[unit]
    const delta = this.#units[unit].terms
    const known: number[] = []
    const added: number[] = []
    for (const token of tokens) {
      const id = terms.find(token)
      if (id !== -1) known.push(id)
      else if (delta.size > 0) {
        const own = delta.find(token)
        if (own !== -1) added.push(terms.size + own)
      }
    }
    return { known, added }
  }

  #idOf(unit: TokenUnit, token: string): number {
    const { terms } = this.#base.units[unit]
    const id = terms.find(token)
    if (id !== -1) return id
    const own = this.#units[unit].terms.find(token)
    return own === -1 ? -1 : terms.size + own
  }

  #intern(unit: TokenUnit, token: string): number {
    const { terms } = this.#base.units[unit]
    const id = terms.find(token)
    return id === -1 ? terms.size + this.#units[unit].terms.intern(token) : id
  }

  #df(unit: TokenUnit, id: number): number {
    if (id === -1) return 0
    const { df } = this.#base.units[unit]
    return (id < df.length ? df[id] : this.#units[unit].df[id - df.length]) ?? 0
  }

  #addImpacts(into: Map<number, number>, unit: TokenUnit, field: number, tfs: ReadonlyMap<number, number>): void {
    const { fieldDf, fieldEntries, averageLengths, terms } = this.#base.units[unit]
    const boost = BOOSTS[unit][ENTRY_FIELDS[field] as (typeof ENTRY_FIELDS)[number]]
    let length = 0
    for (const tf of tfs.values()) length += tf
    const n = Math.max(1, fieldEntries[field] as number)
    const average = (averageLengths[field] as number) || storedLength(length)
    for (const [term, tf] of tfs) {
      const df = term < terms.size ? Math.max(1, fieldDf[term * FIELD_COUNT + field] as number) : 1
      const impact = boost * idfOf(df, n) * saturation(tf, storedLength(length), average)
      into.set(term, Math.fround((into.get(term) ?? 0) + impact))
    }
  }

  #add(prepared: PreparedEntry): number {
    const at = this.#added.length
    const number = this.#base.size + at
    this.#added.push(prepared)
    this.#attributes.push(prepared.entry)
    this.#weights = {}
    this.#numberOf.set(prepared.entry.key, number)
    this.#live++
    for (const unit of TOKEN_UNITS) {
      const { postings } = this.#units[unit]
      for (const [term, impact] of prepared.impacts[unit]) {
        const list = postings.get(term)
        if (list === undefined) postings.set(term, { entries: [at], impacts: [impact] })
        else {
          list.entries.push(at)
          list.impacts.push(impact)
        }
        this.#countTerm(unit, term, 1)
      }
    }
    return number
  }

  #remove(number: number): void {
    const inBase = number < this.#base.size
    const attributes = inBase ? this.#base.attributes : this.#attributes
    const at = inBase ? number : number - this.#base.size
    if (attributes.isGone(at)) return
    attributes.remove(at)
    this.#terms.delete(number)
    this.#weights = {}
    this.#live--
    if (!inBase) this.#numberOf.delete((this.#added[at] as PreparedEntry).entry.key)
    const forms = this.#forms(number)
    for (const unit of TOKEN_UNITS) {
      for (const term of union(forms.map(({ terms }) => terms[unit]))) this.#countTerm(unit, term, -1)
    }
  }

  #countTerm(unit: TokenUnit, term: number, by: 1 | -1): void {
    const { df } = this.#base.units[unit]
    if (term < df.length) df[term]! += by
    else {
      const own = this.#units[unit].df
      own[term - df.length] = (own[term - df.length] ?? 0) + by
    }
  }

  #forms(number: number): PreparedEntry['forms'] {
    const { size } = this.#base
    if (number >= size) return (this.#added[number - size] as PreparedEntry).forms
    return this.#base.forms(number).map((form) => ({ ...form, terms: perUnit(form.terms) }))
  }

  #impact(unit: TokenUnit, term: number, number: number): number {
    const { size, units } = this.#base
    if (number >= size) return (this.#added[number - size] as PreparedEntry).impacts[unit].get(term) ?? 0
    return term < units[unit].terms.size ? this.#base.impact(unit, term, number) : 0
  }

  /** The number of a live entry. */
  #find(key: string): number | null {
    const added = this.#numberOf.get(key)
    if (added !== undefined) return added
    const number = this.#base.keys.find(key)
    return number === -1 || this.#base.attributes.isGone(number) ? null : number
  }

  #key(number: number): string {
    const { size, keys } = this.#base
    return number < size ? keys.at(number) : (this.#added[number - size] as PreparedEntry).entry.key
  }

  #named(number: number): Omit<EngineHit, 'score'> {
    const known = this.#names[number]
    if (known !== undefined) return known
    const { size } = this.#base
    const key = this.#key(number)
    const [attributes, at] = number < size ? [this.#base.attributes, number] : [this.#attributes, number - size]
    const name = { key, kind: attributes.kind(at), ...attributes.partsOfKey(at, key) }
    this.#names[number] = name
    return name
  }

  #before(a: number, b: number): boolean {
    const { size, rank } = this.#base
    if (a < size && b < size) return (rank[a] as number) < (rank[b] as number)
    return this.#key(a) < this.#key(b)
  }
}

function perUnit<T>(make: (unit: TokenUnit) => T): Record<TokenUnit, T> {
  return { words: make('words'), bigrams: make('bigrams'), characters: make('characters') }
}

function union(lists: readonly Uint32Array[]): Uint32Array {
  if (lists.length === 1) return lists[0] as Uint32Array
  return Uint32Array.from(new Set(lists.flatMap((list) => [...list]))).sort()
}
