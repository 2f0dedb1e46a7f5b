import { ASPECTS, askedAspects } from '../matching/aspects.ts'
import { conceptsOf, FILLER, groupOf } from '../matching/concepts.ts'
import type { TermSource } from '../search/search-engine.ts'
import { documentNumbersOf, normalise, yearsOf } from '../text/normalise.ts'
import { syllableOf } from '../text/pinyin.ts'
import type { NamedPlace, PlaceFinder } from '../text/places.ts'
import type { Segmenter } from '../text/segment.ts'
import { bigramsOf, charactersOf } from '../text/tokens.ts'

/** What two questions are compared by: the bank's weights of words, the segmenter, the places. */
export interface SimilarNeeds {
  terms: TermSource
  segmenter: Segmenter
  places: PlaceFinder
}

/** A ticket that is still open, and what it asks. */
export interface OpenQuestion {
  number: string
  question: string
}

/** A ticket that may ask the same; a person decides. */
export interface SimilarTicket {
  number: string
  /** Share of words, matters and characters the two have in common, 0–1. */
  similarity: number
  /** That one answer serves both, 0–1. */
  probability: number
}

/**
 * A ticket is proposed from this probability on: of the proposals on policy questions 90 % are right on unseen folds, where a
 * queue holds 48 tickets on mixed matters and one near neighbour, and every second question a double (bench similar, which also
 * tells a harder queue). The threshold is chosen on those same folds.
 */
export const PROPOSED_FROM = 0.91

/**
 * Open tickets that one and the same answer would serve, surest first, level ones by number. Empty where the question has
 * no letter. Proposals only: whoever takes in the question or answers it confirms.
 */
export function similarTickets(
  needs: SimilarNeeds,
  question: string,
  open: readonly OpenQuestion[],
  limit: number
): SimilarTicket[] {
  const asked = readWording(needs, question)
  if (asked.characters.length === 0) return []
  return open
    .map((ticket) => ({ number: ticket.number, ...compareWordings(asked, readWording(needs, ticket.question)) }))
    .filter(({ probability }) => probability >= PROPOSED_FROM)
    .sort((a, b) => b.probability - a.probability || (a.number < b.number ? -1 : 1))
    .slice(0, limit)
}

// ── The same to the letter ────────────────────────────────────────────────

/** What opens a question out of politeness, and what ends it; words that may begin a matter (老师, 请教) are left. */
const OPENING =
  /^(?:您好|你好|大家好|请问一下|请问下|请问|请教一下|打扰一下|不好意思|麻烦问一下|麻烦问下|我?想请问|我?想问一下|我?想问下|我?想问问|我?想咨询一下|我?想咨询下|咨询一下|咨询下|问一下|问下)+/u
const CLOSING = /(?:谢谢您|谢谢你|谢谢了|谢谢|多谢|感谢您)+$/u
/** Signs, blanks and pictures, but for the signs of a decimal, a share and a document number. */
const SIGNS = /(?!(?<=\d)(?:[.-](?=\d)|%))[^\p{L}\p{N}\p{M}+<>=]/gu

/**
 * What two wordings share that ask the same to the letter: normalised, without signs, polite openings and thanks; 「请问，医保怎么转？」
 * and 「医保怎么转」 are one. Empty where nothing but signs is asked: such texts equal nothing.
 */
export function normalOf(question: string): string {
  const text = normalise(question).replace(SIGNS, '')
  const bare = text.replace(OPENING, '').replace(CLOSING, '')
  return bare === '' ? text : bare
}

// ── What is read from one wording ─────────────────────────────────────────

type Weighed = ReadonlyMap<string | number, number>

interface Terms {
  weights: Weighed
  total: number
}

interface Place extends NamedPlace {
  isElsewhere: boolean
}

interface Wording {
  characters: readonly string[]
  words: Terms
  pairs: Terms
  singles: Terms
  matters: Terms
  content: readonly { word: string; matter: string | number; weight: number }[]
  sounds: ReadonlySet<string>
  places: readonly Place[]
  /** 外地, 异地: any place but this one. */
  isAnywhere: boolean
  years: readonly string[]
  numbers: readonly string[]
  /** Bits, as src/matching/aspects.ts has them. */
  aspects: number
  /** Bits by place in AUDIENCES and ACTS. */
  audiences: number
  acts: number
  denies: boolean
  asksUse: boolean
}

/** Of a letter, what is compared: 300 letters take tens of milliseconds and not hundreds (bench similar). */
const READ = 200
/** Characters whose order is compared. */
const ORDERED = 64
/** Words aligned one by one. */
const ALIGNED = 24
/** Wordings kept for each state of the index: a queue is some hundreds. */
const KEPT = 1000
/** idf from which on a single character names a matter, as in src/matching/features.ts. */
const SLIGHT = 4
/** idf of a term that one entry in 3,000 holds. */
const HEAVY = 8

const NUMBER = /\d+(?:\.\d+)?/g
const ANYWHERE = /外地|异地|外省|跨省|省外|市外|别的城市|其他城市|老家/
const DENIES = /不|没|无|未|别|莫/
const ASKING_NOT = /能不能|可不可以|有没有|要不要|会不会|是不是|好不好|行不行|得不得|需不需要|不$|没$|没得$/g

/** Whom a question is about; the rules of each differ. */
const AUDIENCES: Record<string, RegExp> = {
  old: /老人|老年|高龄|[六七八九]十岁|[6-9]\d岁/,
  child: /小孩|娃儿|孩子|儿童|新生儿|婴儿|宝宝|幼儿|未成年/,
  student: /大学生|毕业生|应届|研究生/,
  disabled: /残疾|残障|失能/,
  veteran: /退役|退伍|军人|优抚|复员/,
  family: /家属|遗属|军属/,
  company: /企业|公司|单位|厂/,
  shop: /个体|商户|店/,
  alone: /灵活就业|自由职业|没有单位|没得单位|没单位|个人交|自己交/,
  employee: /职工|在职|员工/,
  retired: /退休/,
  resident: /居民|合作医疗|新农合/,
  poor: /低保|特困/,
  jobless: /失业|下岗/,
  mother: /孕妇|产妇|怀孕/,
  foreign: /外国人|港澳|台胞|台湾/,
  farmer: /农民|农村/,
  outsider: /外地户口|外省户口|户口在外|外来|随迁/
}
const AUDIENCE_NAMES = Object.keys(AUDIENCES)

/** What is to be done with the matter, and what has become of it: 护照怎么办 and 护照丢了怎么办 are two questions. */
const ACTS: Record<string, RegExp> = {
  apply: /申请|申领|申办|新办|开办|登记|报名|上牌/,
  cancel: /注销|取消|撤销|退出|停保|停办|不想要|不要了/,
  lost: /补办|补领|补证|丢|遗失|挂失|掉了|坏了|损坏|被偷/,
  expired: /过期|到期|逾期|延续|续期|换证|期满|年审/,
  missed: /忘|错过|没赶上|晚了|来不及/,
  refused: /没批|不批|没通过|不通过|驳回|被拒|不给办|不肯|不同意|没分到/,
  look: /查|查看|档案|进度/,
  change: /变更|更改|修改|改名/,
  pay: /交费|缴费|缴纳|补缴|补交|怎么交|怎么缴|缓交|缓缴/,
  refund: /退钱|退款|退费|退税|退押|交重|交多了|能退|怎么退/,
  claim: /报销|报账|怎么领|领取|提取/,
  in: /转入|迁入|转到|转回|迁到/,
  out: /转出|迁出|转走/,
  marry: /结婚|领证/,
  divorce: /离婚/,
  complain: /投诉|举报|申诉|不服/,
  first: /首次|第一次/,
  late: /补发|补领|补报/,
  together: /一起|一并|一件事|同时/,
  proxy: /代办|代领|本人|委托|上门/
}
const ACT_NAMES = Object.keys(ACTS)

/** How this city asks beyond src/matching/aspects.ts. */
const SPOKEN: readonly [aspect: (typeof ASPECTS)[number], pattern: RegExp][] = [
  ['when', /好久|哪阵|哪个时候/],
  ['duration', /好久/],
  ['amount', /好多|免费|要钱|交钱|收钱/],
  ['where', /哪点|哪边|找谁|找哪个/],
  ['papers', /带啥|带哪样/]
]
const USE = /用处|有(?:什么|啥子|啥|哪些)用/

function bitsOf(text: string, patterns: Record<string, RegExp>): number {
  let bits = 0
  Object.values(patterns).forEach((pattern, at) => {
    if (pattern.test(text)) bits |= 1 << at
  })
  return bits
}

/** By state of the index, whose weights a wording holds; a state that is gone takes them along. */
const wordings = new WeakMap<Float32Array, Map<string, Wording>>()

/** Reads a question once for each state of the index; of what is kept the oldest goes first. */
export function readWording(needs: SimilarNeeds, question: string): Wording {
  const head = question.slice(0, READ)
  const state = needs.terms.weights('words')
  const kept = wordings.get(state) ?? new Map<string, Wording>()
  wordings.set(state, kept)
  const known = kept.get(head)
  if (known !== undefined) return known
  const wording = wordingOf(needs, head)
  const [oldest] = kept.keys()
  if (kept.size >= KEPT && oldest !== undefined) kept.delete(oldest)
  kept.set(head, wording)
  return wording
}

function wordingOf({ terms, segmenter, places }: SimilarNeeds, question: string): Wording {
  const { text, words } = segmenter.tokens(question)
  const characters = charactersOf(text)
  const content = contentOf(words, terms)
  const documentNumbers = documentNumbersOf(text)
  const years = yearsOf(text).map(String)
  const found = places.find(text)
  const syllables = characters.slice(0, ORDERED).map((character) => syllableOf(character) ?? character)
  return {
    characters,
    words: weigh(words, 'words', terms),
    pairs: weigh(bigramsOf(text), 'bigrams', terms),
    singles: weigh(characters, 'characters', terms),
    matters: totalled(new Map(content.map(({ matter, weight }) => [matter, weight]))),
    content: [...content].sort((a, b) => b.weight - a.weight).slice(0, ALIGNED),
    sounds: new Set(syllables.slice(1).map((sound, at) => `${syllables[at]} ${sound}`)),
    places: found.map((place) => ({ ...place, isElsewhere: places.isElsewhere(place) })),
    isAnywhere: ANYWHERE.test(text),
    years,
    numbers: [
      ...documentNumbers,
      ...(documentNumbers.reduce((rest, number) => rest.replaceAll(number, ''), text).match(NUMBER) ?? []).filter(
        (number) => !years.includes(number)
      )
    ],
    aspects: SPOKEN.reduce(
      (bits, [aspect, pattern]) => (pattern.test(text) ? bits | (1 << ASPECTS.indexOf(aspect)) : bits),
      askedAspects(text)
    ),
    asksUse: USE.test(text),
    audiences: bitsOf(text, AUDIENCES),
    acts: bitsOf(text, ACTS),
    denies: DENIES.test(text.replace(ASKING_NOT, ''))
  }
}

function weigh(tokens: readonly string[], unit: 'words' | 'bigrams' | 'characters', terms: TermSource): Terms {
  const distinct = [...new Set(tokens)]
  const { idf } = terms.lookup(unit, distinct)
  return totalled(new Map(distinct.map((token, at) => [token, idf[at] as number])))
}

function totalled(weights: Weighed): Terms {
  let total = 0
  for (const weight of weights.values()) total += weight
  return { weights, total }
}

function contentOf(words: readonly string[], terms: TermSource): Wording['content'] {
  const concepts = conceptsOf(terms)
  const { ids, idf } = terms.lookup('words', words)
  const content = new Map<string | number, Wording['content'][number]>()
  words.forEach((word, at) => {
    const id = ids[at] as number
    const matter = id >= 0 ? (concepts.of[id] as number) : (groupOf(word) ?? word)
    const weight = typeof matter === 'number' ? concepts.weight(matter) : (idf[at] as number)
    const isSlight = word.length === 1 && weight < SLIGHT && (matter === word || matter === id)
    if (matter !== FILLER && !isSlight) content.set(matter, { word, matter, weight })
  })
  return [...content.values()]
}

// ── Two wordings side by side ─────────────────────────────────────────────

/** How two wordings compare, the same whichever comes first; each about 0–1. */
export const PAIR_FEATURES = [
  // Overlap (Dice), weighted by idf; matters are words of like meaning taken as one (src/matching/concepts.ts).
  'diceWords',
  'dicePairs',
  'diceChars',
  'diceMatters',
  'diceMattersFlat',
  'diceCharsSquared',
  'diceMattersSquared',
  // Share of the one that the other holds: the better and the worse of both.
  'coverMost',
  'coverLeast',
  'coverMattersMost',
  'coverMattersLeast',
  'softMost',
  'softLeast',
  'softSquared',
  // Nothing but the tightest is sure: what is above a half, above three quarters.
  'diceCharsHigh',
  'diceMattersHigh',
  'diceMattersHighest',
  'softHigh',
  'softHighest',
  // Unmatched in absolute weight: in a long question one strange word is a small share and may be the point.
  'leftMost',
  'leftLeast',
  'mattersEqual',
  'asksEqual',
  'asksEqualMatters',
  'asksEqualSoft',
  'asksDifferMatters',
  'soundPairs',
  'orderShort',
  'orderLong',
  'run',
  // The heaviest without a partner: on either side, and on both.
  'missingMatterMost',
  'missingMatterLeast',
  'missingWordMost',
  'missingWordLeast',
  'missingPairLeast',
  'substituted',
  'sharedMatter',
  'lengthRatio',
  'brevity',
  'length',
  'placeAgree',
  'placeOne',
  'yearAgree',
  'yearOne',
  'numberAgree',
  'numberOne',
  'aspectAgree',
  'aspectNone',
  'aspectOne',
  'audienceAgree',
  'audienceOne',
  'actAgree',
  'actOne',
  'actConflict',
  'deniesOne',
  'useOne',
  'substitutedWeight',
  // Asked, meant or to be done by one of the two only.
  ...ASPECTS.map((aspect) => `${aspect}One`),
  ...AUDIENCE_NAMES.map((audience) => `${audience}Only`),
  ...ACT_NAMES.map((act) => `${act}Alone`)
] as const

interface Meeting {
  dice: number
  /** Share of each that the other holds. */
  covers: readonly [number, number]
  shared: number
  /** The heaviest of each that the other lacks. */
  missing: readonly [number, number]
  /** The heaviest of both. */
  heaviest: number
}

function meet(a: Terms, b: Terms): Meeting {
  let common = 0
  let shared = 0
  let heaviest = 0
  let lackedByB = 0
  let lackedByA = 0
  for (const [term, weight] of a.weights) {
    if (b.weights.has(term)) {
      common += weight
      shared++
      if (weight > heaviest) heaviest = weight
    } else if (weight > lackedByB) lackedByB = weight
  }
  for (const [term, weight] of b.weights) if (weight > lackedByA && !a.weights.has(term)) lackedByA = weight
  const part = (whole: number) => (whole === 0 ? 0 : common / whole)
  return {
    dice: 2 * part(a.total + b.total),
    covers: [part(a.total), part(b.total)],
    shared,
    missing: [lackedByB, lackedByA],
    heaviest
  }
}

/** How two wordings compare, in the order of PAIR_FEATURES. */
export function pairFeatures(a: Wording, b: Wording): Float64Array {
  const words = meet(a.words, b.words)
  const pairs = meet(a.pairs, b.pairs)
  const singles = meet(a.singles, b.singles)
  const matters = meet(a.matters, b.matters)
  const soft = [softCover(a, b), softCover(b, a)] as const
  const left = [(1 - soft[0]) * a.matters.total, (1 - soft[1]) * b.matters.total] as const
  const strange = [1 - matters.covers[0], 1 - matters.covers[1]].map(
    (share, at) => share * (at === 0 ? a : b).matters.total
  )
  const asksEqual = a.aspects === b.aspects ? 1 : 0
  const { subsequence, run } = order(a.characters, b.characters)
  const lengths = [a.characters.length, b.characters.length] as const
  const shorter = Math.max(1, Math.min(...lengths, ORDERED))
  const longer = Math.max(1, Math.min(Math.max(...lengths), ORDERED))
  const unmatched = [a.matters.weights.size - matters.shared, b.matters.weights.size - matters.shared] as const
  const sizes = a.matters.weights.size + b.matters.weights.size
  const onlyOne = a.aspects ^ b.aspects
  const values: Record<string, number> = {
    diceWords: words.dice,
    dicePairs: pairs.dice,
    diceChars: singles.dice,
    diceMatters: matters.dice,
    diceMattersFlat: sizes === 0 ? 0 : (2 * matters.shared) / sizes,
    diceCharsSquared: singles.dice ** 2,
    diceMattersSquared: matters.dice ** 2,
    coverMost: Math.max(...singles.covers),
    coverLeast: Math.min(...singles.covers),
    coverMattersMost: Math.max(...matters.covers),
    coverMattersLeast: Math.min(...matters.covers),
    softMost: Math.max(...soft),
    softLeast: Math.min(...soft),
    softSquared: Math.min(...soft) ** 2,
    diceCharsHigh: Math.max(0, singles.dice - 0.5),
    diceMattersHigh: Math.max(0, matters.dice - 0.5),
    diceMattersHighest: Math.max(0, matters.dice - 0.75),
    softHigh: Math.max(0, Math.min(...soft) - 0.5),
    softHighest: Math.max(0, Math.min(...soft) - 0.75),
    leftMost: Math.min(1, Math.max(...left) / (3 * HEAVY)),
    leftLeast: Math.min(1, Math.min(...left) / (3 * HEAVY)),
    mattersEqual: sizes > 0 && Math.max(...unmatched) === 0 ? 1 : 0,
    asksEqual,
    asksEqualMatters: asksEqual * matters.dice,
    asksEqualSoft: asksEqual * Math.min(...soft) ** 2,
    asksDifferMatters: (1 - asksEqual) * matters.dice ** 2,
    soundPairs: overlap(a.sounds, b.sounds),
    orderShort: subsequence / shorter,
    orderLong: subsequence / longer,
    run: run / shorter,
    missingMatterMost: Math.max(...matters.missing) / HEAVY,
    missingMatterLeast: Math.min(...matters.missing) / HEAVY,
    missingWordMost: Math.max(...words.missing) / HEAVY,
    missingWordLeast: Math.min(...words.missing) / HEAVY,
    missingPairLeast: Math.min(...pairs.missing) / HEAVY,
    substituted: Math.min(1, Math.min(...unmatched) / 5),
    sharedMatter: matters.heaviest / HEAVY,
    lengthRatio: Math.min(...lengths) / Math.max(...lengths, 1),
    brevity: 1 / Math.max(1, Math.min(...lengths)),
    length: Math.min(1, Math.max(...lengths) / 100),
    placeAgree: both(a.places, b.places) ? 1 : 0,
    placeOne: one(a.places, b.places) ? 1 : 0,
    yearAgree: both(a.years, b.years) ? 1 : 0,
    yearOne: one(a.years, b.years) ? 1 : 0,
    numberAgree: both(a.numbers, b.numbers) ? 1 : 0,
    numberOne: one(a.numbers, b.numbers) ? 1 : 0,
    aspectAgree: agreement(a.aspects, b.aspects),
    aspectNone: a.aspects === 0 && b.aspects === 0 ? 1 : 0,
    aspectOne: (a.aspects === 0) !== (b.aspects === 0) ? 1 : 0,
    audienceAgree: agreement(a.audiences, b.audiences),
    audienceOne: Math.min(1, ones(a.audiences ^ b.audiences) / 3),
    actAgree: agreement(a.acts, b.acts),
    actOne: Math.min(1, ones(a.acts ^ b.acts) / 3),
    actConflict: isApart(a.acts, b.acts) ? 1 : 0,
    useOne: a.asksUse === b.asksUse ? 0 : 1,
    substitutedWeight: Math.min(1, Math.min(...strange) / (3 * HEAVY)),
    deniesOne: a.denies === b.denies ? 0 : 1
  }
  ASPECTS.forEach((aspect, at) => {
    values[`${aspect}One`] = (onlyOne >> at) & 1
  })
  AUDIENCE_NAMES.forEach((audience, at) => {
    values[`${audience}Only`] = ((a.audiences ^ b.audiences) >> at) & 1
  })
  ACT_NAMES.forEach((act, at) => {
    values[`${act}Alone`] = ((a.acts ^ b.acts) >> at) & 1
  })
  return Float64Array.from(PAIR_FEATURES, (name) => values[name] ?? 0)
}

const both = (a: readonly unknown[], b: readonly unknown[]) => a.length > 0 && b.length > 0
const one = (a: readonly unknown[], b: readonly unknown[]) => a.length > 0 !== b.length > 0

function ones(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}

function agreement(a: number, b: number): number {
  const either = ones(a | b)
  return either === 0 ? 0 : ones(a & b) / either
}

/** Both say something, and nothing alike. */
function isApart(a: number, b: number): boolean {
  return a !== 0 && b !== 0 && (a & b) === 0
}

function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0
  for (const one of a) if (b.has(one)) shared++
  return a.size + b.size === 0 ? 0 : (2 * shared) / (a.size + b.size)
}

/** How much of `a` has a like word in `b`: the same matter, else by the characters they share. */
function softCover(a: Wording, b: Wording): number {
  let covered = 0
  let total = 0
  for (const { word, matter, weight } of a.content) {
    let most = b.matters.weights.has(matter) ? 1 : 0
    for (let at = 0; most < 1 && at < b.content.length; at++) {
      const other = (b.content[at] as Wording['content'][number]).word
      let shared = 0
      for (const character of word) if (other.includes(character)) shared++
      most = Math.max(most, (2 * shared) / (word.length + other.length))
    }
    covered += most * weight
    total += weight
  }
  return total === 0 ? 0 : covered / total
}

/** Longest common subsequence, and longest common run, of the first ORDERED characters. */
function order(a: readonly string[], b: readonly string[]): { subsequence: number; run: number } {
  const n = Math.min(a.length, ORDERED)
  const m = Math.min(b.length, ORDERED)
  let previous = new Uint8Array(m + 1)
  let current = new Uint8Array(m + 1)
  let runs = new Uint8Array(m + 1)
  let nextRuns = new Uint8Array(m + 1)
  let run = 0
  for (let i = 0; i < n; i++) {
    for (let j = 1; j <= m; j++) {
      if (a[i] === b[j - 1]) {
        current[j] = (previous[j - 1] as number) + 1
        nextRuns[j] = (runs[j - 1] as number) + 1
        run = Math.max(run, nextRuns[j] as number)
      } else {
        current[j] = Math.max(previous[j] as number, current[j - 1] as number)
        nextRuns[j] = 0
      }
    }
    ;[previous, current] = [current, previous]
    ;[runs, nextRuns] = [nextRuns, runs]
  }
  return { subsequence: previous[m] as number, run }
}

// ── What keeps two apart ──────────────────────────────────────────────────

/** Aspects whose answers say nothing of each other; 怎么, 能不能 and 哪些 are asked of anything. */
const SHARP: readonly string[] = ['amount', 'when', 'duration', 'where', 'who', 'papers', 'why']
const SHARP_BITS = bitsNamed(ASPECTS, SHARP)

export const CONFLICTS = ['place', 'year', 'number', 'aspect', 'audience', 'act', 'matter'] as const
type Conflict = (typeof CONFLICTS)[number]

/** Whose own rules differ from everybody's: 低保户 pay less of the same contribution. */
const SPECIAL_AUDIENCES = bitsNamed(AUDIENCE_NAMES, ['family', 'poor', 'foreign', 'retired'])
/** What makes another question of it when only one of the two says so. */
const SPECIAL_ACTS = bitsNamed(ACT_NAMES, [
  'cancel',
  'change',
  'first',
  'lost',
  'missed',
  'refused',
  'refund',
  'out',
  'complain'
])

function bitsNamed(names: readonly string[], chosen: readonly string[]): number {
  return chosen.reduce((bits, name) => bits | (1 << names.indexOf(name)), 0)
}

/** Why two are never proposed however alike their words: the answer for the one would be wrong for the other. */
export function conflictOf(a: Wording, b: Wording): Conflict | null {
  if (placesApart(a, b)) return 'place'
  if (listsApart(a.years, b.years)) return 'year'
  if (listsApart(a.numbers, b.numbers)) return 'number'
  if (isApart(a.aspects & SHARP_BITS, b.aspects & SHARP_BITS)) return 'aspect'
  if (a.asksUse !== b.asksUse) return 'aspect'
  if (isApart(a.audiences, b.audiences) || ((a.audiences ^ b.audiences) & SPECIAL_AUDIENCES) !== 0) return 'audience'
  if (((a.acts ^ b.acts) & SPECIAL_ACTS) !== 0) return 'act'
  if (a.content.some((own) => b.content.some((other) => isTwin(own, other)))) return 'matter'
  return null
}

/** 二手房 and 二手车: two things of one kind, no misspelling, for 医宝 sounds like 医保. */
function isTwin(a: Wording['content'][number], b: Wording['content'][number]): boolean {
  if (a.word.length < 3 || a.word.length !== b.word.length || a.matter === b.matter) return false
  const [ending, other] = [a.word.slice(-1), b.word.slice(-1)]
  return a.word.slice(0, -1) === b.word.slice(0, -1) && ending !== other && syllableOf(ending) !== syllableOf(other)
}

function listsApart(a: readonly string[], b: readonly string[]): boolean {
  return both(a, b) && !a.some((value) => b.includes(value))
}

function placesApart(a: Wording, b: Wording): boolean {
  if (both(a.places, b.places)) return !a.places.some((place) => b.places.some((other) => isRelated(place, other)))
  // Who names no place means this one.
  const isForeign = ({ places }: Wording) => places.length > 0 && places.every(({ isElsewhere }) => isElsewhere)
  return (isForeign(a) && !b.isAnywhere) || (isForeign(b) && !a.isAnywhere)
}

/** One lies in the other; a street of ours in whatever our district lies in. */
function isRelated(a: Place, b: Place): boolean {
  if (a.code === null && b.code === null) return a.name === b.name
  if (a.code === null || b.code === null) return !(a.isElsewhere || b.isElsewhere)
  return a.code.startsWith(b.code) || b.code.startsWith(a.code)
}

// ── The model ─────────────────────────────────────────────────────────────

/** Logistic weights; made by `npm run bench -- similar --weights`. */
const WEIGHTS: Partial<Record<string, number>> = {
  diceWords: -2.458,
  dicePairs: -1.676,
  diceChars: 4.124,
  diceMatters: -0.526,
  diceMattersFlat: 0.683,
  diceCharsSquared: -5.373,
  diceMattersSquared: 0.752,
  coverMost: 1.169,
  coverLeast: 4.349,
  coverMattersMost: -1.068,
  coverMattersLeast: -1.368,
  softMost: 2.201,
  softLeast: 5.332,
  softSquared: -3.423,
  diceCharsHigh: 6.472,
  diceMattersHigh: 1.877,
  diceMattersHighest: 7.079,
  softHigh: 1.439,
  softHighest: 2.885,
  leftMost: -0.879,
  leftLeast: -2.011,
  mattersEqual: -0.255,
  asksEqual: -0.568,
  asksEqualMatters: -0.491,
  asksEqualSoft: -1.178,
  asksDifferMatters: -2.564,
  soundPairs: 0.192,
  orderShort: 3.076,
  orderLong: -1.17,
  run: -3.337,
  missingMatterMost: 0.188,
  missingMatterLeast: 0.332,
  missingWordMost: -1.72,
  missingWordLeast: 0.661,
  missingPairLeast: -0.387,
  substituted: -0.538,
  sharedMatter: 3.643,
  lengthRatio: -1.048,
  brevity: -1.192,
  length: 1.791,
  placeAgree: 0.519,
  placeOne: -0.69,
  yearAgree: 4.84,
  yearOne: -0.113,
  numberAgree: 0.261,
  numberOne: -0.008,
  aspectAgree: 0.597,
  aspectNone: 0.006,
  aspectOne: 0.07,
  audienceAgree: 0.585,
  audienceOne: -0.326,
  actAgree: 0.685,
  actOne: 0.049,
  actConflict: -0.882,
  deniesOne: 0.036,
  substitutedWeight: 1.181,
  amountOne: 0.206,
  whenOne: 0.211,
  durationOne: -0.049,
  whereOne: 0.463,
  whoOne: 0.186,
  papersOne: 0.039,
  howOne: 0.064,
  whetherOne: 0.228,
  whyOne: -1.598,
  whatOne: -0.259,
  oldOnly: 0.034,
  childOnly: -0.363,
  studentOnly: 0.116,
  disabledOnly: -0.095,
  veteranOnly: -0.317,
  companyOnly: -0.195,
  shopOnly: 0.642,
  aloneOnly: 0.063,
  employeeOnly: 0.258,
  residentOnly: -0.547,
  joblessOnly: -0.477,
  motherOnly: -1.262,
  farmerOnly: 0.347,
  outsiderOnly: 0.404,
  applyAlone: 0.115,
  expiredAlone: -0.429,
  lookAlone: -0.072,
  payAlone: 0.215,
  claimAlone: 0.182,
  inAlone: 0.037,
  marryAlone: -0.204,
  divorceAlone: 0.099,
  lateAlone: 0.639,
  togetherAlone: 0.221,
  proxyAlone: -0.054
}
const BIAS = -4.1366

const LINEAR = Float64Array.from(PAIR_FEATURES, (name) => WEIGHTS[name] ?? 0)

/** How alike two wordings are, and how likely one answer serves both; 0 where something keeps them apart. */
function compareWordings(a: Wording, b: Wording): Pick<SimilarTicket, 'similarity' | 'probability'> {
  if (conflictOf(a, b) !== null) return { similarity: 0, probability: 0 }
  const features = pairFeatures(a, b)
  let logit = BIAS
  for (let at = 0; at < features.length; at++) logit += (LINEAR[at] as number) * (features[at] as number)
  const [words = 0, , characters = 0, matters = 0] = features
  return {
    similarity: (words + characters + matters) / 3,
    probability: 1 / (1 + Math.exp(-logit))
  }
}
