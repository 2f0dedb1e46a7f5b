import type { Document, Qa } from '../content/kinds.ts'
import { cutPassages, type Passage, plainText } from '../documents/passages.ts'
import { pinyinOf } from '../text/pinyin.ts'
import type { Segmenter } from '../text/segment.ts'
import type { Entry, EntryField, FieldTokens } from './tokens.ts'

/** An entry with the full pinyin of its question, for the type-ahead. */
export interface StoredEntry {
  entry: Entry
  pinyin: string
}

function fields(
  given: Partial<Record<EntryField, readonly FieldTokens[]>>
): Record<EntryField, readonly FieldTokens[]> {
  return { question: [], variants: [], answer: [], title: [], passage: [], ...given }
}

/** What is searched of a Q&A entry: question, variants, and all that the answer says. */
export function qaEntries(qa: Qa, changedOn: string, segmenter: Segmenter): StoredEntry[] {
  const answer = [qa.answer, ...qa.materials, ...qa.steps, qa.fee, qa.place, qa.duration].filter(
    (part) => part !== null
  )
  return [
    {
      entry: {
        key: `qa/${qa.id}`,
        kind: 'qa',
        id: qa.id,
        anchor: null,
        unit: qa.unit,
        topic: qa.topic,
        status: 'current',
        validFrom: qa.effectiveOn,
        validTo: qa.expiresOn,
        date: changedOn,
        fields: fields({
          question: [segmenter.tokens(qa.question)],
          variants: qa.variants.map((variant) => segmenter.tokens(variant)),
          answer: [segmenter.tokens(answer.join('\n'))]
        })
      },
      pinyin: pinyinOf(qa.question).join(' ')
    }
  ]
}

/** What is searched of a document: each passage under the title and its headings. */
export function documentEntries(document: Document, segmenter: Segmenter): StoredEntry[] {
  const title = segmenter.tokens([document.title, document.number ?? ''].join(' '))
  // Passages stand under the same headings one after the other: each heading is segmented once.
  let heading = ''
  let above = segmenter.tokens('')
  const under = (passage: Passage): FieldTokens => {
    if (passage.heading !== heading) {
      heading = passage.heading
      above = segmenter.tokens(heading)
    }
    const own = segmenter.tokens(plainText(passage.text))
    return { text: `${above.text} ${own.text}`.trim(), words: above.words.concat(own.words) }
  }
  return cutPassages(document.body).map((passage) => ({
    entry: {
      key: `document/${document.id}#${passage.anchor}`,
      kind: 'document',
      id: document.id,
      anchor: passage.anchor,
      unit: document.issuers[0] ?? null,
      topic: document.topic,
      status: document.status,
      validFrom: document.effectiveOn,
      validTo: document.expiresOn,
      date: document.publishedOn ?? document.writtenOn,
      fields: fields({
        title: [title],
        passage: [under(passage)]
      })
    },
    pinyin: ''
  }))
}
