import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely'
import { dayOf } from '../../calendar/day.ts'
import type { Calendar } from '../../calendar/calendar.ts'
import { isPostgres } from '../../database/dialect.ts'
import type { Database } from '../../database/open.ts'
import type { Chain } from '../../database/schema.ts'
import { RUNG_NAMES, rungOf } from '../../notices/rungs.ts'
import type { State, Ticket } from '../ticket.ts'

/** Which days the figures count from and to, `YYYY-MM-DD`, China Standard Time. */
export interface Days {
  today: string
  /** The working day after today: what ends until then ends soon. */
  soon: string
  /** First day of today's month: answers, returns and ratings are counted from it. */
  month: string
}

/** The days of a figure; @throws {CalendarUnknown} beyond the years known */
export function daysOf(calendar: Pick<Calendar, 'nextWorkingDay'>, today: string): Days {
  const tomorrow = dayOf(new Date(Date.parse(`${today}T00:00:00+08:00`) + 24 * 3600_000))
  return { today, soon: calendar.nextWorkingDay(tomorrow), month: `${today.slice(0, 7)}-01` }
}

/** One drafting unit's row; counts of consultations. */
export interface UnitFigures {
  unit: string
  open: number
  /** Of the open ones, those that end today or on the next working day. */
  soon: number
  overdue: number
  /** Day the oldest open one was registered; null where none is open. */
  oldestOn: string | null
  /** Times the unit gave one back this month. */
  returned: number
  /** Told to the citizen this month. */
  answered: number
  /** Working days of all those together, each from its assignment. */
  workingDays: number
}

/** What a list may be asked for: each figure leads to one. */
export const SHOWN = [
  'open',
  'soon',
  'overdue',
  'returned',
  'answered',
  'waiting',
  'office',
  'reopened',
  'unsolved'
] as const
export type Shown = (typeof SHOWN)[number]

export interface Filter {
  chain: Chain
  show: Shown
  /** `UNASSIGNED_UNIT`: those no unit has; null: all. */
  unit: string | null
  zone: string | null
}

/** Stands for no unit in addresses and rows; no unit's code. */
export const UNASSIGNED_UNIT = '-'

const UNASSIGNED: readonly State[] = ['REGISTERED', 'TO_ASSIGN', 'RETURNED', 'REOPENED']
/** As src/notices/reminders.ts: what puts a consultation among those that wait to be assigned. */
const WAITS_FROM = ['registered', 'returned', 'reopened', 'separated']

/** First instant of a day in China, as rows store instants. */
const startOf = (day: string) => new Date(`${day}T00:00:00+08:00`).toISOString()

/** A field of the ticket as text; spelt as the indexes on it are, or they are not used. */
function field(db: Database, sqlite: string, postgres: string): RawBuilder<string | null> {
  return isPostgres(db)
    ? sql`(ticket::jsonb #>> ${sql.lit(postgres)})`
    : sql`json_extract(ticket, ${sql.lit(`$.${sqlite}`)})`
}

const answeredOn = (db: Database) => field(db, 'answeredOn', '{answeredOn}')
const assignedOn = (db: Database) => field(db, 'assignedOn', '{assignedOn}')
const lastReturn = (db: Database) => field(db, 'returns[#-1].at', '{returns,-1,at}')
const ratedAt = (db: Database) => field(db, 'rating.at', '{rating,at}')
const round = (db: Database) => field(db, 'round', '{round}')
/** SQLite reads JSON's true as 1. */
const isTrue = (db: Database, name: string) =>
  sql<SqlBool>`${field(db, name, `{${name.replaceAll('.', ',')}}`)} = ${isPostgres(db) ? sql.lit('true') : sql.lit(1)}`
const isFalse = (db: Database, name: string) =>
  sql<SqlBool>`${field(db, name, `{${name.replaceAll('.', ',')}}`)} = ${isPostgres(db) ? sql.lit('false') : sql.lit(0)}`

/** Instant since which one waits to be assigned. */
const waitingSince = sql<string>`(select max(events.at) from events
  where events.number = consultations.number and events.type in (${sql.join(WAITS_FROM)}))`

/** The times a consultation was given back, each a row `given` of the JSON text `value`. */
const returnsOf = (db: Database) =>
  isPostgres(db)
    ? sql`jsonb_array_elements(ticket::jsonb -> 'returns') as given(value)`
    : sql`json_each(ticket, '$.returns') as given`
const ofReturn = (db: Database, name: 'unit' | 'at') =>
  isPostgres(db)
    ? sql<string>`given.value ->> ${sql.lit(name)}`
    : sql<string>`json_extract(given.value, ${sql.lit(`$.${name}`)})`

function conditionOf(
  db: Database,
  { chain, show, unit, zone }: Filter,
  { today, soon, month }: Days
): Expression<SqlBool> {
  const parts: Expression<SqlBool>[] = [sql`chain = ${chain}`]
  const since = startOf(month)
  switch (show) {
    case 'open':
      parts.push(sql`open = 1`)
      break
    case 'soon':
      parts.push(sql`open = 1`, sql`due_on >= ${today}`, sql`due_on <= ${soon}`)
      break
    case 'overdue':
      parts.push(sql`open = 1`, sql`due_on < ${today}`)
      break
    case 'answered':
      parts.push(sql`${answeredOn(db)} >= ${month}`, sql`unit is not null`)
      break
    case 'returned':
      parts.push(sql`${lastReturn(db)} >= ${since}`)
      break
    case 'waiting':
      parts.push(sql`open = 1`, sql`state in (${sql.join(UNASSIGNED)})`, sql`unit is null`)
      parts.push(sql`${waitingSince} < ${startOf(today)}`)
      break
    case 'office':
      parts.push(sql`open = 1`, sql`state = 'RETURNED'`, isTrue(db, 'toOffice'))
      break
    case 'reopened':
      parts.push(sql`open = 1`, sql`${isPostgres(db) ? sql`${round(db)}::integer` : round(db)} > 1`)
      break
    case 'unsolved':
      parts.push(isFalse(db, 'rating.solved'), sql`${ratedAt(db)} >= ${since}`)
      break
  }
  if (zone !== null) parts.push(sql`zone = ${zone}`)
  if (unit !== null && show === 'returned') {
    parts.push(
      sql`exists (select 1 from ${returnsOf(db)} where ${ofReturn(db, 'unit')} = ${unit} and ${ofReturn(db, 'at')} >= ${since})`
    )
  } else if (unit !== null) parts.push(unit === UNASSIGNED_UNIT ? sql`unit is null` : sql`unit = ${unit}`)
  return sql<SqlBool>`${sql.join(parts, sql` and `)}`
}

/** Consultations behind a figure, a page at a time: the most urgent first, what is done the newest first. */
export async function listBehind(
  db: Database,
  filter: Filter,
  days: Days,
  { limit, offset }: { limit: number; offset: number }
): Promise<{ tickets: Ticket[]; total: number }> {
  const where = conditionOf(db, filter, days)
  const { rows: counted } = await sql<{
    total: number
  }>`select count(*) as total from consultations where ${where}`.execute(db)
  const total = Number(counted[0]?.total ?? 0)
  if (total === 0) return { tickets: [], total }
  const isDone = filter.show === 'answered' || filter.show === 'returned' || filter.show === 'unsolved'
  const order = isDone
    ? sql`registered_at desc, number`
    : sql`case when due_on is null then 1 else 0 end, due_on, registered_at, number`
  const { rows } = await sql<{ ticket: string }>`select ticket from consultations where ${where}
    order by ${order} limit ${limit} offset ${offset}`.execute(db)
  return { tickets: rows.map(({ ticket }) => JSON.parse(ticket) as Ticket), total }
}

/** How many wait unassigned since an earlier day, by zone. */
export async function waitingByZone(db: Database, chain: Chain, days: Days): Promise<Map<string, number>> {
  const where = conditionOf(db, { chain, show: 'waiting', unit: null, zone: null }, days)
  const { rows } = await sql<{ zone: string; total: number }>`select zone, count(*) as total from consultations
    where ${where} group by zone order by zone`.execute(db)
  return new Map(rows.map(({ zone, total }) => [zone, Number(total)]))
}

/** Units that have something open or did something this month, and what no unit has; working days are counted by the calendar. */
export async function unitFigures(
  db: Database,
  chain: Chain,
  { today, soon, month }: Days,
  calendar: Pick<Calendar, 'workingDaysBetween'>
): Promise<UnitFigures[]> {
  const units = new Map<string, UnitFigures>()
  const of = (unit: string): UnitFigures => {
    const known = units.get(unit) ?? {
      unit,
      open: 0,
      soon: 0,
      overdue: 0,
      oldestOn: null,
      returned: 0,
      answered: 0,
      workingDays: 0
    }
    units.set(unit, known)
    return known
  }
  // Grouped by a term and not by the column: SQLite would walk all of the chain along the units' index, ten times as slow.
  const { rows: open } = await sql<{
    unit: string
    open: number
    soon: number
    overdue: number
    oldest: string
  }>`select coalesce(unit, ${UNASSIGNED_UNIT}) as unit, count(*) as open, min(registered_on) as oldest,
      sum(case when due_on >= ${today} and due_on <= ${soon} then 1 else 0 end) as soon,
      sum(case when due_on < ${today} then 1 else 0 end) as overdue
    from consultations where chain = ${chain} and open = 1 group by 1`.execute(db)
  for (const row of open) {
    Object.assign(of(row.unit), {
      open: Number(row.open),
      soon: Number(row.soon),
      overdue: Number(row.overdue),
      oldestOn: row.oldest
    })
  }
  const { rows: answered } = await sql<{
    unit: string
    started: string
    ended: string
    total: number
  }>`select unit, coalesce(${assignedOn(db)}, registered_on) as started, ${answeredOn(db)} as ended, count(*) as total
    from consultations where chain = ${chain} and ${answeredOn(db)} >= ${month} and unit is not null
    group by 1, 2, 3`.execute(db)
  for (const { unit, started, ended, total } of answered) {
    const row = of(unit)
    row.answered += Number(total)
    row.workingDays += Number(total) * calendar.workingDaysBetween(started, ended)
  }
  const since = startOf(month)
  const { rows: returned } = await sql<{
    unit: string
    total: number
  }>`select ${ofReturn(db, 'unit')} as unit, count(*) as total
    from consultations, ${returnsOf(db)}
    where chain = ${chain} and ${lastReturn(db)} >= ${since} and ${ofReturn(db, 'at')} >= ${since}
    group by 1`.execute(db)
  for (const { unit, total } of returned) of(unit).returned = Number(total)
  return [...units.values()]
}

/** The last reminder sent about each, by number. */
export async function lastReminders(
  db: Database,
  numbers: readonly string[]
): Promise<Map<string, { at: string; name: string }>> {
  if (numbers.length === 0) return new Map()
  const rows = await db
    .selectFrom('events')
    .select(['number', 'at', 'data'])
    .where('number', 'in', [...numbers])
    .where('type', '=', 'reminded')
    .orderBy('version')
    .execute()
  return new Map(
    rows.map(({ number, at, data }) => {
      const { kind } = JSON.parse(data) as { kind: string }
      const rung = rungOf(kind)
      return [number, { at, name: rung === null ? kind : RUNG_NAMES[rung] }]
    })
  )
}

/** Consultations this member of staff has an unread message about. */
export async function unreadNumbers(db: Database, staff: string, numbers: readonly string[]): Promise<Set<string>> {
  if (numbers.length === 0) return new Set()
  const rows = await db
    .selectFrom('bells')
    .select('number')
    .distinct()
    .where('staff', '=', staff)
    .where('read_at', 'is', null)
    .where('number', 'in', [...numbers])
    .execute()
  return new Set(rows.map(({ number }) => number))
}
