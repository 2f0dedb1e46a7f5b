import { fold } from '../text/normalise.ts'
import { bigramsOf } from '../text/tokens.ts'

/** Half-open, in UTF-16 units of the text as shown. */
export interface Range {
  start: number
  end: number
}

/** More marks than this make a text harder to read, not easier. */
const MOST = 20

/** Where a text as shown holds the question's words, overlaps joined. Single characters are not marked: they are everywhere. `folded` is the folded text where it is at hand. */
export function highlight(text: string, words: readonly string[], folded = fold(text)): Range[] {
  const ranges: Range[] = []
  for (const word of new Set(words)) {
    if (word.length < 2) continue
    for (let at = folded.indexOf(word); at !== -1; at = folded.indexOf(word, at + word.length)) {
      ranges.push({ start: at, end: at + word.length })
    }
  }
  ranges.sort((a, b) => a.start - b.start)
  const joined: Range[] = []
  for (const range of ranges) {
    const last = joined.at(-1)
    if (last !== undefined && range.start <= last.end) last.end = Math.max(last.end, range.end)
    else joined.push({ ...range })
  }
  return joined.slice(0, MOST)
}

const SENTENCE = /[^。；！？\n]+[。；！？]?/g
/** A sentence must share this much with the question to be called the answer's: about two words. */
const ENOUGH_PAIRS = 3

/** The sentence of a passage that holds most of a normalised question's pairs of characters; null when none holds enough. */
export function answerSentence(text: string, question: string): Range[] | null {
  const asked = new Set(bigramsOf(question))
  const folded = fold(text)
  let best: Range | null = null
  let most = ENOUGH_PAIRS - 1
  for (const { 0: sentence, index } of folded.matchAll(SENTENCE)) {
    const shared = new Set(bigramsOf(sentence).filter((pair) => asked.has(pair))).size
    if (shared <= most) continue
    most = shared
    const blank = sentence.length - sentence.trimStart().length
    best = { start: index + blank, end: index + sentence.trimEnd().length }
  }
  return best === null ? null : [best]
}
