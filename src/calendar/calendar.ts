import { createHash } from 'node:crypto'
import type { Database } from '../database/open.ts'
import type { HolidayNoticesTable } from '../database/schema.ts'
import { type NoticeProblem, readNotice } from './notice-file.ts'
import { seedNotices } from './seed.ts'
import {
  type Due,
  dueAfter,
  dueOfTerm,
  type Holidays,
  isKnown,
  isWorkingDay,
  knownYears,
  type NamedDay,
  nextWorkingDay,
  type Notice,
  readHolidays,
  type Term,
  workingDaysBetween
} from './working-days.ts'

/** Working days as the notices stood when it was opened; never changes. Each method throws CalendarUnknown beyond the years known. */
export interface Calendar {
  publishedYears: readonly number[]
  /** First and last day that can be told, `YYYY-MM-DD`. */
  knownFrom: string
  knownTo: string
  /** Equal for equal notices: a due date reckoned under another version is reckoned anew. */
  version: string
  isWorkingDay(day: string): boolean
  /** The day itself where it is worked, else the first working day after it. */
  nextWorkingDay(day: string): string
  /** Working days after `from` up to and with `to`; 0 when `to` is not later. */
  workingDaysBetween(from: string, to: string): number
  /** When a term ends; the start day does not count. */
  due(start: string, workingDays: number): Due
  /** When a term with pauses, restart and extension ends; null while its clock stands still. */
  dueOf(term: Term): Due | null
}

/** Reads the notices of the database over those that came with the program: one query. */
export async function openCalendar(db: Database): Promise<Calendar> {
  return calendarOver(await allNotices(db))
}

/** The calendar of the given notices. */
export function calendarOver(notices: readonly Notice[]): Calendar {
  const holidays = readHolidays(notices)
  const { first, last } = knownYears(holidays)
  const read = notices.map(({ id, kind, days }) => [id, kind, days])
  return {
    publishedYears: holidays.publishedYears,
    knownFrom: `${first}-01-01`,
    knownTo: `${last}-12-31`,
    version: createHash('sha256').update(JSON.stringify(read)).digest('hex').slice(0, 12),
    isWorkingDay: (day) => isWorkingDay(holidays, day),
    nextWorkingDay: (day) => nextWorkingDay(holidays, day),
    workingDaysBetween: (from, to) => workingDaysBetween(holidays, from, to),
    due: (start, workingDays) => dueAfter(holidays, start, workingDays),
    dueOf: (term) => dueOfTerm(holidays, term)
  }
}

async function allNotices(db: Database): Promise<Notice[]> {
  const rows = await db.selectFrom('holiday_notices').selectAll().orderBy('imported_at').orderBy('id').execute()
  const stored = rows.map(noticeOf)
  const national = new Map(seedNotices().map((notice) => [notice.id, notice]))
  for (const notice of stored) if (notice.kind === 'national') national.set(notice.id, notice)
  return [...national.values(), ...stored.filter(({ kind }) => kind === 'local')]
}

function noticeOf({ id, kind, title, source, days }: HolidayNoticesTable): Notice {
  return { id, kind, year: kind === 'national' ? Number(id) : null, title, source, days: JSON.parse(days) }
}

/** A day that is now worked and was not, or the other way round; `before` null where nothing was known of it. */
export interface ChangedDay {
  date: string
  before: boolean | null
  works: boolean | null
  /** As the notice names it; null of a day it no longer names. */
  name: string | null
}

export type ImportedNotice =
  | { kind: 'refused'; problems: NoticeProblem[] }
  | {
      kind: 'stored'
      notice: Notice
      /** False where the same notice was there, with the same days. */
      isNew: boolean
      changed: ChangedDay[]
      warnings: string[]
    }

/**
 * Takes in a notice or a local order, whole or not at all; an earlier one of the same year or number is replaced.
 * @param text JSON or CSV (notice-file.ts)
 * @param by who imports it, as the record names them
 * @param at instant, ISO 8601
 */
export async function importNotice(db: Database, text: string, by: string, at: string): Promise<ImportedNotice> {
  const file = readNotice(text)
  if (file.kind === 'refused') return file
  const { notice, warnings } = file
  return await db.transaction().execute(async (trx) => {
    const notices = await allNotices(trx)
    const known = notices.find(({ id, kind }) => id === notice.id && kind === notice.kind)
    const row = {
      kind: notice.kind,
      title: notice.title,
      source: notice.source,
      days: JSON.stringify(notice.days),
      imported_at: at,
      imported_by: by
    }
    await trx
      .insertInto('holiday_notices')
      .values({ id: notice.id, ...row })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
      .execute()
    const before = readHolidays(notices)
    const after = readHolidays(await allNotices(trx))
    const touched = [...(known?.days ?? []), ...notice.days].map(({ date }) => date)
    return {
      kind: 'stored',
      notice,
      isNew: known === undefined || JSON.stringify(known.days) !== row.days,
      changed: [...new Set(touched)].sort().flatMap((date) => changeOf(date, before, after, notice.days)),
      warnings
    }
  })
}

function changeOf(date: string, before: Holidays, after: Holidays, days: readonly NamedDay[]): ChangedDay[] {
  const works = worksIn(after, date)
  const worked = worksIn(before, date)
  const name = days.find((day) => day.date === date)?.name ?? null
  return works === worked ? [] : [{ date, before: worked, works, name }]
}

function worksIn(holidays: Holidays, date: string): boolean | null {
  return isKnown(holidays, date) ? isWorkingDay(holidays, date) : null
}

const MOST_LISTED = 40

/** What an import did, line by line, for who gave the command. */
export function importLines(imported: Extract<ImportedNotice, { kind: 'stored' }>): string[] {
  const { notice, isNew, changed, warnings } = imported
  const off = notice.days.filter(({ works }) => !works).length
  const said = (works: boolean | null) => (works === null ? '未知' : works ? '上班' : '休息')
  return [
    ...warnings.map((warning) => `提醒：${warning}`),
    `✓ ${notice.title}：放假 ${off} 天，调休上班 ${notice.days.length - off} 天。${isNew ? '' : '和已有的相同。'}`,
    ...changed.slice(0, MOST_LISTED).map(({ date, before, works, name }) => {
      const what = name === null ? '' : `（${name}）`
      return `  ${date}${what}：原按${said(before)}，现按${said(works)}`
    }),
    ...(changed.length > MOST_LISTED ? [`  ……还有 ${changed.length - MOST_LISTED} 天`] : []),
    changed.length === 0
      ? '  没有哪一天的上班或休息有变化。'
      : '  办理期限涉及这些日期的，会自动重新计算，并告知有关的人。'
  ]
}
