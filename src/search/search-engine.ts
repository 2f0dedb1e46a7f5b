import type { Entry, RecordChange, TokenUnit } from './tokens.ts'

/** A question as the engines see it: tokens only, never the text, so both engines search the same thing (docs/decisions/0002). */
export type QueryTokens = Record<TokenUnit, readonly string[]>

export interface EntryFilter {
  kind?: Entry['kind']
  unit?: string
  topic?: string
  /** Only entries in force on this day (`YYYY-MM-DD`): not repealed, begun, not ended. */
  inForceOn?: string
  /** Only entries dated on or after / on or before, `YYYY-MM-DD`. */
  dateFrom?: string
  dateTo?: string
}

export interface EngineQuery {
  tokens: QueryTokens
  filter?: EntryFilter
  /** How many candidates, best first; ties by key ascending, so that every engine orders alike. */
  limit: number
}

export interface EngineHit {
  key: string
  kind: Entry['kind']
  id: string
  anchor: string | null
  /** Raw score: orders candidates, is never a confidence (docs/decisions/0003). */
  score: number
}

/** What an engine proposes. */
export interface Found {
  /** Best first. */
  hits: readonly EngineHit[]
  /** Another engine than the one that is set up has found them. */
  degraded: boolean
}

export interface TermExplanation {
  unit: TokenUnit
  term: string
  /** Entries that hold the term in any field. */
  documentFrequency: number
  /** What the term adds to the entry's score. */
  impact: number
}

export interface EngineStatus {
  ready: boolean
  entries: number
  /** Highest change-feed sequence number the engine has taken in; 0 before the first. */
  sequence: number
  /** Text for an operator while an index is built, with how far it is, and after a build that failed; else null. */
  progress: string | null
}

/** Where an engine reads everything from when it starts or rebuilds. */
export interface EntrySource {
  /** Change-feed sequence the snapshot stands at. */
  sequence: number
  count: number
  entries: AsyncIterable<Entry> | Iterable<Entry>
}

/** Proposes candidates. Derived from the database, disposable, rebuilt at any time. */
export interface SearchEngine {
  search(query: EngineQuery): Promise<Found>
  /** Takes over changes in order; searchable when the promise resolves. `sequence` is the last change's. */
  apply(changes: readonly RecordChange[], sequence: number): Promise<void>
  /** Builds anew while the old index goes on answering, then swaps; changes applied meanwhile are kept. */
  rebuild(): Promise<void>
  /** Per-term contribution of one entry, highest first; empty when the entry is unknown. */
  explain(tokens: QueryTokens, key: string): Promise<readonly TermExplanation[]>
  status(): EngineStatus
  close(): Promise<void>
}

/** Sorted distinct term ids of one form of a field, by unit. */
export type TermSets = Record<TokenUnit, Uint32Array>

/** One form of a field: its terms, and its single characters in text order. */
export interface FormTerms {
  terms: TermSets
  /** Term ids of `characters`, as they follow each other. */
  sequence: Uint16Array | Uint32Array
}

export interface EntryTerms {
  /** Question and each variant; for a passage its title. */
  questions: readonly FormTerms[]
  /** Answer; for a passage its text. */
  answers: readonly FormTerms[]
}

/** In a bank of ten entries no word is rare: smaller banks are judged as if they had this many, about as those that taught the weights. */
export const SMALLEST_BANK = 1000

/** Term statistics and forward lists the matcher computes features from: our own, never the engine's (docs/decisions/0003). */
export interface TermSource {
  entryCount(): number
  /** Term ids (-1: the bank has never seen it) and idf = ln(1 + (N - df + 0.5) / (df + 0.5)), N at least SMALLEST_BANK; an unknown term has df 0. */
  lookup(unit: TokenUnit, tokens: readonly string[]): { ids: Int32Array; idf: Float32Array }
  /** idf by term id, as lookup gives it. Valid until the next apply or rebuild: do not keep. */
  weights(unit: TokenUnit): Float32Array
  /** The token a term id stands for. */
  token(unit: TokenUnit, id: number): string
  /** Null when the entry is not held. The same object as long as the entry stays as it is; its ids are valid until the next rebuild. */
  terms(key: string): EntryTerms | null
}
