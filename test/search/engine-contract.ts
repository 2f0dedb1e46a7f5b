import fc from 'fast-check'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type Database, type DatabaseAddress, migrate, openDatabase } from '../../src/database/open.ts'
import { BM25, BOOSTS } from '../../src/search/boosts.ts'
import type { EngineHit, EntryFilter, QueryTokens, SearchEngine } from '../../src/search/search-engine.ts'
import { encodeEntry } from '../../src/search/stored-entries.ts'
import {
  ENTRY_FIELDS,
  type Entry,
  type EntryField,
  type FieldTokens,
  type RecordChange,
  TOKEN_UNITS,
  tokensOf
} from '../../src/search/tokens.ts'

/** A form from words parted by blanks. */
export function form(words: string): FieldTokens {
  const list = words.split(' ').filter((word) => word !== '')
  return { text: list.join(''), words: list }
}

type Given = Partial<Omit<Entry, 'key' | 'fields'>> & Partial<Record<EntryField, string | string[]>>

/** An entry from its words, everything else as plain as can be. */
export function entry(id: string, given: Given): Entry {
  const { question, variants, answer, title, passage, ...rest } = given
  const texts = { question, variants, answer, title, passage }
  const anchor = rest.anchor ?? null
  const kind = rest.kind ?? (anchor === null ? 'qa' : 'document')
  return {
    unit: null,
    topic: null,
    status: 'current',
    validFrom: null,
    validTo: null,
    date: null,
    ...rest,
    key: anchor === null ? `${kind}/${id}` : `${kind}/${id}#${anchor}`,
    kind,
    id,
    anchor,
    fields: Object.fromEntries(ENTRY_FIELDS.map((field) => [field, [texts[field] ?? []].flat().map(form)])) as Record<
      EntryField,
      FieldTokens[]
    >
  }
}

export function query(words: string): QueryTokens {
  const asked = form(words)
  return { words: asked.words, bigrams: tokensOf(asked, 'bigrams'), characters: tokensOf(asked, 'characters') }
}

/** A database of entries, as the indexer leaves it, and the changes its feed would report. */
export interface Bank {
  db: Database
  address: DatabaseAddress
  /** What is stored now. */
  entries(): Entry[]
  /** Replaces a record and returns what the engine must take over. */
  change(kind: Entry['kind'], id: string, entries: readonly Entry[]): Promise<[RecordChange[], number]>
}

/** A bank in a SQLite file of its own, gone after the test, or in the database given. */
export async function openBank(t: Test, entries: readonly Entry[], given?: DatabaseAddress): Promise<Bank> {
  const folder = mkdtempSync(join(tmpdir(), 'bank-'))
  const address: DatabaseAddress = given ?? { kind: 'sqlite', file: join(folder, 'bank.sqlite') }
  const db = await openDatabase(address)
  await migrate(db)
  t.teardown(async () => {
    await db.destroy()
    rmSync(folder, { recursive: true })
  })
  const stored = new Map<string, Entry>()
  let sequence = 0
  const insert = async (rows: readonly Entry[]): Promise<void> => {
    for (let at = 0; at < rows.length; at += 500) {
      const values = rows
        .slice(at, at + 500)
        .map((row) => ({ key: row.key, identity: 'test', entry: encodeEntry(row), pinyin: '' }))
      await db.insertInto('entries').values(values).execute()
    }
    for (const row of rows) stored.set(row.key, row)
  }
  await insert(entries)
  return {
    db,
    address,
    entries: () => [...stored.values()].sort((a, b) => (a.key < b.key ? -1 : 1)),
    async change(kind, id, changed) {
      const gone = [...stored.values()].filter((held) => held.kind === kind && held.id === id)
      for (const { key } of gone) {
        await db.deleteFrom('entries').where('key', '=', key).execute()
        stored.delete(key)
      }
      await insert(changed)
      sequence++
      const row = { kind, id, revision: sequence, retired: 0, content: '{}', hash: '', sample: 0, source: '' } as const
      await db
        .insertInto('revisions')
        .values({ ...row, sequence, changed_at: '', changed_by: '' })
        .execute()
      return [[{ kind, id, entries: changed }], sequence]
    }
  }
}

/** Scores by the definition in src/search/boosts.ts, over all entries, best first, ties by key. */
export function plainHits(
  entries: readonly Entry[],
  tokens: QueryTokens,
  filter: EntryFilter = {}
): { key: string; score: number }[] {
  const scores = new Map<string, number>()
  for (const unit of TOKEN_UNITS) {
    for (const field of ENTRY_FIELDS) {
      const texts = new Map<string, readonly string[]>()
      for (const { key, fields } of entries) {
        const all = fields[field].flatMap((one) => tokensOf(one, unit))
        if (all.length > 0) texts.set(key, all)
      }
      const average = [...texts.values()].reduce((sum, text) => sum + text.length, 0) / texts.size
      for (const token of tokens[unit]) {
        const holders = [...texts].filter(([, text]) => text.includes(token))
        const idf = Math.log(1 + (texts.size - holders.length + 0.5) / (holders.length + 0.5))
        for (const [key, text] of holders) {
          const tf = text.filter((each) => each === token).length
          const norm = BM25.k1 * (1 - BM25.b + (BM25.b * luceneLength(text.length)) / average)
          scores.set(key, (scores.get(key) ?? 0) + (BOOSTS[unit][field] * idf * tf) / (tf + norm))
        }
      }
    }
  }
  return entries
    .filter((held) => scores.has(held.key) && passes(held, filter))
    .map(({ key }) => ({ key, score: scores.get(key) as number }))
    .sort((a, b) => b.score - a.score || (a.key < b.key ? -1 : 1))
}

/** Field lengths as Lucene stores them in one byte: exact to 39, then four significant bits of what is above 24. */
function luceneLength(length: number): number {
  let step = 1
  while ((length - 24) / step >= 16) step *= 2
  return length < 40 ? length : 24 + Math.floor((length - 24) / step) * step
}

function passes(held: Entry, filter: EntryFilter): boolean {
  const { kind, unit, topic, inForceOn, dateFrom, dateTo } = filter
  if (kind !== undefined && held.kind !== kind) return false
  if (unit !== undefined && held.unit !== unit) return false
  if (topic !== undefined && held.topic !== topic) return false
  if (inForceOn !== undefined) {
    if (held.status === 'repealed') return false
    if (held.validFrom !== null && held.validFrom > inForceOn) return false
    if (held.validTo !== null && held.validTo < inForceOn) return false
  }
  if (dateFrom !== undefined && (held.date === null || held.date < dateFrom)) return false
  return dateTo === undefined || (held.date !== null && held.date <= dateTo)
}

/** Same order and scores, but for what single precision cannot tell apart. */
export function sameHits(
  t: Test,
  hits: readonly EngineHit[],
  plain: readonly { key: string; score: number }[],
  limit: number,
  message: string
): void {
  const scores = new Map(plain.map(({ key, score }) => [key, score]))
  const near = (a: number, b: number) => Math.abs(a - b) <= 1e-5 * Math.max(1, a, b)
  const wrong = hits.filter(
    ({ key, score }, at) => !near(score, scores.get(key) ?? -1) || !near(score, plain[at]?.score ?? -1)
  )
  const keys = new Set(hits.map(({ key }) => key))
  if (wrong.length === 0 && keys.size === hits.length && hits.length === Math.min(limit, plain.length)) return
  t.same(
    hits.map(({ key, score }) => ({ key, score })),
    plain.slice(0, limit),
    message
  )
}

const WORDS = [...'甲乙丙丁戊己庚辛壬癸', '营业', '执照', '补贴', '申请', '材料', '公租房', '医保', '2026', 'a1', '1.5']
const DAYS = ['2024-12-31', '2025-01-01', '2025-06-30', '2026-01-01']

const words = (most: number) => fc.array(fc.constantFrom(...WORDS), { maxLength: most }).map((list) => list.join(' '))
const day = fc.option(fc.constantFrom(...DAYS))

/** Random questions. */
export const anyQuery = words(8).map(query)
/** Random filters, each part there or not. */
export const anyFilter: fc.Arbitrary<EntryFilter> = fc.record(
  {
    kind: fc.constantFrom('qa' as const, 'document' as const),
    unit: fc.constantFrom('U1', 'U2', 'unknown'),
    topic: fc.constantFrom('T1', 'T2'),
    inForceOn: fc.constantFrom(...DAYS),
    dateFrom: fc.constantFrom(...DAYS),
    dateTo: fc.constantFrom(...DAYS)
  },
  { requiredKeys: [] }
)
/** A random record's entries: one question and answer, or a document's passages. */
export const anyRecord = (id: string): fc.Arbitrary<Entry[]> => {
  const rest = fc.record({
    unit: fc.constantFrom('U1', 'U2', null),
    topic: fc.constantFrom('T1', 'T2', null),
    status: fc.constantFrom('current' as const, 'amended' as const, 'repealed' as const),
    validFrom: day,
    validTo: day,
    date: day
  })
  const qa = fc
    .tuple(rest, words(6), fc.array(words(4), { maxLength: 3 }), words(60))
    .map(([more, question, variants, answer]) => [entry(id, { ...more, question, variants, answer })])
  const document = fc
    .tuple(rest, words(5), fc.array(words(50), { maxLength: 3 }))
    .map(([more, title, passages]) =>
      passages.map((passage, at) => entry(id, { ...more, anchor: `p${at}`, title, passage }))
    )
  return fc.oneof(qa, document)
}

/** A random bank of so many records. */
export const anyBank = (least: number, most: number): fc.Arbitrary<Entry[]> =>
  fc
    .integer({ min: least, max: most })
    .chain((count) => fc.tuple(...Array.from({ length: count }, (_, at) => anyRecord(`r${at}`))))
    .map((records) => records.flat())

/** What every engine must do; `open` gives one whose index of the bank stands, and closes it after the test. */
export function engineContract(t: Test, open: (t: Test, bank: Bank) => Promise<SearchEngine>): void {
  const opened = async (t: Test, entries: readonly Entry[]) => {
    const bank = await openBank(t, entries)
    return { bank, engine: await open(t, bank) }
  }
  const found = async (engine: SearchEngine, words: string, filter: EntryFilter = {}) =>
    (await engine.search({ tokens: query(words), filter, limit: 10 })).hits.map(({ key }) => key)

  t.test('a rare word outweighs a common one', async (t) => {
    const { engine } = await opened(t, [
      entry('1', { question: '补贴 怎么 申请' }),
      entry('2', { question: '公租房 怎么 申请' }),
      entry('3', { question: '执照 怎么 申请' })
    ])
    t.same(await found(engine, '公租房 怎么 办'), ['qa/2', 'qa/1', 'qa/3'])
  })

  t.test('the question counts for more than the answer', async (t) => {
    const { engine } = await opened(t, [
      entry('1', { question: '社保 转移', answer: '医保 一并 办理' }),
      entry('2', { question: '医保 转移', answer: '社保 一并 办理' }),
      entry('3', { question: '落户', answer: '到 派出所 办理' })
    ])
    t.same(await found(engine, '医保'), ['qa/2', 'qa/1'])
  })

  t.test('a word asked twice counts twice', async (t) => {
    const { engine } = await opened(t, [entry('1', { question: '甲 乙' }), entry('2', { question: '丙 丁' })])
    const score = async (tokens: QueryTokens) => (await engine.search({ tokens, limit: 1 })).hits[0]?.score ?? 0
    const none = { bigrams: [], characters: [] }
    const [once, twice] = [await score({ words: ['甲'], ...none }), await score({ words: ['甲', '甲'], ...none })]
    t.ok(once > 0 && Math.abs(twice / once - 2) < 1e-5)
  })

  t.test('entries level with each other stand in key order, also when only some fit', async (t) => {
    const ids = Array.from({ length: 40 }, (_, at) => String(10 + ((at * 7) % 40)))
    const { engine } = await opened(t, [
      ...ids.map((id) => entry(id, { question: '营业 执照' })),
      entry('99', { question: '医保' })
    ])
    const { hits } = await engine.search({ tokens: query('执照'), limit: 5 })
    t.same(
      hits.map(({ key }) => key),
      ['qa/10', 'qa/11', 'qa/12', 'qa/13', 'qa/14']
    )
  })

  t.test('a hit names its record and passage', async (t) => {
    const { engine } = await opened(t, [
      entry('q-1', { question: '租房 补贴' }),
      entry('d-1', { anchor: 'c2', title: '办法', passage: '租房 补贴 标准' })
    ])
    const { hits } = await engine.search({ tokens: query('租房'), limit: 10 })
    t.same(
      hits.map(({ score, ...named }) => named),
      [
        { key: 'qa/q-1', kind: 'qa', id: 'q-1', anchor: null },
        { key: 'document/d-1#c2', kind: 'document', id: 'd-1', anchor: 'c2' }
      ]
    )
  })

  t.test('nothing is found by words the bank does not have, by no words, or up to a limit of 0', async (t) => {
    const { engine } = await opened(t, [entry('1', { question: '营业 执照' })])
    t.same(await found(engine, '火星 探测'), [])
    t.same(await found(engine, ''), [])
    t.same((await engine.search({ tokens: query('执照'), limit: 0 })).hits, [])
  })

  t.test('filters by kind, unit, topic, day in force and date', async (t) => {
    const question = '补贴'
    const { engine } = await opened(t, [
      entry('a', {
        question,
        unit: 'U1',
        topic: 'T1',
        validFrom: '2025-01-01',
        validTo: '2025-12-31',
        date: '2025-05-01'
      }),
      entry('b', { question, unit: 'U2', topic: 'T2', date: '2025-06-01' }),
      entry('c', { question, status: 'repealed' }),
      entry('d', { title: question, anchor: 'p1', status: 'amended', date: '2025-07-01' })
    ])
    const ids = async (filter: EntryFilter) =>
      (await found(engine, question, filter))
        .map((key) => key.split('/')[1]?.[0])
        .sort()
        .join('')
    t.equal(await ids({}), 'abcd')
    t.equal(await ids({ kind: 'document' }), 'd')
    t.equal(await ids({ unit: 'U1' }), 'a')
    t.equal(await ids({ unit: 'U9' }), '')
    t.equal(await ids({ topic: 'T2' }), 'b')
    t.equal(await ids({ inForceOn: '2024-12-31' }), 'bd')
    t.equal(await ids({ inForceOn: '2025-01-01' }), 'abd')
    t.equal(await ids({ inForceOn: '2025-12-31' }), 'abd')
    t.equal(await ids({ inForceOn: '2026-01-01' }), 'bd')
    t.equal(await ids({ dateFrom: '2025-06-01' }), 'bd')
    t.equal(await ids({ dateTo: '2025-06-01' }), 'ab')
    t.equal(await ids({ kind: 'qa', dateFrom: '2025-05-01', dateTo: '2025-05-31' }), 'a')
  })

  t.test('order and scores are those of the definition, with any filter', async (t) => {
    const entries = fc.sample(anyBank(120, 120), { numRuns: 1, seed: 4 })[0] as Entry[]
    const { engine } = await opened(t, entries)
    const asked = fc.sample(fc.tuple(anyQuery, anyFilter, fc.integer({ min: 1, max: 60 })), { numRuns: 60, seed: 5 })
    for (const [tokens, filter, limit] of asked) {
      const { hits } = await engine.search({ tokens, filter, limit })
      sameHits(t, hits, plainHits(entries, tokens, filter), limit, JSON.stringify([tokens.words, filter, limit]))
    }
  })

  t.test("an entry's terms explain its score, highest first", async (t) => {
    const { engine } = await opened(t, [
      entry('1', { question: '公租房 申请 材料', answer: '申请 表' }),
      entry('2', { question: '医保 申请' })
    ])
    const tokens = query('公租房 申请 申请')
    const terms = await engine.explain(tokens, 'qa/1')
    const score = (await engine.search({ tokens, limit: 1 })).hits[0]?.score ?? 0
    t.ok(Math.abs(terms.reduce((sum, { impact }) => sum + impact, 0) - score) < 1e-4)
    t.ok(terms.every(({ impact }, at) => impact <= (terms[at - 1]?.impact ?? impact)))
    t.match(
      terms.find(({ unit, term }) => unit === 'words' && term === '申请'),
      { documentFrequency: 2 }
    )
    t.same(await engine.explain(tokens, 'qa/none'), [])
  })

  t.test('what is added, replaced and taken away is so when apply resolves', async (t) => {
    const { bank, engine } = await opened(t, [
      entry('1', { question: '补贴 标准' }),
      entry('2', { question: '执照 年检' }),
      entry('d', { anchor: 'p1', title: '办法', passage: '第一 条 补贴' }),
      entry('d', { anchor: 'p2', title: '办法', passage: '第二 条 补贴' })
    ])
    await engine.apply(...(await bank.change('qa', '3', [entry('3', { question: '育儿 假期' })])))
    t.same(await found(engine, '育儿'), ['qa/3'])
    await engine.apply(...(await bank.change('qa', '2', [entry('2', { question: '食品 许可' })])))
    t.same(await found(engine, '执照'), [])
    t.same(await found(engine, '食品'), ['qa/2'])
    await engine.apply(
      ...(await bank.change('document', 'd', [entry('d', { anchor: 'p9', title: '办法', passage: '第九 条' })]))
    )
    t.same(await found(engine, '补贴'), ['qa/1'])
    t.same(await found(engine, '第九'), ['document/d#p9'])
    await engine.apply(...(await bank.change('qa', '1', [])))
    t.same(await found(engine, '补贴'), [])
    t.match(engine.status(), { ready: true, entries: 3, sequence: 4 })
  })

  t.test('changes and a rebuild give what building from scratch gives', async (t) => {
    const entries = fc.sample(anyBank(60, 60), { numRuns: 1, seed: 8 })[0] as Entry[]
    const { bank, engine } = await opened(t, entries)
    const changes = fc.sample(
      fc
        .integer({ min: 0, max: 80 })
        .chain((n) => fc.tuple(fc.constant(`r${n}`), fc.oneof(anyRecord(`r${n}`), fc.constant([])))),
      { numRuns: 25, seed: 9 }
    )
    for (const [id, changed] of changes) {
      for (const kind of ['qa', 'document'] as const) {
        await engine.apply(
          ...(await bank.change(
            kind,
            id,
            changed.filter((one) => one.kind === kind)
          ))
        )
      }
    }
    await engine.rebuild()
    for (const tokens of fc.sample(anyQuery, { numRuns: 30, seed: 10 })) {
      sameHits(
        t,
        (await engine.search({ tokens, limit: 20 })).hits,
        plainHits(bank.entries(), tokens),
        20,
        tokens.words.join(' ')
      )
    }
    t.match(engine.status(), { ready: true, entries: bank.entries().length, sequence: 50, progress: null })
  })

  t.test('changes applied while it rebuilds are kept', async (t) => {
    const { bank, engine } = await opened(
      t,
      Array.from({ length: 50 }, (_, at) => entry(`${at}`, { question: `补贴 ${at}` }))
    )
    const rebuilt = engine.rebuild()
    await engine.apply(...(await bank.change('qa', '7', [])))
    await engine.apply(...(await bank.change('qa', 'new', [entry('new', { question: '育儿 假期' })])))
    await rebuilt
    t.same(await found(engine, '育儿'), ['qa/new'])
    t.same(await found(engine, '7'), [])
    t.match(engine.status(), { entries: 50, sequence: 2 })
  })
}
