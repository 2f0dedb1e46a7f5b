// biome-ignore-all lint/style/noNonNullAssertion: typed arrays are read within their bounds
import type { Semantic, SemanticHits } from '../embeddings/semantic.ts'
import type { EngineHit, Found, SearchEngine, TermSource } from '../search/search-engine.ts'
import type { PlaceFinder } from '../text/places.ts'
import type { Segmenter } from '../text/segment.ts'
import { bigramsOf, charactersOf } from '../text/tokens.ts'
import { confidenceOf, MODELS, type Model, rankingScores, shapeOf } from './confidence.ts'
import { AT, type Compared, compare, type Features, prepareQuestion, type Question } from './features.ts'

/** How many the engine proposes: the right entry is among fifty in all but 1–3 % (bench train). */
const CANDIDATES = 50
/** How many of the nearest in meaning join them: these share words with the question or they do not. */
const NEAREST = 20

export interface Candidate {
  hit: Hit
  features: Features
  /** Ranking score, unbounded. */
  score: number
  /** 0–1; of those behind the first, its share of the first's. */
  confidence: number
}

/** Where a candidate stands; no score, which differs from engine to engine. */
export type Hit = Omit<EngineHit, 'score'>

export interface MatchNeeds {
  engine: SearchEngine
  terms: TermSource
  segmenter: Segmenter
  places: PlaceFinder
  /** Nearness in meaning, where an embeddings server is set up. */
  semantic?: Semantic | null
}

export interface Gathered {
  question: Question
  words: readonly string[]
  /** In key order. */
  candidates: readonly { hit: Hit; features: Features }[]
  /** Whether nearness in meaning took part. */
  isSemantic: boolean
  /** The candidates come from another engine than the one that is set up. */
  degraded: boolean
}

export interface Match {
  question: Question
  words: readonly string[]
  /** Best first. */
  candidates: readonly Candidate[]
  isSemantic: boolean
  degraded: boolean
}

const NOTHING: Found = { hits: [], degraded: false }

/** Finds and ranks what may answer a question. A question without a single letter or digit has no candidates. */
export async function match(needs: MatchNeeds, asked: string): Promise<Match> {
  const gathered = await gather(needs, asked)
  return rank(gathered, MODELS[gathered.isSemantic ? 'semantic' : 'lexical'])
}

/** Finds what may answer a question, and how each fits. */
export async function gather(
  { engine, terms, segmenter, places, semantic }: MatchNeeds,
  asked: string
): Promise<Gathered> {
  const { text, words } = segmenter.tokens(asked)
  const tokens = { words, bigrams: bigramsOf(text), characters: charactersOf(text) }
  const isQuestion = tokens.characters.length > 0
  const nearest = isQuestion && semantic != null ? semantic.near(asked, NEAREST) : null
  const found = isQuestion ? await engine.search({ tokens, limit: CANDIDATES }) : NOTHING
  const meaning = nearest === null ? null : await nearest
  // The question is prepared only now: what was awaited may have changed the terms.
  const question = prepareQuestion(text, tokens, terms, places)
  const hits: Hit[] = []
  const compared: Compared[] = []
  for (const hit of joined(found.hits, meaning)) {
    const entry = terms.terms(hit.key)
    // The entry was replaced between the search and now.
    if (entry === null) continue
    hits.push(hit)
    compared.push({ entry, isPassage: hit.kind === 'document', semantic: meaning?.of(hit.key) ?? null })
  }
  return {
    question,
    words,
    candidates: compare(question, compared, terms, places).map(({ at, features }) => ({ hit: hits[at]!, features })),
    isSemantic: meaning !== null,
    degraded: found.degraded
  }
}

/** Both lists' candidates, each once, in key order: the same list, however engines order what is level. */
function joined(found: readonly Hit[], meaning: SemanticHits | null): Hit[] {
  const byKey = new Map(found.map((hit) => [hit.key, hit]))
  for (const hit of meaning?.hits ?? []) if (!byKey.has(hit.key)) byKey.set(hit.key, hit)
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
}

/** Above every other ranking score; and the least confidence then: the clerk who wrote the wording vouches for it. */
const OWN_WORDS_LEAD = 2
const OWN_WORDS_CONFIDENCE = 0.98

/**
 * 「养老院」 names a matter and asks nothing of it: a clerk asks back. On unseen folds such questions were the most confident
 * mistakes (docs/decisions/0012); half of them mean the first hit.
 */
const BARE = 4
const BARE_CONFIDENCE = 0.5

/** Orders what was gathered, and says how sure the first is. */
export function rank({ question, words, candidates, isSemantic, degraded }: Gathered, model: Model): Match {
  const scores = rankingScores(
    model,
    candidates.map(({ features }) => features)
  )
  const exact = candidates.flatMap(({ hit, features }, at) =>
    hit.kind === 'qa' && features[AT.exact] === 1 ? [at] : []
  )
  // An entry that is asked in its own words is what was asked for, unless two claim the words.
  const [own] = exact.length === 1 ? exact : []
  if (own !== undefined) scores[own] = Math.max(...scores) + OWN_WORDS_LEAD
  const order = onePassageEach(
    candidates,
    [...candidates.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b)
  )
  const { shape, shares } = shapeOf(
    Float64Array.from(order, (at) => scores[at]!),
    model.nothing
  )
  const [first] = order
  const said = first === undefined ? 0 : confidenceOf(model, candidates[first]!.features, shape)
  const sure = own === undefined ? said : Math.max(said, OWN_WORDS_CONFIDENCE)
  const isBare = question.sequence.length <= BARE && question.aspects === 0
  const confidence = isBare ? Math.min(sure, BARE_CONFIDENCE) : sure
  return {
    question,
    words,
    candidates: order.map((at, place) => ({
      ...candidates[at]!,
      score: scores[at]!,
      confidence: place === 0 ? confidence : (confidence * shares[place]!) / shares[0]!
    })),
    isSemantic,
    degraded
  }
}

/** A document is offered once, with its best passage. */
function onePassageEach(candidates: Gathered['candidates'], order: readonly number[]): number[] {
  const seen = new Set<string>()
  return order.filter((at) => {
    const { kind, id } = candidates[at]!.hit
    const record = `${kind}/${id}`
    return !seen.has(record) && seen.add(record)
  })
}
