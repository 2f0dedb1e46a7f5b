import { AxeBuilder } from '@axe-core/playwright'
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import t from 'tap'
import { extractText, getDocumentProxy } from 'unpdf'
import { openSession } from '../../src/accounts/sessions.ts'
import { addStaff } from '../../src/accounts/staff.ts'
import { deskPages } from '../../src/consultations/desk/pages.ts'
import type { Ticket } from '../../src/consultations/ticket.ts'
import { absent, chromium as chromiumPath } from '../peers.ts'
import { DISTRICT } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

const skip = absent('Chromium')
const SCREENS = { desktop: { width: 1366, height: 768 }, phone: { width: 390, height: 844 } }
const KNOWN = '我妈退休了医保怎么转到江北来'
const UNKNOWN = '家门口的梧桐树挡光，找谁修剪'
/** The smallest side of a target, CSS pixels, as on the public desktop pages. */
const TARGET = 44

t.setTimeout(300_000)

t.test('the desk in a real browser', { skip, timeout: 300_000 }, async (t) => {
  const { app, parts } = await testApp(t, {
    records: DISTRICT,
    environment: { SAMPLE_DATA: '0', TODAY: '2026-11-24', ALLOW_TODAY: '1' }
  })
  if (!app.hasRoute({ method: 'GET', url: '/desk' })) await app.register(deskPages)
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const clerk = {
    username: 'clerk',
    name: '示例窗口员',
    role: 'clerk',
    zone: 'XZZX01',
    unit: null,
    mail: null
  } as const
  await addStaff(parts, clerk, parts.now())
  await parts.db.updateTable('staff').set({ first_password: 0 }).execute()
  const { id } = await parts.db.selectFrom('staff').select('id').executeTakeFirstOrThrow()
  const session = await openSession(parts.db, parts.secret, id, parts.now())
  const browser = await chromium.launch({
    executablePath: chromiumPath() ?? '',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
  })
  t.teardown(() => browser.close())

  const open = async (options: BrowserContextOptions = {}): Promise<Page> => {
    const context = await browser.newContext({ baseURL: base, viewport: SCREENS.desktop, ...options })
    await context.addCookies([{ name: 'session', value: session.id, url: base }])
    return await context.newPage()
  }
  const tickets = async (): Promise<Ticket[]> =>
    (await parts.db.selectFrom('consultations').select('ticket').orderBy('registered_at').execute()).map(
      ({ ticket }) => JSON.parse(ticket) as Ticket
    )
  const typed = async (page: Page, question: string) => {
    await page.keyboard.type(question)
    await page.locator(`[data-answers] [name="question"][value="${question}"]`).waitFor({ state: 'attached' })
  }

  t.test('an answer that is sure is registered by one key after typing', async (t) => {
    const page = await open()
    await page.goto('/desk')
    await typed(page, KNOWN)
    t.match(await page.locator('.hit').first().textContent(), '有把握')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/desk?done=*')
    t.match((await tickets()).at(-1), { state: 'ANSWERED_ON_SPOT', entry: { id: 'yibao-001' } })
    t.equal(await page.evaluate('document.activeElement.name'), 'q', 'ready for the next person')
    await page.context().close()
  })

  t.test('another answer is registered by three keys, and Escape and / lead back to the box', async (t) => {
    const page = await open()
    await page.goto('/desk')
    await typed(page, '医保和公租房怎么申请')
    const second = await page.locator('.hit button').nth(1).getAttribute('value')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Escape')
    t.equal(await page.evaluate('document.activeElement.name'), 'q')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('/')
    t.equal(await page.evaluate('document.activeElement.name'), 'q')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('2')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/desk?done=*')
    t.equal((await tickets()).at(-1)?.entry?.id, second)
    await page.context().close()
  })

  t.test('what the bank lacks is registered and assigned by keyboard alone', async (t) => {
    const page = await open()
    await page.goto('/desk')
    await typed(page, UNKNOWN)
    await page.keyboard.press('F2')
    await page.waitForURL('**/desk/new?*')
    await page.keyboard.type('王示例')
    await page.keyboard.press('Tab')
    await page.keyboard.type('123')
    await page.keyboard.press('Enter')
    await page.getByRole('alert').waitFor()
    t.match(await page.getByRole('alert').first().textContent(), /电话|答复单位/)
    await page.getByRole('textbox', { name: '电话' }).fill('13800138000')
    await page.getByLabel('其他单位').selectOption('mzj')
    await page.getByRole('textbox', { name: '电话' }).press('Enter')
    await page.waitForURL('**/desk?done=*')
    t.match((await tickets()).at(-1), { state: 'ASSIGNED', unit: 'mzj', question: UNKNOWN })
    await page.context().close()
  })

  t.test('without script an answer is found and registered by its button', async (t) => {
    const before = (await tickets()).length
    const page = await open({ javaScriptEnabled: false, viewport: SCREENS.phone })
    await page.goto('/desk')
    await page.getByRole('searchbox').fill(KNOWN)
    await page.getByRole('button', { name: '检索' }).click()
    await page.getByRole('button', { name: '用这条答复并登记' }).first().click()
    await page.waitForURL('**/desk?done=*')
    t.equal((await tickets()).length, before + 1)
    await page.goBack()
    await page.getByRole('button', { name: '用这条答复并登记' }).first().click()
    await page.waitForURL('**/desk?done=*')
    await page.getByRole('button', { name: '都不对' }).click()
    t.match(page.url(), '/desk/new')
    await page.context().close()
  })

  for (const [screen, viewport] of Object.entries(SCREENS)) {
    t.test(`every page is accessible and fits: ${screen}`, async (t) => {
      const page = await open({ viewport })
      const all = await tickets()
      const told = all.find(({ state }) => state === 'ANSWERED_ON_SPOT')?.number
      const assigned = all.find(({ state }) => state === 'ASSIGNED')?.number
      const paths = [
        '/desk',
        `/desk?q=${encodeURIComponent(KNOWN)}`,
        `/desk?done=${told}`,
        '/desk?trail=000000',
        `/desk/new?q=${encodeURIComponent(UNKNOWN)}`,
        `/desk/${told}`,
        `/desk/${assigned}`,
        `/desk/${told}/slip`,
        `/desk/${assigned}/slip`,
        `/desk/${assigned}/contact-slip`,
        '/z/XZZX01/trail'
      ]
      for (const path of paths) {
        await page.goto(path)
        const { violations } = await new AxeBuilder({ page }).analyze()
        t.same(
          violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
          [],
          path
        )
        t.same(
          await page.evaluate(`({
            tooWide: document.documentElement.scrollWidth > innerWidth,
            tooSmall: [...document.querySelectorAll('button, input:not([type="hidden"]):not([type="radio"]), select')]
              .filter((control) => control.checkVisibility() && control.getBoundingClientRect().height < ${TARGET})
              .map((control) => control.outerHTML.slice(0, 100))
          })`),
          { tooWide: false, tooSmall: [] },
          path
        )
      }
      await page.context().close()
    })
  }

  t.test('a slip is one sheet of A5, and fits a roll of 80 mm', async (t) => {
    const number = (await tickets()).find(({ state }) => state === 'ASSIGNED')?.number ?? ''
    const page = await open()
    await page.goto(`/desk/${number}/slip`)
    for (const paper of [{ format: 'A5' }, { width: '80mm', height: '200mm' }]) {
      const pdf = await getDocumentProxy(new Uint8Array(await page.pdf(paper)))
      const { totalPages, text } = await extractText(pdf, { mergePages: true })
      t.equal(totalPages, 1, JSON.stringify(paper))
      const printed = text.normalize('NFKC').replace(/\s/g, '')
      for (const wanted of [number, '023-0000-0100', '2026年12月1日', '查询码']) t.ok(printed.includes(wanted), wanted)
      t.notOk(printed.includes('回到咨询台'))
    }
    await page.context().close()
  })
})
