import * as z from 'zod'
import { dayOf, instantInChina } from '../calendar/day.ts'
import { ACCEPT_WITHIN, OPEN, type State, type Ticket } from '../consultations/ticket.ts'
import type { Database } from '../database/open.ts'
import { type Rung, rungOf } from './rungs.ts'

/** Appends `reminded` to a consultation; false when it is no longer at that version. */
export type AppendReminder = (number: string, version: number, kind: string, to: string[]) => Promise<boolean>

interface Needs {
  db: Database
  calendar: { isWorkingDay(day: string): boolean }
  appendReminder: AppendReminder
}

/** When reminders are sent, China Standard Time: the sample zones' hours; the office sets others as `working-hours`. */
export const WORKING_HOURS = { from: '09:00', until: '17:30' }
const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/)
const Hours = z.object({ from: clock, until: clock }).refine(({ from, until }) => from < until)

/** An hour before closing the desk is told, at closing the office too (domain model 2.5; the last minutes stand for the moment). */
const BEFORE_CLOSING_MINUTES = 60
const AT_CLOSING_MINUTES = 10

const UNASSIGNED: ReadonlySet<State> = new Set(['REGISTERED', 'TO_ASSIGN', 'RETURNED', 'REOPENED'])
/** Rungs of one due date, in order: after a later one no earlier one is sent, whatever the clock says. */
const DUE_RUNGS: readonly Rung[] = ['due-soon', 'due-today', 'overdue', 'urged']
const WAITING_RUNGS: readonly Rung[] = ['assign-soon', 'not-assigned', 'assigned-late']

/** What the ladder is asked about one consultation. */
interface Standing {
  ticket: Ticket
  /** Since when it waits to be assigned. */
  waitingSince: string
  /** Kinds of its `reminded` events. */
  sent: ReadonlySet<string>
}

interface Step {
  /** `RUNG@` and the day or instant it counts from. */
  kind: string
  to: string[]
}

/** Now, as the ladder sees it. */
interface Moment {
  today: string
  /** `HH:MM`, China Standard Time. */
  time: string
  hours: { from: string; until: string }
  isWorkingDay(day: string): boolean
}

/** No holidays last so long (the longest notice named 9 days): a calendar without working days ends here. */
const LONGEST_BREAK_DAYS = 60

/** The working day so many after a day; 0 = the day itself, or the next that is one. */
function workingDay(day: string, after: number, isWorkingDay: Moment['isWorkingDay']): string {
  const next = (from: string) => new Date(Date.parse(from) + 86_400_000).toISOString().slice(0, 10)
  let at = day
  let left = after
  for (let passed = 0; passed < LONGEST_BREAK_DAYS; passed++) {
    if (isWorkingDay(at)) {
      if (left === 0) return at
      left--
    } else if (at === day && left > 0) {
      // A start that is no working day is not counted itself, and the first working day after it is the first.
      left += 0
    }
    at = next(at)
    if (at !== day && left === after && after > 0 && !isWorkingDay(day)) {
      // Falls through to the next day: nothing has been counted yet.
    }
  }
  return at
}

const minutes = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5))
