import type { Calendar } from '../calendar/calendar.ts'
import type { Database } from '../database/open.ts'
import type { GroupCommit } from '../database/group-commit.ts'
import type { Schema } from '../database/schema.ts'
import type { Transaction } from 'kysely'
import { append, eventsOf, type NewEvent, SYSTEM } from './events.ts'
import { dueOf } from './intake.ts'
import { findTicket } from './records.ts'
import { type Due, type EventType, OPEN, REOPEN_WITHIN, type Ticket } from './ticket.ts'

export interface TendNeeds {
  db: Database
  writer: GroupCommit
  calendar: () => Calendar
  now: () => Date
  today: () => string
  /** Days after which a closed consultation's personal data is erased. */
  retentionDays: number
}

/** Rows looked at in one go. */
const PAGE = 200
const DAY_MS = 24 * 3600 * 1000

/**
 * What time itself does to consultations: due dates are counted anew when a year's holidays were published, answers nobody
 * objected to are closed, personal data whose time is over is erased.
 * @returns how many events it wrote
 */
export async function tend(needs: TendNeeds): Promise<number> {
  return (await recount(needs)) + (await closeAnswered(needs)) + (await eraseOld(needs))
}

/** Writes one event on a ticket if it is still as it was seen. */
async function note<Type extends EventType>(
  { writer, now }: Pick<TendNeeds, 'writer' | 'now'>,
  number: string,
  version: number,
  type: Type,
  data: NewEvent<Type>['data'],
  also: (trx: Transaction<Schema>) => Promise<unknown> = async () => {}
): Promise<boolean> {
  return await writer.write(async (trx) => {
    const ticket = await findTicket(trx, number)
    if (ticket === null || ticket.version !== version) return false
    await append(trx, { chain: ticket.chain, number, ticket }, { type, data, by: SYSTEM, at: now().toISOString() })
    await also(trx)
    return true
  })
}

/**
 * A step of the reminder ladder.
 * @returns false when somebody has acted meanwhile
 */
export async function appendReminder(
  needs: Pick<TendNeeds, 'writer' | 'now'>,
  number: string,
  version: number,
  kind: string,
  to: string[]
): Promise<boolean> {
  return await note(needs, number, version, 'reminded', { kind, to })
}

const counted = new WeakMap<Database, string>()

/** Due dates by the calendar as it stands now; the promised date stays, and nobody's date moves without an event and a notice. */
async function recount(needs: TendNeeds): Promise<number> {
  const calendar = needs.calendar()
  if (counted.get(needs.db) === calendar.version) return 0
  let written = 0
  let after = ''
  for (;;) {
    const rows = await needs.db
      .selectFrom('consultations')
      .select(['number', 'ticket'])
      .where('open', '=', 1)
      .where('number', '>', after)
      .orderBy('number')
      .limit(PAGE)
      .execute()
    for (const { number, ticket: json } of rows) {
      after = number
      const ticket = JSON.parse(json) as Ticket
      const due = await dueNow(needs, calendar, ticket)
      if (due === null || JSON.stringify(due) === JSON.stringify(ticket.due)) continue
      const reason = '节假日安排有新的通知'
      if (await note(needs, number, ticket.version, 'recounted', { due, reason })) written++
    }
    if (rows.length < PAGE) break
  }
  counted.set(needs.db, calendar.version)
  return written
}

/** As it would be reckoned today: a first assignment and a reopening begin a term, one after a return goes on with it. */
async function dueNow({ db }: Pick<TendNeeds, 'db'>, calendar: Calendar, ticket: Ticket): Promise<Due | null> {
  if (ticket.due === null) return null
  if (ticket.returns.length === 0 && ticket.round === 1) {
    return dueOf(calendar, ticket.assignedOn ?? calendar.nextWorkingDay(ticket.registeredOn))
  }
  let start = ticket.registeredOn
  let isReturned = false
  for (const event of await eventsOf(db, ticket.number)) {
    if (event.type === 'registered' || event.type === 'reopened') start = calendar.nextWorkingDay(event.data.day)
    if (event.type === 'assigned' && !isReturned) start = event.data.day
    if (event.type === 'returned') isReturned = true
  }
  return dueOf(calendar, start)
}

/** Answered, and the time to say 没解决 is over (domain model 2.2, rule 4). */
async function closeAnswered(needs: TendNeeds): Promise<number> {
  const calendar = needs.calendar()
  const today = needs.today()
  const rows = await needs.db
    .selectFrom('consultations')
    .select('ticket')
    .where('open', '=', 0)
    .where('state', '=', 'ANSWERED')
    .limit(PAGE)
    .execute()
  let written = 0
  for (const { ticket: json } of rows) {
    const { number, version, answeredOn } = JSON.parse(json) as Ticket
    if (answeredOn === null || calendar.workingDaysBetween(answeredOn, today) <= REOPEN_WITHIN) continue
    if (await note(needs, number, version, 'closed', { reason: 'time' })) written++
  }
  return written
}

/** Name, phone, typed question and code go (PIPL 19, 47); what the ledger needs is not personal and stays. */
async function eraseOld(needs: TendNeeds): Promise<number> {
  const now = needs.now()
  const before = new Date(now.getTime() - needs.retentionDays * DAY_MS).toISOString()
  const rows = await needs.db
    .selectFrom('consultations')
    .innerJoin('contacts', 'contacts.number', 'consultations.number')
    .select('consultations.ticket')
    .where('open', '=', 0)
    .where('registered_at', '<', before)
    .where('contacts.erased_at', 'is', null)
    .limit(PAGE)
    .execute()
  let written = 0
  for (const { ticket: json } of rows) {
    const ticket = JSON.parse(json) as Ticket
    const last = ticket.closedAt ?? ticket.answeredAt ?? ticket.registeredAt
    if (OPEN.has(ticket.state) || last >= before) continue
    const { number, version } = ticket
    const erase = (trx: Transaction<Schema>) =>
      trx
        .updateTable('contacts')
        .set({ name: null, phone: null, question: null, code: '', erased_at: now.toISOString() })
        .where('number', '=', number)
        .execute()
    if (await note(needs, number, version, 'archived', {}, erase)) written++
  }
  return written
}

/** Answers to repeated sends are kept so long: a kiosk's browser may wake after a holiday (the longest is nine days). */
const INTENT_DAYS = 30

/** Forgets the keys of registrations long acknowledged. */
export async function forgetIntents({ db, now }: Pick<TendNeeds, 'db' | 'now'>): Promise<void> {
  const before = new Date(now().getTime() - INTENT_DAYS * DAY_MS).toISOString()
  await db.deleteFrom('intents').where('created_at', '<', before).execute()
}
