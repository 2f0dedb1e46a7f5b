import { BM25 } from '../boosts.ts'

/** Rarity of a term that `df` of `n` entries hold, as Lucene's BM25Similarity has it. */
export function idfOf(df: number, n: number): number {
  return Math.log(1 + (n - df + 0.5) / (df + 0.5))
}

/** How far `tf` occurrences in a field of `length` tokens (as {@link storedLength} gives it) go towards the full idf. */
export function saturation(tf: number, length: number, averageLength: number): number {
  return tf / (tf + BM25.k1 * (1 - BM25.b + (BM25.b * length) / averageLength))
}

/**
 * A field's length as Lucene keeps it: exact below 40, then to four significant bits above 24 (SmallFloat.intToByte4).
 * We round alike so that Elasticsearch gives the same sums; it costs us nothing, impacts being computed at build.
 */
export function storedLength(length: number): number {
  if (length < 24) return length
  const shift = Math.max(0, 28 - Math.clz32(length - 24))
  return 24 + (((length - 24) >>> shift) << shift)
}
