import chineseDays from 'chinese-days'
import fc from 'fast-check'
import t from 'tap'
import { addDays, daysBetween, isDay, weekdayOf } from '../../src/calendar/day.ts'
import { nationalTitle, seedNotices } from '../../src/calendar/seed.ts'
import {
  dueAfter,
  dueOfTerm,
  isWorkingDay,
  nextWorkingDay,
  type Notice,
  readHolidays,
  statutoryDays,
  workingDaysBetween
} from '../../src/calendar/working-days.ts'

const holidays = readHolidays(seedNotices())
const year = (id: number, days: Notice['days']): Notice => ({
  id: String(id),
  kind: 'national',
  year: id,
  title: nationalTitle(id),
  source: '示例',
  days
})
const term = { start: '2026-11-02', workingDays: 5, pauses: [], extension: 0, restart: null }

/** Start → last day of 5, 7 and 20 working days, counted by hand from the notices. */
const VECTORS = `
2021-11-04 2021-11-11 2021-11-15 2021-12-02
2021-09-17 2021-09-26 2021-09-28 2021-10-21
2021-09-30 2021-10-13 2021-10-15 2021-11-03
2021-10-08 2021-10-14 2021-10-18 2021-11-04
2021-12-31 2022-01-10 2022-01-12 2022-01-29
2022-01-27 2022-02-08 2022-02-10 2022-03-01
2022-01-30 2022-02-11 2022-02-15 2022-03-04
2026-02-13 2026-02-27 2026-03-02 2026-03-19
2026-02-14 2026-02-28 2026-03-03 2026-03-20
2026-04-30 2026-05-11 2026-05-13 2026-06-01
2026-09-30 2026-10-13 2026-10-15 2026-11-03`

t.test('terms end on the days counted by hand', async (t) => {
  for (const line of VECTORS.trim().split('\n')) {
    const [start, ...ends] = line.split(' ') as [string, string, string, string]
    const dues = [5, 7, 20].map((days) => dueAfter(holidays, start, days))
    t.strictSame(
      dues.map(({ dueOn }) => dueOn),
      ends,
      start
    )
    t.ok(dues.every(({ dueOn, latestOn, provisional }) => dueOn === latestOn && !provisional))
  }
})

t.test('the seed says of every day what chinese-days says', async (t) => {
  const differ: string[] = []
  for (let day = '2020-01-01'; day <= '2026-12-31'; day = addDays(day, 1)) {
    if (isWorkingDay(holidays, day) !== chineseDays.isWorkday(day)) differ.push(day)
  }
  t.strictSame(differ, [])
  t.strictSame(holidays.publishedYears, [2020, 2021, 2022, 2023, 2024, 2025, 2026])
})

t.test('each day after the start is told with what it counts and why', async (t) => {
  const { days } = dueAfter(holidays, '2026-02-12', 3)
  t.same(days.slice(0, 3), [
    { date: '2026-02-13', counts: true, note: '周五' },
    { date: '2026-02-14', counts: true, note: '周六，春节调休上班' },
    { date: '2026-02-15', counts: false, note: '周日，春节放假' }
  ])
  t.equal(days.at(-1)?.date, '2026-02-24')
  t.equal(days.filter(({ counts }) => counts).length, 3)
})

t.test('a term that reaches a year without a notice is provisional', async (t) => {
  t.match(dueAfter(holidays, '2026-12-25', 5), { dueOn: '2027-01-04', latestOn: '2027-01-04', provisional: true })
  t.match(dueAfter(holidays, '2026-12-25', 20), { dueOn: '2027-01-23', latestOn: '2027-01-25', provisional: true })
  t.match(dueAfter(holidays, '2026-12-24', 5), { dueOn: '2026-12-31', provisional: false })
  t.match(dueAfter(holidays, '2026-12-24', 5), { latestOn: '2026-12-31' })
})

t.test('a notice names days of the December before it, and goes before that year’s own', async (t) => {
  const later = readHolidays([
    ...seedNotices(),
    year(2027, [
      { date: '2026-12-31', works: false, name: '元旦' },
      { date: '2026-12-27', works: true, name: '元旦' }
    ])
  ])
  t.notOk(isWorkingDay(later, '2026-12-31'))
  t.ok(isWorkingDay(later, '2026-12-27'))
  t.equal(dueAfter(later, '2026-12-24', 4).dueOn, '2026-12-29')
})

t.test('a December whose New Year may borrow a weekday is provisional until that year’s notice', async (t) => {
  // 2030-01-01 is a Tuesday: its three days begin on Sunday 2029-12-30.
  const known = readHolidays([...seedNotices(), year(2029, [{ date: '2029-10-01', works: false, name: '国庆节' }])])
  const due = dueAfter(known, '2029-12-21', 6)
  t.match(due, { provisional: true, dueOn: '2029-12-27', latestOn: '2030-01-02' })
  t.match(due.days[1], { counts: true, note: '周日，可能为元旦调休上班' })
})

t.test('a local order goes before the national notice and settles the day', async (t) => {
  const order: Notice = {
    id: '示例府办〔2026〕1号',
    kind: 'local',
    year: null,
    title: '示例',
    source: '示例府办〔2026〕1号',
    days: [{ date: '2026-11-03', works: false, name: '停止办公' }]
  }
  const local = readHolidays([order, ...seedNotices()])
  t.equal(dueAfter(local, '2026-11-02', 1).dueOn, '2026-11-04')
  t.equal(dueAfter(local, '2026-11-02', 1).days[0]?.note, '周二，停止办公放假（示例府办〔2026〕1号）')
})

t.test('a term may stand still, begin anew or be given more', async (t) => {
  t.equal(dueOfTerm(holidays, term)?.dueOn, '2026-11-09')
  t.equal(dueOfTerm(holidays, { ...term, extension: 20 })?.dueOn, '2026-12-07')
  const paused = dueOfTerm(holidays, { ...term, pauses: [{ from: '2026-11-03', to: '2026-11-11' }] })
  t.equal(paused?.dueOn, '2026-11-17', 'the day of the letter counts, the day of its answer does not')
  t.match(paused?.days[1], { date: '2026-11-04', counts: false, note: '周三，暂停计时' })
  const twice = [
    { from: '2026-11-03', to: '2026-11-10' },
    { from: '2026-11-05', to: '2026-11-11' }
  ]
  t.equal(dueOfTerm(holidays, { ...term, pauses: twice })?.dueOn, '2026-11-17', 'two letters at a time are one pause')
  t.equal(dueOfTerm(holidays, { ...term, pauses: [{ from: '2026-11-03', to: null }] }), null)
  t.equal(
    dueOfTerm(holidays, { ...term, pauses: [{ from: '2026-11-09', to: null }] })?.dueOn,
    '2026-11-09',
    'a pause that begins when the term has ended moves nothing'
  )
  t.equal(dueOfTerm(holidays, { ...term, restart: '2026-11-06' })?.dueOn, '2026-11-13')
  t.equal(
    dueOfTerm(holidays, { ...term, restart: '2026-11-06', pauses: [{ from: '2026-11-03', to: null }] })?.dueOn,
    '2026-11-13',
    'what stood still before the restart is past'
  )
})

t.test('beyond what is known nothing is guessed', async (t) => {
  t.throws(() => dueAfter(holidays, '2040-12-20', 30), {
    code: 'CALENDAR_UNKNOWN',
    statusCode: 400,
    message: /2041-01-01/
  })
  t.throws(() => isWorkingDay(holidays, '2019-12-31'), { code: 'CALENDAR_UNKNOWN', message: /2020年到2040年/ })
  t.throws(() => dueAfter(holidays, '2019-12-31', 1), { code: 'CALENDAR_UNKNOWN' })
  t.throws(() => dueAfter(holidays, '2026-01-05', 0), RangeError)
})

t.test('the table of lunar days agrees with chinese-days, and where Intl does not', async (t) => {
  for (let of = 2025; of <= 2040; of++) {
    const on = (name: string) => statutoryDays(of).find((day) => day.name === name)?.date
    t.equal(addDays(on('春节') as string, 1), chineseDays.getSolarDateFromLunar(`${of}-01-01`).date)
    t.equal(on('清明'), chineseDays.getSolarTermDate(of, 4, 'pure_brightness'))
    t.equal(on('端午'), chineseDays.getSolarDateFromLunar(`${of}-05-05`).date)
    t.equal(on('中秋'), chineseDays.getSolarDateFromLunar(`${of}-08-15`).date)
    t.equal(statutoryDays(of).length, 13)
  }
  const eve = (of: number) => statutoryDays(of).find(({ name }) => name === '春节')?.date
  t.strictSame([2027, 2028, 2029, 2030].map(eve), ['2027-02-05', '2028-01-25', '2029-02-12', '2030-02-02'])
})

const day = fc
  .integer({ min: 0, max: daysBetween('2020-01-01', '2039-06-30') })
  .map((after) => addDays('2020-01-01', after))
const length = fc.integer({ min: 1, max: 60 })

t.test('properties of every term', async () => {
  fc.assert(
    fc.property(day, length, (start, n) => {
      const { dueOn, latestOn, provisional, days } = dueAfter(holidays, start, n)
      const counted = days.filter(({ counts }) => counts)
      if (counted.length !== n || counted.at(-1)?.date !== dueOn || days.at(-1)?.date !== dueOn) return false
      if (days[0]?.date !== addDays(start, 1) || days.length !== daysBetween(start, dueOn)) return false
      if (dueOn > latestOn || (!provisional && dueOn !== latestOn)) return false
      return isWorkingDay(holidays, latestOn) && workingDaysBetween(holidays, start, latestOn) === n
    })
  )
  fc.assert(
    fc.property(day, length, length, (start, n, more) => {
      const [one, two] = [dueAfter(holidays, start, n), dueAfter(holidays, start, n + more)]
      const onwards = dueAfter(holidays, one.dueOn, more)
      const later = dueAfter(holidays, addDays(start, 1), n)
      return one.dueOn < two.dueOn && onwards.dueOn === two.dueOn && later.dueOn >= one.dueOn
    })
  )
  fc.assert(
    fc.property(day, (from) => {
      const next = nextWorkingDay(holidays, from)
      return isWorkingDay(holidays, next) && next >= from && (next === from) === isWorkingDay(holidays, from)
    })
  )
  fc.assert(
    fc.property(day, length, fc.nat(40), fc.nat(40), (start, n, after, length) => {
      const from = addDays(start, after)
      const pauses = [{ from, to: addDays(from, length) }]
      const whole = { start, workingDays: n, extension: 0, restart: null }
      const due = dueOfTerm(holidays, { ...whole, pauses })
      const plain = dueAfter(holidays, start, n)
      return due !== null && due.dueOn >= plain.dueOn && due.days.filter(({ counts }) => counts).length === n
    })
  )
})

t.test('days are read strictly and weekdays rightly', async (t) => {
  t.ok(isDay('2024-02-29'))
  for (const wrong of ['2023-02-29', '2026-13-01', '2026-1-1', '', '2026-01-01T00:00', '今天'])
    t.notOk(isDay(wrong), wrong)
  t.equal(weekdayOf('2026-11-24'), 2)
})
