import createError from '@fastify/error'
import { addDays, daysBetween, weekdayOf } from './day.ts'

/** A day is asked for whose holidays neither a notice nor the table of lunar days tells. */
export const CalendarUnknown = createError<[string, string, string]>(
  'CALENDAR_UNKNOWN',
  '算到了%s，那一年的放假安排还不知道。现在只能算%s年到%s年之间的日期，请换一个起算日期，或者少算几个工作日。',
  400
)

/** A day a notice names: off though it may be a weekday, or worked though it may be a weekend. */
export interface NamedDay {
  date: string
  works: boolean
  name: string
}

/** What the State Council, or by a numbered order a local government, published. */
export interface Notice {
  id: string
  kind: 'national' | 'local'
  /** Year of a national notice, as in its title; null of a local order. */
  year: number | null
  title: string
  source: string
  days: readonly NamedDay[]
}

/** Consecutive days off around a statutory holiday. */
interface Span {
  name: string
  from: string
  to: string
  /** Whether it takes in weekdays that must be worked on a weekend near it. */
  borrows: boolean
}

/** What is known of a day. */
interface Reading {
  /** Whether it is worked, in the reading that makes a term end earliest, and in the one that makes it end latest. */
  earliest: boolean
  latest: boolean
  /** False while a notice to come may still decide it. */
  settled: boolean
  /** Why it counts or does not, for a citizen. */
  note: string
}

/** Notices made ready for look-up; never changed once made. */
export interface Holidays {
  publishedYears: readonly number[]
  named: ReadonlyMap<string, NamedDay & { local: boolean; source: string }>
  readings: Map<string, Reading>
  spans: Map<number, readonly Span[]>
}

export interface CountedDay {
  date: string
  counts: boolean
  note: string
}

/** When a term ends. */
export interface Due {
  /** The earliest day it may turn out to be: a notice yet to come only moves it later. */
  dueOn: string
  /** The latest day; equal to `dueOn` where all days are settled. */
  latestOn: string
  /** True while a day of the term depends on a notice yet to come. */
  provisional: boolean
  /** Each day after the start up to and with `dueOn`. */
  days: CountedDay[]
}

/** A term in working days whose clock may stand still, begin anew or be given more. */
export interface Term {
  start: string
  workingDays: number
  /** The clock stands still after `from` up to and with `to`, as terms themselves are counted; null = still standing. */
  pauses: readonly { from: string; to: string | null }[]
  /** Working days added at its end. */
  extension: number
  /** Day the clock began anew (Regulation Art. 30: receipt of the corrected application), or null. */
  restart: string | null
}

/**
 * 除夕, 清明, 端午, 中秋 as MM-DD: to 2030 checked against the new moons, later ones from chinese-days 1.5.7, which agrees on all.
 * A table and not `Intl`, whose Chinese calendar (ICU 78.2) is a day off in 2027 and 2030.
 */
const LUNAR: Readonly<Record<number, readonly [eve: string, qingming: string, duanwu: string, zhongqiu: string]>> = {
  2025: ['01-28', '04-04', '05-31', '10-06'],
  2026: ['02-16', '04-05', '06-19', '09-25'],
  2027: ['02-05', '04-05', '06-09', '09-15'],
  2028: ['01-25', '04-04', '05-28', '10-03'],
  2029: ['02-12', '04-04', '06-16', '09-22'],
  2030: ['02-02', '04-05', '06-05', '09-12'],
  2031: ['01-22', '04-05', '06-24', '10-01'],
  2032: ['02-10', '04-04', '06-12', '09-19'],
  2033: ['01-30', '04-04', '06-01', '09-08'],
  2034: ['02-18', '04-05', '06-20', '09-27'],
  2035: ['02-07', '04-05', '06-10', '09-16'],
  2036: ['01-27', '04-04', '05-30', '10-04'],
  2037: ['02-14', '04-04', '06-18', '09-24'],
  2038: ['02-03', '04-05', '06-07', '09-13'],
  2039: ['01-23', '04-05', '05-27', '10-02'],
  2040: ['02-11', '04-04', '06-14', '09-20']
}
/** Last year whose holidays can be foretold. */
const LAST_LUNAR_YEAR = Math.max(...Object.keys(LUNAR).map(Number))

/** A weekend this near to a span may be worked for it: the notices of 2025 and 2026 stay within (test/calendar). */
const MAKE_UP_WITHIN_DAYS = 14

const WEEKDAYS = ['周日', '周一', '周二', '周三', '周四', '周五', '周六'] as const
const yearOf = (day: string) => Number(day.slice(0, 4))
const isWeekend = (day: string) => weekdayOf(day) % 6 === 0

/**
 * Makes notices ready for look-up. A later year's notice goes before an earlier one's, because it may name days of December;
 * a local order before both, the last given before the first.
 */
export function readHolidays(notices: readonly Notice[]): Holidays {
  const named = new Map<string, NamedDay & { local: boolean; source: string }>()
  const national = notices.filter(({ kind }) => kind === 'national').sort((a, b) => (a.year ?? 0) - (b.year ?? 0))
  for (const { kind, source, days } of [...national, ...notices.filter(({ kind }) => kind === 'local')]) {
    for (const day of days) named.set(day.date, { ...day, local: kind === 'local', source })
  }
  const publishedYears = [...new Set(national.flatMap(({ year }) => (year === null ? [] : [year])))]
  return { publishedYears, named, readings: new Map(), spans: new Map() }
}

/** Whether people work that day; where no notice settles it, as the usual spans of holidays have it, without make-up days. */
export function isWorkingDay(holidays: Holidays, day: string): boolean {
  return readingOf(holidays, day).latest
}

/** The day itself where it is worked, else the first working day after it, read as `isWorkingDay` does. */
export function nextWorkingDay(holidays: Holidays, day: string): string {
  let next = day
  while (!isWorkingDay(holidays, next)) next = addDays(next, 1)
  return next
}

/** Working days after `from` up to and with `to`, read as `isWorkingDay` does; 0 when `to` is not later. */
export function workingDaysBetween(holidays: Holidays, from: string, to: string): number {
  let count = 0
  for (let day = from; day < to; ) {
    day = addDays(day, 1)
    if (isWorkingDay(holidays, day)) count++
  }
  return count
}

/**
 * When a term of working days ends; the start day does not count (民法典 Art. 201).
 * @param start `YYYY-MM-DD`, China Standard Time
 * @throws {CalendarUnknown}
 * @see test/calendar/provisional.test.ts: why a range, and how far it is off
 */
export function dueAfter(holidays: Holidays, start: string, workingDays: number): Due {
  return countTerm(holidays, start, workingDays, () => false) as Due
}

/**
 * When a term with its pauses, restart and extension ends; null while it stands still.
 * @throws {CalendarUnknown}
 */
export function dueOfTerm(holidays: Holidays, { start, workingDays, pauses, extension, restart }: Term): Due | null {
  const begin = restart ?? start
  // What stood still before the clock began anew no longer matters.
  const [open = null] = pauses.flatMap(({ from, to }) => (to === null && from >= begin ? [from] : [])).sort()
  const paused = (day: string) => pauses.some(({ from, to }) => to !== null && from < day && day <= to)
  return countTerm(holidays, begin, workingDays + extension, paused, open)
}

function countTerm(
  holidays: Holidays,
  start: string,
  workingDays: number,
  paused: (day: string) => boolean,
  standsFrom: string | null = null
): Due | null {
  if (!Number.isInteger(workingDays) || workingDays < 1) throw new RangeError(`${workingDays} working days`)
  readingOf(holidays, start)
  const days: CountedDay[] = []
  let provisional = false
  let dueOn: string | null = null
  let earliest = 0
  let latest = 0
  let day = start
  while (latest < workingDays) {
    if (standsFrom !== null && day >= standsFrom) return null
    day = addDays(day, 1)
    const reading = readingOf(holidays, day)
    const stands = paused(day)
    if (!stands) {
      provisional ||= !reading.settled
      if (reading.earliest) earliest++
      if (reading.latest) latest++
    }
    if (dueOn !== null) continue
    days.push({
      date: day,
      counts: reading.earliest && !stands,
      note: stands ? `${reading.note}，暂停计时` : reading.note
    })
    if (earliest === workingDays) dueOn = day
  }
  return { dueOn: dueOn as string, latestOn: day, provisional, days }
}

function readingOf(holidays: Holidays, day: string): Reading {
  const known = holidays.readings.get(day)
  if (known !== undefined) return known
  const reading = readDay(holidays, day)
  holidays.readings.set(day, reading)
  return reading
}

function readDay(holidays: Holidays, day: string): Reading {
  const year = yearOf(day)
  if (!isKnown(holidays, day)) {
    const { first, last } = knownYears(holidays)
    throw new CalendarUnknown(day, String(first), String(last))
  }
  const published = holidays.publishedYears.includes(year)
  const weekday = WEEKDAYS[weekdayOf(day)] as string
  const named = holidays.named.get(day)
  if (named !== undefined) {
    const note = `${weekday}，${named.name}${named.works ? '调休上班' : '放假'}`
    const { works } = named
    return { earliest: works, latest: works, settled: true, note: named.local ? `${note}（${named.source}）` : note }
  }
  const weekend = isWeekend(day)
  const plain = { earliest: !weekend, latest: !weekend, note: weekend ? `${weekday}休息` : weekday }
  const spans = [year, year + 1].flatMap((near) => spansOf(holidays, near))
  const span = spans.find(({ from, to }) => from <= day && day <= to)
  if (span !== undefined) {
    return { earliest: false, latest: false, settled: false, note: `${weekday}，预计${span.name}放假` }
  }
  const lender = weekend ? spans.find((span) => span.borrows && distance(span, day) <= MAKE_UP_WITHIN_DAYS) : undefined
  if (lender !== undefined) {
    return { earliest: true, latest: false, settled: false, note: `${weekday}，可能为${lender.name}调休上班` }
  }
  // In a published year all is settled that the next year's notice cannot reach.
  return { ...plain, settled: published }
}

function distance({ from, to }: Span, day: string): number {
  return day < from ? daysBetween(day, from) : daysBetween(to, day)
}

/** First and last year in which days can be told. */
export function knownYears({ publishedYears }: Holidays): { first: number; last: number } {
  return { first: Math.min(...publishedYears), last: Math.max(LAST_LUNAR_YEAR, ...publishedYears) }
}

/** Whether anything can be told of a day: its year has a notice, or can be foretold. */
export function isKnown(holidays: Holidays, day: string): boolean {
  const year = yearOf(day)
  return holidays.publishedYears.includes(year) || (year >= knownYears(holidays).first && LUNAR[year] !== undefined)
}

/** The usual spans of a year without a notice; of a year whose lunar days are unknown only New Year's, none of a published one. */
function spansOf(holidays: Holidays, year: number): readonly Span[] {
  const known = holidays.spans.get(year)
  if (known !== undefined) return known
  const spans = holidays.publishedYears.includes(year) ? [] : usualSpans(year)
  holidays.spans.set(year, spans)
  return spans
}

/**
 * Statutory days off of a year (全国年节及纪念日放假办法 Art. 2, in force from 2025-01-01), `YYYY-MM-DD`; empty beyond the table of lunar days.
 */
export function statutoryDays(year: number): { date: string; name: string }[] {
  const lunar = LUNAR[year]
  if (lunar === undefined) return []
  const [eve, qingming, duanwu, zhongqiu] = lunar
  const days: [string, string, number][] = [
    ['元旦', '01-01', 1],
    ['春节', eve, 4],
    ['清明', qingming, 1],
    ['劳动节', '05-01', 2],
    ['端午', duanwu, 1],
    ['中秋', zhongqiu, 1],
    ['国庆节', '10-01', 3]
  ]
  return days.flatMap(([name, first, length]) =>
    Array.from({ length }, (_, at) => ({ name, date: addDays(`${year}-${first}`, at) }))
  )
}

/** Lengths fixed by the State Council's notice of 2024-11-12. */
function usualSpans(year: number): Span[] {
  const on = (monthDay: string) => `${year}-${monthDay}`
  const newYear = threeDays('元旦', on('01-01'))
  const lunar = LUNAR[year]
  if (lunar === undefined) return [newYear]
  const [eve, qingming, duanwu, zhongqiu] = lunar
  // 中秋 within 国庆's own days makes them one span of eight.
  const joined = zhongqiu >= '10-01' && zhongqiu <= '10-08'
  return [
    newYear,
    span('春节', on(eve), 8, 4),
    threeDays('清明', on(qingming)),
    span('劳动节', on('05-01'), 5, 2),
    threeDays('端午', on(duanwu)),
    ...(joined ? [] : [threeDays('中秋', on(zhongqiu))]),
    joined ? span('国庆节、中秋', on('10-01'), 8, 4) : span('国庆节', on('10-01'), 7, 3)
  ]
}

/** Days before the holiday that its span begins, by weekday from Sunday: three days with the weekend. */
const BEFORE = [1, 2, 2, 0, 0, 0, 0] as const
const WEDNESDAY = 3

function threeDays(name: string, day: string): Span {
  const weekday = weekdayOf(day)
  return weekday === WEDNESDAY ? span(name, day, 1, 1) : span(name, addDays(day, -(BEFORE[weekday] as number)), 3, 1)
}

/** @param statutory days of it that are holidays by law; one on a weekend is made up on a weekday (Art. 6), which borrows nothing */
function span(name: string, from: string, length: number, statutory: number): Span {
  const days = Array.from({ length }, (_, at) => addDays(from, at))
  const weekdays = days.filter((day) => !isWeekend(day)).length
  return { name, from, to: days.at(-1) as string, borrows: weekdays > statutory }
}
