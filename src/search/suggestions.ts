import { sql } from 'kysely'
import type { Database } from '../database/open.ts'
import { fold } from '../text/normalise.ts'
import { initialsOf } from '../text/pinyin.ts'

export interface Suggestion {
  text: string
  /** The Q&A entry it leads to. */
  id: string
}

interface Row extends Suggestion {
  /** Half width, lower case, simplified; as long as the text. */
  folded: string
  /** Syllables with a blank before each: a match must begin with a syllable. */
  spaced: string
  initials: string
}

/** More is not read at a kiosk. */
const MOST = 8

/**
 * Type-ahead over the questions of the bank: by characters, by full pinyin from any syllable on, by initials. `zhengce` and
 * `zc` both find 政策.
 */
export class Suggestions {
  #rows = new Map<string, Row>()

  /** Reads the questions with their stored pinyin; replaces what was there. */
  async load(db: Database): Promise<void> {
    const rows = new Map<string, Row>()
    for (const row of await questions(db)) rows.set(row.id, row)
    this.#rows = rows
  }

  /** Takes over changed Q&A entries. */
  async update(db: Database, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    const rows = new Map((await questions(db, ids)).map((row) => [row.id, row]))
    for (const id of ids) {
      const row = rows.get(id)
      if (row === undefined) this.#rows.delete(id)
      else this.#rows.set(id, row)
    }
  }

  /** Up to eight questions, those that begin with what was typed first. */
  find(typed: string): Suggestion[] {
    const text = fold(typed.normalize('NFKC')).replace(/\s+/g, '')
    if (text === '') return []
    const spelt = /^[a-z'v]+$/.test(text) ? text.replaceAll("'", '') : null
    const first: Suggestion[] = []
    const later: Suggestion[] = []
    for (const row of this.#rows.values()) {
      const at = spelt === null ? row.folded.indexOf(text) : spelling(row, spelt)
      if (at === -1) continue
      const to = at === 0 ? first : later
      if (to.length < MOST) to.push({ text: row.text, id: row.id })
      if (first.length === MOST) break
    }
    return [...first, ...later].slice(0, MOST)
  }
}

/** Where, in syllables, a question is spelt so; −1 where it is not. The last syllable may be unfinished. */
function spelling(row: Row, typed: string): number {
  const atLetters = row.folded.indexOf(typed)
  if (atLetters !== -1) return atLetters
  const atInitials = typed.length > 1 ? row.initials.indexOf(typed) : -1
  if (atInitials !== -1) return atInitials
  const { spaced } = row
  let syllable = 0
  for (let at = 0; at < spaced.length; at++) {
    if (spaced[at] !== ' ') continue
    if (startsAt(spaced, at, typed)) return syllable
    syllable++
  }
  return -1
}

function startsAt(spaced: string, from: number, typed: string): boolean {
  let at = from
  for (const letter of typed) {
    while (spaced[at] === ' ') at++
    if (spaced[at++] !== letter) return false
  }
  return true
}

async function questions(db: Database, ids?: readonly string[]): Promise<Row[]> {
  const current = db
    .selectFrom('records')
    .innerJoin('revisions', 'revisions.sequence', 'records.sequence')
    .innerJoin('entries', (join) => join.on('entries.key', '=', sql<string>`'qa/' || records.id`))
    .select(['records.id', 'revisions.content', 'entries.pinyin'])
    .where('records.kind', '=', 'qa')
    .where('records.retired', '=', 0)
  const rows = await (ids === undefined ? current : current.where('records.id', 'in', [...ids])).execute()
  return rows.map(({ id, content, pinyin }) => {
    const { question } = JSON.parse(content) as { question: string }
    return {
      id,
      text: question,
      folded: fold(question),
      spaced: ` ${pinyin}`,
      initials: initialsOf(pinyin.split(' '))
    }
  })
}
