import type { Database } from '../database/open.ts'
import type { RecordKind } from '../database/schema.ts'
import { decodeEntry } from './stored-entries.ts'
import type { RecordChange } from './tokens.ts'

/** Records changed since the last look, each once, and the sequence they bring the reader to. */
export interface Changes {
  sequence: number
  records: readonly { kind: RecordKind; id: string }[]
}

/** Changes a look takes in at most; the rest comes with the next. */
const PAGE = 2000

/** What changed after `sequence`, in order; null when nothing did. */
export async function changesAfter(db: Database, sequence: number): Promise<Changes | null> {
  const rows = await db
    .selectFrom('revisions')
    .select(['sequence', 'kind', 'id'])
    .where('sequence', '>', sequence)
    .orderBy('sequence')
    .limit(PAGE)
    .execute()
  const last = rows.at(-1)
  if (last === undefined) return null
  const records = new Map(rows.map(({ kind, id }) => [`${kind}/${id}`, { kind, id }]))
  return { sequence: Number(last.sequence), records: [...records.values()] }
}

/** How often an operator has asked for the index to be built anew (`npm run reindex`). */
export async function rebuildsAsked(db: Database): Promise<number> {
  const row = await db.selectFrom('counters').select('value').where('name', '=', 'rebuild').executeTakeFirst()
  return row?.value ?? 0
}

/** The searchable state of changed records as it is now; a retired record has no entries. */
export async function recordChanges(db: Database, records: Changes['records']): Promise<RecordChange[]> {
  const changes: RecordChange[] = []
  for (const { kind, id } of records) {
    if (kind !== 'qa' && kind !== 'document') continue
    const key = `${kind}/${id}`
    const entries = db.selectFrom('entries').select('entry')
    const rows = await (kind === 'qa'
      ? entries.where('key', '=', key)
      : entries.where('key', '>', `${key}#`).where('key', '<', `${key}$`)
    ).execute()
    changes.push({ kind, id, entries: rows.map(({ entry }) => decodeEntry(entry)) })
  }
  return changes
}
