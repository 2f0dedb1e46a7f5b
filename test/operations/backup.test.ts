import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { openFieldKey } from '../../src/accounts/field-key.ts'
import { openSecretFile } from '../../src/accounts/secret-file.ts'
import { compare, storeChanges } from '../../src/content/store.ts'
import { type Database, type DatabaseAddress, migrate, openDatabase } from '../../src/database/open.ts'
import {
  backup,
  backupDaily,
  backupLines,
  BackupFailed,
  daysToKeep,
  KEEP,
  restore,
  restoreLines
} from '../../src/operations/backup.ts'
import { absent, postgres } from '../peers.ts'
import { DISTRICT } from '../sample-records.ts'
import { temporaryFolder } from '../test-app.ts'

// On a busy machine each of the programs it starts takes seconds.
t.setTimeout(300_000)

const NOW = new Date('2026-11-23T02:00:00Z')
const WRITER = fileURLToPath(new URL('../database/writer.ts', import.meta.url))
const HEADER = 8192

type Fresh = (t: Test) => Promise<DatabaseAddress>

const sqlite: Fresh = async (t) => ({ kind: 'sqlite', file: join(temporaryFolder(t), 'zhengxun.db') })
const postgresql: Fresh = async (t) => ({ kind: 'postgresql', url: await postgres(t) })

/** A database with a district, one consultation whose code is sealed, and the key beside it. */
async function filled(t: Test, fresh: Fresh) {
  const folder = temporaryFolder(t)
  const keyFile = join(folder, 'field.key')
  const needs = { database: await fresh(t), keyFile, version: '0.1.0' }
  const db = await openDatabase(needs.database)
  t.teardown(() => db.destroy())
  await migrate(db)
  const differences = await compare(db, DISTRICT, [])
  await storeChanges(db, { incoming: DISTRICT, differences, by: 'test', at: NOW.toISOString() })
  const code = openFieldKey(keyFile).seal('K7M2QD', 'ZX-1/code')
  await db.insertInto('contacts').values({ number: 'ZX-1', code }).execute()
  return { db, needs, folder, keyFile }
}

async function everyRow(db: Database): Promise<Record<string, string[]>> {
  const rows: Record<string, string[]> = {}
  for (const { name } of await db.introspection.getTables({ withInternalKyselyTables: true })) {
    const found = await sql`select * from ${sql.table(name)}`.execute(db)
    rows[name] = found.rows.map((row) => JSON.stringify(row)).sort()
  }
  return rows
}

async function opened<T>(address: DatabaseAddress, read: (db: Database) => Promise<T>): Promise<T> {
  const db = await openDatabase(address)
  try {
    return await read(db)
  } finally {
    await db.destroy()
  }
}

function backupContract(t: Test, fresh: Fresh) {
  t.test('what is restored equals what was backed up, row by row, and is found whole', async (t) => {
    const { db, needs, folder, keyFile } = await filled(t, fresh)
    const file = join(folder, 'one.zxbak')
    const made = await backup(needs, file, NOW)
    t.equal(statSync(file).mode & 0o777, 0o600)
    t.equal(made.bytes, statSync(file).size)
    t.equal(made.manifest.tables.contacts, 1)
    t.ok(made.manifest.migrations.includes('0006-consultations'))
    t.match(backupLines(made, keyFile).join('\n'), `备份里没有密钥。密钥文件在 ${keyFile}`)
    const place = { ...needs, database: await fresh(t) }
    const restored = await restore(place, file)
    t.same(restored.verified.findings, [])
    t.equal(restored.key, 'fits')
    t.same(await opened(place.database, everyRow), await everyRow(db))
    t.match(restoreLines(restored, keyFile).join('\n'), /已恢复到 2026-11-23T10:00:00\+08:00 的状态[\s\S]*没有发现问题/)
    await t.rejects(
      opened(place.database, (db) => sql`insert into contacts (number, code) values ('ZX-1', '')`.execute(db)),
      'constraints came back too'
    )
  })

  t.test(
    'a backup taken while another program writes holds all that was committed before, and one state',
    async (t) => {
      const { db, needs, folder } = await filled(t, fresh)
      const writer = spawn(process.execPath, ['--import=tsx', WRITER, JSON.stringify(needs.database), 'w', '100000'], {
        stdio: ['ignore', 'ignore', 'inherit']
      })
      t.teardown(() => writer.kill('SIGKILL'))
      const last = async (db: Database) =>
        Number(
          (
            await db
              .selectFrom('revisions')
              .select((e) => e.fn.max('sequence').as('n'))
              .executeTakeFirst()
          )?.n ?? 0
        )
      const start = await last(db)
      while ((await last(db)) < start + 30) await new Promise((resolve) => setTimeout(resolve, 20))
      const before = await last(db)
      await backup(needs, join(folder, 'one.zxbak'), NOW)
      const after = await last(db)
      t.ok(after > before, `${after - before} revisions were written meanwhile`)
      writer.kill('SIGKILL')
      await once(writer, 'exit')
      const place = { ...needs, database: await fresh(t) }
      const restored = await restore(place, join(folder, 'one.zxbak'))
      t.same(restored.verified.findings, [])
      const there = await opened(place.database, (db) =>
        db.selectFrom('revisions').selectAll().orderBy('sequence').execute()
      )
      t.ok(there.length >= before, `${there.length} of at least ${before}`)
      const source = await db.selectFrom('revisions').selectAll().orderBy('sequence').limit(there.length).execute()
      t.same(there, source)
    }
  )

  t.test('no key and no secret is in the file', async (t) => {
    const { needs, folder, keyFile } = await filled(t, fresh)
    const session = join(folder, 'session.key')
    openSecretFile(session)
    const file = join(folder, 'one.zxbak')
    await backup(needs, file, NOW)
    const bytes = readFileSync(file)
    const content = gunzipSync(bytes.subarray(HEADER))
    t.ok(content.includes('ZX-1'), 'the search would find what is there')
    for (const secret of [keyFile, session]) {
      const hex = readFileSync(secret, 'utf8').trim()
      for (const form of [
        Buffer.from(hex),
        Buffer.from(hex, 'hex'),
        Buffer.from(Buffer.from(hex, 'hex').toString('base64'))
      ]) {
        t.notOk(bytes.includes(form) || content.includes(form), secret)
      }
    }
  })

  t.test('a file cut short, grown or with one byte changed is refused, and nothing is written', async (t) => {
    const { needs, folder } = await filled(t, fresh)
    const file = join(folder, 'one.zxbak')
    await backup(needs, file, NOW)
    const whole = readFileSync(file)
    const place = { ...needs, database: await fresh(t) }
    const refused = async (bytes: Buffer, why: string) => {
      writeFileSync(file, bytes)
      await t.rejects(restore(place, file), BackupFailed, why)
    }
    await refused(whole.subarray(0, whole.length - 1), 'the last byte is missing')
    await refused(whole.subarray(0, HEADER), 'only the header')
    await refused(whole.subarray(0, 100), 'not even the header')
    await refused(Buffer.alloc(0), 'empty')
    await refused(Buffer.concat([whole, Buffer.from('x')]), 'a byte too many')
    for (const at of [
      0,
      20,
      90,
      300,
      6000,
      HEADER,
      HEADER + 5,
      HEADER + 9,
      Math.floor(whole.length / 2),
      whole.length - 5
    ]) {
      const flipped = Buffer.from(whole)
      flipped[at] = (flipped[at] as number) ^ 1
      await refused(flipped, `byte ${at}`)
    }
    if (place.database.kind === 'sqlite') {
      t.same(readdirSync(join(place.database.file, '..')), [])
    } else {
      t.same(await opened(place.database, everyRow), {})
    }
    writeFileSync(file, whole)
    t.same((await restore(place, file)).verified.findings, [])
  })

  t.test('nothing that exists is overwritten, neither a backup nor a database', async (t) => {
    const { db, needs, folder } = await filled(t, fresh)
    const file = join(folder, 'one.zxbak')
    await backup(needs, file, NOW)
    await t.rejects(backup(needs, file, NOW), { message: /已经存在，没有覆盖它/ })
    const before = await everyRow(db)
    await t.rejects(restore(needs, file), { message: /已有.*没有动它/ })
    t.same(await everyRow(db), before)
  })

  t.test('a backup of a newer program, and of the other database, is refused', async (t) => {
    const { needs, folder } = await filled(t, fresh)
    const file = join(folder, 'one.zxbak')
    await backup({ ...needs, version: '0.10.0' }, file, NOW)
    const place = { ...needs, database: await fresh(t) }
    await t.rejects(restore({ ...place, version: '0.9.3' }, file), { message: /更新的版本 0\.10\.0/ })
    const other: DatabaseAddress =
      needs.database.kind === 'sqlite'
        ? { kind: 'postgresql', url: 'postgresql://localhost/none' }
        : { kind: 'sqlite', file: join(folder, 'zhengxun.db') }
    await t.rejects(restore({ ...place, version: '0.10.0', database: other }, file), { message: /的备份，不能恢复到/ })
    t.same((await restore({ ...place, version: '1.0.0' }, file)).verified.findings, [])
  })

  t.test('restoring tells of a key file that is absent or another one', async (t) => {
    const { needs, folder } = await filled(t, fresh)
    const file = join(folder, 'one.zxbak')
    await backup(needs, file, NOW)
    const keyFile = join(folder, 'elsewhere.key')
    const without = await restore({ ...needs, database: await fresh(t), keyFile }, file)
    t.equal(without.key, 'absent')
    t.match(restoreLines(without, keyFile).join('\n'), '把另存的密钥文件放回这里')
    t.notOk(existsSync(keyFile))
    openFieldKey(keyFile)
    const wrong = await restore({ ...needs, database: await fresh(t), keyFile }, file)
    t.equal(wrong.key, 'other')
    t.match(restoreLines(wrong, keyFile).join('\n'), '打不开恢复出来的个人信息')
  })

  t.test('once a day, the clock of China; a failure removes nothing', async (t) => {
    const { needs, folder } = await filled(t, fresh)
    const kept = join(folder, 'kept')
    const evening = new Date('2026-11-22T16:30:00Z')
    const first = await backupDaily(needs, kept, evening)
    t.equal(first.made?.file, join(kept, 'zhengxun-2026-11-23.zxbak'))
    t.equal((await backupDaily(needs, kept, NOW)).made, null, 'the same day')
    const old = 'zhengxun-2025-03-01.zxbak'
    for (const name of [old, 'zhengxun-2099-01-01.zxbak', 'notes.txt']) writeFileSync(join(kept, name), '')
    const keep = { daily: 1, weekly: 1, monthly: 1 }
    mkdirSync(join(kept, 'zhengxun-2026-11-24.zxbak.part'))
    const next = new Date('2026-11-24T02:00:00Z')
    await t.rejects(backupDaily(needs, kept, next, keep), BackupFailed)
    t.ok(existsSync(join(kept, old)))
    rmSync(join(kept, 'zhengxun-2026-11-24.zxbak.part'), { recursive: true })
    t.same((await backupDaily(needs, kept, next, keep)).removed, [old, 'zhengxun-2026-11-23.zxbak'])
    t.same(readdirSync(kept).sort(), ['notes.txt', 'zhengxun-2026-11-24.zxbak', 'zhengxun-2099-01-01.zxbak'])
  })
}

t.test('SQLite', async (t) => backupContract(t, sqlite))
t.test('PostgreSQL', { skip: absent('PostgreSQL') }, async (t) => backupContract(t, postgresql))

t.test('two backups at once do not disturb each other, and what a killed one left is cleared away', async (t) => {
  const { needs, folder } = await filled(t, sqlite)
  const file = join(folder, 'one.zxbak')
  writeFileSync(`${file}.part`, 'half')
  await t.rejects(backup(needs, file, NOW), { message: /另一个备份或恢复正在写/ })
  t.equal(readFileSync(`${file}.part`, 'utf8'), 'half', "another's file is left alone")
  const longAgo = new Date(Date.now() - 2 * 3600 * 1000)
  utimesSync(`${file}.part`, longAgo, longAgo)
  await backup(needs, file, NOW)
  t.same(readdirSync(folder).sort(), ['field.key', 'one.zxbak'])
})

t.test('a damaged database is not backed up as if it were whole', async (t) => {
  const { db, needs, folder } = await filled(t, sqlite)
  await db.destroy()
  const file = (needs.database as { file: string }).file
  const bytes = readFileSync(file)
  bytes.fill(0x5a, 3 * 8192, 6 * 8192)
  writeFileSync(file, bytes)
  await t.rejects(backup(needs, join(folder, 'one.zxbak'), NOW), { message: /数据库文件已损坏/ })
  truncateSync(file, 100)
  await t.rejects(backup(needs, join(folder, 'two.zxbak'), NOW))
  t.same(readdirSync(folder), ['field.key'])
  t.same(
    readdirSync(join(file, '..')).filter((name) => name.includes('copy')),
    []
  )
})

t.test('a log left beside a lost database is not played into the restored one', async (t) => {
  const { needs, folder } = await filled(t, sqlite)
  const file = join(folder, 'one.zxbak')
  await backup(needs, file, NOW)
  const place = await sqlite(t)
  writeFileSync(`${(place as { file: string }).file}-wal`, 'left')
  await t.rejects(restore({ ...needs, database: place }, file), { message: /已有 .*zhengxun\.db-wal，没有动它/ })
})

t.test('a folder that is not there and a database that is not there are named', async (t) => {
  const { needs, folder } = await filled(t, sqlite)
  await t.rejects(backup(needs, join(folder, 'none', 'one.zxbak'), NOW), { message: /文件夹不存在/ })
  await t.rejects(backup({ ...needs, database: await sqlite(t) }, join(folder, 'one.zxbak'), NOW), {
    message: /没有数据库文件/
  })
  await t.rejects(restore({ ...needs, database: await sqlite(t) }, join(folder, 'none.zxbak')), {
    message: /没有这个备份文件/
  })
})

const CAN_MOUNT = spawnSync('unshare', ['-rm', 'true']).status === 0
t.test(
  'a full disk is told as such and leaves no half file',
  { skip: !CAN_MOUNT && 'no own mounts here' },
  async (t) => {
    const { db, needs, folder } = await filled(t, sqlite)
    const noise = (key: number) => ({
      key: String(key),
      identity: '',
      entry: openSecretFile(join(folder, `s${key}`)).toString(),
      pinyin: ''
    })
    await db.insertInto('entries').values(noise(0)).execute()
    const full = join(folder, 'full')
    mkdirSync(full)
    const program = `
    const { backup } = await import(${JSON.stringify(new URL('../../src/operations/backup.ts', import.meta.url).href)})
    const { readdirSync } = await import('node:fs')
    await backup(${JSON.stringify(needs)}, ${JSON.stringify(join(full, 'one.zxbak'))}, new Date()).catch(({ name, message }) => console.log(name, message))
    console.log(JSON.stringify(readdirSync(${JSON.stringify(full)})))`
    const script = `mount -t tmpfs -o size=16k none '${full}' && exec '${process.execPath}' --import=tsx --input-type=module -e "$1"`
    const { stdout, stderr } = spawnSync('unshare', ['-rm', 'sh', '-c', script, 'sh', program], { encoding: 'utf8' })
    t.match(stdout, /^BackupFailed .*磁盘已满。请腾出空间，或换一个磁盘。没有留下半个文件。\n\[\]\n$/, stderr)
  }
)

t.test("PostgreSQL's programs absent or older than the server are named", { skip: absent('PostgreSQL') }, async (t) => {
  const { needs, folder } = await filled(t, postgresql)
  const file = join(folder, 'one.zxbak')
  const none = backup({ ...needs, programFolders: [folder] }, file, NOW)
  await t.rejects(none, { message: /没有找到 pg_dump。请安装 PostgreSQL 客户端/ })
  writeFileSync(join(folder, 'pg_dump'), '#!/bin/sh\necho "pg_dump (PostgreSQL) 9.6.24"\n', { mode: 0o755 })
  const old = backup({ ...needs, programFolders: [folder] }, file, NOW)
  await t.rejects(old, { message: /pg_dump 的版本是 9，低于 PostgreSQL 服务器的 \d+/ })
  t.notOk(existsSync(`${file}.part`))
})

t.test('rotation keeps seven days, four weeks and twelve months', async (t) => {
  const dayAfter = (days: number) => new Date(Date.UTC(2025, 0, 1) + days * 86_400_000).toISOString().slice(0, 10)
  let folder: string[] = []
  for (let day = 0; day < 700; day++) folder = [...daysToKeep([...folder, dayAfter(day)], KEEP)]
  t.same(folder.sort(), [
    ...['2026-01-31', '2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31', '2026-06-30'],
    ...['2026-07-31', '2026-08-31', '2026-09-30', '2026-10-31'],
    ...['2026-11-15', '2026-11-22', '2026-11-25', '2026-11-26', '2026-11-27', '2026-11-28', '2026-11-29'],
    ...['2026-11-30', '2026-12-01']
  ])
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(3000), { minLength: 1, maxLength: 300 }), (numbers) => {
      const days = numbers.map(dayAfter).sort()
      const kept = daysToKeep(days, KEEP)
      const newest = days.slice(-7)
      return (
        newest.every((day) => kept.has(day)) && kept.size <= 7 + 4 + 12 && [...kept].every((day) => days.includes(day))
      )
    })
  )
})
