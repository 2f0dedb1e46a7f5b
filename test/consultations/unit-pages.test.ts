import t, { type Test } from 'tap'
import { actorOf, setSelfApproval } from '../../src/accounts/actors.ts'
import type { Actor } from '../../src/accounts/roles.ts'
import { openSession } from '../../src/accounts/sessions.ts'
import { addStaff } from '../../src/accounts/staff.ts'
import { act } from '../../src/consultations/act.ts'
import { eventsOf } from '../../src/consultations/events.ts'
import { type Intent, register } from '../../src/consultations/intake.ts'
import { signLink } from '../../src/consultations/links.ts'
import { findTicket } from '../../src/consultations/records.ts'
import type { Ticket } from '../../src/consultations/ticket.ts'
import { unitPages } from '../../src/consultations/unit/pages.ts'
import type { Parts } from '../../src/parts.ts'
import { absent, postgres } from '../peers.ts'
import { DISTRICT } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

t.setTimeout(120_000)

// A Tuesday, 10:00 in China.
const MORNING = new Date('2026-11-24T02:00:00Z')
const QUESTION = '退休人员的医保转到江北要等几天'
const ANSWER = '带身份证到区医保事务中心办理，十五个工作日办结。'
const BASIS = 'zc-1 第二条'
const HTML = 'text/html'

interface Page {
  statusCode: number
  body: string
  headers: Record<string, unknown>
}

/** A browser: somebody signed in, or nobody. */
interface Browser {
  get: (url: string) => Promise<Page>
  post: (url: string, fields: Record<string, string | string[]>) => Promise<Page>
}

interface Stage {
  parts: Parts
  liaison: Browser
  leader: Browser
  stranger: Browser
  nobody: Browser
  /** Registers at the desk and assigns to `unit`. */
  assigned: (given?: { question?: string; unit?: string; phone?: string }) => Promise<Ticket>
  ticket: (number: string) => Promise<Ticket>
  /** Sends a form of the ticket's page with the version it has now. */
  send: (browser: Browser, number: string, action: string, fields?: Record<string, string | string[]>) => Promise<Page>
  link: (number: string, given?: { unit?: string; role?: 'liaison' | 'leader'; expiresAt?: string }) => string
  /** Sets the clock; nobody has to sign in again. */
  clock: (at: string) => Promise<void>
}

async function stage(t: Test, environment: NodeJS.ProcessEnv = {}): Promise<Stage> {
  const { app, parts } = await testApp(t, { records: DISTRICT, environment: { SAMPLE_DATA: '0', ...environment } })
  if (!app.hasRoute({ method: 'GET', url: '/unit' })) await app.register(unitPages)
  let now = MORNING
  parts.now = () => now
  parts.today = () => new Date(now.getTime() + 8 * 3600_000).toISOString().slice(0, 10)
  const browser = (headers: Record<string, string>, csrf: string): Browser => ({
    get: (url) => app.inject({ url, headers: { ...headers, accept: HTML } }),
    post: (url, fields) => {
      const form = new URLSearchParams({ _csrf: csrf })
      for (const [name, value] of Object.entries(fields)) for (const one of [value].flat()) form.append(name, one)
      return app.inject({
        method: 'POST',
        url,
        headers: { ...headers, accept: HTML, 'content-type': 'application/x-www-form-urlencoded' },
        payload: form.toString()
      })
    }
  })
  const staff = async (username: string, role: 'clerk' | 'liaison' | 'leader', unit: string | null) => {
    const zone = role === 'clerk' ? 'XZZX01' : null
    await addStaff(parts, { username, name: `示例${username}`, role, zone, unit, mail: null }, now)
    await parts.db.updateTable('staff').set({ first_password: 0 }).execute()
    const row = await parts.db
      .selectFrom('staff')
      .selectAll()
      .where('username', '=', username)
      .executeTakeFirstOrThrow()
    const { id, csrf } = await openSession(parts.db, parts.secret, row.id, now)
    return { actor: await actorOf(parts.db, row, parts.today()), browser: browser({ cookie: `session=${id}` }, csrf) }
  }
  const clerk: Actor = (await staff('clerk', 'clerk', null)).actor
  const ticket = async (number: string) => {
    const found = await findTicket(parts.db, number)
    if (found === null) throw new Error(number)
    return found
  }
  let keys = 0
  return {
    parts,
    liaison: (await staff('liaison', 'liaison', 'ybj')).browser,
    leader: (await staff('leader', 'leader', 'ybj')).browser,
    stranger: (await staff('stranger', 'liaison', 'mzj')).browser,
    nobody: browser({}, ''),
    ticket,
    async assigned({ question = QUESTION, unit = 'ybj', phone = '13800138000' } = {}) {
      const intent: Intent = {
        key: `intent-${++keys}-${t.name.length}`,
        question,
        queryId: null,
        zone: 'XZZX01',
        channel: 'desk',
        audience: 'person',
        contact: { name: '王示例', phone },
        answeredWith: null,
        guidedTo: null,
        staff: clerk
      }
      const { number } = await register(parts, intent)
      const { version, state } = await ticket(number)
      if (state === 'JOINED') return await ticket(number)
      return await act(parts, clerk, number, version, { action: 'assign', body: { unit } })
    },
    async send(browser, number, action, fields = {}) {
      const { version } = await ticket(number)
      return await browser.post(`/unit/${number}/${action}`, { version: String(version), ...fields })
    },
    link: (number, { unit = 'ybj', role = 'liaison', expiresAt = '2026-12-08T02:00:00.000Z' } = {}) =>
      `/t/${signLink(parts.secret, { number, unit, role, expiresAt })}`,
    async clock(at) {
      now = new Date(at)
      await parts.db
        .updateTable('sessions')
        .set({ seen_at: now.toISOString(), expires_at: '2027-01-01T00:00:00.000Z' })
        .execute()
    }
  }
}

function onSqlite(name: string, run: (t: Test, stage: Stage) => Promise<void>): void {
  t.test(name, async (t) => await run(t, await stage(t)))
}

function onBoth(name: string, run: (t: Test, stage: Stage) => Promise<void>): void {
  t.test(`${name} (SQLite)`, async (t) => await run(t, await stage(t)))
  t.test(`${name} (PostgreSQL)`, { skip: absent('PostgreSQL') }, async (t) => {
    await run(t, await stage(t, { DATABASE_URL: await postgres(t) }))
  })
}

const told = { outcome: 'told', by: 'phone', at: '2026-11-24T10:00', note: '已说明' }
const drafted = { text: ANSWER, basis: [BASIS], titles: '' }

onBoth('a consultation goes from 交办 to the citizen by forms alone', async (t, { liaison, leader, ...s }) => {
  const { number } = await s.assigned()
  const list = await liaison.get('/unit')
  t.match(list.body, '等您办的（1）')
  t.match(list.body, '请签收')
  t.match(list.body, '还剩 5 个工作日')
  t.match((await leader.get('/unit')).body, '正在办、等别人的（1）')

  const page = await liaison.get(`/unit/${number}`)
  t.match(page.body, '签收，由本单位答复')
  t.match(page.body, '13800138000', 'the competent unit sees whom to answer')
  t.match(page.body, '2026年12月1日')
  t.match(page.body, 'href="/calendar?from&#x3D;2026-11-24&amp;workingDays&#x3D;5"')
  t.match((await s.send(liaison, number, 'accept')).headers.location, `/unit/${number}?said=accepted`)

  t.match((await s.send(liaison, number, 'draft', { ...drafted, submit: '0' })).headers.location, 'said=saved')
  t.match((await s.ticket(number)).state, 'DRAFTING')
  t.match((await liaison.get(`/unit/${number}`)).body, `value="${BASIS}" checked`)
  t.match((await s.send(liaison, number, 'draft', { ...drafted, submit: '1' })).headers.location, 'said=submitted')
  t.match((await liaison.get(`/unit/${number}`)).body, '等分管领导审核')
  t.notMatch((await liaison.get(`/unit/${number}`)).body, '/approve"')

  t.match((await leader.get('/unit')).body, '请审核')
  const review = await leader.get(`/unit/${number}`)
  t.match(review.body, ANSWER)
  t.notMatch(review.body, 'name="text"', 'a leader reviews and edits nothing')
  t.match((await s.send(leader, number, 'revise', { reason: '写明要带的材料' })).headers.location, 'said=revised')
  t.match((await liaison.get(`/unit/${number}`)).body, '写明要带的材料')
  await s.send(liaison, number, 'draft', { ...drafted, text: `${ANSWER}请带身份证。`, submit: '1' })
  t.match((await s.send(leader, number, 'approve')).headers.location, 'said=approved')
  t.match(await s.ticket(number), { state: 'APPROVED', approvedBy: 'leader', selfApproved: false })

  const tell = await liaison.get(`/unit/${number}`)
  t.match(tell.body, 'class="phone" href="tel:13800138000"')
  t.match(tell.body, '说明身份')
  t.match(tell.body, 'value="2026-11-24T10:00"', 'now, in China')
  t.match(
    (await s.send(liaison, number, 'contact', { ...told, outcome: 'unreached' })).headers.location,
    'said=unreached'
  )
  t.match((await liaison.get(`/unit/${number}`)).body, '已有 1 次没有联系上')
  t.match((await s.send(liaison, number, 'contact', told)).headers.location, 'said=told')
  const done = await s.ticket(number)
  t.match(done, { state: 'ANSWERED', answeredAt: '2026-11-24T02:00:00.000Z' })
  const after = await liaison.get(`/unit/${number}`)
  t.match(after.body, `href="/unit/${number}/bank"`)
  t.match(after.body, '10 个工作日内会重新办理')
  t.match(after.body, '示例leader审核通过')
  t.match(after.body, '政策咨询交办单')
  t.match((await liaison.get('/unit')).body, '现在没有要办的咨询')
  t.match((await liaison.get('/unit?closed=1')).body, number)
})

onBoth(
  'what is not the unit’s goes back with a reason and the unit that is competent',
  async (t, { liaison, ...s }) => {
    const { number } = await s.assigned()
    const noReason = await s.send(liaison, number, 'return', { reason: '  ', unit: 'mzj' })
    t.equal(noReason.statusCode, 422)
    t.match(noReason.body, '退回理由')
    t.match(noReason.body, 'value="mzj" selected')
    const noUnit = await s.send(liaison, number, 'return', { reason: '津贴归民政', unit: '' })
    t.match(noUnit.body, '应由哪个单位答复')
    t.match(noUnit.body, '津贴归民政</textarea>', 'the reason typed is kept')
    const own = await s.send(liaison, number, 'return', { reason: '津贴归民政', unit: 'ybj' })
    t.match([own.statusCode, own.body], [422, '不能是本单位'])
    const returned = await s.send(liaison, number, 'return', { reason: '津贴归民政', unit: 'mzj' })
    t.equal(returned.headers.location, '/unit?said=returned')
    t.match(await s.ticket(number), {
      state: 'RETURNED',
      unit: null,
      returns: [{ reason: '津贴归民政', proposed: 'mzj' }]
    })
    t.equal((await liaison.get(`/unit/${number}`)).statusCode, 404, 'it is no longer the unit’s')
    const second = await s.assigned({ question: '职工医保断缴三个月怎么补' })
    await s.send(liaison, second.number, 'return', { reason: '不归本局', unit: 'unknown' })
    t.match(await s.ticket(second.number), { returns: [{ proposed: null }] })
  }
)

onBoth('a unit sees its own tickets alone', async (t, { stranger, liaison, nobody, ...s }) => {
  const { number, version } = await s.assigned()
  t.notMatch((await stranger.get('/unit')).body, number)
  for (const url of [`/unit/${number}`, '/unit/ZX-XZZX01-20261124-9999-9', '/unit/x']) {
    const page = await stranger.get(url)
    t.match([page.statusCode, page.body], [404, '没有这件咨询'], url)
  }
  const posted = await stranger.post(`/unit/${number}/accept`, { version: String(version) })
  t.equal(posted.statusCode, 404)
  t.match(await s.ticket(number), { state: 'ASSIGNED', version })
  t.match((await nobody.get(`/unit/${number}`)).headers.location, '/login')
  t.equal((await liaison.get(`/unit/${number}`)).statusCode, 200)
})

onSqlite(
  'a draft nobody could store is shown again, whatever happened meanwhile',
  async (t, { liaison, leader, ...s }) => {
    const { number, version } = await s.assigned()
    const fields = { ...drafted, submit: '1', version: String(version) }
    const empty = await liaison.post(`/unit/${number}/draft`, { ...fields, text: ANSWER, basis: [] })
    t.match([empty.statusCode, empty.body], [422, '答复依据：请至少选一份文件'])
    t.match(empty.body, `>${ANSWER}</textarea>`)
    await s.send(liaison, number, 'draft', { ...drafted, text: '别人先写的一份', submit: '0' })
    const stale = await liaison.post(`/unit/${number}/draft`, fields)
    t.match([stale.statusCode, stale.body], [409, '刚刚被别人办理过'])
    t.match(stale.body, `>${ANSWER}</textarea>`, 'the text typed is still in the form')
    t.match(stale.body, '别人先写的一份', 'beside what is stored now')
    const { version: now } = await s.ticket(number)
    t.match(stale.body, `name="version" value="${now}"`, 'sent again it is stored')
    await s.send(liaison, number, 'draft', { ...drafted, submit: '1' })
    const late = await liaison.post(`/unit/${number}/draft`, { ...fields, text: '又一份写好的' })
    t.match([late.statusCode, late.body], [409, '您写的内容没有保存'])
    t.match(late.body, '又一份写好的')
    const long = await s.send(leader, number, 'revise', { reason: '长'.repeat(1001) })
    t.match([long.statusCode, long.body], [422, '请缩短到 1000 个字以内'])
    await s.send(leader, number, 'revise', { reason: '再改' })
    const huge = await s.send(liaison, number, 'draft', { ...drafted, text: '长'.repeat(20_001), submit: '0' })
    t.match([huge.statusCode, huge.body], [422, '请缩短到 20000 个字以内'])
  }
)

onSqlite('the same form sent twice does it once', async (t, { liaison, ...s }) => {
  const { number, version } = await s.assigned()
  const [first, second] = await Promise.all([
    liaison.post(`/unit/${number}/accept`, { version: String(version) }),
    liaison.post(`/unit/${number}/accept`, { version: String(version) })
  ])
  t.same([first.statusCode, second.statusCode].sort(), [303, 409])
  const events = (await eventsOf(s.parts.db, number)).filter(({ type }) => type === 'accepted')
  t.equal(events.length, 1)
  const noCsrf = await liaison.post(`/unit/${number}/draft`, { ...drafted, _csrf: 'x' })
  t.equal(noCsrf.statusCode, 403)
})

onSqlite('a candidate is copied or cited without script, and nothing is stored', async (t, { liaison, ...s }) => {
  const { number } = await s.assigned()
  const page = await liaison.get(`/unit/${number}`)
  t.match(page.body, 'name="copy" value="qa/yibao-001"')
  const before = await s.ticket(number)
  const copied = await s.send(liaison, number, 'draft', { text: '开头已经写了', copy: 'qa/yibao-001' })
  t.equal(copied.statusCode, 200)
  t.match(copied.body, '>开头已经写了\n\n带身份证到区医保事务中心办理')
  t.match(copied.body, `value="${BASIS}" checked`)
  const cited = await s.send(liaison, number, 'draft', {
    text: '只要依据',
    use: 'qa/yibao-001',
    titles: '示例办法第三条'
  })
  t.match(cited.body, '>只要依据</textarea>')
  t.match(cited.body, '>示例办法第三条</textarea>')
  t.match(cited.body, `value="${BASIS}" checked`)
  t.match((await s.send(liaison, number, 'draft', { text: '留着', copy: 'qa/nowhere' })).body, '没有抄入')
  t.same(await s.ticket(number), before)
  await s.send(liaison, number, 'draft', {
    text: ANSWER,
    titles: '《示例办法》江北示发〔2026〕9号第三条\r\n',
    submit: '1'
  })
  t.match(await s.ticket(number), { state: 'IN_REVIEW', draft: { basis: [{ document: null, title: /示例办法/ }] } })
})

onSqlite(
  'nobody approves what they wrote, but in a unit of one the office may allow it',
  async (t, { leader, ...s }) => {
    const { number } = await s.assigned()
    await s.send(leader, number, 'draft', { ...drafted, submit: '1' })
    const page = await leader.get(`/unit/${number}`)
    t.match(page.body, '要由另一个人审核')
    t.notMatch(page.body, '/approve"')
    const refused = await s.send(leader, number, 'approve')
    t.match([refused.statusCode, refused.body], [409, '自己写的答复要由另一个人审核'])
    t.match(await s.ticket(number), { state: 'IN_REVIEW' })
    await s.parts.db
      .updateTable('staff')
      .set({ disabled_at: MORNING.toISOString() })
      .where('username', '=', 'liaison')
      .execute()
    await setSelfApproval(s.parts.db, { unit: 'ybj', on: true, by: 'office', now: MORNING })
    t.match((await leader.get(`/unit/${number}`)).body, '自拟自审，审核通过')
    await s.send(leader, number, 'approve')
    t.match(await s.ticket(number), { state: 'APPROVED', selfApproved: true })
    t.match((await leader.get(`/unit/${number}`)).body, '审核通过（自拟自审）')
  }
)

onSqlite('a role that may not is told who may, on the page', async (t, { liaison, ...s }) => {
  const { number } = await s.assigned()
  await s.send(liaison, number, 'draft', { ...drafted, submit: '1' })
  const refused = await s.send(liaison, number, 'approve')
  t.match([refused.statusCode, refused.body], [403, '这一步由分管领导办理，您的身份是联络员'])
})

onBoth(
  'each consultant of a joined consultation is told, with a proof of their own',
  async (t, { liaison, leader, ...s }) => {
    const { number } = await s.assigned()
    const joined = await s.assigned({ phone: '13900139000' })
    t.match(joined, { state: 'JOINED', head: number, unit: 'ybj' })
    t.match((await liaison.get(`/unit/${joined.number}`)).body, '并入')
    await s.send(liaison, number, 'draft', { ...drafted, submit: '1' })
    t.notMatch((await liaison.get(`/unit/${number}`)).body, '一并告知')
    await s.send(leader, number, 'approve')
    const page = await liaison.get(`/unit/${number}`)
    t.match(page.body, `一并告知：${joined.number}`)
    t.match(page.body, 'tel:13900139000')
    await s.send(liaison, number, 'contact', told)
    t.match(await s.ticket(joined.number), { state: 'JOINED' }, 'one told, the other not yet')
    t.match((await liaison.get('/unit')).body, '请一并告知咨询人')
    const version = String((await s.ticket(joined.number)).version)
    const bad = await liaison.post(`/unit/${number}/contact`, {
      consultant: joined.number,
      version,
      ...told,
      outcome: '',
      note: '中午再打'
    })
    t.match([bad.statusCode, bad.body], [422, '联系结果'])
    t.match(bad.body, 'value="中午再打"')
    await liaison.post(`/unit/${number}/contact`, { consultant: joined.number, version, ...told })
    t.match(await s.ticket(joined.number), { state: 'ANSWERED', draft: { text: ANSWER } })
    const foreign = await s.assigned({ question: '八十岁老人的高龄津贴到哪里领', unit: 'mzj' })
    await liaison.post(`/unit/${number}/contact`, {
      consultant: foreign.number,
      version: String(foreign.version),
      ...told
    })
    t.match(await s.ticket(foreign.number), { state: 'ASSIGNED' }, 'nobody else’s is reached through this page')
  }
)

onSqlite(
  'urgency counts working days, and what is overdue waits for the leader too',
  async (t, { liaison, leader, ...s }) => {
    const { number } = await s.assigned()
    await s.clock('2026-11-30T02:00:00Z')
    t.match((await liaison.get('/unit')).body, '下一个工作日到期（1）')
    await s.clock('2026-12-01T02:00:00Z')
    t.match((await liaison.get('/unit')).body, '今天到期')
    await s.clock('2026-12-05T02:00:00Z')
    const list = await leader.get('/unit')
    t.match(list.body, '已超 3 个工作日')
    t.match(list.body, '已超期，请过问')
    t.match((await leader.get('/unit?overdue=1')).body, number)
    t.match((await leader.get('/unit?state=ASSIGNED')).body, number)
    t.match((await leader.get('/unit?state=DRAFTING')).body, '没有这样的咨询')
    t.equal((await leader.get('/unit?state=NOWHERE&page=x')).statusCode, 200)
  }
)

onSqlite('what somebody typed is text on the page', async (t, { liaison, leader, ...s }) => {
  const evil = '"><script>alert(1)</script>'
  const { number } = await s.assigned({ question: `医保${evil}怎么办` })
  const bad = await s.send(liaison, number, 'draft', { text: evil, titles: evil, submit: '1', note: evil })
  t.notMatch(bad.body, '<script>alert')
  await s.send(liaison, number, 'draft', { text: evil, titles: `${evil}办法`, submit: '1' })
  await s.send(leader, number, 'revise', { reason: evil })
  for (const url of [`/unit/${number}`, '/unit']) {
    const page = await liaison.get(url)
    t.equal(page.statusCode, 200)
    t.notMatch(page.body, '<script>alert', url)
  }
})

onBoth('a leader says who stands in, and only for the own unit', async (t, { leader, liaison, ...s }) => {
  t.equal((await liaison.get('/unit/stand-in')).statusCode, 403)
  const days = { from: '2026-11-24', until: '2026-11-25' }
  for (const [fields, problem] of [
    [{ absent: 'leader', staff: 'stranger', ...days }, '请选本单位的两个人'],
    [{ absent: 'leader', staff: 'leader', ...days }, '两位'],
    [{ absent: 'leader', staff: 'liaison', from: '2026-11-20', until: '2026-11-21' }, '已经过去'],
    [{ absent: 'leader', staff: 'liaison', from: '2026-13-01', until: '' }, '请选从哪天到哪天'],
    [{ absent: 'leader', staff: 'liaison', from: '2026-11-26', until: '2026-11-25' }, '早于第一天']
  ] as const) {
    const page = await leader.post('/unit/stand-in', fields)
    t.match([page.statusCode, page.body], [400, problem])
  }
  t.equal((await leader.post('/unit/stand-in', { absent: 'leader', staff: 'liaison', ...days })).statusCode, 303)
  const page = await leader.get('/unit/stand-in')
  t.match(page.body, '正在代办')
  t.match((await liaison.get('/unit')).body, '您今天代办区医保局分管领导的工作')
  const { number } = await s.assigned()
  await s.send(leader, number, 'draft', { ...drafted, submit: '1' })
  await s.send(liaison, number, 'approve')
  t.match(await s.ticket(number), { state: 'APPROVED', approvedBy: 'liaison' })
  const id = /name="id" value="([^"]+)"/.exec((await leader.get('/unit/stand-in')).body)?.[1] ?? ''
  t.equal((await leader.post('/unit/stand-in/end', { id })).statusCode, 303)
  t.match((await leader.get('/unit/stand-in')).body, '没有人代办')
})

onBoth('without an account a link opens one ticket: one drafts, another approves', async (t, { nobody, ...s }) => {
  const { number } = await s.assigned()
  const [liaison, leader] = [s.link(number), s.link(number, { role: 'leader' })]
  const send = async (link: string, action: string, fields: Record<string, string | string[]> = {}) =>
    await nobody.post(`${link}/${action}`, { version: String((await s.ticket(number)).version), ...fields })
  const page = await nobody.get(liaison)
  t.equal(page.statusCode, 200)
  t.match(page.headers, { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-robots-tag': /noindex/ })
  t.match(page.body, '身份是区医保局联络员')
  t.match(page.body, '13800138000')
  t.equal((await send(liaison, 'accept')).headers.location, `${liaison}?said=accepted`)
  await send(liaison, 'draft', { ...drafted, submit: '1' })
  t.equal((await send(liaison, 'approve')).statusCode, 403)
  t.equal((await send(leader, 'approve')).statusCode, 303)
  await send(liaison, 'contact', told)
  t.match(await s.ticket(number), {
    state: 'ANSWERED',
    draft: { by: '链接:ybj:liaison' },
    approvedBy: '链接:ybj:leader',
    selfApproved: false
  })
  const done = await nobody.get(leader)
  t.match(done.body, '区医保局联络员（链接）')
  t.notMatch(done.body, '/bank"', 'that page asks for an account')
  t.equal((await nobody.get(`/unit/${number}`)).statusCode, 302, 'a link is no session')
})

onSqlite(
  'a link that has expired, is forged, or whose ticket left the unit says what to do',
  async (t, { nobody, liaison, ...s }) => {
    const { number } = await s.assigned()
    const other = await s.assigned({ question: '高龄津贴到哪里领取', unit: 'mzj' })
    const expired = s.link(number, { expiresAt: '2026-11-24T01:59:59.000Z' })
    const [payload = '', signature = ''] = s.link(number).slice('/t/'.length).split('.')
    const foreign = Buffer.from(JSON.stringify([other.number, 'mzj', 'leader', '2027-01-01T00:00:00.000Z'])).toString(
      'base64url'
    )
    for (const [url, status, text] of [
      [expired, 410, '链接已经过期'],
      [`/t/${foreign}.${signature}`, 403, '链接不完整或者不对'],
      [`/t/${payload}.${'é'.repeat(43)}`, 403, '链接不完整或者不对'],
      [`/t/${payload}.${signature.slice(1)}`, 403, '链接不完整或者不对'],
      ['/t/x', 403, '链接不完整或者不对'],
      [s.link(other.number), 404, '已经不在您单位'],
      [s.link('ZX-XZZX01-20261124-9999-9'), 404, '已经不在您单位']
    ] as const) {
      const page = await nobody.get(encodeURI(url))
      t.match([page.statusCode, page.body], [status, text])
      t.equal(page.headers['cache-control'], 'no-store')
      const { version } = await s.ticket(number)
      t.equal((await nobody.post(encodeURI(`${url}/accept`), { version: String(version) })).statusCode, status)
    }
    t.match(await s.ticket(number), { state: 'ASSIGNED' })
    const link = s.link(number)
    const { version } = await s.ticket(number)
    // Whoever is signed in on the device: the link acts for the unit.
    t.match((await liaison.get(link)).body, '您凭链接办理这一件')
    const fields = { version: String(version), reason: '不归本局', unit: 'mzj', _csrf: '' }
    const returned = await liaison.post(`${link}/return`, fields)
    t.equal(returned.headers.location, `${link}?said=returned`)
    t.match([(await nobody.get(`${link}?said=returned`)).statusCode, (await nobody.get(link)).statusCode], [200, 404])
    t.match(await s.ticket(number), { returns: [{ by: '链接:ybj:liaison' }] })
  }
)

onSqlite('a question asked twice in other words is joined by the liaison', async (t, { liaison, ...s }) => {
  const first = await s.assigned({ question: '退休人员的职工医保怎么从外地转到江北来' })
  const second = await s.assigned({ question: '退休了，职工医保怎么从外地转到江北' })
  const page = await liaison.get(`/unit/${second.number}`)
  t.match(page.body, '可能有人问过同样的事')
  t.match(page.body, `name="number" value="${first.number}"`)
  t.match((await s.send(liaison, second.number, 'join', { number: first.number })).headers.location, 'said=joined')
  t.match(await s.ticket(second.number), { state: 'JOINED', head: first.number })
})
