import t, { type Test } from 'tap'
import {
  confirmedQueries,
  confirmThresholds,
  importLabels,
  labelOn,
  problemLine,
  qualityOf,
  readLabels,
  standingThresholds,
  undoThresholds
} from '../../src/consultations/labels.ts'
import type { Evidence } from '../../src/consultations/ask.ts'
import type { Database } from '../../src/database/open.ts'
import type { QueriesTable } from '../../src/database/schema.ts'
import { MODEL_VERSION, THRESHOLDS } from '../../src/matching/confidence.ts'
import type { Proposal } from '../../src/matching/refit.ts'
import { absent, postgres } from '../peers.ts'
import { DISTRICT } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

const NOW = new Date('2026-11-23T04:00:00.000Z')

const FIRST = 'qa/zhufang-001'

interface Logged {
  id: string
  decision?: QueriesTable['decision']
  confidence?: number
  askedAt?: string
  model?: string
  keys?: string[]
  /** Of the first. */
  placeConflict?: boolean
}

function query(given: Logged): QueriesTable {
  const {
    id,
    decision = 'answer',
    confidence = 0.97,
    askedAt = '2026-11-20T02:00:00.000Z',
    model = MODEL_VERSION
  } = given
  const { keys = [FIRST, 'qa/yibao-001', 'document/zc-1#art-2'], placeConflict = false } = given
  const evidence: Evidence = {
    model,
    thresholds: { answer: 0.9, answerPassage: 0.95, choose: 0.15, chooseMost: 5 },
    semantic: false,
    withheld: placeConflict || (decision !== 'answer' && confidence >= 0.9),
    candidates: keys.map((key, at) => ({
      key,
      version: 1,
      score: 1,
      confidence: at === 0 ? confidence : 0.01,
      features: at === 0 && placeConflict ? { placeConflict: 1 } : {}
    }))
  }
  return {
    id,
    asked_at: askedAt,
    zone: null,
    text: '公租房怎么申请',
    decision,
    confidence,
    evidence: JSON.stringify(evidence),
    degraded: 0,
    took_ms: 1
  }
}

async function log(db: Database, ...queries: Logged[]): Promise<void> {
  await db.insertInto('queries').values(queries.map(query)).execute()
}

async function load(db: Database, text: string, now = NOW) {
  const read = readLabels(text)
  return read.kind === 'refused' ? read : await importLabels(db, read.rows, now)
}

/** What a file is refused for, as it is printed. */
async function refusals(db: Database, text: string): Promise<string> {
  const outcome = await load(db, text)
  return outcome.kind === 'refused' ? outcome.problems.map(problemLine).join('\n') : 'stored'
}

const stored = async (db: Database) => await db.selectFrom('labels').selectAll().orderBy('query_id').execute()

/** The same for both databases. */
function onBoth(name: string, run: (t: Test, environment: NodeJS.ProcessEnv) => Promise<void>): void {
  t.test(`${name} (SQLite)`, async (t) => await run(t, {}))
  t.test(`${name} (PostgreSQL)`, { skip: absent('PostgreSQL') }, async (t) => {
    await run(t, { DATABASE_URL: await postgres(t) })
  })
}

onBoth('confirmations are kept with what was decided, once, the last word counting', async (t, environment) => {
  const { parts } = await testApp(t, { records: DISTRICT, environment })
  const { db } = parts
  await log(
    db,
    { id: 'a' },
    { id: 'b', decision: 'choose', confidence: 0.5 },
    { id: 'c', decision: 'escalate', confidence: 0.99, placeConflict: true },
    { id: 'd', decision: 'choose', confidence: 0.97, model: 'older' }
  )
  const file = '咨询编号,判定,正确条目,日期\na,对,,2026-11-21\nb,另一条,yibao-001,\nc,错,,\nd,对,zhufang-001,\n'
  t.same(await load(db, file), { kind: 'stored', added: 4, replaced: 0, unchanged: 0, outdated: 0 })
  const first = await stored(db)
  t.match(first, [
    { query_id: 'a', label: 'right', entry: null, place: 0, withheld: 0, labelled_at: '2026-11-20T16:00:00.000Z' },
    { query_id: 'b', label: 'other', entry: 'qa/yibao-001', place: 1, withheld: 0, first: FIRST },
    { query_id: 'c', label: 'wrong', entry: null, place: null, withheld: 1, among: null },
    { query_id: 'd', label: 'right', place: 0, withheld: 1, model: 'older' }
  ])
  t.ok(Math.abs((first[1]?.among ?? 0) - 0.52) < 1e-9, 'the chance that one of them answers')

  t.same(await load(db, file, new Date('2026-12-01T00:00:00Z')), {
    kind: 'stored',
    added: 0,
    replaced: 0,
    unchanged: 4,
    outdated: 0
  })
  t.same(await stored(db), first, 'the same file again changes nothing')

  t.match(await load(db, 'queryId,label,date\na,wrong,2026-11-20'), { outdated: 1, replaced: 0 })
  t.match(await load(db, 'queryId;label;date\na;wrong;2026/11/22'), { replaced: 1 })
  t.match(await labelOn(db, 'a'), { label: 'wrong', place: null })
  t.match(await load(db, '{"queryId":"a","label":"other","entry":"document/zc-1#art-2"}'), { replaced: 1 })
  t.match(await labelOn(db, 'a'), { entry: 'document/zc-1#art-2', place: 2 })
  t.match(await load(db, '{"queryId":"b","label":"other","entry":"document/zc-1"}'), { replaced: 1 })
  t.match(await labelOn(db, 'b'), { place: 2 }, 'any clause of the document')
  t.match(await load(db, 'queryId,label,entry\nb,other,hunyin-001'), { replaced: 1 })
  t.match(await labelOn(db, 'b'), { place: null }, 'in the bank, and not among the candidates')

  const { confirmed, otherModels } = await confirmedQueries(db)
  t.equal(otherModels, 1)
  t.match(confirmed, [
    { queryId: 'a', kind: 'qa', withheld: false },
    { queryId: 'b' },
    { queryId: 'c', withheld: true }
  ])

  await db.deleteFrom('queries').execute()
  t.match(await load(db, 'queryId,label,entry\nb,other,qa/hunyin-001'), { unchanged: 1 }, 'the query has gone since')
})

t.test('a file with a fault is named by row and column, with a way out, and nothing of it is kept', async (t) => {
  const { parts } = await testApp(t, { records: DISTRICT })
  const { db } = parts
  await log(db, { id: 'a' }, { id: 'b' }, { id: 'none', decision: 'escalate', confidence: 0, keys: [] })
  const bad = [
    '咨询编号,判定,正确条目,日期',
    'a,对,,',
    'nobody,对,,',
    ',对,,',
    'b,也许,,',
    'b,另一条,,',
    'b,另一条,gone-001,',
    'b,另一条,zhufang-001,',
    'b,错,yibao-001,',
    'b,对,yibao-001,',
    'b,对,,2026-02-30',
    'b,对,,2026-11-24',
    'b,对,,2026-11-01',
    'none,对,,',
    'a,错,,',
    'b,constructor,,'
  ].join('\n')
  const problems = await refusals(db, bad)
  for (const expected of [
    /第 3 行「咨询编号（A 列）」：没有这个编号的咨询（写的是：nobody）。请核对编号/,
    /第 4 行「咨询编号（A 列）」：没有写咨询编号。/,
    /第 5 行「判定（B 列）」：判定写法不对（写的是：也许）。请写 对、错 或 另一条/,
    /第 6 行「正确条目（C 列）」：判为另一条，却没有写是哪一条。/,
    /第 7 行「正确条目（C 列）」：问答库和文件里没有这一条，或者已撤下（写的是：gone-001）/,
    /第 9 行「正确条目（C 列）」：判为错，却写了正确条目/,
    /第 11 行「日期（D 列）」：不是日期，或者没有这一天（写的是：2026-02-30）/,
    /第 12 行「日期（D 列）」：日期还没有到/,
    /第 14 行「判定（B 列）」：这次咨询没有候选条目，不能判为对/,
    /第 15 行「判定（B 列）」：同一次咨询在第 2 行判定不同/,
    /第 16 行「判定（B 列）」：判定写法不对（写的是：constructor）/
  ]) {
    t.match(problems, expected)
  }
  t.same(await stored(db), [], 'all or none')
  t.match(await refusals(db, 'queryId,label,entry\nb,other,zhufang-001'), /这一条就是当时的第一条/)
  t.match(await refusals(db, 'queryId,label,entry\nb,right,yibao-001'), /写的却不是当时的第一条 qa\/zhufang-001/)
  t.match(await refusals(db, 'queryId,label,date\nb,right,2026-11-01'), /早于提问的日期 2026-11-20/)
  t.match(await refusals(db, 'queryId,label,entry\nb,other,document/zc-1#art-99'), /没有这一条/)
  t.match(await refusals(db, "queryId,label,entry\nb,other,x' or '1'='1"), /不是条目的编号/)
  t.equal(await refusals(db, 'queryId,label\nb,right\nb,right'), 'stored', 'said twice, the same')
})

t.test('hostile files are told from labels', async (t) => {
  const { parts } = await testApp(t, { records: DISTRICT })
  const { db } = parts
  await log(db, { id: 'a' })
  for (const [text, expected] of [
    ['', /文件是空的/],
    ['\ufeff \n', /文件是空的/],
    ['PK\u0003\u0004\0\0', /不是文本文件，或者编码无法识别。请在 Excel\/WPS 里另存为/],
    ['咨询编号,\ufffd\ufffd\na,对', /编码无法识别/],
    ['编号,结果\na,对', /第 1 行：第一行表头里没有「咨询编号」「判定」/],
    ['咨询编号,判定', /表头下面没有内容/],
    ['咨询编号,判定,queryId\na,对,a', /「queryId（C 列）」：「咨询编号」这一列出现了两次/],
    ['咨询编号,判定\n"a,对\n', /引号没有成对/],
    ['{"queryId":"a","label":"right"\n', /第 1 行：这一行不是一个完整的 JSON 对象/],
    ['{"queryId":7,"label":["right"]}', /第 1 行「queryId」：不是文字（写的是：7）/],
    ['{"queryId":"a"}\n[1]', /第 2 行：这一行不是一个完整的 JSON 对象/],
    ['{"__proto__":{"label":"right"},"queryId":"a"}', /没有写判定/],
    [`咨询编号,判定\n${'x'.repeat(100_000)},对`, /写的是：x{60}…）/],
    ['咨询编号,判定\n=cmd|calc!A1,对', /没有这个编号的咨询/],
    ["咨询编号,判定\na' or '1'='1,对", /没有这个编号的咨询/]
  ] as const) {
    t.match(await refusals(db, text), expected)
  }
  t.notMatch(await refusals(db, '咨询编号,判定\na\u001b[2J\u0007,对'), /\p{Cc}(?<!\n)/u, 'nothing reaches the terminal')
  t.same(await stored(db), [])
  const read = readLabels('确认人,咨询编号,判定\n张三,a,对\n')
  t.match(read, { kind: 'read', ignored: ['确认人'] }, 'no names are taken in')
  t.notMatch(JSON.stringify(read), /张三/)
  t.equal(await refusals(db, '\ufeff咨询编号\t判定\r\na\t对\r\n\r\n'), 'stored')
})

const PROPOSAL: Proposal = {
  kind: 'proposed',
  thresholds: { answer: 0.7, answerPassage: 0.8, choose: 0.1, chooseMost: 5 },
  moves: {
    answer: { from: 0.9, to: 0.7, because: 'precise', limited: false },
    answerPassage: { from: 0.95, to: 0.8, because: 'distance', limited: false },
    choose: { from: 0.15, to: 0.1, because: 'imprecise', limited: false }
  },
  fitted: 40,
  before: { labels: 40, answered: 10, wrong: 0, needless: 20, missed: 2 },
  after: { labels: 40, answered: 25, wrong: 1, needless: 5, missed: 1 }
}

onBoth('confirmed thresholds are in force in a running service, and can be taken back', async (t, environment) => {
  const { app, parts } = await testApp(t, { records: DISTRICT, environment })
  const { db } = parts
  t.same(parts.thresholds(), THRESHOLDS)
  t.equal(await undoThresholds(db, NOW), null, 'nothing to go back to')
  const confirm = async (answer: number) => {
    const proposal = { ...PROPOSAL, thresholds: { ...PROPOSAL.thresholds, answer } }
    const previous = await standingThresholds(db)
    await confirmThresholds(db, { proposal, previous, labels: 80, otherModels: 3, now: NOW })
    await parts.follow()
  }
  const undo = async () => {
    await undoThresholds(db, NOW)
    await parts.follow()
    return parts.thresholds()
  }
  const decided = async () => {
    const q = encodeURIComponent('公租房怎么申请')
    return (await app.inject(`/api/v1/answers?q=${q}`)).json<{ decision: string; queryId: string }>()
  }
  await confirm(0)
  t.equal((await decided()).decision, 'answer')
  await confirm(1)
  t.equal(parts.thresholds().answer, 1)
  const { decision, queryId } = await decided()
  t.not(decision, 'answer', 'without a restart')
  await parts.queryLog.flush()
  const { evidence } = await db
    .selectFrom('queries')
    .select('evidence')
    .where('id', '=', queryId)
    .executeTakeFirstOrThrow()
  t.equal((JSON.parse(evidence) as Evidence).thresholds.answer, 1, 'and the evidence says by which')
  t.equal((await standingThresholds(db)).usedLabels, 80)
  t.equal((await undo()).answer, 0, 'the one before')
  t.same(await undo(), THRESHOLDS, 'and the one before that: as shipped')
  t.same(await undo(), THRESHOLDS)
  await confirm(0.6)
  t.same(await undo(), THRESHOLDS)
  const rows = await db.selectFrom('thresholds').select(['id', 'made_from']).orderBy('id').execute()
  t.equal(rows.length, 6, 'what stood when stays on record')
  t.match(JSON.parse(rows[0]?.made_from ?? ''), { labels: 80, otherModels: 3, fitted: 40, after: { answered: 25 } })

  await confirm(0.6)
  await db
    .insertInto('thresholds')
    .values({ model: 'newer', content: '{}', made_at: '', made_from: null, previous: 0 })
    .execute()
  await parts.follow()
  t.equal(parts.thresholds().answer, 0.6, "another model's say nothing here")
  const broken = { model: MODEL_VERSION, content: '{"answer":7}', made_at: '', made_from: null, previous: 0 }
  await db.insertInto('thresholds').values(broken).execute()
  await parts.follow()
  t.equal(parts.thresholds().answer, 0.6, 'what cannot be read changes nothing')
})

onBoth('the false-answer rate is published once it rests on twenty', async (t, environment) => {
  const { app, parts } = await testApp(t, { records: DISTRICT, environment })
  const { db } = parts
  const daysAgo = (days: number) => new Date(parts.now().getTime() - days * 24 * 3600 * 1000).toISOString()
  const ids = Array.from({ length: 25 }, (_, at) => `q-${at}`)
  await log(
    db,
    ...ids.map((id) => ({ id, askedAt: daysAgo(1) })),
    { id: 'old', askedAt: daysAgo(95) },
    { id: 'chosen', askedAt: daysAgo(1), decision: 'choose' }
  )
  const labelled = (count: number) =>
    `queryId,label,entry\nold,wrong,\nchosen,wrong,\n${ids
      .slice(0, count)
      .map((id, at) => (at === 0 ? `${id},wrong,` : at === 1 ? `${id},other,yibao-001` : `${id},right,`))
      .join('\n')}`
  const figures = async () => (await app.inject('/api/v1/quality')).json<Record<string, unknown>>()
  t.match(await figures(), { confirmed: 0, wrong: 0, falseAnswerRate: null })
  await load(db, labelled(19), parts.now())
  t.match(await figures(), { confirmed: 19, wrong: 2, falseAnswerRate: null })
  t.notMatch((await app.inject('/metrics')).body, /zhengxun_false_answer_rate\{/)
  await load(db, labelled(25), parts.now())
  const { from, to, ...counts } = await figures()
  t.same(counts, { confirmed: 25, wrong: 2, falseAnswerRate: 0.08 })
  t.equal((Date.parse(String(to)) - Date.parse(String(from))) / (24 * 3600 * 1000), 89, 'ninety days, both included')
  const { body } = await app.inject('/metrics')
  t.match(body, /zhengxun_confirmed_answers\{period="90d",result="right"\} 23/)
  t.match(body, /zhengxun_false_answer_rate\{period="90d"\} 0\.08/)
  t.ok('/api/v1/quality' in (await app.inject('/openapi.json')).json<{ paths: object }>().paths)
  const later = await qualityOf(db, new Date(parts.now().getTime() + 100 * 24 * 3600 * 1000))
  t.match(later, { confirmed: 0, falseAnswerRate: null }, 'and forgets what is older')
})
