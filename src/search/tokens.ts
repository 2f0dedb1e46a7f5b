import { bigramsOf, charactersOf } from '../text/tokens.ts'

/** The three kinds of token every field is searched by; why three: docs/decisions/0002. */
export const TOKEN_UNITS = ['words', 'bigrams', 'characters'] as const
export type TokenUnit = (typeof TOKEN_UNITS)[number]

/** One field as it is stored for the engines: enough to rebuild any index without segmenting again. */
export interface FieldTokens {
  /** Normalised text (src/text/normalise.ts); bigrams and characters derive from it. */
  text: string
  /** Search-mode words in text order, synonyms replaced by their standard word. */
  words: readonly string[]
}

export const ENTRY_FIELDS = ['question', 'variants', 'answer', 'title', 'passage'] as const
export type EntryField = (typeof ENTRY_FIELDS)[number]

/** What an engine indexes: one Q&A entry, or one passage of a disclosure document. */
export interface Entry {
  /** `qa/ID` or `document/ID#ANCHOR`; unique across kinds. */
  key: string
  kind: 'qa' | 'document'
  /** The record's own code. */
  id: string
  /** The passage's anchor; null on Q&A. */
  anchor: string | null
  unit: string | null
  topic: string | null
  /** As the source states it; whether dates have overtaken it is decided on reading. */
  status: 'current' | 'amended' | 'repealed'
  /** `YYYY-MM-DD`; null = since ever / without end. */
  validFrom: string | null
  validTo: string | null
  /** Publication (documents) or last change (Q&A), `YYYY-MM-DD`, for the date filter. */
  date: string | null
  /** One item per form of the field: one question, n variants, one answer; empty when the entry has no such field. */
  fields: Record<EntryField, readonly FieldTokens[]>
}

/** A change the engine must take over; `entries` replaces whatever the record had (a document has many passages). */
export interface RecordChange {
  kind: 'qa' | 'document'
  id: string
  entries: readonly Entry[]
}

/** Tokens of one field by unit, duplicates kept (they are term frequencies). */
export function tokensOf(field: FieldTokens, unit: TokenUnit): readonly string[] {
  if (unit === 'words') return field.words
  return unit === 'bigrams' ? bigramsOf(field.text) : charactersOf(field.text)
}
