import { createHash } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import type { Database } from '../database/open.ts'
import type { Chain, ConsultationsTable, EventsTable, Schema } from '../database/schema.ts'
import { noticesFor } from '../notices/notices.ts'
import { after, type EventData, type EventType, OPEN, type Ticket, type TicketEvent, ticketFrom } from './ticket.ts'

type Reader = Database | Transaction<Schema>

/** Who does something: a member of staff by user name, the citizen, or the program itself. */
export interface Doer {
  actor: string
  role: EventsTable['role']
}
export const CITIZEN: Doer = { actor: 'citizen', role: 'citizen' }
export const SYSTEM: Doer = { actor: 'system', role: 'system' }

export interface NewEvent<Type extends EventType = EventType> {
  type: Type
  data: EventData[Type]
  by: Doer
  /** Instant, ISO 8601. */
  at: string
}

/** What keeps one ticket's projection. */
interface Standing {
  chain: Chain
  number: string
  /** Null before `registered`. */
  ticket: Ticket | null
  /** Normalised question, for the first event. */
  normal?: string
}

/** The row was changed since it was read; the writer takes the newest and says so. */
export class ChangedSince extends Error {}

/**
 * Appends an event to the chain, with what follows from it: the projection and the notices it owes, all or nothing.
 * The chain's end is locked until the transaction ends, so that commit order is chain order.
 * @throws {ChangedSince} when the ticket is no longer at the version given
 */
export async function append<Type extends EventType>(
  trx: Transaction<Schema>,
  { chain, number, ticket, normal }: Standing,
  { type, data, by, at }: NewEvent<Type>
): Promise<Ticket> {
  const version = (ticket?.version ?? 0) + 1
  const end = await trx
    .updateTable('chains')
    .set((e) => ({ sequence: e('sequence', '+', 1) }))
    .where('chain', '=', chain)
    .returning(['sequence', 'hash'])
    .executeTakeFirstOrThrow()
  const row: Omit<EventsTable, 'hash'> = {
    chain,
    sequence: end.sequence,
    number,
    version,
    // A clock set back does not make a ticket's events run backwards.
    at: ticket !== null && at < lastAt(ticket) ? lastAt(ticket) : at,
    actor: by.actor,
    role: by.role,
    type,
    data: JSON.stringify(data),
    previous: end.hash
  }
  const hash = hashOfEvent(row)
  await trx
    .insertInto('events')
    .values({ ...row, hash })
    .execute()
  await trx.updateTable('chains').set({ hash }).where('chain', '=', chain).execute()
  const event = { number, version, at: row.at, actor: by.actor, role: by.role, type, data } as TicketEvent
  const made = after(ticket, event, chain)
  await keep(trx, made, event, ticket, normal)
  const notices = noticesFor(event, ticket, made)
  if (notices.length > 0) {
    await trx
      .insertInto('outbox')
      .values(
        notices.map(({ kind, recipient, data: said }) => ({
          once: `${number}/${version}/${kind}/${recipient}`,
          chain,
          number,
          kind,
          recipient,
          data: JSON.stringify(said),
          created_at: row.at,
          done_at: null
        }))
      )
      .execute()
  }
  return made
}

/** Instant of the last thing that the projection dates. */
function lastAt({ registeredAt, assignedAt, acceptedAt, approvedAt, answeredAt, closedAt, draft }: Ticket): string {
  let last = registeredAt
  for (const at of [assignedAt, acceptedAt, draft?.at ?? null, approvedAt, answeredAt, closedAt]) {
    if (at !== null && at > last) last = at
  }
  return last
}

async function keep(
  trx: Transaction<Schema>,
  made: Ticket,
  event: TicketEvent,
  before: Ticket | null,
  normal: string | undefined
): Promise<void> {
  const open = OPEN.has(made.state) ? (1 as const) : (0 as const)
  const changing = {
    unit: made.unit,
    state: made.state,
    open,
    version: made.version,
    due_on: open === 1 ? (made.due?.dueOn ?? null) : null,
    head: made.head,
    ticket: JSON.stringify(made)
  }
  if (before === null) {
    const row: ConsultationsTable = {
      ...changing,
      number: made.number,
      chain: made.chain,
      zone: made.zone,
      channel: made.channel,
      registered_at: event.at,
      registered_on: made.registeredOn,
      normal: normal ?? ''
    }
    await trx.insertInto('consultations').values(row).execute()
    return
  }
  const { numUpdatedRows } = await trx
    .updateTable('consultations')
    .set(changing)
    .where('number', '=', made.number)
    .where('version', '=', before.version)
    .executeTakeFirstOrThrow()
  if (numUpdatedRows !== 1n) throw new ChangedSince(made.number)
}

/** SHA-256 over the hash before and everything the row says, hex. */
export function hashOfEvent(row: Omit<EventsTable, 'hash'>): string {
  const { chain, sequence, number, version, at, actor, role, type, data, previous } = row
  return createHash('sha256')
    .update(JSON.stringify([previous, chain, sequence, number, version, at, actor, role, type, data]))
    .digest('hex')
}

/** A consultation's events, in order. */
export async function eventsOf(db: Reader, number: string): Promise<TicketEvent[]> {
  const rows = await db.selectFrom('events').selectAll().where('number', '=', number).orderBy('version').execute()
  return rows.map(eventOf)
}

function eventOf({ number, version, at, actor, role, type, data }: EventsTable): TicketEvent {
  return { number, version, at, actor, role, type, data: JSON.parse(data) } as TicketEvent
}

const PAGE = 500

/**
 * Reads both chains from their beginning: every row's hash, that none is missing, removed or put elsewhere, and that each
 * projection is what its events say.
 * @returns what was found, in Chinese; at most `most`
 */
export async function verifyChains(db: Reader, most = 50): Promise<{ events: number; findings: string[] }> {
  const findings: string[] = []
  const say = (what: string) => {
    if (findings.length < most) findings.push(what)
  }
  let events = 0
  for (const chain of ['real', 'sample'] as const) {
    events += await verifyChain(db, chain, say)
    await verifyProjections(db, chain, say)
  }
  const orphans = await db
    .selectFrom('events')
    .select('number')
    .distinct()
    .where('number', 'not in', db.selectFrom('consultations').select('number'))
    .limit(most)
    .execute()
  for (const { number } of orphans) say(`咨询 ${number} 有事件，却没有现状`)
  return { events, findings }
}

async function verifyChain(db: Reader, chain: Chain, say: (what: string) => void): Promise<number> {
  const name = chain === 'real' ? '事件链' : '示例事件链'
  let previous = ''
  let last = 0
  let events = 0
  for (;;) {
    const rows = await db
      .selectFrom('events')
      .selectAll()
      .where('chain', '=', chain)
      .where('sequence', '>', last)
      .orderBy('sequence')
      .limit(PAGE)
      .execute()
    for (const row of rows) {
      if (row.sequence !== last + 1) say(`${name}缺第 ${last + 1} 至 ${row.sequence - 1} 条`)
      else if (row.previous !== previous) say(`${name}第 ${row.sequence} 条（${row.number}）接不上前一条`)
      if (hashOfEvent(row) !== row.hash) say(`${name}第 ${row.sequence} 条（${row.number}）被改动过`)
      previous = row.hash
      last = row.sequence
      events++
    }
    if (rows.length < PAGE) break
  }
  const end = await db.selectFrom('chains').selectAll().where('chain', '=', chain).executeTakeFirst()
  if (end?.sequence !== last || end.hash !== previous) say(`${name}末尾缺第 ${last + 1} 条以后的内容`)
  return events
}

async function verifyProjections(db: Reader, chain: Chain, say: (what: string) => void): Promise<void> {
  let after = ''
  for (;;) {
    const rows = await db
      .selectFrom('consultations')
      .selectAll()
      .where('chain', '=', chain)
      .where('number', '>', after)
      .orderBy('number')
      .limit(PAGE)
      .execute()
    if (rows.length === 0) return
    const numbers = rows.map(({ number }) => number)
    const events = await db
      .selectFrom('events')
      .selectAll()
      .where('number', 'in', numbers)
      .orderBy('number')
      .orderBy('version')
      .execute()
    const own = new Map<string, EventsTable[]>()
    for (const event of events) own.set(event.number, [...(own.get(event.number) ?? []), event])
    for (const row of rows) {
      after = row.number
      const ticket = derived((own.get(row.number) ?? []).map(eventOf), chain)
      const same =
        ticket !== null &&
        row.ticket === JSON.stringify(ticket) &&
        row.state === ticket.state &&
        row.unit === ticket.unit &&
        row.version === ticket.version &&
        row.head === ticket.head &&
        row.zone === ticket.zone
      if (!same) say(`咨询 ${row.number} 的现状与它的事件不一致`)
    }
  }
}

function derived(events: readonly TicketEvent[], chain: Chain): Ticket | null {
  try {
    return ticketFrom(events, chain)
  } catch {
    return null
  }
}

/** Rows of a chain that may go: only sample ones; triggers refuse the others. */
export async function removeSampleEvents(trx: Transaction<Schema>): Promise<void> {
  await trx.deleteFrom('events').where('chain', '=', 'sample').execute()
  await sql`update chains set sequence = 0, hash = '' where chain = 'sample'`.execute(trx)
}
