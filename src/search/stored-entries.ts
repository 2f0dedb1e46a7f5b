import type { Database } from '../database/open.ts'
import type { EntrySource } from './search-engine.ts'
import { ENTRY_FIELDS, type Entry, type EntryField, type FieldTokens } from './tokens.ts'

/** An entry as it is stored: JSON with each field's words joined by blanks, which halves it. */
export function encodeEntry(entry: Entry): string {
  const fields = ENTRY_FIELDS.map((field) => entry.fields[field].flatMap(({ text, words }) => [text, words.join(' ')]))
  return JSON.stringify({ ...entry, fields })
}

/** The reverse of `encodeEntry`. */
export function decodeEntry(json: string): Entry {
  const stored = JSON.parse(json) as Omit<Entry, 'fields'> & { fields: string[][] }
  const fields = {} as Record<EntryField, FieldTokens[]>
  ENTRY_FIELDS.forEach((field, at) => {
    const flat = stored.fields[at] as string[]
    const forms: FieldTokens[] = []
    for (let i = 0; i < flat.length; i += 2) {
      const words = flat[i + 1] as string
      forms.push({ text: flat[i] as string, words: words === '' ? [] : words.split(' ') })
    }
    fields[field] = forms
  })
  return { ...stored, fields }
}

const PAGE = 1000

/** Highest sequence number of the change feed; 0 on an empty database. */
export async function lastSequence(db: Database): Promise<number> {
  const row = await db
    .selectFrom('revisions')
    .select((e) => e.fn.max('sequence').as('last'))
    .executeTakeFirst()
  return Number(row?.last ?? 0)
}

/** All searchable entries in key order, read page by page, as they stand now. The sequence is read first: what changes meanwhile is applied again, never missed. */
export async function storedEntries(db: Database): Promise<EntrySource> {
  const sequence = await lastSequence(db)
  const counted = await db
    .selectFrom('entries')
    .select((e) => e.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return { sequence, count: Number(counted.count), entries: pages(db) }
}

async function* pages(db: Database): AsyncIterable<Entry> {
  for (let after = ''; ; ) {
    const rows = await db
      .selectFrom('entries')
      .select(['key', 'entry'])
      .where('key', '>', after)
      .orderBy('key')
      .limit(PAGE)
      .execute()
    for (const row of rows) yield decodeEntry(row.entry)
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE) return
    after = last.key
  }
}
