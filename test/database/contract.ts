import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { pino } from 'pino'
import type { Test } from 'tap'
import { forgetOldQueries, QueryLog } from '../../src/consultations/query-log.ts'
import { Library } from '../../src/content/library.ts'
import {
  ChangedMeanwhile,
  compare,
  type Incoming,
  remakeEntries,
  renewEntries,
  storeChanges,
  vocabularyOf
} from '../../src/content/store.ts'
import { type Database, type DatabaseAddress, DatabaseTooNew, migrate, openDatabase } from '../../src/database/open.ts'
import type { QueriesTable } from '../../src/database/schema.ts'
import { changesAfter, rebuildsAsked, recordChanges } from '../../src/search/change-feed.ts'
import { lastSequence, storedEntries } from '../../src/search/stored-entries.ts'
import { openSegmenter } from '../../src/text/segment.ts'
import { document, qa, unit } from '../sample-records.ts'

const AT = '2026-11-23T01:00:00.000Z'

const fee = (answer: string, more: Partial<Incoming> = {}): Incoming => ({
  ...qa({ id: 'a', question: '要交多少钱', answer }),
  ...more
})
const word = (id: string): Incoming => ({
  kind: 'word',
  content: { id, category: null, source: null },
  source: 'words.csv',
  sample: false
})
const rule = (id: string, ...articles: string[]): Incoming =>
  document({ id, title: `${id}办法`, body: articles.map((text, at) => `第${'一二三四五'[at]}条 ${text}`).join('\n') })

async function save(db: Database, incoming: readonly Incoming[], sources: readonly string[] = [], at = AT) {
  const differences = await compare(db, incoming, sources)
  const { sequence } = await storeChanges(db, { incoming, differences, by: 'test', at })
  return { sequence, changes: differences.map(({ change }) => change), differences }
}

const keysOf = async (db: Database) =>
  (await db.selectFrom('entries').select('key').orderBy('key').execute()).map(({ key }) => key)

/** Row counts of every table of the content store: nothing may be left of what failed. */
async function sizes(db: Database): Promise<number[]> {
  const tables = ['records', 'revisions', 'entries'] as const
  const count = (table: (typeof tables)[number]) =>
    db
      .selectFrom(table)
      .select((e) => e.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
  return [...(await Promise.all(tables.map(count))).map(({ n }) => Number(n)), await lastSequence(db)]
}

/**
 * What every database must do alike.
 * @param fresh the address of a database of the test's own, without tables
 */
export function databaseContract(t: Test, fresh: (t: Test) => Promise<DatabaseAddress>): void {
  const empty = async (t: Test) => {
    const address = await fresh(t)
    const db = await openDatabase(address)
    t.teardown(() => db.destroy())
    await migrate(db)
    return { db, address }
  }

  t.test('migrating a second time changes nothing; a newer version’s database is refused', async (t) => {
    const { db } = await empty(t)
    await save(db, [fee('10元')])
    await migrate(db)
    t.same(await sizes(db), [1, 1, 1, 1])
    await sql`insert into kysely_migration (name, timestamp) values ('9999-later', ${AT})`.execute(db)
    await t.rejects(migrate(db), DatabaseTooNew)
    await t.rejects(migrate(db), { message: /更新版本的程序写过（9999-later）/ })
  })

  t.test('a migration that fails leaves nothing behind, and succeeds once its obstacle is gone', async (t) => {
    const address = await fresh(t)
    const db = await openDatabase(address)
    t.teardown(() => db.destroy())
    await sql`create table queries (id text)`.execute(db)
    await t.rejects(migrate(db))
    const tables = await db.introspection.getTables()
    t.same(
      tables.map(({ name }) => name),
      ['queries']
    )
    await sql`drop table queries`.execute(db)
    await migrate(db)
    t.same(await sizes(db), [0, 0, 0, 0])
  })

  t.test(
    'records go through new, unchanged, changed, retired and enabled again, a revision for each change',
    async (t) => {
      const { db } = await empty(t)
      const library = new Library(db)
      t.same((await save(db, [fee('10元')])).changes, ['new'])
      t.same((await save(db, [fee('10元')], ['qa.csv'])).changes, ['unchanged'])
      const { differences } = await save(db, [fee('20元')], ['qa.csv'])
      t.match(differences, [
        { change: 'changed', fields: [{ field: 'answer', title: '答复', before: '10元', after: '20元' }] }
      ])
      t.match(await library.get('qa', 'a'), {
        version: 2,
        retired: false,
        changedOn: '2026-11-23',
        content: { answer: '20元' }
      })
      t.same((await save(db, [], ['qa.csv'])).changes, ['retired'])
      t.same(await keysOf(db), [])
      library.forget([{ kind: 'qa', id: 'a' }])
      t.match(await library.get('qa', 'a'), { version: 3, retired: true, content: { answer: '20元' } })
      const again = await save(db, [fee('20元')], ['qa.csv'])
      t.match(again.differences, [{ change: 'changed', fields: [{ field: 'retired' }] }])
      t.same(await keysOf(db), ['qa/a'])
      const revisions = await db
        .selectFrom('revisions')
        .select(['revision', 'sequence', 'retired'])
        .orderBy('sequence')
        .execute()
      t.same(
        revisions,
        [1, 2, 3, 4].map((n) => ({ revision: n, sequence: n, retired: n === 3 ? 1 : 0 }))
      )
    }
  )

  t.test('becoming sample data, or no longer being it, is a change of its own', async (t) => {
    const { db } = await empty(t)
    await save(db, [fee('10元', { sample: true })])
    t.equal((await new Library(db).get('qa', 'a'))?.sample, true)
    const { differences } = await save(db, [fee('10元')])
    t.match(differences, [{ change: 'changed', fields: [] }])
    t.match(await new Library(db).get('qa', 'a'), { sample: false, version: 2 })
    await save(db, [fee('10元', { sample: true, source: 'other.csv' })])
    await save(db, [], ['other.csv'])
    t.match(await new Library(db).get('qa', 'a'), { sample: true, retired: true })
  })

  t.test('a record that moves to another file is not retired with the old one', async (t) => {
    const { db } = await empty(t)
    await save(db, [fee('10元')], ['qa.csv'])
    t.same((await save(db, [fee('10元', { source: 'fees.csv' })])).changes, ['unchanged'])
    t.same((await save(db, [], ['qa.csv'])).changes, [])
    t.same((await save(db, [], ['fees.csv'])).changes, ['retired'])
  })

  t.test('a store that fails in the middle leaves nothing', async (t) => {
    const { db } = await empty(t)
    await save(db, [fee('10元'), rule('r', '一', '二')])
    const before = await sizes(db)
    const incoming = [fee('20元'), rule('r', '三'), rule('s', '四'), word('江北嘴')]
    const differences = await compare(db, incoming, [])
    const onProgress = (done: number) => {
      if (done === 2) throw new Error('power cut')
    }
    await t.rejects(storeChanges(db, { incoming, differences, by: 'test', at: AT, onProgress }), {
      message: 'power cut'
    })
    t.same(await sizes(db), before)
    t.equal((await new Library(db).get('qa', 'a'))?.content.answer, '10元')
    const { sequence } = await save(db, incoming)
    t.equal(sequence, 6, 'no number is lost to the failure')
  })

  t.test('who stores over a record that changed since it was compared is refused, and stores nothing', async (t) => {
    const { db } = await empty(t)
    const incoming = [qa({ id: 'b', question: '新的', answer: '。' }), fee('10元')]
    const differences = await compare(db, incoming, [])
    await save(db, [fee('20元')])
    await t.rejects(storeChanges(db, { incoming, differences, by: 'test', at: AT }), ChangedMeanwhile)
    t.same(await sizes(db), [1, 1, 1, 1])
  })

  t.test('two programs store at the same time: who follows the feed misses nothing', async (t) => {
    const { db, address } = await empty(t)
    const TIMES = 12
    const names = ['left', 'right']
    const writers = names.map((name) =>
      spawn(
        process.execPath,
        [
          '--import=tsx',
          fileURLToPath(new URL('./writer.ts', import.meta.url)),
          JSON.stringify(address),
          name,
          String(TIMES)
        ],
        {
          stdio: ['ignore', 'inherit', 'inherit']
        }
      )
    )
    let running = writers.length
    const ends = writers.map(async (writer) => {
      const [code] = await once(writer, 'exit')
      running--
      return code
    })
    const seen: number[] = []
    const pages = new Set<string>()
    for (let last = 0, more = true; more; ) {
      more = running > 0
      const rows = await db
        .selectFrom('revisions')
        .select('sequence')
        .where('sequence', '>', last)
        .orderBy('sequence')
        .execute()
      seen.push(...rows.map(({ sequence }) => sequence))
      const changes = await changesAfter(db, last)
      for (const { id } of changes?.records ?? []) pages.add(id)
      last = seen.at(-1) ?? 0
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    t.same(await Promise.all(ends), [0, 0])
    // One writer's three changes stand together, and whoever looks sees every number below the last.
    t.same(
      seen,
      Array.from({ length: TIMES * 6 }, (_, at) => at + 1)
    )
    t.same(
      [...pages].sort(),
      names.flatMap((name) => [1, 2, 3].map((n) => `${name}-${n}`))
    )
    const order = await db.selectFrom('revisions').select('changed_by').orderBy('sequence').execute()
    for (let at = 0; at < order.length; at += 3)
      t.equal(new Set(order.slice(at, at + 3).map(({ changed_by }) => changed_by)).size, 1)
  })

  t.test('the feed names each changed record once, and gives its entries as they stand', async (t) => {
    const { db } = await empty(t)
    t.equal(await changesAfter(db, 0), null)
    await save(db, [fee('10元'), rule('r', '一', '二'), unit({ id: 'ybj' })])
    await save(db, [fee('20元')])
    const changes = await changesAfter(db, 0)
    t.same(changes, {
      sequence: 4,
      records: [
        { kind: 'qa', id: 'a' },
        { kind: 'document', id: 'r' },
        { kind: 'unit', id: 'ybj' }
      ]
    })
    const records = await recordChanges(db, changes?.records ?? [])
    t.match(records, [
      { kind: 'qa', id: 'a', entries: [{ key: 'qa/a', fields: { answer: [{ text: '20元' }] } }] },
      { kind: 'document', id: 'r', entries: [{ key: 'document/r#art-1' }, { key: 'document/r#art-2' }] }
    ])
    t.same(await changesAfter(db, 3), { sequence: 4, records: [{ kind: 'qa', id: 'a' }] })
    await save(db, [], ['documents/r.md'])
    t.same(await recordChanges(db, [{ kind: 'document', id: 'r' }]), [{ kind: 'document', id: 'r', entries: [] }])
  })

  t.test('entries of a record are replaced without touching those whose code begins alike', async (t) => {
    const { db } = await empty(t)
    const alike = ['a', 'a-1', 'a.b', 'a_c', 'A', 'a0']
    await save(
      db,
      alike.flatMap((id) => [rule(id, '一', '二'), qa({ id, question: '问', answer: '答' })])
    )
    const all = await keysOf(db)
    t.equal(all.length, alike.length * 3)
    t.same(all, [...all].sort(), 'keys come in the order of their bytes')
    await save(db, [rule('a', '三')])
    t.same(
      await keysOf(db),
      all.filter((key) => key !== 'document/a#art-2')
    )
    await save(db, [], ['documents/a.md'])
    const left = all.filter((key) => !key.startsWith('document/a#'))
    t.same(await keysOf(db), left)
    t.equal((await recordChanges(db, [{ kind: 'document', id: 'a' }]))[0]?.entries.length, 0)
    const source = await storedEntries(db)
    const read: string[] = []
    for await (const { key } of source.entries) read.push(key)
    t.same(read, left)
    t.equal(source.count, left.length)
  })

  t.test('a change of vocabulary makes every stored token anew', async (t) => {
    const { db } = await empty(t)
    await save(db, [
      qa({ id: 'a', question: '嘎吱窝补贴怎么领', answer: '嘎吱窝补贴每年发。' }),
      rule('r', '嘎吱窝补贴。')
    ])
    const words = async () => {
      const changes = await recordChanges(db, [
        { kind: 'qa', id: 'a' },
        { kind: 'document', id: 'r' }
      ])
      return changes.flatMap(({ entries }) =>
        entries.map(({ fields }) => [...fields.question, ...fields.passage].flatMap(({ words }) => words))
      )
    }
    for (const entry of await words()) t.notOk(entry.includes('嘎吱窝补贴'))
    await save(db, [word('嘎吱窝补贴')])
    for (const entry of await words()) t.ok(entry.includes('嘎吱窝补贴'))
    const identities = await db.selectFrom('entries').select('identity').distinct().execute()
    t.same(identities, [{ identity: openSegmenter(await vocabularyOf(db)).identity }])
  })

  t.test('tokens of another identity are made anew at a start, entries without a record go', async (t) => {
    const { db } = await empty(t)
    await save(db, [fee('10元'), rule('r', '一', '二')])
    const whole = await db.selectFrom('entries').selectAll().orderBy('key').execute()
    const segmenter = openSegmenter(await vocabularyOf(db))
    t.equal(await renewEntries(db, segmenter), 0)
    await db.updateTable('entries').set({ identity: 'older', entry: '{}' }).execute()
    await db.insertInto('entries').values({ key: 'qa/gone', identity: 'older', entry: '{}', pinyin: '' }).execute()
    t.equal(await renewEntries(db, segmenter), 3)
    t.same(await db.selectFrom('entries').selectAll().orderBy('key').execute(), whole)

    await db.deleteFrom('entries').where('key', '=', 'document/r#art-2').execute()
    await db
      .insertInto('entries')
      .values({ key: 'qa/gone', identity: segmenter.identity, entry: '{}', pinyin: '' })
      .execute()
    t.equal(await rebuildsAsked(db), 0)
    t.equal(await remakeEntries(db), 2)
    t.equal(await rebuildsAsked(db), 1)
    t.same(await db.selectFrom('entries').selectAll().orderBy('key').execute(), whole)
  })

  t.test('the library keeps the order of the sheet after an edit, and lets go of what changed', async (t) => {
    const { db } = await empty(t)
    const library = new Library(db)
    const ids = ['zfb', 'ybj', 'a-b', 'ab', 'Z']
    await save(
      db,
      ids.map((id) => unit({ id }))
    )
    t.same([...(await library.all('unit')).keys()], ids)
    const { sequence } = await save(db, [unit({ id: 'zfb', name: '区政府办公室' })])
    t.equal((await library.all('unit')).get('zfb')?.content.name, 'zfb', 'held until the feed says so')
    library.forget((await changesAfter(db, sequence - 1))?.records ?? [])
    const units = await library.all('unit')
    t.same([...units.keys()], ids)
    t.match(units.get('zfb'), { version: 2, content: { name: '区政府办公室' } })
    await save(
      db,
      ids.slice(1).map((id) => unit({ id })),
      ['units.csv']
    )
    library.forget([{ kind: 'unit', id: 'zfb' }])
    t.same([...(await library.all('unit')).keys()], ids.slice(1))
    t.equal(await library.get('unit', 'never'), null)
  })

  t.test('document heads come without their text', async (t) => {
    const { db } = await empty(t)
    const library = new Library(db)
    await save(db, [
      document({ id: 'r', title: '题\u0001"目\'', keywords: ['甲'], body: '第一条 正文。' }),
      rule('s', '二')
    ])
    const heads = await library.documents()
    t.same([...heads.keys()], ['r', 's'])
    const { body, ...rest } = (await library.get('document', 'r'))?.content ?? { body: '' }
    t.same(heads.get('r')?.content, rest)
    t.equal(body, '第一条 正文。')
    await save(db, [], ['documents/r.md'])
    library.forget([{ kind: 'document', id: 'r' }])
    t.same([...(await library.documents()).keys()], ['s'])
  })

  t.test('the query log writes in batches, keeps what it could not write, and forgets in time', async (t) => {
    const { db } = await empty(t)
    const log = new QueryLog(db, pino({ level: 'silent' }))
    t.teardown(() => log.close())
    const row = (n: number, asked_at = AT): QueriesTable => ({
      id: `q${n}`,
      asked_at,
      zone: null,
      text: `问题\0${n}`,
      decision: 'answer',
      confidence: 0.5,
      evidence: '{}',
      degraded: 0,
      took_ms: 1.25
    })
    const stored = async () =>
      Number(
        (
          await db
            .selectFrom('queries')
            .select((e) => e.fn.countAll<number>().as('n'))
            .executeTakeFirstOrThrow()
        ).n
      )
    log.add(row(0, '2026-01-01T00:00:00.000Z'))
    t.equal(log.waiting('q0')?.text, '问题0')
    await log.flush()
    t.equal(log.waiting('q0'), undefined)
    t.match(await db.selectFrom('queries').selectAll().execute(), [
      { id: 'q0', text: '问题0', confidence: 0.5, took_ms: 1.25 }
    ])

    await sql`alter table queries rename to away`.execute(db)
    for (let n = 1; n <= 450; n++) log.add(row(n))
    await log.flush()
    t.equal(log.waiting('q450')?.id, 'q450', 'kept')
    await sql`alter table away rename to queries`.execute(db)
    // Stored, but the acknowledgement was lost.
    await db
      .insertInto('queries')
      .values({ ...row(1), text: '问题1' })
      .execute()
    await log.flush()
    t.equal(await stored(), 451, 'written later, each once')

    const now = new Date('2026-11-24T00:00:00.000Z')
    t.equal(await forgetOldQueries(db, 183, now), 1)
    t.equal(await stored(), 450)
  })
}
