import t from 'tap'
import { addDays } from '../../src/calendar/day.ts'
import { seedNotices } from '../../src/calendar/seed.ts'
import { dueAfter, isWorkingDay, readHolidays } from '../../src/calendar/working-days.ts'

const real = readHolidays(seedNotices())
const foretold = readHolidays(seedNotices().filter(({ year }) => year === null || year < 2025))
/** Starts whose own range of 20 working days stays inside the years that are known. */
const starts: string[] = []
for (let day = '2025-01-01'; dueAfter(foretold, day, 20).latestOn <= '2026-12-31'; day = addDays(day, 1)) {
  if (isWorkingDay(real, day)) starts.push(day)
}

t.test('with 2025 and 2026 unpublished the range always holds the real day', async (t) => {
  const late: number[] = []
  for (const term of [5, 7, 20]) {
    const missed: string[] = []
    let after = 0
    let days = 0
    for (const start of starts) {
      const { dueOn } = dueAfter(real, start, term)
      const range = dueAfter(foretold, start, term)
      if (!range.provisional || range.dueOn > dueOn || range.latestOn < dueOn) missed.push(`${start} + ${term}`)
      if (range.latestOn > dueOn) after++
      days = Math.max(days, (Date.parse(range.latestOn) - Date.parse(dueOn)) / 86_400_000)
    }
    t.strictSame(missed, [])
    t.ok(days <= 10, `never more than 10 days late: ${days}`)
    late.push(Math.round((1000 * after) / starts.length) / 10)
  }
  t.comment(`${starts.length} starts, latest after the real day on ${late.join(' / ')} %`)
})

t.test('the spans of the notice of 2024-11-12 foretell every day off of 2025 and 2026 but one', async (t) => {
  const missed: string[] = []
  for (let day = '2025-01-01'; day <= '2026-12-31'; day = addDays(day, 1)) {
    const off = real.named.get(day)?.works === false
    const expected = dueAfter(foretold, addDays(day, -1), 1).days[0]?.note.includes('预计') === true
    if (off !== expected) missed.push(day)
  }
  t.strictSame(missed, ['2026-02-15'])
})
