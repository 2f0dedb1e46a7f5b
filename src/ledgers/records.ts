import { setImmediate } from 'node:timers/promises'
import { type ExpressionBuilder, type Expression, type SqlBool, sql } from 'kysely'
import type { FieldKey } from '../accounts/field-key.ts'
import { type Scope, within } from '../accounts/roles.ts'
import { type Contact, masked, openContact } from '../consultations/contacts.ts'
import type { State, Ticket } from '../consultations/ticket.ts'
import type { Qa } from '../content/kinds.ts'
import type { Library } from '../content/library.ts'
import { isPostgres } from '../database/dialect.ts'
import type { Database } from '../database/open.ts'
import type { Chain, ContactsTable, Schema } from '../database/schema.ts'
import type { LedgerJoins, LedgerRow } from './consultations.ts'

/** What counts working days (src/calendar/). */
export interface Calendar {
  /** Working days after `from` up to and with `to`, both `YYYY-MM-DD`. */
  workingDaysBetween(from: string, to: string): number
}

/** What a ledger is read from. */
export interface LedgerNeeds {
  db: Database
  library: Library
  fieldKey: FieldKey
  /** As the notices stand now. */
  calendar: () => Calendar
}

/** What a ledger is asked for; null = all. */
export interface Filters {
  /** First and last day of registration, `YYYY-MM-DD`, both included. */
  from: string | null
  to: string | null
  zone: string | null
  unit: string | null
  state: State | null
  overdue: boolean | null
}

/** Whose ledger, and which part. */
export interface Selection {
  chain: Chain
  scope: Scope
  filters: Filters
  /** `YYYY-MM-DD`, China Standard Time. */
  today: string
}

/** Rows read at a time: 500 kept everybody else waiting 75 ms, 200 about 30 (bench/ledger.ts). */
const PAGE = 200

type Where = (eb: ExpressionBuilder<Schema, 'consultations'>) => Expression<SqlBool>

/** First instant of a day in China, as rows store instants. */
const startOf = (day: string, days = 0) =>
  new Date(Date.parse(`${day}T00:00:00+08:00`) + days * 86_400_000).toISOString()

function selected(db: Database, { chain, scope, filters, today }: Selection): Where {
  const { from, to, zone, unit, state, overdue } = filters
  return (eb) =>
    eb.and([
      eb('consultations.chain', '=', chain),
      within(scope)(eb),
      ...(from === null ? [] : [eb('registered_at', '>=', startOf(from))]),
      ...(to === null ? [] : [eb('registered_at', '<', startOf(to, 1))]),
      ...(zone === null ? [] : [eb('consultations.zone', '=', zone)]),
      ...(unit === null ? [] : [eb('consultations.unit', '=', unit)]),
      ...(state === null ? [] : [eb('state', '=', state)]),
      ...(overdue === null ? [] : [eb(isLate(db, today), '=', eb.lit(overdue ? 1 : 0))])
    ])
}

/** 1 where a consultation is late as consultations.ts `isLate` says, else 0. */
function isLate(db: Database, today: string) {
  const postgres = isPostgres(db)
  const field = (path: string) =>
    postgres
      ? sql<string | null>`ticket::jsonb #>> ${sql.lit(`{${path.replaceAll('.', ',')}}`)}`
      : sql<string | null>`json_extract(ticket, ${sql.lit(`$.${path}`)})`
  const lastAttempt = postgres
    ? sql`to_char((ticket::jsonb #>> '{attempts,-1,at}')::timestamptz at time zone 'Asia/Shanghai', 'YYYY-MM-DD')`
    : sql`date(json_extract(ticket, '$.attempts[#-1].at'), '+8 hours')`
  const until = sql`coalesce(${field('answeredOn')}, case when open = 1 then ${today} else ${lastAttempt} end)`
  return sql<number>`case when ${field('withdrawn.at')} is null and ${until} > ${field('due.dueOn')} then 1 else 0 end`
}

/** Chain a member of staff sees: samples only for a sample account, and only until something real is registered. */
export async function chainFor(db: Database, isSample: boolean): Promise<Chain> {
  if (!isSample) return 'real'
  const real = await db
    .selectFrom('consultations')
    .select('number')
    .where('chain', '=', 'real')
    .limit(1)
    .executeTakeFirst()
  return real === undefined ? 'sample' : 'real'
}

/** Counts of what a selection holds. */
export interface Sums {
  total: number
  onTheSpot: number
  answered: number
  open: number
  /** Of the open ones, those whose last day is over. */
  overdue: number
}

/** The sums a screen shows; columns only, no ticket is opened. */
export async function sumsOf(db: Database, selection: Selection): Promise<Sums> {
  const rows = await db
    .selectFrom('consultations')
    .where(selected(db, selection))
    .select((eb) => [
      'state',
      eb.fn.countAll<number>().as('count'),
      sql<number>`sum(open)`.as('open'),
      sql<number>`sum(case when open = 1 and due_on < ${selection.today} then 1 else 0 end)`.as('overdue')
    ])
    .groupBy('state')
    .execute()
  const sum = (value: (row: (typeof rows)[number]) => number, states?: readonly string[]) =>
    rows.filter(({ state }) => states?.includes(state) ?? true).reduce((total, row) => total + Number(value(row)), 0)
  return {
    total: sum(({ count }) => count),
    onTheSpot: sum(({ count }) => count, ['ANSWERED_ON_SPOT']),
    answered: sum(({ count }) => count, ['ANSWERED', 'CLOSED', 'ARCHIVED']),
    open: sum(({ open }) => open),
    overdue: sum(({ overdue }) => overdue)
  }
}

/** A selection's rows in order of registration, some hundred at a time; memory does not grow with their number. */
export async function* readRows(
  needs: LedgerNeeds,
  selection: Selection,
  reader: LedgerReader
): AsyncGenerator<LedgerRow[]> {
  const { db } = needs
  let after: { registered_at: string; number: string } | null = null
  for (let place = 1; ; ) {
    let query = db
      .selectFrom('consultations')
      .select(['number', 'registered_at', 'ticket'])
      .where(selected(db, selection))
      .orderBy('registered_at')
      .orderBy('number')
      .limit(PAGE)
    if (after !== null) {
      const { registered_at, number } = after
      query = query.where((eb) => eb(eb.refTuple('registered_at', 'number'), '>', eb.tuple(registered_at, number)))
    }
    const rows: { number: string; registered_at: string; ticket: string }[] = await query.execute()
    if (rows.length === 0) return
    yield await reader.complete(rows, place)
    place += rows.length
    if (rows.length < PAGE) return
    after = rows.at(-1) ?? null
    // SQLite answers in this thread: requests that wait go first.
    await setImmediate()
  }
}

/** One screen of a selection. */
export async function readScreen(
  { db }: LedgerNeeds,
  selection: Selection,
  reader: LedgerReader,
  { offset, limit }: { offset: number; limit: number }
): Promise<LedgerRow[]> {
  const rows = await db
    .selectFrom('consultations')
    .select(['number', 'ticket'])
    .where(selected(db, selection))
    .orderBy('registered_at')
    .orderBy('number')
    .limit(limit)
    .offset(offset)
    .execute()
  return reader.complete(rows, offset + 1)
}

/** Completes rows by what stands elsewhere: contacts, heads, entries as told, names. */
export interface LedgerReader {
  joins: LedgerJoins
  complete(rows: readonly { number: string; ticket: string }[], place: number): Promise<LedgerRow[]>
}

/** Entries as told that are kept while a ledger is read. */
const MOST_ENTRIES = 2000

/** @param onBroken told of contacts that could not be opened: the ledger says so in their place */
export async function openReader(
  { db, library, fieldKey, calendar }: LedgerNeeds,
  today: string,
  onBroken: (number: string, error: unknown) => void
): Promise<LedgerReader> {
  const staff = await db.selectFrom('staff').select(['username', 'name']).execute()
  const names = {
    zone: await namesOf(library, 'zone'),
    unit: await namesOf(library, 'unit'),
    topic: await namesOf(library, 'topic')
  }
  const documents = new Map(
    [...(await library.documents())].map(([id, { content }]) => [id, content.number ?? `《${content.title}》`])
  )
  const terms = new Map<string, number>()
  const entries = new Map<string, Qa>()

  /** Retired ones are not among all; a ledger still names them. */
  async function nameRest(kind: keyof typeof names, ids: Iterable<string | null>): Promise<void> {
    for (const id of ids) {
      if (id === null || names[kind].has(id)) continue
      names[kind].set(id, (await library.get(kind, id))?.content.name ?? id)
    }
  }

  async function takeIn(tickets: readonly Ticket[], told: readonly Qa[]): Promise<void> {
    await nameRest(
      'zone',
      tickets.map(({ zone }) => zone)
    )
    await nameRest(
      'topic',
      tickets.map(({ topic }) => topic)
    )
    await nameRest(
      'unit',
      tickets.flatMap(({ unit, guidedTo, coUnits, returns }) => [
        unit,
        guidedTo,
        ...coUnits,
        ...returns.flatMap((each) => [each.unit, each.proposed])
      ])
    )
    for (const { document } of [
      ...tickets.flatMap(({ draft }) => draft?.basis ?? []),
      ...told.flatMap(({ basis }) => basis)
    ]) {
      if (document === null || documents.has(document)) continue
      const retired = await library.get('document', document)
      documents.set(document, retired === null ? document : (retired.content.number ?? `《${retired.content.title}》`))
    }
  }

  async function entriesOf(tickets: readonly Ticket[]): Promise<void> {
    if (entries.size > MOST_ENTRIES) entries.clear()
    const missing = tickets.flatMap(({ entry }) => (entry === null || entries.has(keyOf(entry)) ? [] : [entry.id]))
    if (missing.length === 0) return
    const rows = await db
      .selectFrom('revisions')
      .select(['id', 'revision', 'content'])
      .where('kind', '=', 'qa')
      .where('id', 'in', [...new Set(missing)])
      .execute()
    for (const { id, revision, content } of rows)
      entries.set(keyOf({ id, version: revision }), JSON.parse(content) as Qa)
  }

  async function headsOf(tickets: readonly Ticket[]): Promise<Map<string, Ticket>> {
    const heads = [...new Set(tickets.flatMap(({ head }) => head ?? []))]
    if (heads.length === 0) return new Map()
    const rows = await db
      .selectFrom('consultations')
      .select(['number', 'ticket'])
      .where('number', 'in', heads)
      .execute()
    return new Map(rows.map(({ number, ticket }) => [number, JSON.parse(ticket) as Ticket]))
  }

  function contactOf(row: ContactsTable): Contact | null {
    if (row.erased_at !== null) return { name: '（已按期删除）', phone: '（已按期删除）' }
    try {
      const { contact } = openContact(fieldKey, { ...row, question: null })
      return contact === null ? null : masked(contact)
    } catch (error) {
      onBroken(row.number, error)
      return { name: '（无法解密）', phone: '（无法解密）' }
    }
  }

  return {
    joins: {
      zones: names.zone,
      units: names.unit,
      topics: names.topic,
      staff: new Map(staff.map(({ username, name }) => [username, name])),
      documents,
      today,
      workingDaysBetween(from, to) {
        const term = `${from}/${to}`
        const known = terms.get(term) ?? calendar().workingDaysBetween(from, to)
        terms.set(term, known)
        return known
      }
    },
    async complete(rows, place) {
      if (rows.length === 0) return []
      const numbers = rows.map(({ number }) => number)
      const stored = await db.selectFrom('contacts').selectAll().where('number', 'in', numbers).execute()
      const contacts = new Map(stored.map((row) => [row.number, row]))
      const tickets = rows.map(({ ticket }) => JSON.parse(ticket) as Ticket)
      const heads = await headsOf(tickets)
      await entriesOf(tickets)
      const completed = tickets.map((ticket, at) => {
        const contact = contacts.get(ticket.number)
        return {
          place: place + at,
          ticket,
          contact: contact === undefined ? null : contactOf(contact),
          head: ticket.head === null ? null : (heads.get(ticket.head) ?? null),
          entry: ticket.entry === null ? null : (entries.get(keyOf(ticket.entry)) ?? null)
        }
      })
      await takeIn(
        [...tickets, ...heads.values()],
        completed.flatMap(({ entry }) => entry ?? [])
      )
      return completed
    }
  }
}

const keyOf = ({ id, version }: { id: string; version: number }) => `${version}/${id}`

async function namesOf(library: Library, kind: 'zone' | 'unit' | 'topic'): Promise<Map<string, string>> {
  return new Map([...(await library.all(kind))].map(([id, { content }]) => [id, content.name]))
}
