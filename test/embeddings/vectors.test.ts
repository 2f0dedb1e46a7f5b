import { join } from 'node:path'
import SqliteFile from 'better-sqlite3'
import t, { type Test } from 'tap'
import { type Database, type DatabaseAddress, migrate, openDatabase } from '../../src/database/open.ts'
import { forgetUnused, storedVectors, storeVectors, vectorHash, vectorRow } from '../../src/embeddings/vectors.ts'
import { absent, postgres } from '../peers.ts'
import { temporaryFolder } from '../test-app.ts'

t.setTimeout(300_000)

const ADDRESS = {
  url: 'http://127.0.0.1:1/v1',
  models: { query: 'one', passage: 'one' },
  prefixes: { query: '', passage: '' },
  apiKey: null
}

async function opened(t: Test, address: DatabaseAddress): Promise<Database> {
  const db = await openDatabase(address)
  t.teardown(() => db.destroy())
  await migrate(db)
  return db
}

function contract(t: Test, fresh: (t: Test) => Promise<DatabaseAddress>): void {
  t.test('vectors come back as they were stored; those in no use go', async (t) => {
    const db = await opened(t, await fresh(t))
    const rows = Array.from({ length: 1200 }, (_, n) =>
      vectorRow(vectorHash(ADDRESS, 'query', `文字${n}`), 'one', Int16Array.of(n, -n, 32767, -32767, 0))
    )
    await storeVectors(db, rows)
    const hashes = rows.map(({ hash }) => hash)
    const found = await storedVectors(db, [...hashes, 'f'.repeat(32)])
    t.equal(found.size, 1200)
    t.same(found.get(hashes[777] as string), Int16Array.of(777, -777, 32767, -32767, 0))
    t.equal((await storedVectors(db, [])).size, 0)

    // Another process stored the same text.
    await storeVectors(db, [vectorRow(hashes[0] as string, 'one', Int16Array.of(9, 9))])
    t.same([...(await storedVectors(db, hashes.slice(0, 1))).values()], [Int16Array.of(9, 9)])

    t.equal(await forgetUnused(db, new Set(hashes.slice(0, 300))), 900)
    t.equal((await storedVectors(db, hashes)).size, 300)
    t.equal(await forgetUnused(db, new Set()), 300)
    t.equal((await storedVectors(db, hashes)).size, 0)
  })

  t.test('a row whose length does not fit its dimension is as good as none', async (t) => {
    const db = await opened(t, await fresh(t))
    await db
      .insertInto('vectors')
      .values({ hash: 'a', model: 'one', dimension: 3, vector: Buffer.alloc(4) })
      .execute()
    t.equal((await storedVectors(db, ['a'])).size, 0)
    await storeVectors(db, [vectorRow('a', 'one', Int16Array.of(1, 2, 3))])
    t.same((await storedVectors(db, ['a'])).get('a'), Int16Array.of(1, 2, 3))
  })
}

t.test('SQLite', async (t) => {
  const fresh = async (t: Test) =>
    ({ kind: 'sqlite', file: join(temporaryFolder(t), 'zhengxun.db') }) satisfies DatabaseAddress
  contract(t, fresh)

  t.test('while another program writes, storing fails at once', async (t) => {
    const address = await fresh(t)
    const db = await opened(t, address)
    const other = new SqliteFile(address.file)
    t.teardown(() => other.close())
    other.exec('begin immediate')
    const before = performance.now()
    await t.rejects(storeVectors(db, [vectorRow('a', 'one', Int16Array.of(1))]), { code: /SQLITE_BUSY/ })
    t.ok(performance.now() - before < 2000)
    other.exec('commit')
    await storeVectors(db, [vectorRow('a', 'one', Int16Array.of(1))])
  })
})

t.test('PostgreSQL', { skip: absent('PostgreSQL') }, async (t) => {
  contract(t, async (t) => ({ kind: 'postgresql', url: await postgres(t) }))
})

t.test('a vector is of a text, in a role, with a prefix, by a model', async (t) => {
  const hashes = [
    vectorHash(ADDRESS, 'query', '甲'),
    vectorHash(ADDRESS, 'passage', '甲'),
    vectorHash(ADDRESS, 'query', '乙'),
    vectorHash({ ...ADDRESS, prefixes: { query: 'q', passage: '' } }, 'query', '甲'),
    vectorHash({ ...ADDRESS, models: { query: 'two', passage: 'one' } }, 'query', '甲')
  ]
  t.equal(new Set(hashes).size, hashes.length)
  t.equal(vectorHash({ ...ADDRESS, url: 'http://elsewhere/v1' }, 'query', '甲'), hashes[0], 'wherever it runs')
  for (const hash of hashes) t.match(hash, /^[0-9a-f]{32}$/)
})
