import { createHash } from 'node:crypto'
import * as z from 'zod'
import type { FieldKey } from '../accounts/field-key.ts'
import type { GroupCommit } from '../database/group-commit.ts'
import type { Database } from '../database/open.ts'
import { CHANNELS } from './ticket.ts'

/** A registration as far as it was typed. */
const Half = z.object({
  question: z.string(),
  name: z.string(),
  phone: z.string(),
  audience: z.enum(['person', 'business']),
  channel: z.enum(CHANNELS),
  unit: z.string(),
  query: z.string()
})
export type Half = z.infer<typeof Half>

export interface Parked {
  id: string
  /** Id of the member of staff who left it. */
  staff: string
  createdAt: string
  half: Half
}

interface Needs {
  db: Database
  writer: GroupCommit
  fieldKey: FieldKey
}

/**
 * Leaves a half-typed registration for whoever is next at the zone's desk; sealed, as it may name people. The form's key again
 * replaces it: nothing is left twice.
 */
export async function park(
  { writer, fieldKey }: Omit<Needs, 'db'>,
  { key, zone, staff, half, now }: { key: string; zone: string; staff: string; half: Half; now: Date }
): Promise<string> {
  const id = createHash('sha256').update(`${staff}:${key}`).digest('hex').slice(0, 32)
  const content = fieldKey.seal(JSON.stringify(half), contextOf(id))
  await writer.write((trx) =>
    trx
      .insertInto('parked')
      .values({ id, zone, staff, content, created_at: now.toISOString() })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ content }))
      .execute()
  )
  return id
}

/** What was left at a zone's desk, oldest first. */
export async function listParked({ db, fieldKey }: Omit<Needs, 'writer'>, zone: string): Promise<Parked[]> {
  const rows = await db
    .selectFrom('parked')
    .selectAll()
    .where('zone', '=', zone)
    .orderBy('created_at')
    .limit(50)
    .execute()
  return rows.map((row) => ({
    id: row.id,
    staff: row.staff,
    createdAt: row.created_at,
    half: Half.parse(JSON.parse(fieldKey.open(row.content, contextOf(row.id))))
  }))
}

/** One of them; null where it was taken up or is another zone's. */
export async function readParked(needs: Omit<Needs, 'writer'>, zone: string, id: string): Promise<Parked | null> {
  return (await listParked(needs, zone)).find((one) => one.id === id) ?? null
}

/** Takes it off the list: registered, or no longer wanted. */
export async function dropParked({ writer }: Pick<Needs, 'writer'>, zone: string, id: string): Promise<void> {
  await writer.write((trx) => trx.deleteFrom('parked').where('id', '=', id).where('zone', '=', zone).execute())
}

const contextOf = (id: string) => `parked/${id}`
