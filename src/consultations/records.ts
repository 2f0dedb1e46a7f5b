import { sql } from 'kysely'
import { type Actor, scopeOf, within } from '../accounts/roles.ts'
import type { Database } from '../database/open.ts'
import type { Chain, Schema } from '../database/schema.ts'
import type { Transaction } from 'kysely'
import type { State, Ticket } from './ticket.ts'

type Reader = Database | Transaction<Schema>

/** A consultation as it stands; null when there is none of that number. */
export async function findTicket(db: Reader, number: string): Promise<Ticket | null> {
  const row = await db.selectFrom('consultations').select('ticket').where('number', '=', number).executeTakeFirst()
  return row === undefined ? null : (JSON.parse(row.ticket) as Ticket)
}

/** Sample accounts see sample consultations beside the real ones; everybody else real ones only. */
export function chainsOf({ sample }: Pick<Actor, 'sample'>): Chain[] {
  return sample ? ['real', 'sample'] : ['real']
}

/** One that the person has to do with; null when there is none, or it is not the person's. */
export async function findOwn(db: Reader, actor: Actor, number: string): Promise<Ticket | null> {
  const row = await db
    .selectFrom('consultations')
    .select('ticket')
    .where('number', '=', number)
    .where('chain', 'in', chainsOf(actor))
    .where(within(scopeOf(actor)))
    .executeTakeFirst()
  return row === undefined ? null : (JSON.parse(row.ticket) as Ticket)
}

export interface Filter {
  states?: readonly State[]
  unit?: string
  zone?: string
  /** Only those still owed. */
  open?: boolean
  /** Only those past their due date on this day. */
  overdueOn?: string
  /** Days, `YYYY-MM-DD`, inclusive. */
  from?: string
  to?: string
  /** Part of a number. */
  number?: string
}

export const ORDERS = ['urgency', 'newest', 'oldest'] as const

export interface Page {
  order: (typeof ORDERS)[number]
  limit: number
  offset: number
}

/** The person's consultations, a page at a time, and how many there are. */
export async function listTickets(
  db: Database,
  actor: Actor,
  { states, unit, zone, open, overdueOn, from, to, number }: Filter,
  { order, limit, offset }: Page
): Promise<{ tickets: Ticket[]; total: number }> {
  const query = db
    .selectFrom('consultations')
    .where('chain', 'in', chainsOf(actor))
    .where(within(scopeOf(actor)))
    .$if(states !== undefined, (q) => q.where('state', 'in', [...(states ?? [])]))
    .$if(unit !== undefined, (q) => q.where('unit', '=', unit ?? ''))
    .$if(zone !== undefined, (q) => q.where('zone', '=', zone ?? ''))
    .$if(open === true, (q) => q.where('open', '=', 1))
    .$if(overdueOn !== undefined, (q) => q.where('open', '=', 1).where('due_on', '<', overdueOn ?? ''))
    .$if(from !== undefined, (q) => q.where('registered_on', '>=', from ?? ''))
    .$if(to !== undefined, (q) => q.where('registered_on', '<=', to ?? ''))
    .$if(number !== undefined, (q) => q.where('number', 'like', `%${(number ?? '').replace(/[%_\\]/g, '')}%`))
  const { total } = await query.select((e) => e.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const rows = await query
    .select('ticket')
    .$if(order === 'urgency', (q) => q.orderBy(sql`case when due_on is null then 1 else 0 end`).orderBy('due_on'))
    .orderBy('registered_at', order === 'newest' ? 'desc' : 'asc')
    .orderBy('number')
    .limit(limit)
    .offset(offset)
    .execute()
  return { tickets: rows.map(({ ticket }) => JSON.parse(ticket) as Ticket), total: Number(total) }
}

/** How many of the person's stand in each state. */
export async function countStates(
  db: Database,
  actor: Actor,
  today: string
): Promise<{ states: Map<State, number>; overdue: number }> {
  const rows = await db
    .selectFrom('consultations')
    .select(['state'])
    .select((e) => [
      e.fn.countAll<number>().as('total'),
      e.fn.sum<number>(e.case().when('due_on', '<', today).then(1).else(0).end()).as('overdue')
    ])
    .where('chain', 'in', chainsOf(actor))
    .where('open', '=', 1)
    .where(within(scopeOf(actor)))
    .groupBy('state')
    .execute()
  return {
    states: new Map(rows.map(({ state, total }) => [state as State, Number(total)])),
    overdue: rows.reduce((sum, { overdue }) => sum + Number(overdue), 0)
  }
}

/** Questions of open tickets of a chain, newest first: what a new one may be joined to. */
export async function openQuestions(
  db: Reader,
  chain: Chain,
  most: number
): Promise<{ number: string; question: string; unit: string | null; state: State }[]> {
  const rows = await db
    .selectFrom('consultations')
    .select('ticket')
    .where('open', '=', 1)
    .where('chain', '=', chain)
    .where('state', '!=', 'JOINED')
    .orderBy('registered_at', 'desc')
    .limit(most)
    .execute()
  return rows.map(({ ticket }) => {
    const { number, question, unit, state } = JSON.parse(ticket) as Ticket
    return { number, question, unit, state }
  })
}
