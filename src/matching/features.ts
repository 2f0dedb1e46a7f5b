import type { EntryTerms, QueryTokens, TermSets, TermSource } from '../search/search-engine.ts'
import { TOKEN_UNITS, type TokenUnit } from '../search/tokens.ts'
import { yearsOf } from '../text/normalise.ts'
import type { NamedPlace, PlaceFinder } from '../text/places.ts'
import { bigramsOf } from '../text/tokens.ts'

/** One unit's query terms: distinct, sorted by id, unknown ones (id −1) last in their own sum. */
interface UnitTerms {
  ids: Uint32Array
  idf: Float32Array
  /** Information in the question under this unit: sum of idf, unknown terms included. */
  weight: number
}

/** What is worked out once for a question, whatever it is compared with. */
export interface Question {
  tokens: QueryTokens
  terms: Record<TokenUnit, UnitTerms>
  places: readonly NamedPlace[]
  /** Names only places whose rules are not this district's. */
  elsewhere: boolean
  /** Term ids that an entry about the same place holds, one list a place; −1: the bank never names it. */
  placePairs: readonly Int32Array[]
  /** Term ids of the years named, among single characters. */
  years: Int32Array
}

/** How one candidate fits; each 0–1 unless said otherwise. */
export interface Features {
  /** Share of the question's information, by single characters, that the entry holds anywhere. */
  coverage: number
  /** The same by words, which a rewording loses first. */
  wordCoverage: number
  /** Overlap of pairs of characters with the closest form of the entry's question, weighted by idf (Dice). */
  pairDice: number
  /** Overlap of single characters with the closest form of the entry's question. */
  characterDice: number
  /** Share of the closest form's information that the question holds: what the entry asks beyond the question. */
  reverseCoverage: number
  /** 1: the question names a place outside the district that the entry does not name. */
  placeConflict: number
  /** 1: the question names a year that the entry does not. */
  yearConflict: number
  /** 1: a passage of a document, not a Q&A entry. */
  isPassage: number
  /** One over the question's characters: 医保 alone asks for a choice, however well an entry covers it. */
  brevity: number
}

export const FEATURE_NAMES = [
  'coverage',
  'wordCoverage',
  'pairDice',
  'characterDice',
  'reverseCoverage',
  'placeConflict',
  'yearConflict',
  'isPassage',
  'brevity'
] as const satisfies readonly (keyof Features)[]

/** Prepares a question for comparison; `text` is normalised. */
export function prepareQuestion(text: string, tokens: QueryTokens, terms: TermSource, finder: PlaceFinder): Question {
  const places = finder.find(text)
  const units = {} as Record<TokenUnit, UnitTerms>
  for (const unit of TOKEN_UNITS) units[unit] = unitTerms(unit, tokens[unit], terms)
  return {
    tokens,
    terms: units,
    places,
    elsewhere: places.length > 0 && places.every((place) => finder.isElsewhere(place)),
    // The suffix is left out: 成都 and 成都市 are one place.
    placePairs: places.map(
      ({ name }) => terms.lookup('bigrams', bigramsOf(name.length > 2 ? name.slice(0, -1) : name)).ids
    ),
    years: terms.lookup('characters', yearsOf(text).map(String)).ids
  }
}

function unitTerms(unit: TokenUnit, tokens: readonly string[], source: TermSource): UnitTerms {
  const { ids, idf } = source.lookup(unit, [...new Set(tokens)])
  let weight = 0
  for (const value of idf) weight += value
  const known = [...ids.keys()].filter((at) => (ids[at] as number) >= 0)
  known.sort((a, b) => (ids[a] as number) - (ids[b] as number))
  return {
    ids: Uint32Array.from(known, (at) => ids[at] as number),
    idf: Float32Array.from(known, (at) => idf[at] as number),
    weight
  }
}

/** Compares a question with one candidate. */
export function featuresOf(question: Question, entry: EntryTerms, isPassage: boolean, terms: TermSource): Features {
  const { characters, words } = question.terms
  let pairDice = 0
  let characterDice = 0
  let reverseCoverage = 0
  for (const form of entry.questions) {
    const pairs = overlap(question, form, 'bigrams', terms)
    const single = overlap(question, form, 'characters', terms)
    if (pairs.dice + single.dice > pairDice + characterDice) {
      pairDice = pairs.dice
      characterDice = single.dice
      reverseCoverage = single.reverse
    }
  }
  return {
    coverage: coverage(characters, entry, 'characters'),
    wordCoverage: coverage(words, entry, 'words'),
    pairDice,
    characterDice,
    reverseCoverage,
    placeConflict:
      question.elsewhere && !question.placePairs.some((pairs) => pairs.every((id) => holds(entry, 'bigrams', id)))
        ? 1
        : 0,
    yearConflict: question.years.length > 0 && !question.years.some((id) => holds(entry, 'characters', id)) ? 1 : 0,
    isPassage: isPassage ? 1 : 0,
    brevity: 1 / Math.max(question.tokens.characters.length, 1)
  }
}

function holds(entry: EntryTerms, unit: TokenUnit, id: number): boolean {
  return id >= 0 && (has(entry.answer[unit], id) || entry.questions.some((form) => has(form[unit], id)))
}

function coverage(query: UnitTerms, entry: EntryTerms, unit: TokenUnit): number {
  if (query.weight === 0) return 0
  const found = new Uint8Array(query.ids.length)
  markCommon(query.ids, entry.answer[unit], found)
  for (const form of entry.questions) markCommon(query.ids, form[unit], found)
  let weight = 0
  for (let at = 0; at < found.length; at++) if (found[at] === 1) weight += query.idf[at] as number
  return weight / query.weight
}

/** Marks which of the query's ids an entry holds; both lists are sorted. */
function markCommon(query: Uint32Array, held: Uint32Array, found: Uint8Array): void {
  const queryLength = query.length
  const heldLength = held.length
  for (let q = 0, h = 0; q < queryLength && h < heldLength; ) {
    const wanted = query[q] as number
    const id = held[h] as number
    if (id < wanted) h++
    else {
      if (id === wanted) found[q] = 1
      q++
    }
  }
}

function has(sorted: Uint32Array, id: number): boolean {
  let low = 0
  let high = sorted.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const value = sorted[middle] as number
    if (value === id) return true
    if (value < id) low = middle + 1
    else high = middle - 1
  }
  return false
}

function overlap(question: Question, form: TermSets, unit: TokenUnit, terms: TermSource) {
  const query = question.terms[unit]
  const ids = form[unit]
  let common = 0
  let weight = 0
  for (let at = 0, q = 0; at < ids.length; at++) {
    const id = ids[at] as number
    const idf = terms.idf(unit, id)
    weight += idf
    while (q < query.ids.length && (query.ids[q] as number) < id) q++
    if (query.ids[q] === id) common += idf
  }
  const both = weight + query.weight
  return { dice: both === 0 ? 0 : (2 * common) / both, reverse: weight === 0 ? 0 : common / weight }
}
