import type { EngineHit, SearchEngine, TermSource } from '../search/search-engine.ts'
import type { PlaceFinder } from '../text/places.ts'
import type { Segmenter } from '../text/segment.ts'
import { bigramsOf, charactersOf } from '../text/tokens.ts'
import { confidenceOf, rankingScore } from './confidence.ts'
import { type Features, featuresOf, prepareQuestion, type Question } from './features.ts'

/** How many of the engine's candidates are looked at closely. */
const CANDIDATES = 12

export interface Candidate {
  hit: EngineHit
  features: Features
  /** Ranking score, unbounded. */
  score: number
  /** 0–1. */
  confidence: number
}

export interface MatchNeeds {
  engine: SearchEngine
  terms: TermSource
  segmenter: Segmenter
  places: PlaceFinder
}

export interface Match {
  question: Question
  /** Normalised question. */
  text: string
  words: readonly string[]
  /** Best first. */
  candidates: readonly Candidate[]
}

/** Finds and ranks what may answer a question. A question without a single letter or digit has no candidates. */
export async function match({ engine, terms, segmenter, places }: MatchNeeds, asked: string): Promise<Match> {
  const { text, words } = segmenter.tokens(asked)
  const tokens = { words, bigrams: bigramsOf(text), characters: charactersOf(text) }
  const hits = tokens.characters.length === 0 ? [] : await engine.search({ tokens, limit: CANDIDATES })
  const question = prepareQuestion(text, tokens, terms, places)
  const ranked: Candidate[] = []
  for (const hit of hits) {
    const entry = terms.terms(hit.key)
    // The entry was replaced between the search and now.
    if (entry === null) continue
    const features = featuresOf(question, entry, hit.kind === 'document', terms)
    ranked.push({ hit, features, score: rankingScore(features), confidence: 0 })
  }
  ranked.sort((a, b) => b.score - a.score || (a.hit.key < b.hit.key ? -1 : 1))
  const candidates = onePassageEach(ranked)
  candidates.forEach((candidate, at) => {
    // Only the first can be the answer; for the others the gap is what separates them from the first.
    const next = at === 0 ? candidates[1] : candidates[0]
    const gap = next === undefined ? candidate.score : candidate.score - next.score
    candidate.confidence = confidenceOf(candidate.features, { gap })
  })
  return { question, text, words, candidates }
}

/** A document is offered once, with its best passage. */
function onePassageEach(ranked: readonly Candidate[]): Candidate[] {
  const seen = new Set<string>()
  return ranked.filter(({ hit }) => {
    const record = `${hit.kind}/${hit.id}`
    if (seen.has(record)) return false
    seen.add(record)
    return true
  })
}
