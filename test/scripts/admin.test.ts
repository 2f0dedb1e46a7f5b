import { sql } from 'kysely'
import t from 'tap'
import { remakeEntries } from '../../src/content/store.ts'
import { type Database, migrate, openDatabase } from '../../src/database/open.ts'
import { verify } from '../../src/operations/verify.ts'
import { absent, postgres } from '../peers.ts'
import { DISTRICT, qa } from '../sample-records.ts'
import { testApp } from '../test-app.ts'
import { runScript } from './run-script.ts'

// Each command it runs takes seconds on a busy machine.
t.setTimeout(300_000)

const DAY = { TODAY: '2026-11-23', ALLOW_TODAY: '1' }

t.test('explain tells what a decision rested on, and whether it would be taken again', async (t) => {
  const { app, parts, store } = await testApp(t, { records: DISTRICT, environment: DAY })
  const q = encodeURIComponent('我13800000000，公租房怎么申请')
  const { queryId } = (await app.inject({ url: `/api/v1/answers?zone=XZZX01&q=${q}` })).json<{ queryId: string }>()
  await parts.queryLog.flush()
  const environment = { ...DAY, DATA_DIR: parts.config.dataDir }
  const same = await runScript('admin', ['explain', queryId], environment)
  t.equal(same.code, 0, same.errors)
  t.match(same.output, /专区 XZZX01/)
  t.match(same.output, /问题（个人信息已隐去）：我〔电话〕，公租房怎么申请/)
  t.match(same.output, /1\. qa\/zhufang-001 第 1 版/)
  t.match(same.output, /单字覆盖 \d/)
  t.match(same.output, /现在再问一次\n {2}结果相同。/)
  const logged = await parts.db.selectFrom('queries').select('id').execute()
  t.equal(logged.length, 1, 'asking again is not logged')

  await store([qa({ id: 'zhufang-001', question: '公租房怎么申请', answer: '网上申请。', unit: 'mzj' })])
  const changed = await runScript('admin', ['explain', queryId], environment)
  t.match(changed.output, /不同之处\n {2}qa\/zhufang-001 由第 1 版改为第 2 版/)

  const unknown = await runScript('admin', ['explain', 'nobody'], environment)
  t.equal(unknown.code, 1)
  t.match(unknown.output, /没有编号为 nobody 的咨询/)
})

t.test('verify names each finding and what to do about it', async (t) => {
  const { parts } = await testApp(t, { records: DISTRICT })
  const { db, config } = parts
  const command = () => runScript('admin', ['verify'], { DATA_DIR: config.dataDir })
  const whole = await command()
  t.equal(whole.code, 0, whole.errors)
  t.match(whole.output, /✓ 没有发现问题/)
  await damage(db)
  const damaged = await command()
  t.equal(damaged.code, 1)
  for (const finding of FINDINGS) t.match(damaged.output, finding)
  t.match(damaged.output, /请运行 npm run reindex。/)
})

t.test('verify finds the same on PostgreSQL', { skip: absent('PostgreSQL') }, async (t) => {
  const address = { kind: 'postgresql' as const, url: await postgres(t) }
  const { parts } = await testApp(t, { records: DISTRICT, environment: { DATABASE_URL: address.url } })
  t.same((await verify(parts.db, address)).findings, [])
  await damage(parts.db)
  const { findings } = await verify(parts.db, address)
  const found = findings.map(({ what }) => what).join('\n')
  for (const finding of FINDINGS) t.match(found, finding)
})

t.test('an entry that cannot be read is a finding, and reindexing mends it', async (t) => {
  const { parts } = await testApp(t, { records: DISTRICT })
  const { db, config } = parts
  await db.updateTable('entries').set({ entry: '{' }).where('key', '=', 'qa/hunyin-001').execute()
  t.match((await verify(db, config.database)).findings, [{ what: /^索引建不起来：/ }])
  await remakeEntries(db)
  t.same((await verify(db, config.database)).findings, [])
})

t.test('what cannot be run is told, with exit code 2', async (t) => {
  const refused = await runScript('admin', ['verify'], { PORT: 'x' })
  t.equal(refused.code, 2)
  t.match(refused.errors, /PORT/)
  t.equal((await runScript('admin', ['unheard-of'], {})).code, 2)
  const db = await openDatabase({ kind: 'sqlite', file: ':memory:' })
  await migrate(db)
  t.same((await verify(db, { kind: 'sqlite', file: ':memory:' })).findings, [], 'an empty database is whole')
  await db.destroy()
})

const FINDINGS = [
  /问答 hunyin-001 第 1 版的内容与校验值不符/,
  /问答 zhufang-001 第 2 版之前缺第 1 版/,
  /单位 mzj 现行的不是最后一版/,
  /专区 SQ01 有修订而没有现行记录/,
  /专区 DAG01 的撤下状态与最后一版不符/,
  /变更序号记到 3，但已有第 \d+ 号变更/,
  /1 条检索词是按旧词典或旧规则切分的/,
  /文件 zc-1 缺 1 条检索词/,
  /1 条检索词没有对应的现行内容（qa\/gone）/
]

/** One of everything that can be wrong with the record and with what is searched. */
async function damage(db: Database): Promise<void> {
  const sequenceOf = async (kind: 'unit' | 'qa', id: string) =>
    (
      await db
        .selectFrom('records')
        .select('sequence')
        .where('kind', '=', kind)
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
    ).sequence
  await db
    .updateTable('revisions')
    .set({ content: sql`replace(content, '户口簿', '护照')` })
    .where('id', '=', 'hunyin-001')
    .execute()
  await db.updateTable('revisions').set({ revision: 2 }).where('id', '=', 'zhufang-001').execute()
  await db
    .updateTable('records')
    .set({ sequence: await sequenceOf('qa', 'hunyin-001') })
    .where('id', '=', 'mzj')
    .execute()
  await db.deleteFrom('records').where('id', '=', 'SQ01').execute()
  await db.updateTable('records').set({ retired: 1 }).where('id', '=', 'DAG01').execute()
  await db.updateTable('counters').set({ value: 3 }).where('name', '=', 'change').execute()
  await db.updateTable('entries').set({ identity: 'older' }).where('key', '=', 'qa/yanglao-001').execute()
  await db.deleteFrom('entries').where('key', '=', 'document/zc-1#art-2').execute()
  const entry = await db.selectFrom('entries').selectAll().where('key', '=', 'qa/zhufang-001').executeTakeFirstOrThrow()
  await db
    .insertInto('entries')
    .values({ ...entry, key: 'qa/gone' })
    .execute()
}
