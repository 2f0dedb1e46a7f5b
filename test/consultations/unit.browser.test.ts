import { AxeBuilder } from '@axe-core/playwright'
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import t from 'tap'
import { extractText, getDocumentProxy } from 'unpdf'
import { actorOf } from '../../src/accounts/actors.ts'
import type { Actor } from '../../src/accounts/roles.ts'
import { openSession } from '../../src/accounts/sessions.ts'
import { addStaff } from '../../src/accounts/staff.ts'
import { act } from '../../src/consultations/act.ts'
import { register } from '../../src/consultations/intake.ts'
import { signLink } from '../../src/consultations/links.ts'
import { findTicket } from '../../src/consultations/records.ts'
import type { Ticket } from '../../src/consultations/ticket.ts'
import { unitPages } from '../../src/consultations/unit/pages.ts'
import { absent, chromium as chromiumPath } from '../peers.ts'
import { DISTRICT } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

const skip = absent('Chromium')
const SCREENS = { desktop: { width: 1366, height: 768 }, phone: { width: 390, height: 844 } }
const MODES = ['normal', 'large', 'high'] as const
/** The smallest side of a target, CSS pixels, as on the public desktop pages. */
const TARGET = 44
const QUESTION = '退休人员的医保转到江北要等几天'
const ANSWER = '带身份证到区医保事务中心办理，十五个工作日办结。'

t.setTimeout(300_000)

t.test('the unit’s pages in a real browser', { skip, timeout: 300_000 }, async (t) => {
  const { app, parts } = await testApp(t, {
    records: DISTRICT,
    environment: { SAMPLE_DATA: '0', TODAY: '2026-11-24', ALLOW_TODAY: '1' }
  })
  if (!app.hasRoute({ method: 'GET', url: '/unit' })) await app.register(unitPages)
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const account = async (role: 'clerk' | 'liaison' | 'leader'): Promise<{ actor: Actor; session: string }> => {
    const [zone, unit] = role === 'clerk' ? ['XZZX01', null] : [null, 'ybj']
    await addStaff(parts, { username: role, name: `示例${role}`, role, zone, unit, mail: null }, parts.now())
    await parts.db.updateTable('staff').set({ first_password: 0 }).execute()
    const row = await parts.db.selectFrom('staff').selectAll().where('username', '=', role).executeTakeFirstOrThrow()
    const { id } = await openSession(parts.db, parts.secret, row.id, parts.now())
    return { actor: await actorOf(parts.db, row, parts.today()), session: id }
  }
  const people = { clerk: await account('clerk'), liaison: await account('liaison'), leader: await account('leader') }
  const ticket = async (number: string): Promise<Ticket> => {
    const found = await findTicket(parts.db, number)
    if (found === null) throw new Error(number)
    return found
  }
  let keys = 0
  const assigned = async (question: string): Promise<string> => {
    const { number } = await register(parts, {
      key: `browser-${++keys}`,
      question,
      queryId: null,
      zone: 'XZZX01',
      channel: 'desk',
      audience: 'person',
      contact: { name: '王示例', phone: '13800138000' },
      answeredWith: null,
      guidedTo: null,
      staff: people.clerk.actor
    })
    const { version, state } = await ticket(number)
    if (state !== 'JOINED')
      await act(parts, people.clerk.actor, number, version, { action: 'assign', body: { unit: 'ybj' } })
    return number
  }
  const link = (number: string, role: 'liaison' | 'leader') =>
    `/t/${signLink(parts.secret, { number, unit: 'ybj', role, expiresAt: '2026-12-08T00:00:00.000Z' })}`
  const browser = await chromium.launch({
    executablePath: chromiumPath() ?? '',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
  })
  t.teardown(() => browser.close())
  const open = async (
    who: 'liaison' | 'leader' | null,
    options: BrowserContextOptions = {},
    mode: (typeof MODES)[number] = 'normal'
  ): Promise<Page> => {
    const context = await browser.newContext({ baseURL: base, viewport: SCREENS.desktop, ...options })
    await context.addCookies([
      ...(who === null ? [] : [{ name: 'session', value: people[who].session, url: base }]),
      { name: 'size', value: mode === 'large' ? 'large' : 'normal', url: base },
      { name: 'contrast', value: mode === 'high' ? 'high' : 'normal', url: base }
    ])
    return await context.newPage()
  }
  const measured = (page: Page): Promise<unknown> =>
    page.evaluate(`({
      tooWide: document.documentElement.scrollWidth > innerWidth,
      tooSmall: [...document.querySelectorAll('main a, main button, main select, main summary, main textarea, main label.choice-line')]
        .filter((control) => control.checkVisibility() && control.getBoundingClientRect().height < ${TARGET - 0.5})
        .map((control) => control.outerHTML.slice(0, 120))
    })`)

  t.test('without script and by keyboard, liaison and leader bring an answer to the citizen', async (t) => {
    const number = await assigned(QUESTION)
    const liaison = await open('liaison', { javaScriptEnabled: false })
    await liaison.goto('/unit')
    await liaison.getByRole('link', { name: QUESTION }).press('Enter')
    await liaison.getByRole('button', { name: '签收，由本单位答复' }).press('Enter')
    t.match(await liaison.locator('.said').textContent(), '已签收')
    await liaison.getByLabel('答复内容').fill('您好。')
    await liaison.getByRole('button', { name: '抄入草稿' }).first().press('Enter')
    t.match(await liaison.getByLabel('答复内容').inputValue(), /^您好。\n\n带身份证到区医保事务中心办理/)
    await liaison.getByRole('button', { name: '送审' }).press('Enter')
    t.match(await liaison.locator('.waiting').textContent(), '等分管领导审核')
    const leader = await open('leader', { javaScriptEnabled: false })
    await leader.goto(`/unit/${number}`)
    await leader.getByRole('button', { name: '审核通过' }).press('Enter')
    await liaison.reload()
    await liaison.getByLabel('已告知').press('Space')
    await liaison.getByRole('button', { name: '登记' }).press('Enter')
    t.match(await liaison.locator('.said').textContent(), '已登记答复情况')
    t.equal((await ticket(number)).state, 'ANSWERED')
    await liaison.context().close()
    await leader.context().close()
  })

  t.test('on a phone, by links alone, one drafts and another approves', async (t) => {
    const number = await assigned('职工医保断缴三个月怎么补')
    const page = await open(null, { viewport: SCREENS.phone, hasTouch: true })
    await page.goto(link(number, 'liaison'))
    await page.getByLabel('答复内容').fill(ANSWER)
    await page.getByLabel('其他依据').fill('《示例办法》江北示发〔2026〕9号第三条')
    await page.getByRole('button', { name: '送审' }).tap()
    await page.waitForURL('**said=submitted')
    await page.goto(link(number, 'leader'))
    await page.getByRole('button', { name: '审核通过' }).tap()
    await page.waitForURL('**said=approved')
    await page.goto(link(number, 'liaison'))
    t.equal(await page.locator('a.phone').getAttribute('href'), 'tel:13800138000')
    await page.getByText('没有联系上', { exact: true }).tap()
    await page.getByRole('button', { name: '登记' }).tap()
    await page.waitForURL('**said=unreached')
    t.match(await ticket(number), { state: 'CONTACTING', approvedBy: '链接:ybj:leader' })
    await page.context().close()
  })

  t.test('a ticket prints as 政策咨询交办单 on one sheet, a link’s without its address', async (t) => {
    const number = await assigned('新生儿医保多久内参保')
    for (const [page, path] of [
      [await open('liaison'), `/unit/${number}`],
      [await open(null), link(number, 'liaison')]
    ] as const) {
      await page.goto(path)
      const pdf = await getDocumentProxy(new Uint8Array(await page.pdf({ format: 'A4' })))
      const { text, totalPages } = await extractText(pdf, { mergePages: true })
      // Chromium writes some characters as their radicals.
      const flat = text.normalize('NFKC').replace(/\s/g, '')
      t.equal(totalPages, 1)
      for (const part of ['政策咨询交办单', number, '王示例', '新生儿医保多久内参保', '办理期限', '审核人签字'])
        t.match(flat, part)
      t.notMatch(flat, /拟写答复|打印交办单|\/t\//)
      await page.context().close()
    }
  })

  t.test('pages fit the screen, targets are large enough and axe finds nothing', async (t) => {
    const [waiting, drafting, review, telling, answered] = [
      await assigned('退休人员的职工医保怎么从外地转到江北来'),
      await assigned('退休了，职工医保怎么从外地转到江北'),
      await assigned('医保卡丢了在哪里补办'),
      await assigned('异地住院怎么报销医保'),
      await assigned('医保缴费年限不够怎么办')
    ] as const
    const joined = await assigned('异地住院怎么报销医保')
    t.equal((await ticket(joined)).state, 'JOINED')
    const body = { text: ANSWER, basis: [{ document: 'zc-1', title: null, clause: '第二条' }] }
    const version = async (number: string) => (await ticket(number)).version
    const draft = async (number: string, submit: boolean) =>
      act(parts, people.liaison.actor, number, await version(number), { action: 'draft', body: { ...body, submit } })
    await draft(drafting, false)
    for (const number of [review, telling, answered]) await draft(number, true)
    for (const number of [telling, answered])
      await act(parts, people.leader.actor, number, await version(number), { action: 'approve', body: {} })
    const at = parts.now().toISOString()
    await act(parts, people.liaison.actor, answered, await version(answered), {
      action: 'contact',
      body: { outcome: 'told', by: 'phone', at, note: '' }
    })
    const pages: ['liaison' | 'leader' | null, string][] = [
      ['liaison', '/unit'],
      ['leader', '/unit'],
      ['liaison', '/unit?closed=1'],
      ['liaison', '/unit?state=ARCHIVED'],
      ['liaison', `/unit/${waiting}`],
      ['liaison', `/unit/${drafting}`],
      ['leader', `/unit/${review}`],
      ['liaison', `/unit/${telling}`],
      ['liaison', `/unit/${answered}`],
      ['leader', '/unit/stand-in'],
      [null, link(telling, 'liaison')]
    ]
    for (const [screen, viewport] of Object.entries(SCREENS)) {
      for (const mode of MODES) {
        // A ticket's page has every kind of control; at the other screen they differ by width alone.
        const some = mode === (screen === 'phone' ? 'large' : 'high') ? pages.slice(4, 8) : []
        for (const [who, path] of mode === 'normal' ? pages : some) {
          const page = await open(who, { viewport }, mode)
          await page.goto(path)
          await page.evaluate(`document.querySelectorAll('details').forEach((one) => { one.open = true })`)
          const { violations } = await new AxeBuilder({ page }).analyze()
          const where = `${screen} ${mode} ${who ?? 'link'} ${path.slice(0, 40)}`
          t.same(
            violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
            [],
            where
          )
          t.same(await measured(page), { tooWide: false, tooSmall: [] }, where)
          await page.context().close()
        }
      }
    }
  })
})
