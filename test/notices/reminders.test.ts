import { join } from 'node:path'
import t, { type Test } from 'tap'
import { calendarOver } from '../../src/calendar/calendar.ts'
import { seedNotices } from '../../src/calendar/seed.ts'
import type { Database, DatabaseAddress } from '../../src/database/open.ts'
import { remind } from '../../src/notices/reminders.ts'
import { absent, postgres } from '../peers.ts'
import { temporaryFolder } from '../test-app.ts'
import { logger, openScene, register, reminderOf } from './scene.ts'

const calendar = calendarOver(seedNotices())
const due = (dueOn: string) => ({ dueOn, latestOn: dueOn, provisional: false })
/** A time of the day in China. */
const at = (day: string, time: string) => new Date(`${day}T${time}:00+08:00`)

function ladder(db: Database) {
  let seen = 0
  return async (day: string, time: string): Promise<string[]> => {
    const now = at(day, time)
    const appendReminder = reminderOf(db, () => now.toISOString())
    await remind({ db, logger, calendar, appendReminder }, now)
    const rows = await db
      .selectFrom('events')
      .select(['sequence', 'data'])
      .where('type', '=', 'reminded')
      .where('sequence', '>', seen)
      .orderBy('sequence')
      .execute()
    seen = rows.at(-1)?.sequence ?? seen
    return rows.map(({ data }) => {
      const { kind, to } = JSON.parse(data) as { kind: string; to: string[] }
      return `${kind.split('@')[0]} ${to.join(' ')}`
    })
  }
}

function ladderContract(t: Test, address: (t: Test) => Promise<DatabaseAddress>): void {
  t.test('from assignment to 督办, over a make-up Saturday and the spring festival, each step once', async (t) => {
    const db = await openScene(t, await address(t))
    const step = ladder(db)
    // 2026-02-13 is a Friday, the 14th a Saturday that is worked, 15th to 23rd are off, the 28th is worked.
    const one = await register(db, 'ZX-1', at('2026-02-13', '09:30').toISOString())
    await one.move('assigned', at('2026-02-13', '15:00').toISOString(), {
      unit: 'ga',
      coUnits: [],
      due: calendar.due('2026-02-13', 5),
      day: '2026-02-13',
      designated: false
    })
    t.equal(one.ticket.due?.dueOn, '2026-02-27')
    t.same(await step('2026-02-13', '17:00'), [])
    t.same(await step('2026-02-14', '14:59'), [])
    t.same(await step('2026-02-14', '15:00'), ['not-accepted unit:ga:leader'], 'on the Saturday that is worked')
    t.same(await step('2026-02-14', '15:01'), [])
    t.same(await step('2026-02-16', '10:00'), [], 'a holiday')
    t.same(await step('2026-02-25', '10:00'), [])
    t.same(await step('2026-02-26', '08:59'), [], 'before the doors open')
    t.same(await step('2026-02-26', '09:00'), ['due-soon unit:ga:liaison unit:ga:leader'])
    t.same(await step('2026-02-26', '09:01'), [])
    t.same(await step('2026-02-27', '09:00'), ['due-today unit:ga:liaison unit:ga:leader'])
    t.same(await step('2026-02-26', '10:00'), [], 'the clock was set back a day')
    t.same(await step('2026-02-27', '09:00'), [])
    t.same(await step('2026-02-27', '23:00'), [])
    t.same(await step('2026-02-28', '09:00'), ['overdue unit:ga:leader office'], 'another Saturday that is worked')
    t.same(await step('2026-02-27', '10:00'), [], 'set back again')
    t.same(await step('2026-02-28', '09:01'), [])
    t.same(await step('2026-03-01', '10:00'), [], 'a Sunday')
    t.same(await step('2026-03-02', '09:00'), ['urged office'])
    t.same(await step('2026-03-03', '09:00'), [])
  })

  t.test('what nobody assigns is noticed before closing, at closing and the next working day', async (t) => {
    const db = await openScene(t, await address(t))
    const step = ladder(db)
    await register(db, 'ZX-1', at('2026-03-06', '10:00').toISOString(), { due: due('2026-03-13') })
    t.same(await step('2026-03-06', '16:29'), [])
    t.same(await step('2026-03-06', '16:30'), ['assign-soon zone:XZZX01'])
    t.same(await step('2026-03-06', '17:20'), ['not-assigned zone:XZZX01 office'])
    t.same(await step('2026-03-06', '17:30'), [])
    t.same(await step('2026-03-08', '17:30'), [])
    t.same(await step('2026-03-09', '09:00'), ['assigned-late office'])
    t.same(await step('2026-03-09', '17:25'), [])
  })

  t.test('what is left at a kiosk on a Sunday is to be assigned on Monday', async (t) => {
    const db = await openScene(t, await address(t))
    const step = ladder(db)
    await register(db, 'ZX-1', at('2026-03-08', '10:00').toISOString(), { due: due('2026-03-16') })
    t.same(await step('2026-03-09', '09:00'), [])
    t.same(await step('2026-03-09', '17:25'), ['not-assigned zone:XZZX01 office'])
  })

  t.test('a returned ticket waits anew, a second return waits for the office', async (t) => {
    const db = await openScene(t, await address(t))
    const step = ladder(db)
    const one = await register(db, 'ZX-1', at('2026-03-03', '10:00').toISOString(), { due: due('2026-03-10') })
    t.same(await step('2026-03-03', '17:25'), ['not-assigned zone:XZZX01 office'])
    const assigned = { unit: 'ga', coUnits: [], due: due('2026-03-10'), day: '2026-03-03', designated: false }
    await one.refresh()
    await one.move('assigned', at('2026-03-04', '09:00').toISOString(), assigned)
    await one.move('returned', at('2026-03-04', '10:00').toISOString(), {
      reason: '否',
      proposed: null,
      toOffice: true
    })
    t.same(await step('2026-03-04', '16:30'), ['assign-soon office'])
    t.same(await step('2026-03-04', '17:25'), ['not-assigned office'])
  })

  t.test('a joined one is reminded of only when its head is answered and it is not', async (t) => {
    const db = await openScene(t, await address(t))
    const step = ladder(db)
    const assigned = { unit: 'ga', coUnits: [], due: due('2026-03-10'), day: '2026-03-03', designated: false }
    const head = await register(db, 'ZX-1', at('2026-03-03', '10:00').toISOString())
    await head.move('assigned', at('2026-03-03', '10:00').toISOString(), assigned)
    await head.move('accepted', at('2026-03-03', '10:00').toISOString(), {})
    const other = await register(db, 'ZX-2', at('2026-03-03', '11:00').toISOString(), { due: due('2026-03-10') })
    await other.move('joined', at('2026-03-03', '11:00').toISOString(), { head: 'ZX-1', unit: 'ga', automatic: true })
    t.same(await step('2026-03-10', '09:00'), ['due-today unit:ga:liaison unit:ga:leader'])
    await head.refresh()
    await head.move('drafted', at('2026-03-10', '10:00').toISOString(), { text: '答', basis: [], submitted: true })
    await head.move('approved', at('2026-03-10', '10:00').toISOString(), { self: false })
    await head.move('contacted', at('2026-03-10', '10:00').toISOString(), {
      outcome: 'told',
      by: 'phone',
      at: at('2026-03-10', '10:00').toISOString(),
      note: '',
      day: '2026-03-10',
      unreached: false,
      answer: null
    })
    t.same(await step('2026-03-10', '10:01'), ['due-today unit:ga:liaison unit:ga:leader'])
  })

  t.test("two processes on one minute take a step once; hours are the office's", async (t) => {
    const db = await openScene(t, await address(t))
    const one = await register(db, 'ZX-1', at('2026-03-03', '10:00').toISOString())
    await one.move('assigned', at('2026-03-03', '10:00').toISOString(), {
      unit: 'ga',
      coUnits: [],
      due: due('2026-03-10'),
      day: '2026-03-03',
      designated: false
    })
    await one.move('accepted', at('2026-03-03', '10:00').toISOString(), {})
    const now = at('2026-03-10', '08:30')
    const needs = { db, logger, calendar, appendReminder: reminderOf(db, () => now.toISOString()) }
    t.equal(await remind(needs, now), 0)
    await db
      .insertInto('settings')
      .values({ name: 'working-hours', value: '{"from":"08:30","until":"17:00"}', changed_at: '', changed_by: '' })
      .execute()
    const taken = await Promise.all([remind(needs, now), remind(needs, now)])
    t.same(taken.sort(), [0, 1])
  })
}

t.test('SQLite', async (t) => {
  ladderContract(t, async (t) => ({ kind: 'sqlite', file: join(temporaryFolder(t), 'z.db') }))
})
t.test('PostgreSQL', { skip: absent('PostgreSQL') }, async (t) => {
  ladderContract(t, async (t) => ({ kind: 'postgresql', url: await postgres(t) }))
})
