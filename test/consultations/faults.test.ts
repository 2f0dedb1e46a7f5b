import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { eventsOf } from '../../src/consultations/events.ts'
import { findTicket } from '../../src/consultations/records.ts'
import { verify } from '../../src/operations/verify.ts'
import { absent, postgres } from '../peers.ts'
import { registered, type Service, service } from './people.ts'

t.setTimeout(120_000)

let keys = 0
const post = async ({ call }: Service, key: string, more: object = {}) =>
  await call(
    null,
    'POST',
    '/consultations',
    {
      question: '火星移民补贴在哪里领',
      zone: 'XZZX01',
      channel: 'web',
      contact: { name: '示例市民', phone: '13800000001' },
      noticeSeen: true,
      ...more
    },
    { 'idempotency-key': key }
  )
const fresh = () => `fault-key-${++keys}`
const countOf = async ({ parts }: Service) =>
  (await parts.db.selectFrom('consultations').select('number').execute()).length

t.test('a full disk is told in Chinese, nothing is half written, and with room again it goes on', async (t) => {
  const own = await service(t)
  await post(own, fresh())
  const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(own.parts.db)
  await sql.raw(`pragma max_page_count = ${rows[0]?.page_count}`).execute(own.parts.db)
  const [statuses, key] = [new Map<number, number>(), fresh()]
  let refused: { status: number; raw: string } | null = null
  for (let at = 0; at < 60 && refused === null; at++) {
    const reply = await post(own, at === 0 ? key : fresh(), { question: `第${at}件：${'很长的问题'.repeat(150)}` })
    statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1)
    if (reply.status !== 201) refused = reply
  }
  t.equal(refused?.status, 507)
  t.match(refused?.raw, '磁盘已满')
  t.equal(await countOf(own), 1 + (statuses.get(201) ?? 0), 'what was refused is not there')
  await sql`pragma max_page_count = 1073741823`.execute(own.parts.db)
  t.equal((await post(own, fresh())).status, 201, 'it goes on by itself')
})

t.test(
  'while PostgreSQL is away every step says so, and nothing acknowledged is lost',
  { skip: absent('PostgreSQL') },
  async (t) => {
    const url = await postgres(t)
    const own = await service(t, { DATABASE_URL: url })
    const first = await registered(own, '火星移民补贴在哪里领')
    const name = new URL(url).pathname.slice(1)
    const elsewhere = new URL(url)
    elsewhere.pathname = '/postgres'
    const client = new pg.Client({ connectionString: elsewhere.href })
    await client.connect()
    await client.query(`alter database ${name} with allow_connections false`)
    await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = $1`, [name])
    const key = fresh()
    const refused = await post(own, key)
    t.equal(refused.status, 503, refused.raw)
    t.match(refused.raw, /[一-鿿]/)
    const page = await own.app.inject({ url: '/track', headers: { accept: 'text/html' } })
    t.ok(page.statusCode === 200 || page.statusCode === 503, 'pages do not hang')
    t.equal((await own.app.inject({ url: '/readyz' })).statusCode, 503, 'it says that it is not ready')
    await client.query(`alter database ${name} with allow_connections true`)
    await client.end()
    const again = await post(own, key)
    t.equal(again.status, 201, 'the same form sent again is taken')
    t.ok(await findTicket(own.parts.db, first.number), 'what was acknowledged is there')
    t.equal(await countOf(own), 2)
  }
)

t.test('a clock set back a day breaks no number, no chain and no promise', async (t) => {
  const own = await service(t, { TODAY: '2026-11-24' })
  const { parts, call, tokens } = own
  const one = await registered(own, '火星移民补贴在哪里领')
  const due = (await findTicket(parts.db, one.number))?.due
  parts.today = () => '2026-11-23'
  const now = parts.now()
  parts.now = () => new Date(now.getTime() - 24 * 3600_000)
  const other = await registered(own, '月球移民补贴在哪里领')
  t.not(other.number, one.number)
  const assigned = await call(tokens.clerk, 'POST', `/tickets/${one.number}/assign`, { version: 1, unit: 'ybj' })
  t.equal(assigned.status, 200)
  t.ok(((await findTicket(parts.db, one.number))?.promisedOn ?? '') >= (due?.dueOn ?? ''))
  const versions = (await eventsOf(parts.db, one.number)).map(({ version }) => version)
  t.same(versions, [1, 2])
  t.same((await verify(parts.db, parts.config.database)).findings, [])
})

t.test('what citizens type is refused by field, or kept as text', async (t) => {
  const own = await service(t)
  const { call, tokens, parts } = own
  const cases: [object, RegExp][] = [
    [{ contact: { name: '示例市民', phone: '12' } }, /电话/],
    [{ contact: { name: ' ', phone: '13800000001' } }, /姓名|称呼/],
    [{ question: '问'.repeat(10_000) }, /2000|2,000|字/],
    [{ question: '' }, /问题|要问的事/],
    [{ zone: 'none' }, /专区/]
  ]
  for (const [more, said] of cases) {
    const reply = await post(own, fresh(), more)
    t.ok(reply.status >= 400 && reply.status < 500, JSON.stringify(more).slice(0, 60))
    t.match(reply.raw, said)
  }
  t.equal(await countOf(own), 0, 'nothing is half written')
  const hostile = await post(own, fresh(), {
    question: '<script>alert(1)</script>火星补贴怎么领',
    contact: { name: '=1+1示例', phone: '13800000001' }
  })
  t.equal(hostile.status, 201)
  const { number } = hostile.body
  const page = await own.app.inject({
    url: `/desk/${number}`,
    headers: { authorization: `Bearer ${tokens.clerk}`, accept: 'text/html' }
  })
  t.notMatch(page.body, '<script>alert(1)')
  const dissolved = await call(tokens.clerk, 'POST', `/tickets/${number}/assign`, { version: 1, unit: 'gone' })
  t.equal(dissolved.status, 422)
  t.match(dissolved.raw, '单位')
  const notNow = await call(tokens.clerk, 'POST', `/tickets/${number}/reopen`, { version: 1, reason: '再办' })
  t.equal(notNow.status, 409)
  t.match(notNow.raw, /交办/, 'and says what may be done')
  t.equal((await findTicket(parts.db, number))?.version, 1)
})
