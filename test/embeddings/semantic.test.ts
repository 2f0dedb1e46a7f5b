import { join } from 'node:path'
import SqliteFile from 'better-sqlite3'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { Library } from '../../src/content/library.ts'
import { compare, type Incoming, storeChanges } from '../../src/content/store.ts'
import { type Database, type DatabaseAddress, migrate, openDatabase } from '../../src/database/open.ts'
import type { EmbeddingsAddress } from '../../src/embeddings/client.ts'
import { openSemantic, type Semantic, type SemanticNeeds } from '../../src/embeddings/semantic.ts'
import { absent, postgres } from '../peers.ts'
import { DISTRICT, document, qa } from '../sample-records.ts'
import { temporaryFolder, testApp } from '../test-app.ts'
import { type FakeServer, fakeServer, MISBEHAVIOURS, send, vectorOf } from './fake-server.ts'

t.setTimeout(300_000)

const RECORDS: Incoming[] = [
  qa({ id: 'yibao', question: '医保怎么转', variants: ['医疗保险转移'], answer: '到医保中心办理。' }),
  qa({ id: 'zufang', question: '公租房怎么申请', answer: '到街道申请。' }),
  document({ id: 'laoling', title: '高龄津贴办法', body: '第一条 八十岁以上老人每月一百元。\n第二条 每季度发放。' })
]
/** Two probes, three questions, two answers, two passages. */
const TEXTS = 9

/** Quick enough for a test, slow enough for a busy machine. */
const TIMES = { budgetMs: 1000, lateMs: 1000, openMs: 60_000, retryMs: 20, batchTimeoutMs: 1000 }

interface Opened {
  db: Database
  semantic: Semantic
  /** Stores records as an import would, and tells of them. */
  store: (incoming: readonly Incoming[], sources?: readonly string[]) => Promise<void>
}

async function open(
  t: Test,
  fake: FakeServer,
  given: {
    database?: DatabaseAddress
    records?: readonly Incoming[]
    address?: Partial<EmbeddingsAddress>
    times?: SemanticNeeds['times']
  } = {}
): Promise<Opened> {
  const db = await openDatabase(given.database ?? sqlite(t))
  await migrate(db)
  const library = new Library(db)
  const save = async (incoming: readonly Incoming[], sources: readonly string[] = []) => {
    const differences = await compare(db, incoming, sources)
    await storeChanges(db, { incoming, differences, by: 'test', at: '2026-11-23T01:00:00.000Z' })
    return differences.filter(({ change }) => change !== 'unchanged')
  }
  await save(given.records ?? RECORDS)
  const embeddings = {
    url: fake.url,
    models: { query: 'm', passage: 'm' },
    prefixes: { query: '', passage: '' },
    apiKey: null,
    ...given.address
  }
  const logger = pino({ level: 'silent' })
  const semantic = openSemantic({ db, library, config: { embeddings }, logger, times: { ...TIMES, ...given.times } })
  if (semantic === null) throw new Error('It is off')
  t.teardown(async () => {
    await semantic.close()
    await db.destroy()
  })
  return {
    db,
    semantic,
    async store(incoming, sources) {
      const changes = await save(incoming, sources)
      library.forget(changes)
      semantic.apply(changes)
    }
  }
}

const sqlite = (t: Test): DatabaseAddress => ({ kind: 'sqlite', file: join(temporaryFolder(t), 'zhengxun.db') })

const first = async (semantic: Semantic, question: string) => (await semantic.near(question, 10))?.hits[0]?.key

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await holds()); ) {
    if (Date.now() > end) throw new Error('It never held')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const storedCount = async (db: Database) =>
  Number(
    (
      await db
        .selectFrom('vectors')
        .select((e) => e.fn.countAll<number>().as('n'))
        .executeTakeFirstOrThrow()
    ).n
  )

function contract(t: Test, fresh: (t: Test) => Promise<DatabaseAddress>): void {
  t.test('entries are found by question, variant, answer and passage, and changes are followed', async (t) => {
    const fake = await fakeServer(t)
    const { semantic, store } = await open(t, fake, { database: await fresh(t) })
    await semantic.settled()
    t.same(semantic.status(), { state: 'ready', done: 3, total: 3, text: null })
    t.equal(fake.embedded.length, TEXTS)
    const found = await semantic.near('公租房怎样申请', 10)
    t.same(found?.hits[0], { key: 'qa/zufang', kind: 'qa', id: 'zufang', anchor: null })
    t.equal(found?.hits.length, 4)
    const { question = null, answer = null } = found?.of('qa/zufang') ?? {}
    t.ok(question !== null && answer !== null && question > answer && question <= 1)
    t.equal(found?.of('document/laoling#art-1')?.question, null, 'a passage is no question')
    t.equal(found?.of('qa/nobody'), null)
    t.equal((await semantic.near('公租房怎样申请', 2))?.hits.length, 2)
    t.equal(await first(semantic, '医疗保险的转移'), 'qa/yibao')
    t.equal(await first(semantic, '每季度发放吗'), 'document/laoling#art-2')

    const before = fake.embedded.length
    await store([qa({ id: 'zufang', question: '廉租住房', answer: '到街道申请。' })])
    t.equal(found?.of('qa/zufang'), null, 'unknown until it is embedded')
    await semantic.settled()
    t.same(fake.embedded.slice(before), ['廉租住房'], 'its answer had its vector')
    t.equal(await first(semantic, '廉租住房'), 'qa/zufang')
    await store([], ['qa.csv'])
    await semantic.settled()
    t.same(
      (await semantic.near('廉租住房', 10))?.hits.map(({ id }) => id),
      ['laoling', 'laoling']
    )
    t.match(semantic.status(), { state: 'ready', done: 1, total: 1 })
  })

  t.test('what has its vector is not embedded again; what is gone is deleted', async (t) => {
    const fake = await fakeServer(t)
    const database = await fresh(t)
    const one = await open(t, fake, { database })
    await one.semantic.settled()
    await one.store([qa({ id: 'zufang', question: '廉租住房', answer: '到街道申请。' })])
    await one.semantic.settled()
    t.equal(await storedCount(one.db), TEXTS + 1)
    await one.semantic.close()
    const before = fake.embedded.length
    const again = await open(t, fake, { database, records: [] })
    await again.semantic.settled()
    t.equal(fake.embedded.length - before, 2, 'the probes alone')
    t.equal(await first(again.semantic, '廉租住房'), 'qa/zufang')
    await again.semantic.close()
    t.equal(await storedCount(again.db), TEXTS, 'the old question is gone')
  })

  t.test('another model rebuilds everything', async (t) => {
    const fake = await fakeServer(t)
    const database = await fresh(t)
    const start = async (address: Partial<EmbeddingsAddress>) => {
      const before = fake.embedded.length
      const { semantic, db } = await open(t, fake, { database, records: [], address })
      await semantic.settled()
      t.equal(await first(semantic, '公租房怎样申请'), 'qa/zufang')
      await semantic.close()
      t.equal(await storedCount(db), TEXTS)
      return fake.embedded.length - before - 1
    }
    const filled = await open(t, fake, { database })
    await filled.semantic.close()
    await start({})
    t.equal(await start({ models: { query: 'n', passage: 'n' } }), TEXTS, 'another name')
    const renamed = { models: { query: 'n', passage: 'n' }, prefixes: { query: 'q: ', passage: '' } }
    t.equal(await start(renamed), 2 + 3, 'another prefix: the probes and the questions')
    fake.dimension = 64
    t.equal(await start(renamed), TEXTS + 2, 'another dimension, which is asked for twice')
    fake.seed = 2
    t.equal(await start(renamed), TEXTS + 2, 'other numbers under the same name')
    t.equal(await start(renamed), 2)
  })
}

t.test('SQLite', async (t) => contract(t, async (t) => sqlite(t)))

t.test('PostgreSQL', { skip: absent('PostgreSQL') }, async (t) => {
  contract(t, async (t) => ({ kind: 'postgresql', url: await postgres(t) }))
})

t.test('without an address there is none', async (t) => {
  const { parts, app } = await testApp(t, { records: DISTRICT })
  t.equal(parts.semantic, null)
  t.notOk('semantic' in (await app.inject('/readyz')).json().parts)
})

t.test('nothing is near while vectors are computed; then everything is', async (t) => {
  const fake = await fakeServer(t)
  let held = true
  fake.misbehave = (_, texts) => held && texts.length > 1
  const { semantic } = await open(t, fake, { times: { batchTimeoutMs: 100 } })
  t.equal(semantic.status().state, 'building')
  await until(() => fake.batches.length > 2)
  t.equal(await semantic.near('公租房怎样申请', 10), null)
  held = false
  await semantic.settled()
  t.equal(await first(semantic, '公租房怎样申请'), 'qa/zufang')
  t.equal(await semantic.near(' \u0000', 10), null, 'nothing was asked')
})

for (const [name, misbehave] of Object.entries(MISBEHAVIOURS)) {
  t.test(`a server that ${name}: a question goes by its words, in time, and the next one does not`, async (t) => {
    const fake = await fakeServer(t)
    const { semantic } = await open(t, fake, { times: { budgetMs: 150, lateMs: 300 } })
    await semantic.settled()
    fake.misbehave = misbehave
    const before = performance.now()
    t.equal(await semantic.near('公租房怎样申请', 10), null)
    t.ok(performance.now() - before < 1000, `${performance.now() - before} ms`)
    fake.misbehave = () => false
    await until(async () => (await first(semantic, '公租房怎样申请')) === 'qa/zufang')
    await semantic.settled()
    t.match(semantic.status(), { state: 'ready', done: 3 })
    t.equal(fake.embedded.filter((text) => text === '公租房怎么申请').length, 1, 'nothing was embedded again')
  })

  t.test(
    `a server that ${name} while texts are embedded: it is told, and the work ends once the server is well`,
    async (t) => {
      const fake = await fakeServer(t)
      fake.misbehave = (response, texts) => fake.batches.length > 2 && misbehave(response, texts)
      const { semantic } = await open(t, fake, { times: { batchTimeoutMs: 200 } })
      await until(() => semantic.status().state === 'failing')
      t.match(semantic.status().text, /语义服务.*已完成 0\/3/)
      t.equal(await semantic.near('公租房怎样申请', 10), null)
      fake.misbehave = () => false
      await semantic.settled()
      t.match(semantic.status(), { state: 'ready', text: null })
      t.equal(await first(semantic, '公租房怎样申请'), 'qa/zufang')
    }
  )
}

t.test('after three failures questions are kept away, but for one now and then', async (t) => {
  const fake = await fakeServer(t)
  const { semantic } = await open(t, fake, { times: { openMs: 300 } })
  await semantic.settled()
  fake.misbehave = MISBEHAVIOURS['answers 500'] as FakeServer['misbehave']
  const asked = async (question: string) => {
    const before = fake.batches.length
    await semantic.near(question, 10)
    return fake.batches.length - before
  }
  t.same([await asked('甲'), await asked('乙'), await asked('丙')], [1, 1, 1])
  t.match(semantic.status(), { state: 'failing', text: /暂按字词匹配/ })
  t.same([await asked('甲'), await asked('乙')], [0, 0])
  await new Promise((resolve) => setTimeout(resolve, 320))
  t.same([await asked('甲'), await asked('乙')], [1, 0], 'one tries')
  fake.misbehave = () => false
  await new Promise((resolve) => setTimeout(resolve, 320))
  t.ok(await semantic.near('甲', 10))
  t.ok(await semantic.near('乙', 10))
  t.equal(semantic.status().state, 'ready')
})

t.test('a vector that comes late serves who asks the same again', async (t) => {
  const fake = await fakeServer(t)
  let slow = false
  const { semantic } = await open(t, fake, { times: { budgetMs: 60 } })
  await semantic.settled()
  fake.misbehave = (response, texts) => {
    if (!slow) return false
    const data = texts.map((text, index) => ({ index, embedding: vectorOf(text, fake) }))
    setTimeout(() => send(response, 200, JSON.stringify({ data })), 150)
    return true
  }
  slow = true
  const before = fake.batches.length
  const questions = ['公租房怎样申请', '公租房', '租房', '租公房', '申请公租房']
  for (const question of questions) {
    t.equal(await semantic.near(question, 10), null)
    t.equal(await semantic.near(question, 10), null, 'still under way')
    await new Promise((resolve) => setTimeout(resolve, 150))
    t.equal(await first(semantic, question), 'qa/zufang')
  }
  t.equal(semantic.status().state, 'ready', 'slow is not dead')
  t.same(fake.batches.slice(before).flat(), questions, 'each was sent once')
})

t.test('what is asked again, or by two at once, is embedded once', async (t) => {
  const fake = await fakeServer(t)
  const { semantic } = await open(t, fake)
  await semantic.settled()
  const before = fake.embedded.length
  const both = await Promise.all([semantic.near('公租房', 10), semantic.near('公租房 ', 10)])
  t.same(both[0]?.hits, both[1]?.hits)
  t.ok(await semantic.near('公租房', 10))
  t.equal(fake.embedded.length - before, 1)
  const many = await Promise.all(Array.from({ length: 20 }, (_, n) => semantic.near(`问题${n}`, 10)))
  t.equal(many.filter((found) => found !== null).length, 8, 'the others would only have waited')
  t.equal(semantic.status().state, 'ready')
})

t.test('a server that dies in the middle of the work: what it did is kept, also over a restart', async (t) => {
  const fake = await fakeServer(t)
  const database = sqlite(t)
  const records = Array.from({ length: 80 }, (_, n) =>
    qa({ id: `q${n}`, question: `第${n}个问题`, answer: `第${n}个答复` })
  )
  fake.misbehave = (response) => {
    if (fake.embedded.length < 60) return false
    response.destroy()
    return true
  }
  const one = await open(t, fake, { database, records })
  await until(() => one.semantic.status().state === 'failing')
  await one.semantic.close()
  const done = fake.embedded.length
  t.equal(await storedCount(one.db), done)
  fake.misbehave = () => false
  const two = await open(t, fake, { database, records: [] })
  await two.semantic.settled()
  t.equal(fake.embedded.length, 2 + 160 + 2, 'each text once, and the probes twice')
  t.equal(await first(two.semantic, '第7个问题'), 'qa/q7')
})

t.test('a server that takes few texts at once, and one that cannot take a certain text', async (t) => {
  const fake = await fakeServer(t)
  fake.misbehave = (response, texts) => texts.length > 5 && send(response, 413, '{"error":"too many"}')
  const records = Array.from({ length: 40 }, (_, n) =>
    qa({ id: `q${n}`, question: `第${n}个问题`, answer: `第${n}个答复` })
  )
  const few = await open(t, fake, { records })
  await few.semantic.settled()
  t.match(few.semantic.status(), { state: 'ready', done: 40, text: null })

  fake.misbehave = (response, texts) =>
    texts.includes('第7个答复') && (MISBEHAVIOURS['answers with null'] as FakeServer['misbehave'])(response, texts)
  const odd = await open(t, fake, { records })
  await odd.semantic.settled()
  t.match(odd.semantic.status(), { state: 'ready', done: 40, text: /不接受 1 段文字/ })
  const found = await odd.semantic.near('第7个问题', 100)
  t.equal(found?.hits.length, 39)
  t.equal(found?.of('qa/q7'), null, 'an entry is known with all its texts or not at all')
})

t.test('a busy server is left alone as long as it asks for', async (t) => {
  const fake = await fakeServer(t)
  const times: number[] = []
  fake.misbehave = (response) => {
    times.push(performance.now())
    return times.length === 1 && send(response, 429, '', { 'retry-after': '1' })
  }
  const { semantic } = await open(t, fake)
  await until(() => semantic.status().state === 'failing')
  t.match(semantic.status().text, /429/)
  await semantic.settled()
  t.ok((times[1] as number) - (times[0] as number) > 950)
})

t.test('another dimension while it runs: nothing is near until everything is embedded anew', async (t) => {
  const fake = await fakeServer(t)
  const { semantic, db } = await open(t, fake)
  await semantic.settled()
  fake.dimension = 24
  t.equal(await semantic.near('公租房怎样申请', 10), null)
  await until(async () => (await first(semantic, '公租房怎样申请')) === 'qa/zufang')
  await semantic.settled()
  t.equal(fake.embedded.filter((text) => text === '公租房怎么申请').length, 2)
  const dimensions = await db.selectFrom('vectors').select('dimension').distinct().execute()
  t.same(dimensions, [{ dimension: 24 }])
})

t.test('two models that differ in dimension are told as such', async (t) => {
  const fake = await fakeServer(t)
  fake.misbehave = () => {
    fake.dimension = fake.dimension === 48 ? 24 : 48
    return false
  }
  const { semantic } = await open(t, fake)
  await until(() => semantic.status().state === 'failing')
  t.match(semantic.status().text, /维，答复模型.*EMBEDDINGS_MODEL/)
})

t.test('while another program writes to the database vectors wait, and nothing else does', async (t) => {
  const fake = await fakeServer(t)
  const database = sqlite(t)
  const { semantic, db, store } = await open(t, fake, { database })
  await semantic.settled()
  await store([qa({ id: 'zufang', question: '廉租住房', answer: '到街道申请。' })])
  if (database.kind !== 'sqlite') return
  const other = new SqliteFile(database.file)
  other.exec('begin immediate')
  await semantic.settled()
  t.equal(await first(semantic, '廉租住房'), 'qa/zufang')
  t.equal(await storedCount(db), TEXTS)
  other.exec('commit')
  other.close()
  await semantic.close()
  t.equal(await storedCount(db), TEXTS + 1)
})

t.test('it ends at once, whatever is under way', async (t) => {
  const fake = await fakeServer(t)
  fake.misbehave = () => true
  const { semantic } = await open(t, fake, { times: { batchTimeoutMs: 60_000 } })
  await until(() => fake.batches.length > 0)
  const before = performance.now()
  const settled = semantic.settled()
  await semantic.close()
  await settled
  t.ok(performance.now() - before < 2000)
  t.equal(await semantic.near('公租房', 10), null)
})

t.test('the service answers whatever the embeddings server does, and says how it is', async (t) => {
  const fake = await fakeServer(t)
  const { app, parts, store } = await testApp(t, { records: DISTRICT, environment: { EMBEDDINGS_URL: fake.url } })
  await parts.semantic?.settled()
  t.match((await app.inject('/readyz')).json(), { status: 'ready', parts: { semantic: { ok: true, detail: null } } })
  const figures = await app.inject('/metrics')
  t.match(figures.body, /zhengxun_semantic_ready 1/)
  t.match(figures.body, /zhengxun_semantic_records\{count="total"\} 7/)

  await store([qa({ id: 'new', question: '残疾人证怎么办', answer: '到区残联。' })])
  await parts.semantic?.settled()
  t.equal((await parts.semantic?.near('残疾人证怎么办理', 1))?.hits[0]?.id, 'new', 'a change comes by the feed')

  for (const [name, misbehave] of Object.entries(MISBEHAVIOURS)) {
    fake.misbehave = misbehave
    const before = performance.now()
    const url = `/api/v1/answers?q=${encodeURIComponent(`结婚登记要带什么${name}`)}`
    const answer = await app.inject(url)
    t.equal(answer.statusCode, 200, `${name} ${answer.body.slice(0, 200)}`)
    t.equal(answer.json().hits[0]?.id, 'hunyin-001')
    t.ok(performance.now() - before < 2000)
  }
  await parts.semantic?.near('甲', 1)
  await parts.semantic?.near('乙', 1)
  await parts.semantic?.near('丙', 1)
  const ready = await app.inject('/readyz')
  t.equal(ready.statusCode, 200, 'semantic matching is an extra')
  t.match(ready.json(), { status: 'degraded', parts: { semantic: { ok: false, detail: /字词/ } } })
  t.match((await app.inject('/metrics')).body, /zhengxun_semantic_ready 0/)
})
