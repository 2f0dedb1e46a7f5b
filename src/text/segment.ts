import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import nodejieba from 'nodejieba'
import type { FieldTokens } from '../search/tokens.ts'
import { normalise } from './normalise.ts'

const { version } = createRequire(import.meta.url)('nodejieba/package.json') as { version: string }

/** Grows when normalisation or token rules change, so that stored tokens are made anew. */
const TEXT_RULES = 1

/** Words a district adds to the segmenter, and the everyday words that stand for a standard one. */
export interface Vocabulary {
  words: readonly string[]
  /** Standard word and its everyday forms. */
  synonyms: readonly { standard: string; others: readonly string[] }[]
}

/** From text to stored tokens. One per process: nodejieba's dictionary is global. */
export interface Segmenter {
  /** Names segmenter, version, text rules and dictionary; an index made under another identity is rebuilt. */
  identity: string
  /** Normalises and segments. */
  tokens(text: string): FieldTokens
}

const ASCII_RUN = /[a-z0-9]+(?:[.-][0-9]+)*%?/g
const WORD = /[\p{L}\p{N}]/u

const KEYWORD_WEIGHTS = fileURLToPath(new URL('./keyword-weights.utf8', import.meta.url))

let loaded: string | null = null

/**
 * Opens nodejieba with its own dictionary and the district's vocabulary.
 * A vocabulary other than the one loaded before loads the dictionary anew (about one second).
 */
export function openSegmenter(vocabulary: Vocabulary): Segmenter {
  const standards = new Map<string, string>()
  const words = new Set<string>()
  for (const word of vocabulary.words) words.add(normalise(word))
  for (const { standard, others } of vocabulary.synonyms) {
    const to = normalise(standard)
    words.add(to)
    for (const other of others) {
      words.add(normalise(other))
      standards.set(normalise(other), to)
    }
  }
  const dictionary = [...words].filter((word) => word.length > 1).sort()
  const hash = createHash('sha256')
    .update(JSON.stringify([dictionary, [...standards].sort()]))
    .digest('hex')
    .slice(0, 12)
  const identity = `nodejieba@${version}/${TEXT_RULES}/${hash}`
  if (loaded !== identity) {
    // Weights for keyword extraction, which nothing here asks for, take a fifth of the time to load: one word stands for them.
    nodejieba.load({ idfDict: KEYWORD_WEIGHTS })
    for (const word of dictionary) nodejieba.insertWord(word)
    loaded = identity
  }
  return {
    identity,
    tokens(text) {
      const normal = normalise(text)
      return { text: normal, words: segment(normal, standards) }
    }
  }
}

function segment(text: string, standards: ReadonlyMap<string, string>): string[] {
  // The search cut takes digits and letters apart; whole runs are set aside and put back in their place.
  const runs: string[] = []
  const han = text.replace(ASCII_RUN, (run) => {
    runs.push(run)
    return '\n'
  })
  const words: string[] = []
  let run = 0
  for (const word of nodejieba.cutForSearch(han)) {
    if (word === '\n') words.push(runs[run++] as string)
    else if (WORD.test(word)) words.push(standards.get(word) ?? word)
  }
  return words
}
