import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import Excel from 'exceljs'
import { type Browser, chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { addStaff } from '../src/accounts/staff.ts'
import type { Role } from '../src/database/schema.ts'
import { loadFiles } from '../indexer/load.ts'
import { elasticsearch, newAlias } from './elasticsearch/cluster.ts'
import { absent, chromium as chromiumPath, postgres } from './peers.ts'
import { testApp } from './test-app.ts'

const skip = absent('Chromium')
const SCREENS = {
  kiosk: { width: 1080, height: 1920 },
  desk: { width: 1366, height: 768 },
  phone: { width: 390, height: 844 }
}
const QUESTION = '火星移民安家补贴到哪个部门领'
/** A folder that keeps what every step looked like, to be looked at. */
const PICTURES = process.env.PICTURES

t.setTimeout(900_000)

/**
 * A consultation's whole life in a browser, each step by the person whose it is: asked at a kiosk, escalated, returned
 * once, answered by phone, called unsolved, answered again, taken into the bank, found by the next one who asks.
 */
async function play(t: Test, database: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const { app, parts } = await testApp(t, {
    environment: { SAMPLE_DATA: '0', TODAY: '2026-11-24', ALLOW_TODAY: '1', ...environment }
  })
  await loadFiles(parts.db, ['corpus'], { by: 'test', at: '2026-11-20T00:00:00Z' })
  await parts.follow()
  await parts.elasticsearch?.indexer.caughtUp(60_000)
  // Ten in the morning of that day: what a person types as time of a call is not in the future.
  parts.now = () => new Date('2026-11-24T02:00:00Z')
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const browser: Browser = await chromium.launch({
    executablePath: chromiumPath() ?? '',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
  })
  t.teardown(() => browser.close())

  let step = 0
  const look = async (page: Page, name: string, isPaper = false): Promise<void> => {
    step++
    // Paper has no structure to walk through.
    const { violations } = isPaper ? { violations: [] } : await new AxeBuilder({ page }).analyze()
    t.same(
      violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
      [],
      `${name} is accessible`
    )
    t.notOk(await page.evaluate('document.documentElement.scrollWidth > innerWidth'), `${name} fits`)
    if (PICTURES === undefined) return
    mkdirSync(PICTURES, { recursive: true })
    const file = `${database}-${String(step).padStart(2, '0')}-${name}.png`
    await page.screenshot({ path: join(PICTURES, file), fullPage: true })
  }
  const open = async (screen: keyof typeof SCREENS): Promise<Page> => {
    const context = await browser.newContext({ baseURL: base, viewport: SCREENS[screen] })
    const page = await context.newPage()
    page.on('pageerror', (error) => t.fail(error.message))
    return page
  }
  const signIn = async (role: Role, place: { zone?: string; unit?: string }): Promise<Page> => {
    const { zone = null, unit = null } = place
    const username = `${role}-${unit ?? zone ?? 'qu'}`
    const { password } = await addStaff(
      parts,
      { username, name: `示例${username}`, role, zone, unit, mail: null },
      parts.now()
    )
    const page = await open('desk')
    await page.goto('/login')
    await page.getByLabel('用户名').fill(username)
    await page.getByLabel('密码', { exact: true }).fill(password)
    await page.getByRole('button', { name: '登录' }).click()
    // A first password is good for nothing but another one.
    await page.waitForURL('**/password*')
    const chosen = '梧桐-江水-灯塔-2026'
    await page.getByLabel('现在的密码').fill(password)
    await page.getByLabel('新密码', { exact: true }).fill(chosen)
    await page.getByLabel('再输一次新密码').fill(chosen)
    await page.getByRole('button', { name: '改好了' }).click()
    await page.waitForURL((url) => !url.pathname.startsWith('/password'))
    return page
  }

  // ── A citizen at a kiosk ──
  const kiosk = await open('kiosk')
  await kiosk.goto('/z/XZZX01/ask')
  await kiosk.locator('input[name="q"], textarea[name="q"]').first().fill(QUESTION)
  await kiosk.keyboard.press('Enter')
  await kiosk.getByRole('link', { name: '请单位答复我' }).waitFor()
  await look(kiosk, 'escalated')
  await kiosk.getByRole('link', { name: '请单位答复我' }).click()
  await kiosk.getByLabel('怎么称呼您').fill('王示例')
  await kiosk.getByLabel('联系电话（手机或座机）').fill('13800000001')
  await look(kiosk, 'form')
  await kiosk.getByRole('button', { name: '看过了，提交登记' }).click()
  const number = ((await kiosk.locator('.slip-number').textContent()) ?? '').trim()
  t.match(number, /^\S{10,}$/, 'a number to take home')
  await look(kiosk, 'registered')
  const code = /查询码\s*([A-Z0-9]{6})/.exec((await kiosk.locator('main').textContent()) ?? '')?.[1] ?? ''
  t.equal(code.length, 6)

  // ── The desk assigns, the first unit returns, the desk assigns again ──
  const clerk = await signIn('clerk', { zone: 'XZZX01' })
  await look(clerk, 'desk')
  await clerk.goto(`/desk/${number}`)
  await clerk.getByLabel('其他单位（选了就以这个为准）').selectOption('ybj')
  await look(clerk, 'desk-ticket')
  await clerk.getByRole('button', { name: '交办', exact: true }).click()
  t.match(await clerk.locator('.said').textContent(), '已交办')
  const wrong = await signIn('liaison', { unit: 'ybj' })
  await wrong.getByRole('link', { name: new RegExp(QUESTION) }).click()
  await look(wrong, 'unit-ticket')
  await wrong.getByLabel(/^退回理由/).fill('火星移民归民政局管')
  await wrong.getByLabel('应由哪个单位答复').selectOption('mzj')
  await wrong.getByRole('button', { name: '退回', exact: true }).click()
  t.match(await wrong.locator('.said').textContent(), '已退回')
  await clerk.goto(`/desk/${number}`)
  t.match(await clerk.locator('main').textContent(), '火星移民归民政局管')
  await clerk.getByLabel('其他单位（选了就以这个为准）').selectOption('mzj')
  await clerk.getByRole('button', { name: '交办', exact: true }).click()

  // ── The right unit answers by phone ──
  const liaison = await signIn('liaison', { unit: 'mzj' })
  const leader = await signIn('leader', { unit: 'mzj' })
  const answer = async (text: string): Promise<void> => {
    await liaison.goto(`/unit/${number}`)
    const accept = liaison.getByRole('button', { name: '签收，由本单位答复' })
    if ((await accept.count()) > 0) await accept.click()
    await liaison.getByLabel('答复内容').fill(text)
    const basis = liaison.locator('input[name="basis"]').first()
    if ((await basis.count()) > 0) await basis.check()
    else await liaison.getByLabel(/^其他依据/).fill('《示例火星移民办法》')
    await liaison.getByRole('button', { name: '送审' }).click()
    await leader.goto(`/unit/${number}`)
    await look(leader, 'to-approve')
    await leader.getByRole('button', { name: /^审核通过/ }).click()
    await liaison.reload()
    await liaison.getByText('电话里这样说').click()
    await look(liaison, 'to-tell')
    await liaison.getByLabel('已告知').check()
    await liaison.getByLabel('联系时间').fill('2026-11-24T09:55')
    await liaison.getByRole('button', { name: '登记', exact: true }).click()
    t.match(await liaison.locator('.said').textContent(), '已登记答复情况')
  }
  await answer('火星移民补贴还没有开始发放。')

  // ── The citizen's phone: not solved ──
  const phone = await open('phone')
  const track = async () => {
    await phone.goto('/track')
    await phone.getByLabel('登记编号').fill(number)
    await phone.getByLabel('查询码（6 位）').fill(code)
    await phone.getByRole('button', { name: '查进度' }).click()
  }
  await track()
  t.match(await phone.locator('main').textContent(), '火星移民补贴还没有开始发放')
  await look(phone, 'answered')
  await phone.getByRole('button', { name: '没解决，请再办' }).click()
  await look(phone, 'reopened')
  const office = await signIn('office', {})
  await office.goto('/office')
  t.match(await office.locator('#unsolved').textContent(), number)
  await look(office, 'office')
  await office.goto(`/office/${number}`)
  await look(office, 'office-ticket')
  await answer('带身份证到区民政局一楼窗口登记，补贴开始发放时电话通知您。')
  await track()
  await phone.getByRole('button', { name: '解决了', exact: true }).click()
  await look(phone, 'solved')

  // ── Into the bank, and found at once ──
  await leader.goto(`/unit/${number}/bank`)
  await look(leader, 'bank-proposal')
  await leader.getByLabel('问题（群众会怎么问）').fill(QUESTION)
  if ((await leader.locator('input[name="basis"]:checked').count()) === 0) {
    await leader
      .getByLabel(/^其他依据/)
      .fill((await parts.library.documents()).values().next().value?.content.title ?? '')
  }
  await leader.locator('form[action$="/take"] button[type="submit"]').click()
  await leader.waitForURL('**said=taken*')
  const next = await open('phone')
  await next.goto(`/z/XZZX01/ask?${new URLSearchParams({ q: QUESTION })}`)
  t.match(
    await next.locator('main').textContent(),
    '带身份证到区民政局一楼窗口登记',
    'the next one gets the answer at once'
  )
  await look(next, 'found-at-once')
  const desk = await open('desk')
  await desk.context().addCookies(await clerk.context().cookies())
  await desk.goto(`/desk?${new URLSearchParams({ q: QUESTION })}`)
  await look(desk, 'desk-finds-it')

  // ── On paper, and in the ledger ──
  await clerk.goto(`/desk/${number}/slip`)
  await look(clerk, 'slip')
  await liaison.goto(`/unit/${number}`)
  await liaison.emulateMedia({ media: 'print' })
  await look(liaison, 'form-on-paper', true)
  await office.goto('/ledger')
  await look(office, 'ledger')
  t.match(await office.locator('main').textContent(), number)
  const [download] = await Promise.all([
    office.waitForEvent('download'),
    office.locator('a[download][href*="xlsx"]').click()
  ])
  const workbook = new Excel.Workbook()
  await workbook.xlsx.readFile(await download.path())
  const cells: string[] = []
  workbook.worksheets[0]?.eachRow((row) => row.eachCell((cell) => cells.push(cell.text)))
  t.ok(cells.includes(number))
  t.match(cells[0], '台账')
  await office.goto('/office/bank')
  await look(office, 'office-bank')
  await office.goto('/office/settings')
  await look(office, 'settings')
}

t.test('SQLite', { skip, timeout: 300_000 }, async (t) => play(t, 'sqlite', {}))
t.test('PostgreSQL', { skip: skip || absent('PostgreSQL'), timeout: 300_000 }, async (t) =>
  play(t, 'postgresql', { DATABASE_URL: await postgres(t) })
)
const cluster = absent('PostgreSQL') || absent('Elasticsearch')
t.test('PostgreSQL and Elasticsearch', { skip: skip || cluster, timeout: 300_000 }, async (t) =>
  play(t, 'cluster', {
    DATABASE_URL: await postgres(t),
    ELASTICSEARCH_URL: (await elasticsearch(t)).url,
    ELASTICSEARCH_INDEX: newAlias()
  })
)
