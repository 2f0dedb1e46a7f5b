import { readFileSync } from 'node:fs'
import { SMALLEST_BANK, type TermSource } from '../search/search-engine.ts'

/** Words without a matter of their own: politeness, filler, the frame of a question. */
export const FILLER = -1

/**
 * Everyday and official words of like meaning share a number; filler is −1. A word that is in no group is a matter by itself.
 * Unlike the district's synonyms, which replace words before anything is searched, these are only compared: a wrong pair costs
 * a little confidence and never an entry.
 */
const GROUPS: ReadonlyMap<string, number> = read()

function read(): Map<string, number> {
  const groups = new Map<string, number>()
  const lines = readFileSync(new URL('./concepts.txt', import.meta.url), 'utf8').split('\n')
  lines.forEach((line, at) => {
    if (line === '' || line.startsWith('#')) return
    const filler = line.startsWith('- ')
    for (const word of (filler ? line.slice(2) : line).split(' ')) {
      if (word !== '' && !groups.has(word)) groups.set(word, filler ? FILLER : at)
    }
  })
  return groups
}

/** What the words of one index stand for. */
export interface Concepts {
  /** Concept by word's term id; −1: filler. Ids from `GROUP_BASE` on are groups, those below words by themselves. */
  of: Int32Array
  /** idf of a concept: of the entries that hold any of its words. */
  weight(concept: number): number
}

export const GROUP_BASE = 1 << 28
const held = new WeakMap<Float32Array, Concepts>()

/** The concept of a word the bank has never seen: its group's, else none it could share with an entry. */
export function groupOf(word: string): number | null {
  const group = GROUPS.get(word)
  return group === undefined ? null : group === FILLER ? FILLER : GROUP_BASE + group
}

/** Concepts of an index's words; made once for each state of the index. */
export function conceptsOf(terms: TermSource): Concepts {
  const weights = terms.weights('words')
  const known = held.get(weights)
  if (known !== undefined) return known
  const n = Math.max(terms.entryCount(), SMALLEST_BANK)
  const of = Int32Array.from(weights, (_, id) => id)
  const entries = new Map<number, number>()
  for (const [word, group] of GROUPS) {
    const id = terms.lookup('words', [word]).ids[0] as number
    if (id === -1 || id >= of.length) continue
    of[id] = group === FILLER ? FILLER : GROUP_BASE + group
    // Back from idf to the number of entries.
    const odds = Math.exp(weights[id] as number) - 1
    entries.set(group, (entries.get(group) ?? 0) + (n + 0.5 - 0.5 * odds) / (1 + odds))
  }
  const rarest = Math.log(1 + (n + 0.5) / 0.5)
  const groupWeights = new Map<number, number>()
  for (const [group, df] of entries) {
    const count = Math.min(df, n)
    groupWeights.set(GROUP_BASE + group, Math.log(1 + (n - count + 0.5) / (count + 0.5)))
  }
  const concepts: Concepts = {
    of,
    weight: (concept) =>
      concept === FILLER
        ? 0
        : concept >= GROUP_BASE
          ? (groupWeights.get(concept) ?? rarest)
          : (weights[concept] ?? rarest)
  }
  held.set(weights, concepts)
  return concepts
}
