import { fileURLToPath } from 'node:url'
import { AxeBuilder } from '@axe-core/playwright'
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import t from 'tap'
import { extractText, getDocumentProxy } from 'unpdf'
import { loadFiles } from '../indexer/load.ts'
import { absent, chromium as chromiumPath } from './peers.ts'
import { testApp } from './test-app.ts'

const skip = absent('Chromium')
const CORPUS = fileURLToPath(new URL('../corpus', import.meta.url))
const LARGEST_PAGE = 60_000
/** Screens with the smallest side a target may have, in CSS pixels. */
const SCREENS = {
  kiosk: { width: 1080, height: 1920, target: 60 },
  desktop: { width: 1366, height: 768, target: 44 },
  phone: { width: 390, height: 844, target: 48 }
}
const MODES = ['normal', 'large', 'high'] as const
const QUESTION = '我妈退休了医保怎么转到江北来'
const ask = (question: string) => `/z/XZZX01/ask?q=${encodeURIComponent(question)}`
const PAGES = [
  '/',
  '/z/XZZX01',
  '/z/SQ01',
  '/z/XZZX01/ask',
  ask(QUESTION),
  ask('火星移民补贴在哪里领'),
  ask('？'),
  '/z/XZZX01/ask?topic=yibao',
  '/qa/yibao-001?zone=DAG01',
  '/documents/zc-2021-006?zone=XZZX01',
  '/documents/ml-2026-001?zone=XZZX01&chapter=2',
  '/z/XZZX01/read',
  '/z/SQ01/read',
  '/z/SQ01/board',
  '/z/XZZX01/consult?q=%E6%8A%A5%E9%94%80',
  '/track',
  '/track?number=ZX-XZZX01-20261123-0001-1&code=AAAAAA',
  '/calendar?from=2026-12-25&workingDays=5',
  '/nowhere'
]

// Run in the page, as text: the project's own types know no browser.

/** Whether the focus is hidden by the bar at the bottom or scrolled away, and whether it is outlined. */
const seen = `() => {
  const element = document.activeElement
  const { top, bottom } = element.getBoundingClientRect()
  const bar = document.querySelector('.tools').getBoundingClientRect().top
  const loose = element === document.body
  return {
    hidden: !loose && element.closest('.tools') === null && (top >= bar || bottom <= 0),
    outline: loose || getComputedStyle(element).outlineStyle !== 'none'
  }
}`

/** Whether the page must be scrolled sideways, and which controls are lower than `least` pixels. */
const measure = (page: Page, least: number): Promise<unknown> =>
  page.evaluate(`({
    tooWide: document.documentElement.scrollWidth > innerWidth,
    tooSmall: [...document.querySelectorAll('a, button, input:not([type="hidden"]), select, summary')]
      .filter((control) => control.checkVisibility() && !control.classList.contains('skip'))
      .filter((control) => control.getBoundingClientRect().height < ${least})
      .map((control) => control.outerHTML.slice(0, 120))
  })`)

t.setTimeout(600_000)

t.test('pages in a real browser', { skip, timeout: 600_000 }, async (t) => {
  const { app, parts } = await testApp(t, { environment: { TODAY: '2026-11-23', ALLOW_TODAY: '1' } })
  await loadFiles(parts.db, [CORPUS], { by: 'test', at: '2026-11-20T00:00:00Z' })
  await parts.follow()
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const browser = await chromium.launch({
    executablePath: chromiumPath() ?? '',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
  })
  t.teardown(() => browser.close())

  const open = async (options: BrowserContextOptions = {}, mode: (typeof MODES)[number] = 'normal'): Promise<Page> => {
    const context = await browser.newContext({ baseURL: base, ...options })
    await context.addCookies([
      { name: 'size', value: mode === 'large' ? 'large' : 'normal', url: base },
      { name: 'contrast', value: mode === 'high' ? 'high' : 'normal', url: base }
    ])
    return await context.newPage()
  }

  for (const [screen, { width, height, target }] of Object.entries(SCREENS)) {
    for (const mode of MODES) {
      t.test(`every page is accessible, fits and stays at home: ${screen}, ${mode}`, async (t) => {
        const page = await open({ viewport: { width, height } }, mode)
        const strangers: string[] = []
        const errors: string[] = []
        page.on('request', (request) => {
          if (!request.url().startsWith(base)) strangers.push(request.url())
        })
        page.on('console', (message) => {
          // A 4xx page is logged by the browser itself.
          if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) errors.push(message.text())
        })
        page.on('pageerror', (error) => errors.push(error.message))
        for (const path of PAGES) {
          const response = await page.goto(path)
          const html = await response?.text()
          t.ok(Buffer.byteLength(html ?? '') <= LARGEST_PAGE, `${path} weighs at most ${LARGEST_PAGE} bytes`)
          const { violations } = await new AxeBuilder({ page }).analyze()
          t.same(
            violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
            [],
            `${path} has no accessibility violation`
          )
          t.same(
            await measure(page, target),
            { tooWide: false, tooSmall: [] },
            `${path} fits, and its targets are large enough`
          )
        }
        t.same(errors, [], 'nothing in the console')
        t.same(strangers, [], 'no request leaves the service')
        await page.context().close()
      })
    }
  }

  t.test('a screen of 320 pixels needs no sideways scrolling, in large type either', async (t) => {
    const page = await open({ viewport: { width: 320, height: 640 } }, 'large')
    for (const path of PAGES) {
      await page.goto(path)
      t.same(await measure(page, 48), { tooWide: false, tooSmall: [] }, path)
    }
    await page.context().close()
  })

  t.test('a question is asked, and larger type chosen, without script', async (t) => {
    const page = await open({ javaScriptEnabled: false, viewport: { width: 390, height: 844 } })
    await page.goto('/z/XZZX01')
    await page.getByLabel('您想问什么？').fill(QUESTION)
    await page.getByRole('button', { name: '查答复' }).click()
    t.match(await page.locator('.answer-title').textContent(), '退休人员的职工医保')
    t.equal(await page.getByRole('button', { name: '打印' }).count(), 0, 'no button that would do nothing')
    await page.getByRole('button', { name: '大字' }).click()
    t.match(await page.locator('html').getAttribute('class'), 'size-large')
    t.match(await page.locator('.answer-title').textContent(), '退休人员的职工医保', 'still on the answer')
    await page.context().close()
  })

  t.test('pinyin shows questions to choose from, by keyboard and by touch', async (t) => {
    const page = await open({ viewport: { width: 1366, height: 768 } })
    for (const typed of ['zhengce', 'zc']) {
      await page.goto('/z/XZZX01')
      const box = page.getByRole('combobox', { name: '您想问什么？' })
      await box.pressSequentially(typed)
      const list = page.getByRole('listbox')
      await list.waitFor()
      t.equal(await box.getAttribute('aria-expanded'), 'true')
      t.ok(
        (await list.getByRole('option').allTextContents()).some((text) => text.includes('政策')),
        typed
      )
      await page.keyboard.press('ArrowDown')
      const active = await box.getAttribute('aria-activedescendant')
      t.equal(await page.locator(`#${active}`).getAttribute('aria-selected'), 'true')
      const { violations } = await new AxeBuilder({ page }).analyze()
      t.same(
        violations.map(({ id }) => id),
        [],
        'the open list is accessible'
      )
    }
    await page.keyboard.press('Escape')
    t.ok(await page.getByRole('listbox').isHidden())
    await page.keyboard.press('Backspace')
    await page.getByRole('listbox').waitFor()
    await page.keyboard.press('ArrowDown')
    const chosen = await page.locator('[aria-selected="true"]').textContent()
    await page.keyboard.press('Enter')
    await page.waitForURL('**/ask?q=*')
    t.match(await page.locator('.asked').textContent(), chosen ?? '?')

    await page.goto('/z/XZZX01')
    await page.getByRole('combobox').pressSequentially('yibao')
    const option = page.getByRole('option').first()
    const text = await option.textContent()
    await option.click()
    await page.waitForURL('**/ask?q=*')
    t.match(await page.locator('.asked').textContent(), text ?? '?')
    await page.context().close()
  })

  t.test(
    'the keyboard reaches the text first, then everything in reading order, and the place is always seen',
    async (t) => {
      const page = await open({ viewport: { width: 390, height: 844 } })
      await page.goto(ask(QUESTION))
      await page.keyboard.press('Tab')
      t.equal(await page.evaluate('document.activeElement.textContent'), '跳到正文')
      await page.keyboard.press('Enter')
      t.equal(await page.evaluate('document.activeElement.id'), 'main')
      for (let n = 0; n < 25; n++) {
        await page.keyboard.press('Tab')
        const place = await page.evaluate(`(${seen})()`)
        t.same(place, { hidden: false, outline: true }, `stop ${n + 1}`)
      }
      await page.context().close()
    }
  )

  t.test('a long document is read chapter by chapter', async (t) => {
    const page = await open({ viewport: { width: 390, height: 844 } })
    await page.goto('/documents/ml-2026-001?zone=XZZX01')
    await page.getByRole('link', { name: '下一部分' }).click()
    t.match(page.url(), 'chapter=2')
    await page.locator('.contents summary').click()
    const [, , third] = await page.locator('.contents a').all()
    await third?.click()
    t.match(page.url(), 'chapter=3')
    await page.context().close()
  })

  t.test('a printed answer is one A4 page with question, answer, basis, version, date, zone and address', async (t) => {
    const page = await open()
    await page.goto(ask(QUESTION))
    const pdf = await getDocumentProxy(new Uint8Array(await page.pdf({ preferCSSPageSize: true })))
    const { totalPages, text } = await extractText(pdf, { mergePages: true })
    t.equal(totalPages, 1)
    const printed = text.normalize('NFKC').replace(/\s/g, '')
    for (const wanted of [
      '行政服务中心办事大厅政务公开专区',
      '退休人员的职工医保怎么从外地转到江北',
      '政策依据',
      '第四条',
      '第1版',
      '更新日期2026年11月20日',
      '打印日期:2026年11月23日',
      `网址:${base}/z/XZZX01/ask`,
      '示例数据,仅供演示'
    ]) {
      t.ok(printed.includes(wanted), wanted)
    }
    for (const unwanted of ['不是我要问的', '查答复', '高对比']) t.notOk(printed.includes(unwanted), unwanted)
    await page.context().close()
  })
})
