import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type EmbeddedEngine, openEmbeddedEngine } from '../../../src/search/embedded/engine.ts'
import { TOKEN_UNITS } from '../../../src/search/tokens.ts'
import {
  anyBank,
  anyFilter,
  anyQuery,
  type Bank,
  engineContract,
  entry,
  openBank,
  plainHits,
  query,
  sameHits
} from '../engine-contract.ts'

async function open(t: Test, bank: Bank): Promise<EmbeddedEngine> {
  const engine = openEmbeddedEngine(bank)
  t.teardown(() => engine.close())
  await engine.firstIndex
  return engine
}

// Starting a worker takes seconds when the machine is busy.
t.setTimeout(180_000)

const many = (count: number, from = 0) =>
  Array.from({ length: count }, (_, at) =>
    entry(String(from + at), { question: `补贴 ${from + at}`, answer: '按 标准 发放' })
  )

t.test('keeps the contract of every engine', async (t) => engineContract(t, open))

t.test('a bank too large for the main thread is rebuilt in a worker, while the old index answers', async (t) => {
  const bank = await openBank(t, many(1500))
  const engine = await open(t, bank)
  const rebuilt = engine.rebuild()
  await engine.apply(...(await bank.change('qa', '3', [])))
  const { hits: during } = await engine.search({ tokens: query('7 标准'), limit: 3 })
  t.equal(during[0]?.key, 'qa/7')
  t.match(engine.status(), { ready: true, progress: /正在建立索引/ })
  await rebuilt
  const found = async (words: string) =>
    (await engine.search({ tokens: query(words), limit: 3 })).hits.map(({ key }) => key)
  t.same(await found('7 标准'), ['qa/7', 'qa/0', 'qa/1'])
  t.same(await found('3'), [])
  t.match(engine.status(), { ready: true, entries: 1499, sequence: 1, progress: null })
})

t.test('a worker that fails leaves the old index serving and tells why', async (t) => {
  const bank = await openBank(t, many(1500))
  const engine = await open(t, bank)
  await bank.db.insertInto('entries').values({ key: 'qa/bad', identity: 'test', entry: '{', pinyin: '' }).execute()
  await t.rejects(engine.rebuild())
  t.match(engine.status(), { ready: true, entries: 1500, progress: /索引重建失败.*JSON/ })
  t.equal((await engine.search({ tokens: query('7'), limit: 1 })).hits.length, 1)
  await bank.db.deleteFrom('entries').where('key', '=', 'qa/bad').execute()
  await engine.rebuild()
  t.match(engine.status(), { ready: true, entries: 1500, progress: null })
})

t.test('an index that cannot be built at start says so, takes changes, and recovers', async (t) => {
  const bank = await openBank(t, many(3))
  await bank.db.insertInto('entries').values({ key: 'qa/bad', identity: 'test', entry: '{', pinyin: '' }).execute()
  const engine = openEmbeddedEngine(bank)
  t.teardown(() => engine.close())
  await t.rejects(engine.firstIndex)
  t.match(engine.status(), { ready: false, progress: /索引建立失败/ })
  await bank.db.deleteFrom('entries').where('key', '=', 'qa/bad').execute()
  await engine.apply(...(await bank.change('qa', 'new', [entry('new', { question: '高龄 津贴' })])))
  await engine.rebuild()
  t.match(engine.status(), { ready: true, entries: 4, sequence: 1 })
})

t.test('more than 500 changed entries set off a build by themselves', async (t) => {
  const bank = await openBank(t, many(1200))
  const engine = await open(t, bank)
  const passages = Array.from({ length: 501 }, (_, at) => entry('big', { anchor: `p${at}`, passage: `第 ${at} 条` }))
  await engine.apply(...(await bank.change('document', 'big', passages)))
  t.match(engine.status(), { entries: 1701, sequence: 1, progress: /正在建立索引/ })
  while (engine.status().progress !== null) await new Promise((resolve) => setTimeout(resolve, 20))
  const tokens = query('第 77 条')
  sameHits(t, (await engine.search({ tokens, limit: 9 })).hits, plainHits(bank.entries(), tokens), 9, 'as built anew')
  t.match(engine.status(), { entries: 1701, sequence: 1 })
})

t.test('an entry just added scores as its twin that was there when the index was built', async (t) => {
  const given = { question: '公租房 怎么 申请', variants: ['廉租房 申请'], answer: '带 材料 到 街道 申请' }
  const bank = await openBank(t, [...many(20), entry('twin', given)])
  const engine = await open(t, bank)
  await engine.apply(...(await bank.change('qa', 'added', [entry('added', given)])))
  const [first, second] = (await engine.search({ tokens: query('公租房 申请 标准'), limit: 2 })).hits
  t.same([first?.key, second?.key], ['qa/added', 'qa/twin'])
  t.equal(first?.score, second?.score)
})

t.test('a load of thousands is taken over by a build', async (t) => {
  const bank = await openBank(t, many(10))
  const engine = await open(t, bank)
  const [, sequence] = await bank.change(
    'qa',
    'x',
    many(2500, 100).map((one) => ({ ...one }))
  )
  await engine.apply([{ kind: 'qa', id: 'x', entries: many(2500, 100) }], sequence)
  t.match(engine.status(), { entries: 2510, sequence, progress: null })
  t.equal((await engine.search({ tokens: query('2599'), limit: 1 })).hits[0]?.key, 'qa/2599')
})

t.test('an in-memory database is read by the connection that has it', async (t) => {
  const bank = await openBank(t, many(1100))
  const engine = openEmbeddedEngine({ db: bank.db, address: { kind: 'sqlite', file: ':memory:' } })
  t.teardown(() => engine.close())
  await engine.rebuild()
  t.equal(engine.status().entries, 1100)
})

t.test('closing ends a build under way', async (t) => {
  const bank = await openBank(t, many(1500))
  const engine = await open(t, bank)
  const rebuilt = engine.rebuild()
  await engine.close()
  await t.rejects(rebuilt)
})

t.test('the matcher gets terms, frequencies and idf of what is live', async (t) => {
  const bank = await openBank(t, [
    entry('1', { question: '公租房 申请', variants: ['廉租房 申请', '保障房'], answer: '带 材料 材料' }),
    entry('2', { question: '医保 申请' }),
    entry('d', { anchor: 'p1', title: '办法', passage: '申请 条件' }),
    entry('3', { question: '落户' }),
    entry('4', { question: '入学' }),
    entry('5', { question: '就业' })
  ])
  const engine = await open(t, bank)
  const idf = (df: number) => Math.fround(Math.log(1 + (1000 - df + 0.5) / (df + 0.5)))
  const sets = (key: string) => {
    const terms = engine.terms(key)
    const ids = (...words: string[]) => engine.lookup('words', words).ids.toSorted()
    return { terms, ids }
  }
  const check = (n: number, df: number) => {
    const { ids, idf: idfs } = engine.lookup('words', ['申请', '没有的词'])
    t.same([...idfs], [idf(df), idf(0)])
    t.equal(engine.weights('words')[ids[0] as number], idf(df))
    t.equal(ids[1], -1)
    t.equal(engine.entryCount(), n)
  }
  check(6, 3)
  const one = sets('qa/1')
  t.same(
    one.terms?.questions.map(({ terms }) => terms.words),
    [one.ids('公租房', '申请'), one.ids('廉租房', '申请'), one.ids('保障房')]
  )
  t.same(one.terms?.answers[0]?.terms.words, one.ids('带', '材料'))
  t.equal(one.terms?.questions[0]?.terms.characters.length, 5)
  t.equal(
    [...(one.terms?.questions[0]?.sequence ?? [])].map((id) => engine.token('characters', id)).join(''),
    '公租房申请'
  )
  t.equal(engine.terms('qa/1'), one.terms, 'the same object while the entry stays')
  t.same(
    sets('document/d#p1').terms?.questions.map(({ terms }) => terms.words),
    [one.ids('办法')]
  )
  t.equal(engine.terms('qa/none'), null)

  await engine.apply(...(await bank.change('qa', '1', [entry('1', { question: '新词 申请 申请', answer: '带 材料' })])))
  check(6, 3)
  const changed = sets('qa/1')
  t.same(
    changed.terms?.questions.map(({ terms }) => terms.words),
    [changed.ids('新词', '申请')]
  )
  t.equal(
    [...(changed.terms?.questions[0]?.sequence ?? [])].map((id) => engine.token('characters', id)).join(''),
    '新词申请申请'
  )
  t.same(changed.terms?.answers[0]?.terms.words, changed.ids('带', '材料'))
  await engine.apply(...(await bank.change('qa', '2', [])))
  check(5, 2)
  t.equal(engine.terms('qa/2'), null)
  await engine.apply(...(await bank.change('qa', '1', [])))
  check(4, 1)
  t.equal(engine.weights('words')[engine.lookup('words', ['新词']).ids[0] as number], idf(0))
})

t.test('any bank, question and filter: as the definition has it', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      anyBank(0, 25),
      anyQuery,
      anyFilter,
      fc.integer({ min: 1, max: 12 }),
      async (entries, tokens, filter, limit) => {
        const bank = await openBank(t, entries)
        const engine = openEmbeddedEngine(bank)
        await engine.firstIndex
        sameHits(
          t,
          (await engine.search({ tokens, filter, limit })).hits,
          plainHits(entries, tokens, filter),
          limit,
          'as the definition has it'
        )
        for (const { key, score } of (await engine.search({ tokens, limit: 3 })).hits) {
          const sum = (await engine.explain(tokens, key)).reduce((all, { impact }) => all + impact, 0)
          t.ok(Math.abs(sum - score) < 1e-4 * Math.max(1, score))
        }
        for (const unit of TOKEN_UNITS) t.ok([...engine.lookup(unit, tokens[unit]).idf].every((idf) => idf > 0))
        await engine.close()
      }
    ),
    { numRuns: 40 }
  )
})
