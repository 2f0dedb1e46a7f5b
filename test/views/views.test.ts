import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t from 'tap'
import { passageHtml } from '../../src/views/markdown.ts'
import { dayLabel, excerpt, paragraphs, segments } from '../../src/views/text.ts'
import { type Area, type Head, localPath, openTemplates, type Pages, views } from '../../src/views/views.ts'
import { temporaryFolder } from '../test-app.ts'

const folder = fileURLToPath(new URL('../../templates', import.meta.url))
const HOSTILE = `<script>alert(1)</script>"'&\`=<img src=x onerror=alert(1)>{{head}}`

const head: Head = {
  title: HOSTILE,
  site: HOSTILE,
  home: '/',
  zone: { id: 'A1', name: HOSTILE, fullName: HOSTILE, home: '/', facts: [{ name: HOSTILE, text: HOSTILE }] },
  sample: true,
  crumbs: [{ text: HOSTILE, href: HOSTILE }]
}
const bare: Head = { title: 'x', site: 'x', home: '/', zone: null, sample: false, crumbs: [] }
const facts = [{ name: HOSTILE, text: HOSTILE }]
const link = { text: HOSTILE, href: HOSTILE }
const validity = { code: 'current', text: HOSTILE }
const areas: Area[] = [
  { icon: 'query', name: HOSTILE, text: HOSTILE, href: HOSTILE, action: HOSTILE, facts },
  { icon: 'board', name: HOSTILE, text: HOSTILE, href: null, action: null, facts: [] }
]
const contact = { name: HOSTILE, facts }
const pager = { text: HOSTILE, previous: HOSTILE, next: HOSTILE }
const choice = {
  label: HOSTILE,
  title: HOSTILE,
  href: HOSTILE,
  excerpt: [
    { text: HOSTILE, mark: true },
    { text: HOSTILE, mark: false }
  ],
  detail: HOSTILE
}
const fullAnswer = {
  label: HOSTILE,
  title: HOSTILE,
  href: HOSTILE,
  warning: { text: HOSTILE, links: [link] },
  validity,
  paragraphs: [[{ text: HOSTILE, mark: true }], []],
  facts,
  materials: [HOSTILE],
  steps: [HOSTILE],
  basis: [{ title: HOSTILE, number: HOSTILE, href: HOSTILE, clauses: [link], validity }],
  unit: contact,
  record: facts
}
const emptyAnswer = {
  ...fullAnswer,
  warning: null,
  paragraphs: [],
  facts: [],
  materials: [],
  steps: [],
  basis: [],
  unit: null,
  record: []
}
const form = { action: HOSTILE, question: HOSTILE }

/** Each page with everything it can hold, and with as little as it can hold. */
type Reading = 'zones' | 'zone' | 'ask' | 'qa' | 'document' | 'read' | 'board' | 'error'
const MODELS: { [Name in Reading]: [full: Pages[Name], empty: Pages[Name]] } = {
  zones: [
    { head, district: HOSTILE, groups: [{ name: HOSTILE, zones: [{ name: HOSTILE, href: HOSTILE, facts }] }] },
    { head: bare, district: '', groups: [] }
  ],
  zone: [
    {
      head,
      form,
      examples: [link],
      areas,
      lifeEvents: [link],
      topics: [{ ...link, count: HOSTILE }],
      entrances: facts,
      facts
    },
    { head: bare, form, examples: [], areas: [], lifeEvents: [], topics: [], entrances: [], facts: [] }
  ],
  ask: [
    {
      head,
      form,
      heading: { lead: HOSTILE, text: HOSTILE },
      problem: { title: HOSTILE, text: HOSTILE },
      degraded: true,
      answer: fullAnswer,
      why: [HOSTILE],
      choices: [choice],
      escalation: { title: HOSTILE, text: HOSTILE },
      consult: HOSTILE,
      guidance: { ...contact, reason: HOSTILE },
      others: { title: HOSTILE, hits: [choice] },
      browse: {
        groups: [
          { title: HOSTILE, links: [link], more: link },
          { title: HOSTILE, links: [], more: null }
        ],
        pages: pager
      },
      topics: [link],
      desk: { ...contact, text: HOSTILE }
    },
    {
      head: bare,
      form,
      heading: { lead: '', text: '' },
      problem: null,
      degraded: false,
      answer: null,
      why: [],
      choices: [],
      escalation: null,
      consult: null,
      guidance: null,
      others: null,
      browse: null,
      topics: [],
      desk: null
    }
  ],
  qa: [
    { head, form, answer: fullAnswer, desk: { ...contact, text: HOSTILE } },
    { head: bare, form: null, answer: emptyAnswer, desk: null }
  ],
  document: [
    {
      head,
      title: HOSTILE,
      number: HOSTILE,
      warning: { text: HOSTILE, links: [link] },
      validity,
      facts,
      metadataOpen: true,
      summary: HOSTILE,
      interpretation: HOSTILE,
      chapters: [{ ...link, current: true }],
      chapter: { text: HOSTILE, previous: link, next: link },
      whole: HOSTILE,
      blocks: [
        { anchor: null, heading: { level2: true, centred: true, text: HOSTILE }, html: null },
        { anchor: HOSTILE, heading: { level2: false, centred: false, text: HOSTILE }, html: passageHtml(HOSTILE, null) }
      ],
      record: facts
    },
    {
      head: bare,
      title: '',
      number: null,
      warning: null,
      validity,
      facts: [],
      metadataOpen: false,
      summary: null,
      interpretation: null,
      chapters: [],
      chapter: null,
      whole: null,
      blocks: [],
      record: []
    }
  ],
  read: [
    {
      head,
      categories: [{ ...link, count: HOSTILE, current: true }],
      form: {
        action: HOSTILE,
        category: HOSTILE,
        selects: [{ name: HOSTILE, label: HOSTILE, options: [{ value: HOSTILE, text: HOSTILE, selected: true }] }],
        filtered: true,
        reset: HOSTILE
      },
      total: HOSTILE,
      documents: [{ title: HOSTILE, href: HOSTILE, detail: HOSTILE, summary: HOSTILE, validity }],
      pages: pager
    },
    {
      head: bare,
      categories: [],
      form: { action: '', category: '', selects: [], filtered: false, reset: '' },
      total: '',
      documents: [],
      pages: null
    }
  ],
  board: [
    {
      head,
      categories: [
        {
          anchor: 'c1',
          name: HOSTILE,
          items: [{ title: HOSTILE, html: passageHtml(HOSTILE, null), late: true, record: facts }]
        }
      ]
    },
    { head: bare, categories: [{ anchor: 'c1', name: '', items: [] }] }
  ],
  error: [
    { head, heading: HOSTILE, text: HOSTILE, advice: [HOSTILE], areas, links: [link] },
    { head: bare, heading: '', text: '', advice: [], areas: [], links: [] }
  ]
}

const app = Fastify()
await app.register(views, { folder, publicUrl: null, today: () => '2026-11-23' })
for (const name of Object.keys(MODELS) as Reading[]) {
  app.get(`/${name}/:variant`, (request, reply) => {
    const [full, empty] = MODELS[name]
    return reply.page(name, (request.params as { variant: string }).variant === 'full' ? full : empty)
  })
}
t.teardown(() => app.close())

t.test('every page renders with all it can hold and with nothing, and no text becomes markup', async (t) => {
  for (const name of Object.keys(MODELS)) {
    for (const variant of ['full', 'empty']) {
      const { statusCode, body } = await app.inject(`/${name}/${variant}`)
      t.equal(statusCode, 200, `${name} ${variant}`)
      t.equal(body.match(/<script/g)?.length, 1, `${name} ${variant}: only our own script`)
      t.notMatch(body, /<img src=x|undefined|\[object/)
      t.notMatch(body, / style=| on[a-z]+="/, 'nothing the content security policy would refuse')
      t.equal(body.match(/<h1/g)?.length, 1, 'one main heading')
    }
  }
})

t.test('a page says whose zone it is, where it was printed from, and that its data is a sample', async (t) => {
  const { body } = await app.inject({ url: '/qa/full?q=%E5%8C%BB%E4%BF%9D', headers: { host: 'kiosk.test' } })
  t.match(body, '示例数据，仅供演示')
  t.match(body, '打印日期：2026年11月23日')
  t.match(body, '网址：http://kiosk.test/qa/full?q&#x3D;医保')
  const { body: plain } = await app.inject('/qa/empty')
  t.notMatch(plain, '示例数据')
})

t.test('type size and contrast are chosen without script and kept, and the way back stays on this site', async (t) => {
  const chosen = await app.inject('/prefs?size=large&contrast=high&back=%2Fz%2FA1%3Fq%3Da')
  t.equal(chosen.statusCode, 303)
  t.equal(chosen.headers.location, '/z/A1?q=a')
  const cookies = Object.fromEntries(chosen.cookies.map(({ name, value }) => [name, value]))
  t.same(cookies, { size: 'large', contrast: 'high' })
  const { body } = await app.inject({ url: '/zones/empty', cookies })
  t.match(body, 'class="size-large contrast-high"')
  const odd = await app.inject('/prefs?size=huge&contrast=&back=/')
  t.equal(odd.cookies.length, 0)
  for (const back of [
    '//evil.test',
    '/\\evil.test',
    'https://evil.test',
    'javascript:alert(1)',
    '/a\r\nb',
    '',
    undefined,
    ['/a']
  ]) {
    t.equal(localPath(back), '/', String(back))
  }
})

t.test('assets are served under their version, and stay as long as it does', async (t) => {
  const { body } = await app.inject('/zones/empty')
  for (const [, path = ''] of body.matchAll(/(?:href|src)="(\/assets\/[^"#]+)/g)) {
    const asset = await app.inject(path.replace('&#x3D;', '='))
    t.equal(asset.statusCode, 200, path)
    t.match(asset.headers['cache-control'], /immutable/)
  }
})

t.test('a broken template stops the start', (t) => {
  const broken = (file: string, source: string) => {
    const copy = temporaryFolder(t)
    cpSync(folder, copy, { recursive: true })
    writeFileSync(join(copy, file), source)
    return () => openTemplates(copy)
  }
  t.throws(broken('kiosk/zone.hbs', '{{#if a}}'))
  t.throws(broken('kiosk/zone.hbs', '{{> nowhere}}'), /no partial nowhere/)
  t.throws(broken('kiosk/zone.hbs', '{{#nothing a}}{{/nothing}}{{shout a}}'))
  t.doesNotThrow(() => openTemplates(folder))
  t.end()
})

t.test('a document’s Markdown becomes paragraphs, lists and tables, never links, pictures or HTML', (t) => {
  const html = String(
    passageHtml(
      '**第二条** 本规定适用于：\n（一）江北区；\n（二）两江新区。\n1. 一\n2. 二\n\n| 项 | 元 |\n|---|---|\n| 甲 | 1 |',
      '第二条'
    )
  )
  t.match(html, '<p><strong>第二条</strong>　本规定适用于：</p>')
  t.match(html, '<p>（一）江北区；</p>')
  t.match(html, '<li>一</li>')
  t.match(html, '<table>')
  const hostile = String(
    passageHtml('<b onclick=x>a</b> [a](javascript:alert(1)) ![a](http://evil.test/a.png) <http://evil.test> # h', null)
  )
  t.notMatch(hostile, /<b|<a|<img/)
  t.end()
})

t.test('highlights cut a text into segments that join to the text again', (t) => {
  const text = '退休人员的医保\n怎么转到江北'
  const ranges = [
    { start: 0, end: 2 },
    { start: 5, end: 7 },
    { start: 12, end: 99 }
  ]
  t.equal(
    segments(text, ranges)
      .map((segment) => segment.text)
      .join(''),
    text
  )
  t.same(segments(text, ranges)[0], { text: '退休', mark: true })
  t.equal(paragraphs(text, ranges).length, 2)
  t.same(paragraphs('\n a \n\n', []), [[{ text: ' a ', mark: false }]])
  const cut = excerpt(`${'前'.repeat(100)}医保${'后'.repeat(100)}`, [{ start: 100, end: 102 }], 30)
  t.equal(cut[0]?.text, '…')
  t.ok(cut.some(({ text, mark }) => mark && text === '医保'))
  t.same(excerpt('短', [], 30), [{ text: '短', mark: false }])
  t.equal(dayLabel('2026-01-05'), '2026年1月5日')
  t.end()
})
