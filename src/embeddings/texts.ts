import type { Item } from '../content/library.ts'
import type { Document, Qa } from '../content/kinds.ts'
import { type Passage, plainText } from '../documents/passages.ts'

/** What a model is told a text is: e5 and its like embed questions and passages differently. */
export type Role = 'query' | 'passage'

/** What is embedded of one searchable entry. */
export interface EntryTexts {
  /** As the search engine names it: `qa/ID` or `document/ID#ANCHOR`. */
  key: string
  kind: 'qa' | 'document'
  id: string
  anchor: string | null
  /** Forms of the question, embedded as questions: question against question finds most (design decision D5). */
  questions: readonly string[]
  /** Answer or passage in chunks, embedded as passages. */
  answers: readonly string[]
}

/** Characters of a chunk: about 200 tokens, where small models still tell what a text is about; their limit is 512 tokens. */
const CHUNK = 300
/** Chunks of an answer or passage that are embedded: 3,600 characters. What comes later is found by its words. */
const MOST_CHUNKS = 12
/** A passage shorter than this says too little alone: the document's title and its heading go before it. */
const SHORT_PASSAGE = 120
/** Characters of a question that are embedded: below 512 tokens, above which some servers refuse a text. */
const LONGEST_QUESTION = 480

/** What is embedded of a Q&A entry; the answer is joined as src/search/entries.ts joins it for the words. */
export function qaTexts(qa: Qa): EntryTexts[] {
  const { answer, materials, steps, fee, place, duration } = qa
  const said = [answer, ...materials, ...steps, fee, place, duration].filter((part) => part !== null)
  const questions = new Set([qa.question, ...qa.variants].map(questionText).filter((text) => text !== ''))
  return [
    {
      key: `qa/${qa.id}`,
      kind: 'qa',
      id: qa.id,
      anchor: null,
      questions: [...questions],
      answers: cutText(plainText(said.join('\n')))
    }
  ]
}

/** What is embedded of a document, passage by passage. */
export function documentTexts({ content }: Item<Document>, passages: readonly Passage[]): EntryTexts[] {
  const { id, title } = content
  return passages.map((passage) => {
    const text = plainText(passage.text)
    const above = text.length < SHORT_PASSAGE ? [title, passage.heading].filter((line) => line !== '') : []
    return {
      key: `document/${id}#${passage.anchor}`,
      kind: 'document',
      id,
      anchor: passage.anchor,
      questions: [],
      answers: cutText([...above, text].join('\n'))
    }
  })
}

/** A question as it is embedded. */
export function questionText(question: string): string {
  return clean(question).slice(0, LONGEST_QUESTION)
}

/** Cuts a text into chunks of at most 300 characters, about equally long, at ends of sentences where there are any. */
export function cutText(text: string): string[] {
  const whole = text.trim()
  if (whole.length <= CHUNK) return cleaned([whole])
  const target = whole.length / Math.ceil(whole.length / CHUNK)
  const chunks: string[] = []
  let chunk = ''
  for (const piece of piecesOf(whole)) {
    if (chunk !== '' && (chunk.length + piece.length > CHUNK || chunk.length >= target)) {
      chunks.push(chunk)
      chunk = ''
    }
    chunk += piece
  }
  chunks.push(chunk)
  return cleaned(chunks).slice(0, MOST_CHUNKS)
}

/** Sentences; one that is too long is cut at a comma or blank in its second half, else where it must be. */
function* piecesOf(text: string): Iterable<string> {
  for (const [sentence] of text.matchAll(/[^。！？；!?;\n]*[。！？；!?;\n]+|[^。！？；!?;\n]+/g)) {
    let rest = sentence
    while (rest.length > CHUNK) {
      const comma = Math.max(...[...'，,、：: 　'].map((mark) => rest.lastIndexOf(mark, CHUNK - 1)))
      const at = comma + 1 >= CHUNK / 2 ? comma + 1 : CHUNK
      yield rest.slice(0, at)
      rest = rest.slice(at)
    }
    yield rest
  }
}

function cleaned(chunks: readonly string[]): string[] {
  return chunks.map(clean).filter((chunk) => chunk !== '')
}

/** Without what ends a text early or is no text: controls, halves of surrogate pairs. */
function clean(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\u0000-\u001f\u007f]+/g, ' ')
    .trim()
}
