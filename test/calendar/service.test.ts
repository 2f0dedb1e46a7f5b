import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { eventsOf } from '../../src/consultations/events.ts'
import { findTicket } from '../../src/consultations/records.ts'
import { tend } from '../../src/consultations/tend.ts'
import { registered, service } from '../consultations/people.ts'
import { absent, postgres } from '../peers.ts'

t.setTimeout(120_000)

/** A notice of 2027 that makes up for New Year on a Sunday; the days are ours, not the State Council's. */
const NOTICE = JSON.stringify({
  year: 2027,
  papers: ['示例通知'],
  days: [
    { name: '元旦', date: '2027-01-01', isOffDay: true },
    { name: '元旦', date: '2027-01-02', isOffDay: true },
    { name: '元旦', date: '2027-01-03', isOffDay: true },
    { name: '元旦', date: '2027-01-09', isOffDay: false }
  ]
})

async function counts(t: Test, environment: NodeJS.ProcessEnv): Promise<void> {
  const own = await service(t, { TODAY: '2026-12-28', ...environment })
  const { app, call, parts, tokens } = own
  parts.now = () => new Date('2026-12-28T02:00:00Z')

  const due = await app.inject({ url: '/api/v1/calendar/due?from=2026-12-25&workingDays=5' })
  t.equal(due.statusCode, 200)
  t.match(due.json(), { provisional: true, days: [{ counts: Boolean, note: String }] })
  t.ok(due.json().dueOn <= due.json().latestOn)
  for (const [query, said] of [
    ['from=2026-13-01&workingDays=5', '日期'],
    ['from=2026-12-25&workingDays=0', '整数'],
    ['from=2026-12-25&workingDays=9999', '整数'],
    ['workingDays=5', '日期']
  ] as const) {
    const bad = await app.inject({ url: `/api/v1/calendar/due?${query}` })
    t.equal(bad.statusCode, 400, query)
    t.match(bad.body, said, query)
  }
  const page = await app.inject({ url: '/calendar?from=2026-12-25&workingDays=5', headers: { accept: 'text/html' } })
  t.equal(page.statusCode, 200)
  t.match(page.body, '2026')
  t.match(page.body, '元旦')

  // Two that wait over New Year: one as it was registered, one that was answered, called unsolved and begun anew.
  const plain = await registered(own, '火星移民补贴在哪里领')
  const again = await registered(own, '月球移民补贴在哪里领')
  const step = async (as: string, action: string, body: object) => {
    const version = (await findTicket(parts.db, again.number))?.version
    const reply = await call(as, 'POST', `/tickets/${again.number}/${action}`, { version, ...body })
    t.equal(reply.status, 200, `${action} ${reply.raw.slice(0, 80)}`)
  }
  await step(tokens.clerk, 'assign', { unit: 'ybj' })
  const basis = [{ document: 'zc-1', title: null, clause: '第二条' }]
  await step(tokens.liaison, 'draft', { text: '到区医保局领。', basis, submit: true })
  await step(tokens.leader, 'approve', {})
  await step(tokens.liaison, 'contact', { outcome: 'told', by: 'phone', at: '2026-12-28T01:00:00Z', note: '' })
  await step(tokens.clerk, 'reopen', { reason: '没有说清楚' })
  const before = new Map(
    await Promise.all(
      [plain, again].map(async ({ number }) => [number, (await findTicket(parts.db, number))?.due] as const)
    )
  )
  for (const [number, range] of before) t.ok(range?.provisional, `${number} is a range until the year is published`)

  const file = join(t.testdir({}), 'notice.json')
  const admin = (...args: string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', 'scripts/admin.ts', ...args], {
      env: { ...process.env, DATA_DIR: parts.config.dataDir, ...environment },
      encoding: 'utf8'
    })
  for (const [text, said] of [
    ['{"year": 2027, "papers": [], "days": [{"name": "元旦", "date": "2027-02-30", "isOffDay": true}]}', '2027-02-30'],
    ['日期,名称,安排,文号,年份\n2027-01-01,元旦,休息吧,示例1号,2027\n', '休息吧'],
    ['', '文件是空的']
  ] as const) {
    writeFileSync(file, text)
    const refused = admin('calendar', 'import', file)
    t.equal(refused.status, 1, refused.stdout)
    t.match(refused.stdout + refused.stderr, said)
    t.match(refused.stdout + refused.stderr, '什么也没有存入')
  }
  writeFileSync(file, NOTICE)
  const taken = admin('calendar', 'import', file)
  t.equal(taken.status, 0, taken.stdout + taken.stderr)
  await parts.follow()
  t.ok(parts.calendar().publishedYears.includes(2027), 'the running service counts by it')
  const written = await tend({ ...parts, retentionDays: 730 })
  t.equal(written, 2)
  for (const { number } of [plain, again]) {
    const ticket = await findTicket(parts.db, number)
    t.equal(ticket?.due?.provisional, false, `${number} is certain now`)
    t.ok((ticket?.due?.dueOn ?? '') >= (before.get(number)?.dueOn ?? ''), 'never earlier')
    t.equal(ticket?.promisedOn, before.get(number)?.dueOn, 'what the citizen was told stays on record')
    t.equal((await eventsOf(parts.db, number)).at(-1)?.type, 'recounted')
    const told = await parts.db.selectFrom('outbox').select('kind').where('number', '=', number).execute()
    t.ok(
      told.some(({ kind }) => kind === 'recounted'),
      'and is told about'
    )
  }
  t.equal(await tend({ ...parts, retentionDays: 730 }), 0, 'once')
}

t.test('SQLite', async (t) => counts(t, {}))
t.test('PostgreSQL', { skip: absent('PostgreSQL') }, async (t) => counts(t, { DATABASE_URL: await postgres(t) }))
