import { sql } from 'kysely'
import type { Database } from '../database/open.ts'
import type { DeliveriesTable } from '../database/schema.ts'

/** As many as are read at a glance; ours. */
const LAST_SHOWN = 20

export interface BellItem {
  id: number
  number: string
  text: string
  /** Instant, ISO 8601. */
  at: string
  read: boolean
}

/** What a member of staff has not read, and the last 20, newest first. */
export async function bellOf(db: Database, staff: string): Promise<{ unread: number; items: BellItem[] }> {
  const { unread } = await db
    .selectFrom('bells')
    .select((eb) => eb.fn.countAll<number>().as('unread'))
    .where('staff', '=', staff)
    .where('read_at', 'is', null)
    .executeTakeFirstOrThrow()
  const rows = await db
    .selectFrom('bells')
    .select(['id', 'number', 'text', 'created_at', 'read_at'])
    .where('staff', '=', staff)
    .orderBy('id', 'desc')
    .limit(LAST_SHOWN)
    .execute()
  const items = rows.map(({ id, number, text, created_at, read_at }) => ({
    id,
    number,
    text,
    at: created_at,
    read: read_at !== null
  }))
  return { unread: Number(unread), items }
}

/** Marks a person's bells as read, up to the one that was the newest when the person looked; all where none is named. */
export async function readBells(db: Database, staff: string, now: Date, upTo: number | null = null): Promise<void> {
  let update = db
    .updateTable('bells')
    .set({ read_at: now.toISOString() })
    .where('staff', '=', staff)
    .where('read_at', 'is', null)
  if (upTo !== null) update = update.where('id', '<=', upTo)
  await update.execute()
}

export interface DeadLetter {
  id: number
  channel: DeliveriesTable['channel']
  kind: string
  number: string
  /** Name of the member of staff, else whom the notice addressed. */
  to: string
  error: string
  attempts: number
  /** Instant, ISO 8601. */
  at: string
}

const MOST_LISTED = 200

/** Notices given up, the newest first, 200 at most. */
export async function deadLetters(db: Database): Promise<DeadLetter[]> {
  const rows = await db
    .selectFrom('deliveries')
    .innerJoin('outbox', 'outbox.id', 'deliveries.outbox')
    .leftJoin('staff', 'staff.id', 'deliveries.recipient')
    .select([
      'deliveries.id',
      'deliveries.channel',
      'deliveries.attempts',
      'deliveries.error',
      'deliveries.done_at',
      'outbox.kind',
      'outbox.number',
      'outbox.recipient',
      'staff.name'
    ])
    .where('deliveries.state', '=', 'dead')
    .orderBy('deliveries.id', 'desc')
    .limit(MOST_LISTED)
    .execute()
  return rows.map(({ id, channel, attempts, error, done_at, kind, number, recipient, name }) => ({
    id,
    channel,
    kind,
    number,
    to: name ?? recipient,
    error: error ?? '',
    attempts,
    at: done_at ?? ''
  }))
}

/** Gives a dead letter all its tries again; false where it is none. */
export async function retryDelivery(db: Database, id: number, now: Date): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('deliveries')
    .set({ state: 'waiting', attempts: 0, not_before: now.toISOString(), done_at: null })
    .where('id', '=', id)
    .where('state', '=', 'dead')
    .executeTakeFirstOrThrow()
  return numUpdatedRows === 1n
}

/** How notices stand, for `/readyz` and `/metrics`: those to be expanded or sent, those given up, and since when the oldest waits. */
export async function noticesStanding(db: Database): Promise<{ waiting: number; dead: number; oldest: string | null }> {
  const { rows } = await sql<{ waiting: number; dead: number; oldest: string | null }>`
    select
      (select count(*) from outbox where done_at is null)
        + (select count(*) from deliveries where state = 'waiting') as waiting,
      (select count(*) from deliveries where state = 'dead') as dead,
      (select min(o.created_at) from outbox o left join deliveries d on d.outbox = o.id
        where o.done_at is null or d.state = 'waiting') as oldest`.execute(db)
  const row = rows[0]
  return { waiting: Number(row?.waiting ?? 0), dead: Number(row?.dead ?? 0), oldest: row?.oldest ?? null }
}
