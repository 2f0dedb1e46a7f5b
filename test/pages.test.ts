import t from 'tap'
import { chapterPages, findPassage } from '../src/documents/chapter-pages.ts'
import { cutPassages } from '../src/documents/passages.ts'
import { DISTRICT, document, posted, qa } from './sample-records.ts'
import { testApp } from './test-app.ts'

const chapters = Array.from(
  { length: 4 },
  (_, n) => `## 第${'一二三四'[n]}章 章名${n + 1}\n第${'一二三四'[n]}条 ${'内容。'.repeat(400)}`
).join('\n')
const { app, store } = await testApp(t, {
  records: [
    ...DISTRICT,
    {
      kind: 'topic',
      source: 'topics.csv',
      sample: false,
      content: { id: 'yibao', name: '医疗保险', lifeEvents: ['医保'], note: null }
    },
    qa({ id: 'yibao-002', question: '异地看病怎么备案', answer: '在手机上备案。', topic: 'yibao' }),
    posted({ id: 'p-1', category: '低保和社会救助', title: '低保申领情况', body: '在册 **23** 户。<b>x</b>' }),
    posted({ id: 'p-2', category: '居民工作建议', title: '上月建议', period: '每月', updatedOn: '2026-10-01' }),
    document({ id: 'long', title: '很长的办法', body: `# 很长的办法\n${chapters}` })
  ],
  environment: { TODAY: '2026-11-23', ALLOW_TODAY: '1', PUBLIC_URL: 'https://zx.test' }
})
const page = async (url: string) => {
  const { statusCode, body, headers } = await app.inject({ url, headers: { accept: 'text/html' } })
  return { status: statusCode, body, headers }
}

t.test('the first page leads to every zone', async (t) => {
  const { body } = await page('/')
  for (const zone of ['XZZX01', 'GYQ01', 'DAG01', 'SQ01']) t.match(body, `href="/z/${zone}"`)
})

t.test('a zone has the areas of its venue kind, and says what it has where one is missing', async (t) => {
  const has = async (zone: string) =>
    [...(await page(`/z/${zone}`)).body.matchAll(/<h3>(.+?)<\/h3>/g)].map(([, name]) => name)
  t.same(await has('XZZX01'), ['自助查询区', '资料阅览区', '申请接收区', '政策咨询区'])
  t.same(await has('DAG01'), ['自助查询区', '资料阅览区'])
  t.same(await has('SQ01'), ['自助查询区', '公示栏'])
  for (const [path, status] of [
    ['/z/SQ01/read', 404],
    ['/z/SQ01/board', 200],
    ['/z/XZZX01/board', 404],
    ['/z/NOPE/board', 404],
    ['/z/DAG01/apply', 404],
    ['/z/XZZX01/nowhere', 404],
    ['/z/NOPE', 404],
    ['/z/NOPE/ask?q=a', 404],
    ['/z/XZZX01/read', 200],
    ['/z/SQ01/ask?q=%E5%8C%BB%E4%BF%9D', 200]
  ] as const) {
    t.equal((await page(path)).status, status, path)
  }
  t.match((await page('/z/SQ01/read')).body, '公示栏')
})

t.test('a notice board shows the eight categories, says which are empty and which are out of date', async (t) => {
  const { body } = await page('/z/SQ01/board')
  t.equal([...body.matchAll(/<section/g)].length, 8)
  t.match(body, /低保申领情况<\/h3>\s*<div[^>]*><div[^>]*><p>在册 <strong>23<\/strong> 户。&lt;b&gt;/)
  t.match(body, /上月建议<\/h3>\s*<p class="late"/)
  t.equal([...body.matchAll(/还没有公示内容/g)].length, 6)
  t.equal([...body.matchAll(/class="late"/g)].length, 1)
})

t.test('an answer page shows answer, materials, basis, validity, unit, version and date', async (t) => {
  const { status, body } = await page(`/z/XZZX01/ask?q=${encodeURIComponent('我妈退休了医保怎么转到江北来')}`)
  t.equal(status, 200)
  for (const text of [
    '15个工作日办结',
    '身份证',
    '江北示发〔2025〕3号',
    '第二条',
    '现行有效',
    '区医保局',
    '023-0000-0115',
    '第 1 版',
    '更新日期'
  ]) {
    t.match(body, text)
  }
  t.match(body, '/documents/zc-1?zone&#x3D;XZZX01&amp;at&#x3D;%E7%AC%AC%E4%BA%8C%E6%9D%A1')
  t.match(body, 'https://zx.test/z/XZZX01/ask', 'the printed address')
})

t.test('an answer that rests on a dead rule says so and names the rule of today', async (t) => {
  const { body } = await page('/qa/yanglao-001?zone=SQ01')
  t.match(body, '不能再照此办理')
  t.match(body, /href="\/documents\/zc-new[^"]*">《江北区高龄津贴办法》/)
  t.match(body, '没有咨询台', 'a community has no desk of its own')
})

t.test('a question nobody can answer is escalated to a unit and a desk, without a guess', async (t) => {
  const { body } = await page(`/z/XZZX01/ask?q=${encodeURIComponent('周末在哪里打羽毛球')}`)
  t.match(body, '还没有现成的答复')
  t.match(body, '5 个工作日')
  t.notMatch(body, 'class="answer"')
})

t.test('what is no question is told so on the page itself', async (t) => {
  t.equal((await page('/z/XZZX01/ask')).status, 200)
  for (const [question, status] of [
    ['', 400],
    ['？！', 400],
    ['医'.repeat(501), 413]
  ] as const) {
    const { status: got, body } = await page(`/z/XZZX01/ask?q=${encodeURIComponent(question)}`)
    t.equal(got, status)
    t.match(body, '<form class="ask"')
  }
  const hostile = await page(`/z/XZZX01/ask?q=${encodeURIComponent('"><script>alert(1)</script>')}`)
  t.notMatch(hostile.body, '<script>')
})

t.test('questions can be looked through by topic and by life event', async (t) => {
  t.match((await page('/z/XZZX01')).body, 'topic&#x3D;yibao')
  t.match((await page('/z/XZZX01/ask?topic=yibao')).body, /href="\/qa\/yibao-002\?zone&#x3D;XZZX01">异地看病怎么备案/)
  t.match((await page(`/z/XZZX01/ask?event=${encodeURIComponent('医保')}&page=99`)).body, '异地看病怎么备案')
  t.equal((await page('/z/XZZX01/ask?topic=nope&page=x')).status, 200)
})

t.test('a long document is paged by chapter, prints whole, and opens at a clause', async (t) => {
  const first = await page('/documents/long?zone=XZZX01')
  t.match(first.body, '第一章 章名1')
  t.notMatch(first.body, 'id="art-2"')
  t.match((await page('/documents/long?chapter=3')).body, 'id="art-3"')
  t.match((await page('/documents/long?chapter=99')).body, 'id="art-4"', 'past the end is the end')
  const whole = await page('/documents/long?all=1')
  for (const n of [1, 2, 3, 4]) t.match(whole.body, `id="art-${n}"`)
  const at = await page(`/documents/long?zone=XZZX01&at=${encodeURIComponent('第三条')}`)
  t.equal(at.headers.location, '/documents/long?zone=XZZX01&chapter=3#art-3')
  t.equal((await page('/documents/zc-1?at=art-2')).headers.location, '/documents/zc-1#art-2')
  t.equal((await page('/documents/zc-1?at=nowhere')).headers.location, '/documents/zc-1')
})

t.test('a repealed document says so before its text and leads to its successor', async (t) => {
  const { body } = await page('/documents/zc-old?zone=XZZX01')
  t.match(body, /已经废止.*href="\/documents\/zc-new\?zone&#x3D;XZZX01"/s)
  t.ok(body.indexOf('已经废止') < body.indexOf('document-text'))
})

t.test('the reading list is filtered by category, topic, year and validity', async (t) => {
  t.match((await page('/z/DAG01/read')).body, '共 4 份')
  t.match((await page('/z/DAG01/read?validity=repealed')).body, '共 1 份')
  t.match((await page(`/z/DAG01/read?category=${encodeURIComponent('办事指南')}`)).body, '没有符合条件的资料')
  t.equal((await page('/z/DAG01/read?page=x&year=%00&topic=a&topic=b')).status, 200)
})

t.test('an entry that leaves the bank keeps its address and says that it is withdrawn', async (t) => {
  await store([], ['qa.csv'])
  const { status, body } = await page('/qa/hunyin-001')
  t.equal(status, 200)
  t.match(body, '已经撤下')
  t.equal((await page('/qa/never')).status, 404)
})

t.test('an unknown address is a page to a browser and a problem to a program', async (t) => {
  const browser = await page('/nowhere')
  t.equal(browser.status, 404)
  t.match(browser.headers['content-type'], 'text/html')
  const program = await app.inject('/nowhere')
  t.match(program.headers['content-type'], 'application/problem+json')
})

t.test('a chapter too large for a page goes on on the next, under its clauses’ names', (t) => {
  const article = (n: number) => `第${n}条 ${'很长的内容。'.repeat(140)}`
  const body = `## 第一章 总则\n${Array.from({ length: 40 }, (_, n) => article(n + 1)).join('\n')}\n## 第二章 附则\n第41条 完。`
  const pages = chapterPages(cutPassages(body))
  t.ok(pages.length > 3)
  t.equal(pages[0]?.title, '第一章 总则')
  t.match(pages[1]?.title, /^第一章 总则　第\d+条至第\d+条$/)
  t.equal(pages.at(-1)?.title, '第二章 附则')
  t.equal(pages.flatMap(({ passages }) => passages).length, 41, 'nothing is lost')
  t.equal(findPassage(pages, '第41条')?.page, pages.length - 1)
  t.equal(findPassage(pages, '第一章 总则')?.page, 0)
  t.equal(findPassage(pages, '无此条'), null)
  t.same(chapterPages([]), [])
  t.end()
})
