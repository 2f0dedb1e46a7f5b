import t, { type Test } from 'tap'
import { openSession } from '../../src/accounts/sessions.ts'
import { addStaff } from '../../src/accounts/staff.ts'
import { deskPages } from '../../src/consultations/desk/pages.ts'
import { eventsOf } from '../../src/consultations/events.ts'
import { labelOn } from '../../src/consultations/labels.ts'
import { park } from '../../src/consultations/parked.ts'
import { findTicket } from '../../src/consultations/records.ts'
import type { Ticket } from '../../src/consultations/ticket.ts'
import { TRAIL_MINUTES } from '../../src/consultations/trails.ts'
import type { Parts } from '../../src/parts.ts'
import { absent, postgres } from '../peers.ts'
import { DISTRICT } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

t.setTimeout(120_000)

// A Tuesday, 10:00 in China.
const MORNING = new Date('2026-11-24T02:00:00Z')
const KNOWN = '我妈退休了医保怎么转到江北来'
const UNKNOWN = '家门口的梧桐树挡光，找谁修剪'
const HTML = 'text/html'

interface Desk {
  parts: Parts
  get: (url: string) => Promise<{ statusCode: number; body: string; headers: Record<string, unknown> }>
  post: (url: string, fields: Record<string, string>) => ReturnType<Desk['get']>
  /** Posts and reads which consultation was registered. */
  registered: (url: string, fields: Record<string, string>) => Promise<Ticket>
  as: (role: 'clerk' | 'office' | 'liaison', zone: string | null) => Promise<Desk>
  ticket: (number: string) => Promise<Ticket>
  clock: (at: Date) => void
}

async function desk(t: Test, environment: NodeJS.ProcessEnv = {}): Promise<Desk> {
  const { app, parts } = await testApp(t, {
    records: DISTRICT,
    environment: { SAMPLE_DATA: '0', TODAY: '2026-11-24', ALLOW_TODAY: '1', ...environment }
  })
  if (!app.hasRoute({ method: 'GET', url: '/desk' })) await app.register(deskPages)
  let now = MORNING
  parts.now = () => now
  let people = 0
  const as: Desk['as'] = async (role, zone) => {
    const username = `${role}${++people}`
    const unit = role === 'liaison' ? 'ybj' : null
    await addStaff(parts, { username, name: `示例${username}`, role, zone, unit, mail: null }, now)
    await parts.db.updateTable('staff').set({ first_password: 0 }).execute()
    const { id: staff } = await parts.db
      .selectFrom('staff')
      .select('id')
      .where('username', '=', username)
      .executeTakeFirstOrThrow()
    const session = await openSession(parts.db, parts.secret, staff, now)
    const headers = { cookie: `session=${session.id}`, accept: HTML }
    const get: Desk['get'] = (url) => app.inject({ url, headers })
    const post: Desk['post'] = (url, fields) =>
      app.inject({
        method: 'POST',
        url,
        headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
        payload: new URLSearchParams({ _csrf: session.csrf, ...fields }).toString()
      })
    const ticket = async (number: string) => {
      const found = await findTicket(parts.db, number)
      if (found === null) throw new Error(number)
      return found
    }
    const registered: Desk['registered'] = async (url, fields) => {
      const response = await post(url, fields)
      const done = /done=([\w-]+)/.exec(String(response.headers.location))?.[1]
      if (response.statusCode !== 303 || done === undefined) throw new Error(response.body)
      return await ticket(done)
    }
    return {
      parts,
      get,
      post,
      registered,
      as,
      ticket,
      clock: (at) => {
        now = at
      }
    }
  }
  return await as('clerk', 'XZZX01')
}

function onBoth(name: string, run: (t: Test, desk: Desk) => Promise<void>): void {
  t.test(`${name} (SQLite)`, async (t) => await run(t, await desk(t)))
  t.test(`${name} (PostgreSQL)`, { skip: absent('PostgreSQL') }, async (t) => {
    await run(t, await desk(t, { DATABASE_URL: await postgres(t) }))
  })
}

let keys = 0
const newKey = () => `form-key-${++keys}`
const person = { name: '王示例', phone: '138 0013 8000' }
const form = (fields: Record<string, string>) => ({ key: newKey(), question: UNKNOWN, ...person, ...fields })

onBoth(
  'a known answer is registered once with its search, and the first candidate is labelled right',
  async (t, desk) => {
    const page = await desk.get(`/desk?q=${encodeURIComponent(KNOWN)}`)
    t.match(page.body, '有把握')
    t.match(page.body, '带身份证到区医保事务中心办理')
    t.match(page.body, '江北区职工医保关系转移办法')
    const key = /name="key" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    const fields = { key, question: KNOWN, entry: 'yibao-001', channel: 'phone' }
    const ticket = await desk.registered('/desk/answer', fields)
    t.match(ticket, { state: 'ANSWERED_ON_SPOT', channel: 'phone', entry: { id: 'yibao-001', version: 1 } })
    t.equal(ticket.search.candidates[0]?.key, 'qa/yibao-001')
    const [first, second] = await Promise.all([
      desk.registered('/desk/answer', fields),
      desk.registered('/desk/answer', fields)
    ])
    t.same([first.number, second.number], [ticket.number, ticket.number], 'sent again it is the same one')
    t.match(await labelOn(desk.parts.db, ticket.search.queryId), { label: 'right', place: 0 })
    const done = await desk.get(`/desk?done=${ticket.number}`)
    t.match(done.body, `已登记 <a href="/desk/${ticket.number}">`)
  }
)

onBoth('a wrong key is corrected by a second event, and so is what it said of the search', async (t, desk) => {
  const ticket = await desk.registered('/desk/answer', { key: newKey(), question: KNOWN, entry: 'hunyin-001' })
  t.match(await labelOn(desk.parts.db, ticket.search.queryId), { label: 'other', entry: 'qa/hunyin-001' })
  const corrected = { version: String(ticket.version), entry: 'yibao-001', back: 'desk' }
  for (const click of ['once', 'twice']) {
    const response = await desk.post(`/desk/${ticket.number}/answer`, corrected)
    t.equal(response.statusCode, 303, click)
  }
  const after = await desk.ticket(ticket.number)
  t.match(after, { state: 'ANSWERED_ON_SPOT', entry: { id: 'yibao-001' }, corrections: [{ before: 'hunyin-001' }] })
  t.equal((await eventsOf(desk.parts.db, ticket.number)).length, 3)
  t.match(await labelOn(desk.parts.db, ticket.search.queryId), { label: 'right' })
})

onBoth('what the bank lacks is registered and assigned with one key, whatever is sent twice', async (t, desk) => {
  const page = await desk.get(`/desk/new?q=${encodeURIComponent('高龄津贴没到账，找哪个')}`)
  t.match(page.body, /name="unit" value="mzj" checked/)
  t.match(page.body, '最迟 2026年12月1日 答复咨询人')
  t.match(page.body, '请念给咨询人听')
  const fields = form({ unit: 'mzj', step: 'assign' })
  const ticket = await desk.registered('/desk/register', fields)
  t.match(ticket, { state: 'ASSIGNED', unit: 'mzj', due: { dueOn: '2026-12-01' } })
  t.equal((await desk.registered('/desk/register', fields)).version, ticket.version)
  t.match(await labelOn(desk.parts.db, ticket.search.queryId), { label: 'wrong' })
  const reused = await desk.post('/desk/register', { ...fields, question: '另一件事，问公租房租金' })
  t.equal(reused.statusCode, 422)
  t.match(reused.body, '这张表刚才已经登记过一件了')
  t.match(reused.body, '另一件事，问公租房租金')
  const later = await desk.registered('/desk/register', form({ question: '广场舞太吵归谁管', step: 'later' }))
  t.equal(later.state, 'TO_ASSIGN')
  const guided = await desk.registered('/desk/register', {
    key: newKey(),
    question: '身份证丢了怎么补办',
    otherUnit: 'mzj',
    step: 'guide'
  })
  t.match(guided, { state: 'GUIDED_ELSEWHERE', guidedTo: 'mzj', hasContact: false })
  t.match((await desk.get(`/desk/${guided.number}/contact-slip`)).body, '请联系：区民政局')
})

onBoth('a question is joined to an open one', async (t, desk) => {
  const head = await desk.registered('/desk/register', form({ unit: 'mzj', step: 'assign' }))
  const question = '门口的梧桐树太密了，哪个部门来修枝'
  const joined = await desk.registered('/desk/register', form({ question, step: `join:${head.number}` }))
  t.match(joined, { state: 'JOINED', head: head.number, unit: 'mzj' })
})

onBoth('what is half typed waits for the next person at the same desk, sealed', async (t, desk) => {
  const fields = form({ name: '', phone: '1380013', step: 'park' })
  for (const _ of ['once', 'twice']) t.equal((await desk.post('/desk/register', fields)).statusCode, 303)
  const rows = await desk.parts.db.selectFrom('parked').selectAll().execute()
  t.equal(rows.length, 1)
  t.notMatch(rows[0]?.content, '1380013')
  const next = await desk.as('clerk', 'XZZX01')
  const href = `/desk/new?parked=${/parked(?:=|&#x3D;)([0-9a-f]+)/.exec((await next.get('/desk')).body)?.[1]}`
  const page = await next.get(href)
  t.match(page.body, 'value="1380013"')
  const [, key, parked] = /name="key" value="([^"]+)".*name="parked" value="([^"]+)"/s.exec(page.body) ?? []
  await next.registered('/desk/register', form({ key: key ?? '', parked: parked ?? '', step: 'later' }))
  t.equal((await desk.parts.db.selectFrom('parked').selectAll().execute()).length, 0)
  t.match((await next.get(href)).body, '已经被别人接着办了')
  await park(desk.parts, {
    key: 'k',
    zone: 'XZZX01',
    staff: 'x',
    half: { question: '', name: '', phone: '', audience: 'person', channel: 'desk', unit: '', query: '' },
    now: MORNING
  })
  const other = await desk.as('clerk', 'GYQ01')
  t.notMatch((await other.get('/desk')).body, /parked(?:=|&#x3D;)/)
})

onBoth('a kiosk’s code opens what was asked, masked, at its own desk for half an hour', async (t, desk) => {
  const { parts } = desk
  const { queryId } = JSON.parse(
    (await desk.get(`/api/v1/answers?zone=XZZX01&q=${encodeURIComponent('医保问题 电话13800138000')}`)).body
  ) as { queryId: string }
  const page = await desk.get(`/z/XZZX01/trail?query=${queryId}`)
  const code = /class="trail-code">(\d{3} \d{3})</.exec(page.body)?.[1] ?? ''
  const again = await desk.get(`/z/XZZX01/trail?query=${queryId}`)
  t.match(again.body, code, 'shown again it is the same code')
  const opened = await desk.get(`/desk?trail=${encodeURIComponent(code)}`)
  t.match(opened.body, '医保问题 电话〔电话〕')
  t.ok(opened.body.includes(queryId), 'the registration rests on the very search')
  const other = await desk.as('clerk', 'GYQ01')
  t.match((await other.get(`/desk?trail=${encodeURIComponent(code)}`)).body, '没有这个码')
  desk.clock(new Date(MORNING.getTime() + (TRAIL_MINUTES + 1) * 60_000))
  t.match((await desk.get(`/desk?trail=${encodeURIComponent(code)}`)).body, '没有这个码')
  t.equal((await desk.get('/z/XZZX01/trail?query=nothing')).statusCode, 422)
  t.equal((await parts.db.selectFrom('trails').selectAll().execute()).length, 1)
})

t.test('a kiosk without a desk hands its trail to the nearest one that has', async (t) => {
  const clerk = await desk(t)
  const { queryId } = JSON.parse(
    (await clerk.get(`/api/v1/answers?zone=SQ01&q=${encodeURIComponent(KNOWN)}`)).body
  ) as { queryId: string }
  const page = await clerk.get(`/z/SQ01/trail?query=${queryId}`)
  const code = /class="trail-code">(\d{3} \d{3})</.exec(page.body)?.[1] ?? ''
  t.match((await clerk.get(`/desk?trail=${encodeURIComponent(code)}`)).body, KNOWN)
})

onBoth('who looks at a contact says why, is written down, and sees it once', async (t, desk) => {
  const { number } = await desk.registered('/desk/register', form({ step: 'later' }))
  const page = await desk.get(`/desk/${number}`)
  t.match(page.body, '138****8000')
  t.notMatch(page.body, '13800138000')
  t.equal((await desk.post(`/desk/${number}/unmask`, { reason: ' ' })).statusCode, 422)
  const seen = await desk.post(`/desk/${number}/unmask`, { reason: '回电核对地址' })
  t.match(seen.body, '王示例')
  t.match(seen.body, '13800138000')
  t.match(seen.body, '查看联系方式：回电核对地址')
  t.notMatch((await desk.get(`/desk/${number}`)).body, '13800138000')
  t.equal((await eventsOf(desk.parts.db, number)).at(-1)?.type, 'unmasked')
})

onBoth('what waits turns red an hour before closing, and the next day', async (t, desk) => {
  await desk.registered('/desk/register', form({ step: 'later' }))
  t.notMatch((await desk.get('/desk')).body, 'ticket late')
  desk.clock(new Date('2026-11-24T08:31:00Z'))
  t.match((await (await desk.as('clerk', 'XZZX01')).get('/desk')).body, '下班前交办')
  desk.clock(new Date('2026-11-25T01:00:00Z'))
  desk.parts.today = () => '2026-11-25'
  t.match((await (await desk.as('clerk', 'XZZX01')).get('/desk')).body, '隔日未交办')
})

t.test('what is wrong comes back in the form with what was typed, and nothing is registered', async (t) => {
  const clerk = await desk(t)
  const wrong: [Record<string, string>, string, number][] = [
    [{ phone: '123' }, '电话：请写 11 位手机号', 400],
    [{ name: ' ' }, '姓名：请写怎么称呼您', 400],
    [{ question: '？！' }, '请写出您要问的事', 400],
    [{ question: '树'.repeat(10_000) }, '问题太长了，请缩短到2000个字以内', 413],
    [{ step: 'assign', unit: '' }, '答复单位：请选一个单位', 422],
    [{ step: 'assign', unit: 'dissolved' }, '答复单位：请选一个单位', 422],
    [{ step: 'guide', unit: 'dissolved' }, '引导单位：请选一个单位', 422],
    [{ key: 'short' }, 'Idempotency-Key', 400]
  ]
  for (const [given, message, status] of wrong) {
    const fields = form({ step: 'later', name: '<b>王</b>"', ...given })
    const response = await clerk.post('/desk/register', fields)
    t.equal(response.statusCode, status, message)
    t.match(response.body, message)
    t.notMatch(response.body, '<b>王')
    if (given.name === undefined) t.match(response.body, '&lt;b&gt;王&lt;/b&gt;&quot;')
    t.ok(response.body.includes(fields.question ?? '?'), 'the question is kept')
  }
  const unknown = await clerk.post('/desk/answer', { key: newKey(), question: KNOWN, entry: 'nothing-001' })
  t.equal(unknown.statusCode, 422)
  t.match(unknown.body, '问答库里没有编号为 nothing-001 的问答')
  t.match(unknown.body, KNOWN)
  t.equal((await clerk.parts.db.selectFrom('consultations').selectAll().execute()).length, 0)
})

t.test('what a citizen typed is text on every page', async (t) => {
  const clerk = await desk(t)
  const question = '<script>alert(1)</script>怎么办理"><img src=x>'
  const { number } = await clerk.registered('/desk/register', form({ question, unit: 'mzj', step: 'assign' }))
  for (const url of ['/desk', `/desk/${number}`, `/desk/${number}/slip`, `/desk?q=${encodeURIComponent(question)}`]) {
    const { body } = await clerk.get(url)
    t.notMatch(body, '<script>alert', url)
    t.notMatch(body, '<img src=x', url)
    t.match(body, '&lt;script&gt;', url)
  }
})

t.test('a ticket is stepped on from its page, and a step that is not allowed says what is', async (t) => {
  const clerk = await desk(t)
  const { number, version } = await clerk.registered('/desk/register', form({ step: 'later' }))
  const noUnit = await clerk.post(`/desk/${number}/assign`, { version: String(version) })
  t.match(noUnit.body, '答复单位：请选一个单位')
  t.equal((await clerk.post(`/desk/${number}/assign`, { version: String(version), unit: 'mzj' })).statusCode, 303)
  const other = await clerk.as('clerk', 'XZZX01')
  const stale = await other.post(`/desk/${number}/assign`, { version: String(version), unit: 'ybj' })
  t.equal(stale.statusCode, 409)
  t.match(stale.body, '刚刚被别人办理过')
  const answer = await clerk.post(`/desk/${number}/answer`, { version: String(version + 1), entry: 'yibao-001' })
  t.equal(answer.statusCode, 409)
  t.match(answer.body, '现在可以')
  t.match((await clerk.post(`/desk/${number}/withdraw`, { version: String(version + 1) })).body, '原因：请写明原因')
  const reason = '咨询人说不用了'
  await clerk.post(`/desk/${number}/withdraw`, { version: String(version + 1), reason })
  t.match((await clerk.get(`/desk/${number}`)).body, `撤回：${reason}`)
})

t.test('the slip names zone, number, code and due day; the code is for the zone’s own desk', async (t) => {
  const clerk = await desk(t)
  const { number } = await clerk.registered('/desk/register', form({ unit: 'mzj', step: 'assign' }))
  const { body } = await clerk.get(`/desk/${number}/slip`)
  for (const wanted of [
    '区行政服务中心政务公开专区',
    number,
    '区民政局',
    '2026年12月1日',
    'data:image/svg+xml;base64,'
  ])
    t.ok(body.includes(wanted), wanted)
  t.match(body, /class="slip-code">[2-9A-Z]{6}</)
  const office = await clerk.as('office', null)
  t.notMatch((await office.get(`/desk/${number}/slip`)).body, /slip-code/)
  const stranger = await clerk.as('clerk', 'GYQ01')
  for (const path of ['', '/slip', '/contact-slip']) {
    t.equal((await stranger.get(`/desk/${number}${path}`)).statusCode, 404)
  }
  const known = await clerk.registered('/desk/answer', { key: newKey(), question: KNOWN, entry: 'yibao-001' })
  const told = await clerk.get(`/desk/${known.number}/slip`)
  for (const wanted of ['政策咨询答复单', '带身份证到区医保事务中心', '江北示发〔2025〕3号', '第 1 版'])
    t.ok(told.body.includes(wanted), wanted)
})

t.test('the office may look, a unit may not, and nobody without a session', async (t) => {
  const clerk = await desk(t)
  const { number } = await clerk.registered('/desk/register', form({ step: 'later' }))
  const office = await clerk.as('office', null)
  const page = await office.get('/desk')
  t.match(page.body, UNKNOWN)
  t.notMatch(page.body, 'action="/desk/answer"')
  t.equal((await office.get(`/desk/${number}`)).statusCode, 200)
  t.equal((await office.post('/desk/register', form({ step: 'later' }))).statusCode, 403)
  const liaison = await clerk.as('liaison', null)
  t.equal((await liaison.get('/desk')).statusCode, 403)
})
