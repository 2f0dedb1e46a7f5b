import type { EntryField, TokenUnit } from './tokens.ts'

/** BM25's own: k1 damps repeated terms, b scales by field length. Lucene's defaults. */
export const BM25 = { k1: 1.2, b: 0.75 } as const

/**
 * Boost of each field under each token unit; an entry's score is the sum over units, fields and query terms of
 * boost · idf · tf / (tf + k1 · (1 − b + b · length / average length)).
 * First values, to be replaced by measured ones (npm run bench -- quality).
 */
export const BOOSTS: Record<TokenUnit, Record<EntryField, number>> = {
  words: { question: 1, variants: 1, answer: 0.3, title: 0.6, passage: 0.6 },
  bigrams: { question: 1, variants: 1, answer: 0.3, title: 0.6, passage: 0.6 },
  characters: { question: 1, variants: 1, answer: 0.2, title: 0.5, passage: 0.4 }
}
