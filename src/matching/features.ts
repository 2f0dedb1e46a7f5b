// biome-ignore-all lint/style/noNonNullAssertion: typed arrays are read within their bounds
import type { EntryTerms, FormTerms, QueryTokens, TermSource } from '../search/search-engine.ts'
import { TOKEN_UNITS, type TokenUnit } from '../search/tokens.ts'
import { documentNumbersOf, yearsOf } from '../text/normalise.ts'
import type { NamedPlace, PlaceFinder } from '../text/places.ts'
import { syllableOf } from '../text/pinyin.ts'
import { answeredAspects, askedAspects } from './aspects.ts'
import { type Concepts, conceptsOf, FILLER, groupOf } from './concepts.ts'

/** One unit's query terms: distinct; unknown ones (the bank has never seen them) weigh in the sum only. */
interface UnitTerms {
  ids: Int32Array
  idf: Float32Array
  /** Information in the question under this unit: sum of idf, unknown terms included. */
  weight: number
  /** Share of that information the bank has never seen. */
  unknown: number
  /** The heaviest term's idf. */
  most: number
}

/** A word that names a matter. */
interface ContentWord {
  word: string
  matter: number
  weight: number
}

/** What is worked out once for a question, whatever it is compared with. */
export interface Question {
  /** Normalised. */
  text: string
  units: Record<TokenUnit, UnitTerms>
  /** Matters named, each once, with their weight. */
  matters: ReadonlyMap<number, number>
  /** Words that name matters, with matter and weight; of a letter the heaviest. */
  content: readonly ContentWord[]
  mattersWeight: number
  /** Single characters in order; −1: unknown. */
  sequence: Int32Array
  /** How each sounds, as src/matching/features.ts numbers syllables. */
  sounds: readonly number[]
  places: readonly NamedPlace[]
  /** Names only places whose rules are not this district's. */
  elsewhere: boolean
  years: readonly number[]
  numbers: readonly string[]
  documentNumbers: readonly string[]
  /** Bits, as src/matching/aspects.ts has them. */
  aspects: number
  business: boolean
}

/** What is read from an entry's text once, as long as the entry stays as it is. */
interface Profile {
  questionPlaces: readonly NamedPlace[]
  places: readonly NamedPlace[]
  years: readonly number[]
  numbers: ReadonlySet<string>
  documentNumbers: readonly string[]
  asked: number
  answered: number
  business: boolean
}

/** A candidate to compare with the question. */
export interface Compared {
  entry: EntryTerms
  isPassage: boolean
  /** Cosines of nearness in meaning, where an embeddings server gave them. */
  semantic?: { question: number | null; answer: number | null } | null
}

const NAMES = [
  // The question is, to the letter, one of the entry's own wordings.
  'exact',
  // How much of the question the entry holds, weighted by idf: q its question and variants, a its answer or passage, qa both.
  'covWordsQa',
  'covPairsQa',
  'covCharsQa',
  'covWordsQ',
  'covPairsQ',
  'covCharsQ',
  'covWordsA',
  'covPairsA',
  'covCharsA',
  // BM25 of the nearest form over the question's own weight.
  'bmWordsQ',
  'bmPairsQ',
  'bmPairsA',
  // Overlap with the nearest form of the entry's question (Dice), and the share of that form the question holds.
  'diceWords',
  'dicePairs',
  'diceChars',
  'diceTriples',
  'reversePairs',
  'reverseChars',
  'jaccardChars',
  'skip',
  'order',
  'run',
  // By sound: 射保 is 社保 misspelt.
  'soundPairs',
  'soundCover',
  // The same by matters: words of like meaning are one, filler is none (src/matching/concepts.ts).
  'covMattersQa',
  'covMattersQ',
  'diceMatters',
  'reverseMatters',
  'missingMatter',
  'missingFormMatter',
  // Each matter alike: where the bank is about one thing, its name is frequent and yet the point.
  'diceMattersFlat',
  'missingMatters',
  'missingFormMatters',
  'substituted',
  // Matters aligned to the likest of the other side: 纳税 and 交税 share half their characters.
  'softCover',
  'softReverse',
  // The rarest that both hold.
  'sharedWord',
  'sharedPairs',
  // idf counted among the candidates only: what tells near neighbours apart.
  'localReverse',
  'localCover',
  // The heaviest word or pair on either side without a partner.
  'missingWord',
  'missingPair',
  'missingFormPair',
  'missingFormWord',
  // The best stretch of the answer.
  'window200',
  'window80',
  'window300',
  'placeConflict',
  'placeAgree',
  'placeOnlyEntry',
  'placeOnlyQuestion',
  'yearConflict',
  'numberMissing',
  'documentNumber',
  'aspectAgree',
  'aspectConflict',
  'aspectMissing',
  'audienceConflict',
  'lengthRatio',
  'formLonger',
  'isPassage',
  'hasQuestion',
  'hasAnswer',
  'longAnswer',
  // Place among the candidates.
  'rankWords',
  'rankPairs',
  'behindWords',
  'behindPairs',
  'aboveFive',
  'brevity',
  'unknownChars',
  'unknownWords',
  'meaningQ',
  'meaningA',
  'meaningBehind'
] as const

export const FEATURE_NAMES: readonly (typeof NAMES)[number][] = NAMES
export type FeatureName = (typeof NAMES)[number]
/** How one candidate fits, by place in FEATURE_NAMES; each about 0–1. */
export type Features = Float64Array

export const AT = Object.fromEntries(NAMES.map((name, at) => [name, at])) as Record<FeatureName, number>

const NUMBER = /\d+(?:\.\d+)?/g
const BUSINESS = /企业|公司|单位|个体|商户|厂|店|用工/

/** Prepares a question for comparison; `text` is normalised. */
export function prepareQuestion(text: string, tokens: QueryTokens, terms: TermSource, finder: PlaceFinder): Question {
  const places = finder.find(text)
  const units = {} as Record<TokenUnit, UnitTerms>
  for (const unit of TOKEN_UNITS) units[unit] = unitTerms(unit, tokens[unit], terms)
  const content = contentOf(tokens.words, terms)
  const matters = new Map(content.map(({ matter, weight }) => [matter, weight]))
  return {
    text,
    units,
    matters,
    content: content.sort((a, b) => b.weight - a.weight).slice(0, MOST_CONTENT),
    mattersWeight: sum(matters.values()),
    sequence: terms.lookup('characters', tokens.characters).ids,
    sounds: tokens.characters.slice(0, ORDERED).map(soundOf),
    places,
    elsewhere: places.length > 0 && places.every((place) => finder.isElsewhere(place)),
    years: yearsOf(text),
    numbers: text.match(NUMBER) ?? [],
    documentNumbers: documentNumbersOf(text),
    aspects: askedAspects(text),
    business: BUSINESS.test(text)
  }
}

function unitTerms(unit: TokenUnit, tokens: readonly string[], source: TermSource): UnitTerms {
  const { ids, idf } = source.lookup(unit, [...new Set(tokens)])
  let weight = 0
  let unknown = 0
  let most = 0
  for (let at = 0; at < ids.length; at++) {
    weight += idf[at]!
    if (ids[at] === -1) unknown += idf[at]!
    if (idf[at]! > most) most = idf[at]!
  }
  return { ids, idf, weight, unknown: weight === 0 ? 0 : unknown / weight, most }
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}

/** Of a letter's words, enough to see what it is about. */
const MOST_CONTENT = 40

/** idf from which on a single character names a matter: 射 in 射保卡 does, 的 does not. About one entry in fifty holds it. */
const SLIGHT = 4

function isSlight(word: string, weight: number): boolean {
  return word.length === 1 && weight < SLIGHT
}

function contentOf(words: readonly string[], terms: TermSource): ContentWord[] {
  const concepts = conceptsOf(terms)
  const { ids, idf } = terms.lookup('words', words)
  const content = new Map<number, ContentWord>()
  words.forEach((word, at) => {
    const id = ids[at]!
    // A word that no entry holds is told from every other by its place, below all ids.
    const matter = (id >= 0 ? concepts.of[id] : groupOf(word)) ?? -2 - at
    const weight = matter < 0 ? idf[at]! : concepts.weight(matter)
    if (matter === FILLER || (matter === id && isSlight(word, weight))) return
    content.set(matter, { word, matter, weight })
  })
  return [...content.values()]
}

const profiles = new WeakMap<EntryTerms, Profile>()
/** Of a long text, what it is about stands at its head. */
const PROFILED = 1500

function profileOf(entry: EntryTerms, terms: TermSource, finder: PlaceFinder): Profile {
  const known = profiles.get(entry)
  if (known !== undefined) return known
  const textOf = ({ sequence }: FormTerms) => {
    let text = ''
    let last = ''
    for (const id of sequence.subarray(0, PROFILED)) {
      const token = terms.token('characters', id)
      if (/[a-z0-9]$/.test(last) && /^[a-z0-9]/.test(token)) text += ' '
      text += token
      last = token
    }
    return text
  }
  const question = entry.questions.map(textOf).join('\n')
  const answer = entry.answers.map(textOf).join('\n')
  const both = `${question}\n${answer}`
  const profile: Profile = {
    questionPlaces: finder.find(question),
    places: finder.find(both),
    years: yearsOf(both),
    numbers: new Set(both.match(NUMBER) ?? []),
    documentNumbers: documentNumbersOf(both),
    asked: askedAspects(question),
    answered: answer === '' ? -1 : answeredAspects(answer),
    business: BUSINESS.test(question === '' ? answer.slice(0, 100) : question)
  }
  profiles.set(entry, profile)
  return profile
}

// Scratch that a comparison leaves as it found it: by term id, one more than the term's place in the question; 0 = not asked.
const slots: Record<TokenUnit, Uint16Array> = {
  words: new Uint16Array(0),
  bigrams: new Uint16Array(0),
  characters: new Uint16Array(0)
}

/** Where a form's terms and the question's meet. */
interface Meeting {
  /** Weight of what both hold. */
  common: number
  /** Weight of the form. */
  weight: number
  /** The heaviest term of the form that the question lacks. */
  missing: number
  shared: number
}

const HELD_BY_QUESTION = 1
const HELD_BY_ANSWER = 2
const WINDOW = { chars: 200, sentence: 80, passage: 300 } as const
const SKIP = 4
/** Of a letter, the first part is enough to see what order its words stand in. */
const ORDERED = 96

/** How many candidates are looked at closely; of the fifty proposed, the likest (bench train: the right one is lost in 1 %). */
const CLOSELY = 24

/** What every comparison with one question shares. */
interface Comparison {
  question: Question
  terms: TermSource
  finder: PlaceFinder
  weights: Record<TokenUnit, Float32Array>
  grams: Grams
  concepts: Concepts
  sounds: Int32Array
}

/**
 * Compares a question with its candidates; those hardly like it are left out.
 * @returns the place of each that was kept, ascending, and how it fits
 */
export function compare(
  question: Question,
  candidates: readonly Compared[],
  terms: TermSource,
  finder: PlaceFinder
): { at: number; features: Features }[] {
  const weights = {} as Record<TokenUnit, Float32Array>
  for (const unit of TOKEN_UNITS) {
    weights[unit] = terms.weights(unit)
    if (slots[unit].length < weights[unit].length) slots[unit] = new Uint16Array(weights[unit].length * 1.2)
    question.units[unit].ids.forEach((id, at) => {
      if (id >= 0) slots[unit][id] = at + 1
    })
  }
  const comparison: Comparison = {
    question,
    terms,
    finder,
    weights,
    grams: gramsOf(question),
    concepts: conceptsOf(terms),
    sounds: soundsOf(terms)
  }
  try {
    const rows = candidates.map((candidate) => overlap(comparison, candidate))
    shape(question, rows)
    const order = [...rows.keys()].sort((a, b) => rows[b]!.likeness - rows[a]!.likeness || a - b)
    const kept = order.slice(0, CLOSELY).sort((a, b) => a - b)
    for (const at of kept) lookClosely(comparison, rows[at]!, candidates[at]!.entry)
    return kept.map((at) => ({ at, features: rows[at]!.features }))
  } finally {
    for (const unit of TOKEN_UNITS) {
      for (const id of question.units[unit].ids) if (id >= 0) slots[unit][id] = 0
    }
  }
}

/** One candidate's row, with what the comparison among the candidates needs. */
interface Row {
  features: Features
  /** Which of the question's pairs the entry holds; and the pairs of its nearest form. */
  found: Uint8Array
  form: Uint32Array
  bm: { words: number; pairs: number }
  best: FormTerms | null
  /** By which candidates are kept. */
  likeness: number
}

const NO_TERMS = new Uint32Array(0)

function meet(ids: Uint32Array, unit: TokenUnit, weights: Float32Array, found: Uint8Array, mark: number): Meeting {
  const slot = slots[unit]
  let common = 0
  let weight = 0
  let missing = 0
  let shared = 0
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at]!
    const own = weights[id]!
    const place = slot[id]!
    weight += own
    if (place !== 0) {
      common += own
      found[place - 1]! |= mark
      shared++
    } else if (own > missing) missing = own
  }
  return { common, weight, missing, shared }
}

/** Marks only: answers are long, and their own weight says little. */
function markHeld(ids: Uint32Array, unit: TokenUnit, found: Uint8Array, mark: number): void {
  const slot = slots[unit]
  for (let at = 0; at < ids.length; at++) {
    const place = slot[ids[at]!]!
    if (place !== 0) found[place - 1]! |= mark
  }
}

/** What the terms alone tell. */
function overlap({ question, weights, concepts }: Comparison, { entry, isPassage, semantic }: Compared): Row {
  const f = new Float64Array(NAMES.length)
  const { words, bigrams, characters } = question.units
  const found = {
    words: new Uint8Array(words.ids.length),
    bigrams: new Uint8Array(bigrams.ids.length),
    characters: new Uint8Array(characters.ids.length)
  }
  let best: FormTerms | null = null
  let bestScore = -1
  let pairs: Meeting = NOTHING
  let single: Meeting = NOTHING
  let word: Meeting = NOTHING
  for (const form of entry.questions) {
    const p = meet(form.terms.bigrams, 'bigrams', weights.bigrams, found.bigrams, HELD_BY_QUESTION)
    const c = meet(form.terms.characters, 'characters', weights.characters, found.characters, HELD_BY_QUESTION)
    const w = meet(form.terms.words, 'words', weights.words, found.words, HELD_BY_QUESTION)
    const score = dice(p, bigrams.weight) + dice(c, characters.weight)
    if (isSame(question.sequence, form.sequence)) f[AT.exact] = 1
    if (score > bestScore) {
      bestScore = score
      best = form
      pairs = p
      single = c
      word = w
    }
  }
  for (const form of entry.answers) {
    for (const unit of TOKEN_UNITS) markHeld(form.terms[unit], unit, found[unit], HELD_BY_ANSWER)
  }
  const coverage = (unit: TokenUnit, mark: number) => held(question.units[unit], found[unit], mark)
  const ANY = HELD_BY_QUESTION | HELD_BY_ANSWER
  f[AT.covWordsQa] = coverage('words', ANY)
  f[AT.covPairsQa] = coverage('bigrams', ANY)
  f[AT.covCharsQa] = coverage('characters', ANY)
  f[AT.covWordsQ] = coverage('words', HELD_BY_QUESTION)
  f[AT.covPairsQ] = coverage('bigrams', HELD_BY_QUESTION)
  f[AT.covCharsQ] = coverage('characters', HELD_BY_QUESTION)
  f[AT.covWordsA] = coverage('words', HELD_BY_ANSWER)
  f[AT.covPairsA] = coverage('bigrams', HELD_BY_ANSWER)
  f[AT.covCharsA] = coverage('characters', HELD_BY_ANSWER)
  let answerLength = 0
  for (const form of entry.answers) answerLength += form.sequence.length
  if (best !== null) {
    const length = best.sequence.length
    f[AT.bmWordsQ] = damped(word.common, words.weight, length)
    f[AT.bmPairsQ] = damped(pairs.common, bigrams.weight, length)
    f[AT.diceWords] = dice(word, words.weight)
    f[AT.dicePairs] = dice(pairs, bigrams.weight)
    f[AT.diceChars] = dice(single, characters.weight)
    f[AT.reversePairs] = pairs.weight === 0 ? 0 : pairs.common / pairs.weight
    f[AT.reverseChars] = single.weight === 0 ? 0 : single.common / single.weight
    const union = characters.ids.length + best.terms.characters.length - single.shared
    f[AT.jaccardChars] = union === 0 ? 0 : single.shared / union
    f[AT.missingFormPair] = pairs.missing / HEAVY
    f[AT.missingFormWord] = word.missing / HEAVY
    f[AT.lengthRatio] = Math.min(length, question.sequence.length) / Math.max(length, question.sequence.length, 1)
    f[AT.formLonger] = Math.max(0, Math.min(1, (length - question.sequence.length) / 40))
  }
  compareMatters(question, entry, best, concepts, f)
  f[AT.bmPairsA] = damped(f[AT.covPairsA]! * bigrams.weight, bigrams.weight, answerLength / 8)
  f[AT.missingWord] = heaviestMissing(words, found.words) / HEAVY
  f[AT.missingPair] = heaviestMissing(bigrams, found.bigrams) / HEAVY
  f[AT.sharedWord] = rarestShared(words, found.words, 1) / HEAVY
  f[AT.sharedPairs] = rarestShared(bigrams, found.bigrams, 4) / HEAVY
  f[AT.isPassage] = isPassage ? 1 : 0
  f[AT.hasQuestion] = entry.questions.length > 0 && !isPassage ? 1 : 0
  f[AT.hasAnswer] = answerLength > 0 ? 1 : 0
  f[AT.longAnswer] = answerLength > LONG ? 1 : 0
  f[AT.brevity] = 1 / Math.max(question.sequence.length, 1)
  f[AT.unknownChars] = characters.unknown
  f[AT.unknownWords] = words.unknown
  f[AT.meaningQ] = semantic?.question ?? 0
  f[AT.meaningA] = semantic?.answer ?? 0
  return {
    features: f,
    found: found.bigrams,
    form: best?.terms.bigrams ?? NO_TERMS,
    bm: {
      words: f[AT.covWordsQa]! + f[AT.bmWordsQ]!,
      pairs: f[AT.covPairsQa]! + f[AT.bmPairsQ]!
    },
    best,
    likeness:
      Math.max(f[AT.covPairsQa]!, f[AT.covMattersQa]!) +
      f[AT.diceChars]! +
      f[AT.bmPairsQ]! +
      MEANING_WEIGHT * Math.max(f[AT.meaningQ]!, f[AT.meaningA]!)
  }
}

/** Cosines of e5 lie within a quarter of 1, the other parts of a likeness within 1. */
const MEANING_WEIGHT = 4

/** What takes a look at the texts: order, sound, words alike, the best stretch of the answer, facts. */
function lookClosely(
  { question, terms, finder, grams, concepts, sounds }: Comparison,
  { features: f, best }: Row,
  entry: EntryTerms
): void {
  if (best !== null) {
    compareOrder(question, best.sequence, grams, sounds, f)
    align(question.content, formContent(best, concepts, terms), f)
  }
  for (const { sequence } of entry.answers) {
    f[AT.window200] = Math.max(f[AT.window200]!, bestWindow(question, sequence))
    f[AT.window80] = Math.max(f[AT.window80]!, bestPairWindow(grams, sequence, WINDOW.sentence))
    f[AT.window300] = Math.max(f[AT.window300]!, bestPairWindow(grams, sequence, WINDOW.passage))
  }
  compareFacts(question, profileOf(entry, terms, finder), f)
}

function isSame(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}

/** Characters from which on an answer is a letter or a document, in which much is said that was not asked. */
const LONG = 500

const NOTHING: Meeting = { common: 0, weight: 0, missing: 0, shared: 0 }
/** idf of a term that one entry in 3,000 holds: what a missing word weighs is told in these. */
const HEAVY = 8

function dice({ common, weight }: Meeting, asked: number): number {
  const both = weight + asked
  return both === 0 ? 0 : (2 * common) / both
}

/** BM25 with each term once, over the most the question could give: long forms count less. `AVERAGE` characters count in full. */
const AVERAGE = 20
function damped(common: number, asked: number, length: number): number {
  if (asked === 0) return 0
  return ((common / asked) * 2.2) / (1 + 1.2 * (0.25 + (0.75 * length) / AVERAGE))
}

function held({ idf, weight }: UnitTerms, found: Uint8Array, mark: number): number {
  if (weight === 0) return 0
  let sum = 0
  for (let at = 0; at < found.length; at++) if ((found[at]! & mark) !== 0) sum += idf[at]!
  return sum / weight
}

function heaviestMissing({ idf }: UnitTerms, found: Uint8Array): number {
  let most = 0
  for (let at = 0; at < found.length; at++) if (found[at] === 0 && idf[at]! > most) most = idf[at]!
  return most
}

// ── Matters ───────────────────────────────────────────────────────────────

const ofForms = new WeakMap<FormTerms, { of: Int32Array; matters: Int32Array; content: ContentWord[] | null }>()

/** A form's matters, each once; kept as long as the form and the index stay as they are. */
function formMatters(form: FormTerms, { of }: Concepts, terms: Uint32Array): Int32Array {
  const known = ofForms.get(form)
  if (known !== undefined && known.of === of) return known.matters
  const distinct = new Set<number>()
  for (const id of terms) distinct.add(of[id] ?? id)
  distinct.delete(FILLER)
  const matters = Int32Array.from(distinct)
  ofForms.set(form, { of, matters, content: null })
  return matters
}

function compareMatters(
  { matters, mattersWeight }: Question,
  entry: EntryTerms,
  best: FormTerms | null,
  concepts: Concepts,
  f: Features
): void {
  const inQuestion = new Set<number>()
  for (const form of entry.questions) {
    for (const matter of formMatters(form, concepts, form.terms.words)) if (matters.has(matter)) inQuestion.add(matter)
  }
  let common = 0
  for (const matter of inQuestion) common += matters.get(matter)!
  f[AT.covMattersQ] = mattersWeight === 0 ? 0 : common / mattersWeight
  const anywhere = new Set(inQuestion)
  for (const form of entry.answers) {
    for (const matter of formMatters(form, concepts, form.terms.words)) if (matters.has(matter)) anywhere.add(matter)
  }
  let found = 0
  let missing = 0
  for (const [matter, weight] of matters) {
    if (anywhere.has(matter)) found += weight
    else if (weight > missing) missing = weight
  }
  f[AT.covMattersQa] = mattersWeight === 0 ? 0 : found / mattersWeight
  f[AT.missingMatter] = missing / HEAVY
  if (best === null) return
  let weight = 0
  let shared = 0
  let sharedCount = 0
  let lacking = 0
  const own = formMatters(best, concepts, best.terms.words)
  for (const matter of formMatters(best, concepts, best.terms.words)) {
    const value = concepts.weight(matter)
    weight += value
    if (matters.has(matter)) {
      shared += value
      sharedCount++
    } else if (value > lacking) lacking = value
  }
  const unmatched = matters.size - inQuestion.size
  const unmatchedOwn = own.length - sharedCount
  f[AT.diceMattersFlat] = (2 * sharedCount) / Math.max(1, matters.size + own.length)
  f[AT.missingMatters] = Math.min(1, unmatched / 10)
  f[AT.missingFormMatters] = Math.min(1, unmatchedOwn / 10)
  f[AT.substituted] = Math.min(1, Math.min(unmatched, unmatchedOwn) / 5)
  f[AT.diceMatters] = weight + mattersWeight === 0 ? 0 : (2 * shared) / (weight + mattersWeight)
  f[AT.reverseMatters] = weight === 0 ? 0 : shared / weight
  f[AT.missingFormMatter] = lacking / HEAVY
}

/** Mean idf of the rarest terms both hold. */
function rarestShared({ idf }: UnitTerms, found: Uint8Array, count: number): number {
  const top = new Float64Array(count)
  for (let at = 0; at < found.length; at++) {
    if (found[at] === 0) continue
    let value = idf[at]!
    for (let place = 0; place < count; place++) {
      if (value > top[place]!) {
        const before = top[place]!
        top[place] = value
        value = before
      }
    }
  }
  return top.reduce((a, b) => a + b, 0) / count
}

/** The words of a form that name matters; kept like its matters. */
function formContent(form: FormTerms, concepts: Concepts, terms: TermSource): readonly ContentWord[] {
  formMatters(form, concepts, form.terms.words)
  const held = ofForms.get(form)!
  if (held.content !== null) return held.content
  const content = new Map<number, ContentWord>()
  for (const id of form.terms.words) {
    const matter = concepts.of[id] ?? id
    const word = terms.token('words', id)
    const weight = concepts.weight(matter)
    if (matter === FILLER || (matter === id && isSlight(word, weight))) continue
    content.set(matter, { word, matter, weight })
  }
  held.content = [...content.values()]
  return held.content
}

/** How alike two words are: one matter, else by the characters they share. */
function likeness(a: ContentWord, b: ContentWord): number {
  if (a.matter === b.matter) return 1
  let shared = 0
  for (const character of a.word) if (b.word.includes(character)) shared++
  return shared === 0 ? 0 : (2 * shared) / (a.word.length + b.word.length)
}

function align(asked: readonly ContentWord[], own: readonly ContentWord[], f: Features): void {
  const best = new Float64Array(own.length)
  let covered = 0
  let total = 0
  for (const word of asked) {
    let most = 0
    for (let at = 0; at < own.length; at++) {
      const like = likeness(word, own[at]!)
      if (like > most) most = like
      if (like > best[at]!) best[at] = like
    }
    covered += most * word.weight
    total += word.weight
  }
  let reverse = 0
  let weight = 0
  own.forEach((word, at) => {
    reverse += best[at]! * word.weight
    weight += word.weight
  })
  f[AT.softCover] = total === 0 ? 0 : covered / total
  f[AT.softReverse] = weight === 0 ? 0 : reverse / weight
}

// ── Order ─────────────────────────────────────────────────────────────────

const heldSounds = new WeakMap<Float32Array, Int32Array>()
const SYLLABLES = new Map<string, number>()

/** A syllable's number by character term id; what is no Chinese character sounds like itself. Made once for each state of the index. */
function soundsOf(terms: TermSource): Int32Array {
  const weights = terms.weights('characters')
  const known = heldSounds.get(weights)
  if (known !== undefined) return known
  const tokens = Array.from(weights, (_, id) => terms.token('characters', id))
  const sounds = Int32Array.from(tokens, (token) => soundOf(token))
  heldSounds.set(weights, sounds)
  return sounds
}

function soundOf(character: string): number {
  const syllable = syllableOf(character) ?? character
  const known = SYLLABLES.get(syllable) ?? SYLLABLES.size
  SYLLABLES.set(syllable, known)
  return known
}

/** The question's sequences of characters, hashed, with what each weighs. */
interface Grams {
  pairs: Map<number, number>
  triples: Map<number, number>
  triplesWeight: number
  skips: Map<number, number>
  skipsWeight: number
  pairsWeight: number
  /** Syllables, and pairs of them. */
  sounds: ReadonlySet<number>
  soundPairs: ReadonlySet<number>
}

const mix = (a: number, b: number) => (Math.imul(a + 1, 0x9e3779b1) ^ (b + 1)) | 0

function gramsOf({ sequence, units, sounds }: Question): Grams {
  const weightOf = new Map<number, number>()
  units.characters.ids.forEach((id, at) => {
    weightOf.set(id, units.characters.idf[at]!)
  })
  const own = (at: number) => weightOf.get(sequence[at]!) ?? 0
  const grams: Grams = {
    pairs: new Map(),
    triples: new Map(),
    triplesWeight: 0,
    skips: new Map(),
    skipsWeight: 0,
    pairsWeight: 0,
    sounds: new Set(sounds),
    soundPairs: new Set(sounds.slice(1).map((sound, at) => mix(sounds[at]!, sound)))
  }
  const length = Math.min(sequence.length, ORDERED * 4)
  for (let at = 0; at < length; at++) {
    const a = sequence[at]!
    if (at + 1 < length) {
      const key = mix(a, sequence[at + 1]!)
      if (!grams.pairs.has(key)) {
        const weight = own(at) + own(at + 1)
        grams.pairs.set(key, weight)
        grams.pairsWeight += weight
      }
    }
    if (at + 2 < length) {
      const key = mix(mix(a, sequence[at + 1]!), sequence[at + 2]!)
      if (!grams.triples.has(key)) {
        const weight = own(at) + own(at + 1) + own(at + 2)
        grams.triples.set(key, weight)
        grams.triplesWeight += weight
      }
    }
    if (at < ORDERED) {
      for (let next = at + 1; next < length && next <= at + SKIP; next++) {
        const key = mix(a, sequence[next]!)
        if (!grams.skips.has(key)) {
          const weight = own(at) + own(next)
          grams.skips.set(key, weight)
          grams.skipsWeight += weight
        }
      }
    }
  }
  return grams
}

const previous = new Uint16Array(1024)
const current = new Uint16Array(1024)

function compareOrder(
  question: Question,
  form: FormTerms['sequence'],
  grams: Grams,
  sounds: Int32Array,
  f: Features
): void {
  const asked = question.sequence
  const n = Math.min(asked.length, ORDERED)
  const m = Math.min(form.length, ORDERED)
  if (n === 0 || m === 0) return
  const heard = new Set<number>()
  const heardPairs = new Set<number>()
  for (let at = 0; at < m; at++) {
    heard.add(sounds[form[at]!]!)
    if (at > 0) heardPairs.add(mix(sounds[form[at - 1]!]!, sounds[form[at]!]!))
  }
  let sharedSounds = 0
  let sharedPairs = 0
  for (const sound of heard) if (grams.sounds.has(sound)) sharedSounds++
  for (const pair of heardPairs) if (grams.soundPairs.has(pair)) sharedPairs++
  f[AT.soundCover] = sharedSounds / grams.sounds.size
  f[AT.soundPairs] = (2 * sharedPairs) / Math.max(1, heardPairs.size + grams.soundPairs.size)
  let skips = 0
  let triples = 0
  let formTriples = 0
  const metSkips = new Set<number>()
  for (let at = 0; at < m; at++) {
    const a = form[at]!
    for (let next = at + 1; next < m && next <= at + SKIP; next++) {
      const key = mix(a, form[next]!)
      const weight = grams.skips.get(key)
      if (weight !== undefined && !metSkips.has(key)) {
        metSkips.add(key)
        skips += weight
      }
    }
    if (at + 2 < m) {
      formTriples++
      if (grams.triples.has(mix(mix(a, form[at + 1]!), form[at + 2]!))) triples++
    }
  }
  f[AT.skip] = grams.skipsWeight === 0 ? 0 : skips / grams.skipsWeight
  f[AT.diceTriples] = formTriples + grams.triples.size === 0 ? 0 : (2 * triples) / (formTriples + grams.triples.size)
  // Longest common subsequence, and longest common run, in one table of two rows.
  previous.fill(0, 0, m + 1)
  let run = 0
  let diagonalRun = 0
  const runs = new Uint16Array(m + 1)
  for (let i = 0; i < n; i++) {
    const a = asked[i]!
    current[0] = 0
    diagonalRun = 0
    for (let j = 1; j <= m; j++) {
      const before = runs[j]!
      if (a === form[j - 1]) {
        current[j] = previous[j - 1]! + 1
        runs[j] = diagonalRun + 1
        if (runs[j]! > run) run = runs[j]!
      } else {
        current[j] = Math.max(previous[j]!, current[j - 1]!)
        runs[j] = 0
      }
      diagonalRun = before
    }
    previous.set(current.subarray(0, m + 1))
  }
  f[AT.order] = previous[m]! / Math.min(n, m)
  f[AT.run] = run / Math.min(n, m)
}

// ── The best stretch of an answer ─────────────────────────────────────────

const counts = new Uint16Array(4096)

/** Most of the question's characters, by weight, that stand within 200 characters of the text. */
function bestWindow({ units }: Question, sequence: FormTerms['sequence']): number {
  const { idf, weight } = units.characters
  if (weight === 0) return 0
  const slot = slots.characters
  const terms = Math.min(idf.length, counts.length)
  counts.fill(0, 0, terms)
  let sum = 0
  let best = 0
  for (let at = 0; at < sequence.length; at++) {
    const place = slot[sequence[at]!]!
    if (place !== 0 && place <= terms && counts[place - 1]!++ === 0) {
      sum += idf[place - 1]!
      if (sum > best) best = sum
    }
    if (at >= WINDOW.chars) {
      const left = slot[sequence[at - WINDOW.chars]!]!
      if (left !== 0 && left <= terms && --counts[left - 1]! === 0) sum -= idf[left - 1]!
    }
  }
  return best / weight
}

/** The same for pairs that follow each other, within a sentence or a passage. */
function bestPairWindow({ pairs, pairsWeight }: Grams, sequence: FormTerms['sequence'], width: number): number {
  if (pairsWeight === 0) return 0
  const inside = new Map<number, number>()
  const queue: number[] = []
  const slot = slots.characters
  let first = 0
  let sum = 0
  let best = 0
  for (let at = 1; at < sequence.length; at++) {
    while (first < queue.length && queue[first]! < at - width) {
      const left = queue[first]!
      const key = mix(sequence[left - 1]!, sequence[left]!)
      const rest = inside.get(key)! - 1
      inside.set(key, rest)
      if (rest === 0) sum -= pairs.get(key)!
      first++
    }
    if (slot[sequence[at]!] === 0 || slot[sequence[at - 1]!] === 0) continue
    const key = mix(sequence[at - 1]!, sequence[at]!)
    const weight = pairs.get(key)
    if (weight === undefined) continue
    queue.push(at)
    const times = inside.get(key) ?? 0
    inside.set(key, times + 1)
    if (times === 0) {
      sum += weight
      if (sum > best) best = sum
    }
  }
  return best / pairsWeight
}

// ── Facts: places, years, numbers, aspects ────────────────────────────────

function compareFacts(question: Question, profile: Profile, f: Features): void {
  const { places, years, numbers, documentNumbers, aspects } = question
  const asked = places.length > 0
  const related = places.some((place) => profile.places.some((other) => isRelated(place, other)))
  if (asked && related) f[AT.placeAgree] = 1
  else if (asked && (profile.questionPlaces.length > 0 || question.elsewhere)) f[AT.placeConflict] = 1
  else if (asked) f[AT.placeOnlyQuestion] = 1
  if (!asked && profile.questionPlaces.length > 0) f[AT.placeOnlyEntry] = 1
  if (years.length > 0 && !years.some((year) => profile.years.includes(year))) f[AT.yearConflict] = 1
  if (numbers.length > 0) {
    f[AT.numberMissing] = numbers.filter((number) => !profile.numbers.has(number)).length / numbers.length
  }
  if (documentNumbers.some((number) => profile.documentNumbers.includes(number))) f[AT.documentNumber] = 1
  if (aspects !== 0) {
    const both = aspects & profile.asked
    const either = aspects | profile.asked
    if (profile.asked !== 0) {
      f[AT.aspectAgree] = ones(both) / ones(either)
      if (both === 0) f[AT.aspectConflict] = 1
    }
    const lacking = aspects & ~profile.answered & ~profile.asked
    f[AT.aspectMissing] = ones(lacking) / ones(aspects)
  }
  if (question.business !== profile.business) f[AT.audienceConflict] = 1
}

/** One lies in the other: 杭州 and 浙江. */
function isRelated(a: NamedPlace, b: NamedPlace): boolean {
  if (a.code === null || b.code === null) return a.name === b.name
  return a.code.startsWith(b.code) || b.code.startsWith(a.code)
}

function ones(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}

// ── Among the candidates ──────────────────────────────────────────────────

const localIdf = (df: number, n: number) => Math.log(1 + (n - df + 0.5) / (df + 0.5))

/** What only the whole list tells: idf among the candidates, rank, distance to the best. */
function shape(question: Question, rows: readonly Row[]): void {
  const n = rows.length
  if (n === 0) return
  const { ids, weight } = question.units.bigrams
  const df = new Map<number, number>()
  for (const { form } of rows) for (const id of form) df.set(id, (df.get(id) ?? 0) + 1)
  const askedDf = new Uint16Array(ids.length)
  for (const { found } of rows) for (let at = 0; at < found.length; at++) if (found[at] !== 0) askedDf[at]!++
  const slot = slots.bigrams
  const byWords = ranked(rows.map(({ bm }) => bm.words))
  const byPairs = ranked(rows.map(({ bm }) => bm.pairs))
  const five = mean(byPairs.sorted.slice(0, 5))
  const meaning = Math.max(...rows.map(({ features: f }) => Math.max(f[AT.meaningQ]!, f[AT.meaningA]!)))
  rows.forEach(({ features: f, form, found, bm }, at) => {
    let common = 0
    let all = 0
    for (const id of form) {
      const own = localIdf(df.get(id)!, n)
      all += own
      if (slot[id] !== 0) common += own
    }
    f[AT.localReverse] = all === 0 ? 0 : common / all
    let covered = 0
    let total = 0
    for (let term = 0; term < found.length; term++) {
      if (askedDf[term] === 0) continue
      const own = localIdf(askedDf[term]!, n)
      total += own
      if (found[term] !== 0) covered += own
    }
    f[AT.localCover] = total === 0 || weight === 0 ? 0 : covered / total
    f[AT.rankWords] = 1 / (1 + byWords.rank[at]!)
    f[AT.rankPairs] = 1 / (1 + byPairs.rank[at]!)
    f[AT.behindWords] = byWords.sorted[0]! - bm.words
    f[AT.behindPairs] = byPairs.sorted[0]! - bm.pairs
    f[AT.aboveFive] = bm.pairs - five
    f[AT.meaningBehind] = meaning - Math.max(f[AT.meaningQ]!, f[AT.meaningA]!)
  })
}

function ranked(scores: readonly number[]): { rank: number[]; sorted: number[] } {
  const order = scores.map((_, at) => at).sort((a, b) => scores[b]! - scores[a]! || a - b)
  const rank: number[] = []
  order.forEach((at, place) => {
    rank[at] = place
  })
  return { rank, sorted: order.map((at) => scores[at]!) }
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1)
