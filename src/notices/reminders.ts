import type { FastifyBaseLogger } from 'fastify'
import * as z from 'zod'
import { addDays, dayOf, instantInChina } from '../calendar/day.ts'
import { ACCEPT_WITHIN, OPEN, type State, type Ticket } from '../consultations/ticket.ts'
import type { Database } from '../database/open.ts'
import type { Rung } from './rungs.ts'

/** Appends `reminded` to a consultation; false when it is no longer at that version. */
export type AppendReminder = (number: string, version: number, kind: string, to: string[]) => Promise<boolean>

interface Needs {
  db: Database
  logger: FastifyBaseLogger
  calendar: { isWorkingDay(day: string): boolean }
  appendReminder: AppendReminder
}

/** When reminders are sent, China Standard Time: the sample zones' hours; the office sets others as `working-hours`. */
export const WORKING_HOURS = { from: '09:00', until: '17:30' }
const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/)
const Hours = z.object({ from: clock, until: clock }).refine(({ from, until }) => from < until)

/** An hour before closing the desk is told (domain model 2.5); the last minutes stand for the closing itself, as a tick may come late. */
const BEFORE_CLOSING_MINUTES = 60
const AT_CLOSING_MINUTES = 10

/** Rungs of one due date, in order: after a later one no earlier one is sent, whatever the clock says. */
const DUE_RUNGS = ['due-soon', 'due-today', 'overdue', 'urged'] as const satisfies readonly Rung[]
const WAITING_RUNGS = ['assign-soon', 'not-assigned', 'assigned-late'] as const satisfies readonly Rung[]

const UNASSIGNED: readonly State[] = ['REGISTERED', 'TO_ASSIGN', 'RETURNED', 'REOPENED']
/** What puts a consultation back among those that wait to be assigned. */
const WAITS_FROM = ['registered', 'returned', 'reopened', 'separated']

/** What the ladder needs to know of a consultation. */
interface Standing {
  ticket: Ticket
  /** Instant since which it waits to be assigned; of no account where it does not. */
  waitingSince: string
  /** Kinds of its `reminded` events. */
  sent: ReadonlySet<string>
}

/** Now, as the ladder sees it. */
interface Moment {
  /** A working day. */
  today: string
  /** `HH:MM`, China Standard Time, inside the hours. */
  time: string
  /** Closing time, `HH:MM`. */
  until: string
  /** The working day so many after a day. */
  after: (day: string, workingDays: number) => string
  isWorkingDay: (day: string) => boolean
}

interface Step {
  /** `RUNG@` and what it counts from. */
  kind: string
  to: string[]
}

/**
 * Takes the steps of the reminder ladder that are due, each once, inside working hours; at most one a consultation and call.
 * @returns how many were taken
 */
export async function remind({ db, logger, calendar, appendReminder }: Needs, now: Date): Promise<number> {
  const isWorkingDay = (day: string) => calendar.isWorkingDay(day)
  const today = dayOf(now)
  const time = timeOf(now)
  const { from, until } = await workingHours(db)
  if (!isWorkingDay(today) || time < from || time > until) return 0
  const moment: Moment = { today, time, until, isWorkingDay, after: workingDaysAfter(isWorkingDay) }
  let taken = 0
  for (const standing of await standings(db, moment.after(today, 1))) {
    const { ticket } = standing
    try {
      const step = stepOf(standing, moment)
      if (step !== null && (await appendReminder(ticket.number, ticket.version, step.kind, step.to))) taken++
    } catch (error) {
      // One consultation must not keep the others from being noticed; the next minute tries again.
      logger.warn({ err: error, number: ticket.number }, 'reminder not sent')
    }
  }
  return taken
}

/** The office's hours, or ours where it has set none that can be read. */
export async function workingHours(db: Database): Promise<typeof WORKING_HOURS> {
  const row = await db.selectFrom('settings').select('value').where('name', '=', 'working-hours').executeTakeFirst()
  if (row === undefined) return WORKING_HOURS
  try {
    return Hours.parse(JSON.parse(row.value))
  } catch {
    return WORKING_HOURS
  }
}

/** Sets the office's hours, `HH:MM` both; false where they are none. */
export async function setWorkingHours(
  db: Database,
  hours: { from: string; until: string },
  { by, now }: { by: string; now: Date }
): Promise<boolean> {
  const read = Hours.safeParse(hours)
  if (!read.success) return false
  const row = { value: JSON.stringify(read.data), changed_at: now.toISOString(), changed_by: by }
  await db
    .insertInto('settings')
    .values({ name: 'working-hours', ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute()
  return true
}

function timeOf(instant: Date | string): string {
  return instantInChina(instant).slice(11, 16)
}

function minutesBefore(time: string, minutes: number): string {
  const at = Number(time.slice(0, 2)) * 60 + Number(time.slice(3)) - minutes
  return `${String(Math.floor(at / 60)).padStart(2, '0')}:${String(at % 60).padStart(2, '0')}`
}

function workingDaysAfter(isWorkingDay: Moment['isWorkingDay']): Moment['after'] {
  return (day, workingDays) => {
    let at = day
    for (let left = workingDays; left > 0; left--) {
      do at = addDays(at, 1)
      while (!isWorkingDay(at))
    }
    return at
  }
}

/** Open consultations a rung may be due for. One that is joined follows its head, until that is answered and it still is not. */
async function standings(db: Database, nextWorkingDay: string): Promise<Standing[]> {
  const rows = await db
    .selectFrom('consultations')
    .leftJoin('consultations as heads', 'heads.number', 'consultations.head')
    .select('consultations.ticket')
    .where('consultations.open', '=', 1)
    .where((eb) =>
      eb.or([
        eb('consultations.state', 'in', [...UNASSIGNED, 'ASSIGNED']),
        eb('consultations.due_on', '<=', nextWorkingDay)
      ])
    )
    .where((eb) =>
      eb.or([eb('consultations.state', '!=', 'JOINED'), eb('heads.open', '=', 0), eb('heads.number', 'is', null)])
    )
    .orderBy('consultations.registered_at')
    .execute()
  if (rows.length === 0) return []
  const events = await db
    .selectFrom('events')
    .innerJoin('consultations', 'consultations.number', 'events.number')
    .select(['events.number', 'events.type', 'events.at', 'events.data'])
    .where('consultations.open', '=', 1)
    .where('events.type', 'in', ['reminded', ...WAITS_FROM])
    .orderBy('events.version')
    .execute()
  const sent = new Map<string, Set<string>>()
  const waiting = new Map<string, string>()
  for (const { number, type, at, data } of events) {
    if (type !== 'reminded') {
      waiting.set(number, at)
      continue
    }
    const { kind } = JSON.parse(data) as { kind: string }
    sent.set(number, (sent.get(number) ?? new Set()).add(kind))
  }
  return rows.map((row) => {
    const ticket = JSON.parse(row.ticket) as Ticket
    const { number, registeredAt } = ticket
    return { ticket, waitingSince: waiting.get(number) ?? registeredAt, sent: sent.get(number) ?? new Set() }
  })
}

/** The first step that is due and has not been taken, or null; pure. */
export function stepOf({ ticket, waitingSince, sent }: Standing, moment: Moment): Step | null {
  const { unit, zone, state, due, round, toOffice, acceptedAt, assignedAt, assignedOn } = ticket
  if (!OPEN.has(state)) return null
  const { today, time, until, after, isWorkingDay } = moment
  const steps: Step[] = []
  const offer = (order: readonly Rung[], rung: Rung, from: string, to: string[]) => {
    // The clock may have been set back, or a later rung taken first.
    if (!order.slice(order.indexOf(rung)).some((later) => sent.has(`${later}@${from}`))) {
      steps.push({ kind: `${rung}@${from}`, to })
    }
  }
  const desk = toOffice ? 'office' : `zone:${zone}`
  const liaison = unit === null ? desk : `unit:${unit}:liaison`
  const leader = unit === null ? desk : `unit:${unit}:leader`

  if (unit === null && UNASSIGNED.includes(state)) {
    const day = dayOf(waitingSince)
    const assignBy = isWorkingDay(day) && timeOf(waitingSince) < until ? day : after(day, 1)
    if (today === assignBy && time >= minutesBefore(until, AT_CLOSING_MINUTES)) {
      offer(WAITING_RUNGS, 'not-assigned', waitingSince, [...new Set([desk, 'office'])])
    } else if (today === assignBy && time >= minutesBefore(until, BEFORE_CLOSING_MINUTES)) {
      offer(WAITING_RUNGS, 'assign-soon', waitingSince, [desk])
    } else if (today >= after(assignBy, 1)) {
      offer(WAITING_RUNGS, 'assigned-late', waitingSince, ['office'])
    }
  }
  if (unit !== null && acceptedAt === null && assignedAt !== null && (state === 'ASSIGNED' || state === 'REOPENED')) {
    // A working day later at the same time of the day.
    const day = after(assignedOn ?? dayOf(assignedAt), ACCEPT_WITHIN)
    if (today > day || (today === day && time >= timeOf(assignedAt))) {
      offer(['not-accepted'], 'not-accepted', assignedAt, [leader])
    }
  }
  if (due !== null) {
    const { dueOn } = due
    const from = `${round}/${dueOn}`
    if (dueOn > today) {
      if (dueOn <= after(today, 1)) offer(DUE_RUNGS, 'due-soon', from, [...new Set([liaison, leader])])
    } else if (dueOn === today) {
      offer(DUE_RUNGS, 'due-today', from, [...new Set([liaison, leader])])
    } else {
      offer(DUE_RUNGS, 'overdue', from, [...new Set([leader, 'office'])])
      if (today >= after(dueOn, 2)) offer(DUE_RUNGS, 'urged', from, ['office'])
    }
  }
  return steps[0] ?? null
}
