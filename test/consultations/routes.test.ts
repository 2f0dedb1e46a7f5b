import fc from 'fast-check'
import t from 'tap'
import { DISTRICT, qa } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

interface Body {
  queryId: string | null
  decision: string
  confidence: number
  hits: {
    id: string
    kind: string
    text: string
    highlights: { start: number; end: number }[]
    validity: string
    basis: unknown[]
    successor: { document: string } | null
    version: number
  }[]
  guidance: { unit: { id: string }; phone: string | null; reason: string } | null
}

const { app, parts, store } = await testApp(t, {
  records: DISTRICT,
  environment: { TODAY: '2026-11-23', ALLOW_TODAY: '1' }
})
const get = async (q: string, more = '') => {
  const response = await app.inject({ url: `/api/v1/answers?q=${encodeURIComponent(q)}${more}` })
  return { status: response.statusCode, body: response.json<Body>(), type: response.headers['content-type'] }
}

t.test('a question of the bank is answered, with basis, version and what it shares with the question', async (t) => {
  const { body } = await get('我妈退休了医保怎么转到江北来', '&zone=XZZX01')
  t.equal(body.decision, 'answer')
  const [hit] = body.hits
  t.match(hit, {
    id: 'yibao-001',
    kind: 'qa',
    validity: 'current',
    version: 1,
    unit: { id: 'ybj', name: '区医保局' },
    basis: [{ document: 'zc-1', number: '江北示发〔2025〕3号', clause: '第二条' }],
    passage: null
  })
  t.ok(hit !== undefined && hit.highlights.length > 0)
  for (const { start, end } of hit?.highlights ?? []) t.ok(start < end && end <= (hit?.text.length ?? 0))
  t.equal(body.guidance, null)
  t.ok(body.confidence > 0 && body.confidence <= 1)
})

t.test('an entry that rests on a repealed rule is never the answer; its successor is named', async (t) => {
  const { body } = await get('八十岁以上老人的高龄津贴每月多少钱')
  t.not(body.decision, 'answer')
  const old = body.hits.find(({ id }) => id === 'yanglao-001')
  if (old !== undefined) {
    t.equal(old.validity, 'repealed')
    t.equal(old.successor?.document, 'zc-new')
  }
})

t.test('a question about another city is not answered from this district’s bank', async (t) => {
  const { body } = await get('成都的公租房怎么申请')
  t.equal(body.decision, 'escalate')
  t.same(body.hits, [])
  t.match(body.guidance?.reason, /成都/)
})

t.test('a question nobody here answers names the likely unit and how to reach it', async (t) => {
  const { body } = await get('医保局招不招保安')
  t.not(body.decision, 'answer')
  t.match(body.guidance, { unit: { id: 'ybj' }, phone: '023-0000-0115' })
})

t.test('what asks for no policy gets no choice, and is told what is answered here', async (t) => {
  const { body } = await get('帮我写一首关于公租房申请的诗')
  t.not(body.decision, 'choose')
  if (body.decision === 'escalate') t.match(body.guidance?.reason, '只答复本区的政策')
})

t.test('as one types the answer is the same, and nothing is logged', async (t) => {
  const asked = await get('公租房怎么申请')
  const typed = await get('公租房怎么申请', '&live=1')
  t.equal(typed.body.queryId, null)
  t.same(typed.body.hits, asked.body.hits)
  await parts.queryLog.flush()
  const logged = await parts.db.selectFrom('queries').select('id').where('text', '=', '公租房怎么申请').execute()
  t.equal(logged.length, 1)
  t.equal(logged[0]?.id, asked.body.queryId)
})

t.test('what is logged names nobody', async (t) => {
  const { body } = await get('我是500105199001010011，电话13800000000，公租房怎么申请')
  await parts.queryLog.flush()
  const row = await parts.db.selectFrom('queries').selectAll().where('id', '=', body.queryId).executeTakeFirstOrThrow()
  t.equal(row.text, '我是〔证件号〕，电话〔电话〕，公租房怎么申请')
  t.notMatch(JSON.stringify(row), /13800000000|500105199001010011/)
  t.equal(JSON.parse(row.evidence).candidates[0].key, 'qa/zhufang-001')
})

t.test('what is no question is refused in plain words', async (t) => {
  for (const q of ['', '   ', '？？！', '😀😀', '\u0000\u0001']) {
    const { status, body, type } = await get(q)
    t.equal(status, 400, JSON.stringify(q))
    t.match(type, 'application/problem+json')
    t.match(body, { code: 'EMPTY_QUESTION', status: 400, detail: /请写出/ })
  }
  t.match(await get('医'.repeat(501)), { status: 413, body: { code: 'QUESTION_TOO_LONG' } })
  t.match(await get('医'.repeat(10_000)), { status: 413 })
  t.match(await get('医保', '&zone=NOWHERE'), { status: 400, body: { code: 'UNKNOWN_ZONE' } })
  t.match(await get('医保', '&limit=0'), { status: 400, body: { code: 'INVALID_REQUEST' } })
})

t.test('the same matter in other letters finds the same entry', async (t) => {
  for (const q of [
    '公租房怎麼申請',
    '公租房怎么申请？？？',
    '　公租房　怎么申请',
    '公租房怎么申请😀',
    '公租房怎么申请\u200b',
    '<b>公租房怎么申请</b>'
  ]) {
    const { status, body } = await get(q)
    t.equal(status, 200, q)
    t.equal(body.hits[0]?.id, 'zhufang-001', q)
  }
})

t.test('no question, however hostile, is a 5xx', async (t) => {
  const hostile = [
    "' OR 1=1 --",
    '"; DROP TABLE records; --',
    '<script>alert(1)</script>',
    'title:(a OR b)^2~ [* TO *]',
    '{{constructor}}',
    '../../etc/passwd',
    '%00',
    '\ud800',
    'a'.repeat(500),
    '公租房 AND NOT 医保',
    '#{7*7}',
    'zhengce',
    '１'
  ]
  for (const q of hostile) {
    const response = await app.inject({ url: `/api/v1/answers?q=${encodeURIComponent(q.toWellFormed())}` })
    t.ok(response.statusCode < 500, q)
  }
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 520 }), async (q) => {
      const response = await app.inject({ url: `/api/v1/answers?live=1&q=${encodeURIComponent(q.toWellFormed())}` })
      return response.statusCode < 500
    }),
    { numRuns: 200 }
  )
  t.ok((await app.inject({ url: '/api/v1/answers?q=%ff%fe' })).statusCode < 500, 'bytes that are no UTF-8')
})

t.test('a changed entry is answered from at once, a retired one no longer', async (t) => {
  const changed = qa({ id: 'hunyin-001', question: '结婚登记要带什么', answer: '只带身份证就行。', unit: 'mzj' })
  await store([changed])
  const after = await get('结婚登记要带什么')
  t.match(after.body.hits[0], { text: '只带身份证就行。', version: 2 })
  await store([], ['qa.csv'])
  const gone = await get('结婚登记要带什么')
  t.notOk(gone.body.hits.some(({ id }) => id === 'hunyin-001'))
  const record = await app.inject({ url: '/api/v1/qa/hunyin-001' })
  t.match(record.json(), { retired: true, version: 3 })
})
