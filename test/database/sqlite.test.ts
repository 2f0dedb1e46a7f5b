import { join } from 'node:path'
import SqliteFile from 'better-sqlite3'
import { sql } from 'kysely'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { QueryLog } from '../../src/consultations/query-log.ts'
import { type DatabaseAddress, migrate, openDatabase } from '../../src/database/open.ts'
import { temporaryFolder } from '../test-app.ts'
import { databaseContract } from './contract.ts'

// On a busy machine each of the programs it starts takes seconds.
t.setTimeout(300_000)

const fresh = async (t: Test) =>
  ({ kind: 'sqlite', file: join(temporaryFolder(t), 'new', 'zhengxun.db') }) satisfies DatabaseAddress

databaseContract(t, fresh)

t.test('what is acknowledged survives a power cut: WAL with synchronous=FULL', async (t) => {
  const db = await openDatabase(await fresh(t))
  t.teardown(() => db.destroy())
  t.same((await sql`pragma journal_mode`.execute(db)).rows, [{ journal_mode: 'wal' }])
  t.same((await sql`pragma synchronous`.execute(db)).rows, [{ synchronous: 2 }])
  t.same((await sql`pragma foreign_keys`.execute(db)).rows, [{ foreign_keys: 1 }])
})

t.test('a full disk is told as such, and the transaction leaves nothing', async (t) => {
  const db = await openDatabase(await fresh(t))
  t.teardown(() => db.destroy())
  await migrate(db)
  await sql`pragma max_page_count = 40`.execute(db)
  const row = (key: number) => ({ key: String(key), identity: '', entry: 'x'.repeat(4000), pinyin: '' })
  const fill = db.transaction().execute(async (trx) => {
    for (let key = 0; key < 100; key++) await trx.insertInto('entries').values(row(key)).execute()
  })
  await t.rejects(fill, { code: 'SQLITE_FULL' })
  t.same(await db.selectFrom('entries').selectAll().execute(), [])
})

t.test('while another program writes, the query log waits without holding up the process', async (t) => {
  const address = await fresh(t)
  const db = await openDatabase(address)
  await migrate(db)
  const log = new QueryLog(db, pino({ level: 'silent' }))
  t.teardown(() => db.destroy())
  const other = new SqliteFile(address.file)
  other.exec('begin immediate')
  log.add({
    id: 'q',
    asked_at: '',
    zone: null,
    text: '问',
    decision: 'answer',
    confidence: 1,
    evidence: '{}',
    degraded: 0,
    took_ms: 1
  })
  const before = performance.now()
  await log.flush()
  t.ok(performance.now() - before < 500, 'no waiting')
  t.equal(log.waiting('q')?.id, 'q')
  other.exec('commit')
  other.close()
  await log.close()
  t.match(await db.selectFrom('queries').select('id').execute(), [{ id: 'q' }])
  t.same((await sql`pragma busy_timeout`.execute(db)).rows, [{ timeout: 5000 }])
})
