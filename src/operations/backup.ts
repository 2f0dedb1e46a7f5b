import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, createReadStream, existsSync, readdirSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { Worker } from 'node:worker_threads'
import { createGunzip, createGzip } from 'node:zlib'
import Sqlite from 'better-sqlite3'
import { type Kysely, sql } from 'kysely'
import * as z from 'zod'
import { openFieldKey } from '../accounts/field-key.ts'
import { dayOf, instantInChina } from '../calendar/day.ts'
import type { Config } from '../config.ts'
import { type Database, migrate, openDatabase } from '../database/open.ts'
import type { Schema } from '../database/schema.ts'
import { type Verified, verify } from './verify.ts'

// A backup is one file: 8 KiB of text (what it is, and its checksums), then the database under gzip. No container library is
// needed to write it, and none to read it in need: tail -c +8193 FILE | gunzip gives zhengxun.db or what pg_restore reads.

const MAGIC = 'zhengxun-backup 1'
/** Checksums are known last and stand first, so the room for them is fixed: thirty tables and ten migrations take 1.5 KiB. */
const HEADER_BYTES = 8192
/** A half-written file nobody has touched for an hour was left by a program that was killed. */
const LEFT_BEHIND_MS = 3600 * 1000
/** What the running service keeps for itself on the disk where the copy is laid: weeks of a zone's intake. Our choice. */
const ROOM_LEFT_BYTES = 64 * 1024 * 1024

const size = z.object({ bytes: z.number(), sha256: z.string() })
const Manifest = z.object({
  kind: z.enum(['sqlite', 'postgresql']),
  /** Of the program that made it. */
  version: z.string(),
  migrations: z.array(z.string()),
  /** Instant, ISO 8601 UTC. */
  madeAt: z.string(),
  /** Rows of each table. */
  tables: z.record(z.string(), z.number()),
  /** The SQLite file, or pg_dump's custom format uncompressed. */
  content: size,
  /** The content under gzip, as it follows the header. */
  body: size
})
/** What a backup says of itself. */
export type BackupManifest = z.infer<typeof Manifest>

/** Not backed up, or not restored, and nothing half done is left; the message says why and the way out, in Chinese. */
export class BackupFailed extends Error {
  constructor(problem: string) {
    super(problem)
    this.name = 'BackupFailed'
  }
}

type Needs = Pick<Config, 'database' | 'keyFile' | 'version'> & {
  /** Where PostgreSQL's programs are looked for; the path and Debian's folders when absent. */
  programFolders?: readonly string[]
}

export interface Backup {
  file: string
  bytes: number
  manifest: BackupManifest
}

/**
 * Copies the database into one file of mode 0600 while the service writes: whatever was committed when it began is in it.
 * The file appears under its name once it was read back and found whole; keys and secrets are never in it.
 * @throws {BackupFailed} where the file exists, the disk is full, or the database or PostgreSQL's programs do not answer
 */
export async function backup(needs: Needs, file: string, now: Date): Promise<Backup> {
  if (existsSync(file)) throw new BackupFailed(`${file} 已经存在，没有覆盖它。请换一个文件名。`)
  const part = `${file}.part`
  return await plainly(`备份到 ${file}`, async () => {
    const handle = await claim(part)
    try {
      const { manifest, pgRestore } =
        needs.database.kind === 'sqlite'
          ? await copySqlite(needs, needs.database.file, handle, now)
          : await dumpPostgres(needs, needs.database.url, handle, now)
      await handle.close()
      await check(part, pgRestore)
      // Another program may have made it meanwhile.
      if (existsSync(file)) throw new BackupFailed(`${file} 已经存在，没有覆盖它。请换一个文件名。`)
      await rename(part, file)
      await syncFolder(dirname(file))
      return { file, bytes: (await stat(file)).size, manifest }
    } finally {
      await handle.close().catch(() => {})
      await rm(part, { force: true })
    }
  })
}

/** Opens a new file for oneself; takes over what a killed program left. */
async function claim(file: string): Promise<FileHandle> {
  const left = await stat(file).catch(() => null)
  if (left !== null && Date.now() - left.mtimeMs > LEFT_BEHIND_MS) await removeCopy(file)
  try {
    return await open(file, 'wx', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new BackupFailed(`另一个备份或恢复正在写 ${file}，请等它结束；如果没有别的在运行，请删除这个文件再试。`)
  }
}

async function removeCopy(file: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm', '-journal']) await rm(`${file}${suffix}`, { force: true })
}

interface Written {
  manifest: BackupManifest
  /** The program that reads it back; null where none is needed. */
  pgRestore: string | null
}

async function copySqlite(needs: Needs, file: string, handle: FileHandle, now: Date): Promise<Written> {
  if (!existsSync(file)) throw new BackupFailed(`没有数据库文件 ${file}。请核对 DATA_DIR。`)
  // Beside the database, on a disk SQLite is known to work on; a backup often goes to a network share.
  const copy = `${file}.copy`
  await (await claim(copy)).close()
  try {
    const source = new Sqlite(file, { readonly: true, fileMustExist: true })
    try {
      // One state is held from here on: without it each commit of the service would start the copy anew.
      source.exec('begin')
      const pages = source.pragma('page_count', { simple: true }) as number
      const bytes = pages * (source.pragma('page_size', { simple: true }) as number)
      const { bavail, bsize } = await statfs(dirname(file))
      if (bavail * bsize < bytes + ROOM_LEFT_BYTES) {
        throw new BackupFailed(
          `数据目录所在的磁盘剩余空间不够：备份时要在那里放一份约 ${megabytes(bytes)} 的临时副本。请腾出空间再备份。`
        )
      }
      await source.backup(copy)
    } finally {
      source.close()
    }
    const { problems, tables, migrations } = await inspect(copy)
    if (problems.length > 0) {
      throw new BackupFailed(
        `数据库文件已损坏（${problems[0]}），没有备份。请停止服务，从以前的备份恢复；以前的备份不要删。`
      )
    }
    const facts = { kind: 'sqlite' as const, version: needs.version, migrations, madeAt: now.toISOString(), tables }
    return { manifest: await writeArchive(handle, createReadStream(copy), facts), pgRestore: null }
  } finally {
    await removeCopy(copy)
  }
}

interface Inspected {
  problems: string[]
  tables: Record<string, number>
  migrations: string[]
}

/** Checks a database file page by page and counts its rows; beside this thread, for it takes seconds and a service answers here. */
function inspect(file: string): Promise<Inspected> {
  const start = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(${JSON.stringify(import.meta.resolve('better-sqlite3'))}).then(({ default: Sqlite }) => {
      const db = new Sqlite(workerData, { fileMustExist: true })
      // One file, without a log beside it.
      db.pragma('journal_mode = delete')
      const problems = db.pragma('integrity_check').map((row) => row.integrity_check).filter((line) => line !== 'ok')
      const names = db.prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite!_%' escape '!'").pluck().all()
      const tables = {}
      for (const name of names.filter((name) => !name.startsWith('kysely_')))
        tables[name] = db.prepare('select count(*) from "' + name + '"').pluck().get()
      const migrations = names.includes('kysely_migration')
        ? db.prepare('select name from kysely_migration order by name').pluck().all() : []
      db.close()
      parentPort.postMessage({ problems, tables, migrations })
    })`
  return new Promise((resolve, reject) => {
    const worker = new Worker(start, { eval: true, execArgv: [], workerData: file })
    worker.once('message', resolve)
    worker.once('error', (error: NodeJS.ErrnoException) => {
      const broken = ['SQLITE_CORRUPT', 'SQLITE_NOTADB'].find((code) => error.code?.startsWith(code))
      if (broken === undefined) reject(error)
      else resolve({ problems: [error.message], tables: {}, migrations: [] })
    })
    worker.once('exit', (code) => reject(new Error(`The check of ${file} ended early (${code})`)))
  })
}

async function dumpPostgres(needs: Needs, url: string, handle: FileHandle, now: Date): Promise<Written> {
  const db = await openDatabase({ kind: 'postgresql', url })
  try {
    const major = await serverMajor(db)
    const program = findProgram('pg_dump', major, needs.programFolders)
    const pgRestore = findProgram('pg_restore', major, needs.programFolders)
    const reading = db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
    return await reading.execute(async (trx) => {
      const { rows } = await sql<{ snapshot: string }>`select pg_export_snapshot() as snapshot`.execute(trx)
      const { tables, migrations } = await countRows(trx)
      const { target, environment } = libpqAddress(url)
      const snapshot = `--snapshot=${rows[0]?.snapshot}`
      const args = ['--format=custom', '--compress=0', '--no-owner', '--no-privileges', snapshot, `--dbname=${target}`]
      const dump = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
      const ended = endOf('pg_dump', dump)
      const facts = {
        kind: 'postgresql' as const,
        version: needs.version,
        migrations,
        madeAt: now.toISOString(),
        tables
      }
      try {
        const [manifest] = await Promise.all([writeArchive(handle, dump.stdout, facts), ended])
        return { manifest, pgRestore }
      } finally {
        dump.kill()
        await ended.catch(() => {})
      }
    })
  } finally {
    await db.destroy()
  }
}

async function countRows(db: Kysely<Schema>): Promise<Pick<Inspected, 'tables' | 'migrations'>> {
  const tables: Record<string, number> = {}
  for (const { name } of await db.introspection.getTables()) {
    const { rows } = await sql<{ count: number }>`select count(*) as count from ${sql.table(name)}`.execute(db)
    tables[name] = Number(rows[0]?.count)
  }
  const known = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!known.some(({ name }) => name === 'kysely_migration')) return { tables, migrations: [] }
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
  return { tables, migrations: rows.map(({ name }) => name) }
}

async function serverMajor(db: Database): Promise<number> {
  const { rows } = await sql<{ server_version_num: string }>`show server_version_num`.execute(db)
  return Math.floor(Number(rows[0]?.server_version_num) / 10_000)
}

/** The oldest that is not older than the server: a newer pg_restore sets what an older server does not know. */
function findProgram(
  name: 'pg_dump' | 'pg_restore',
  server: number,
  folders: readonly string[] = programFolders()
): string {
  const found = folders
    .map((folder) => join(folder, name))
    .filter(isProgram)
    .map((path) => ({ path, major: majorOf(path) }))
  if (found.length === 0) {
    throw new BackupFailed(
      `没有找到 ${name}。请安装 PostgreSQL 客户端（Debian/Ubuntu：apt install postgresql-client），版本不低于服务器的 ${server}。`
    )
  }
  const [best] = found.filter(({ major }) => major >= server).sort((a, b) => a.major - b.major)
  if (best !== undefined) return best.path
  throw new BackupFailed(
    `${name} 的版本是 ${Math.max(...found.map(({ major }) => major))}，低于 PostgreSQL 服务器的 ${server}，备份会不完整。请安装 postgresql-client-${server}。`
  )
}

function programFolders(): string[] {
  const debian = '/usr/lib/postgresql'
  const installed = existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, 'bin')) : []
  return [...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''), ...installed]
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

const versions = new Map<string, number>()

function majorOf(program: string): number {
  const known = versions.get(program)
  if (known !== undefined) return known
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(stdout ?? '')?.[1] ?? 0)
  versions.set(program, major)
  return major
}

/** What libpq knows of an address; pg's own parameters would be refused. */
const LIBPQ = new Set(
  'host port sslmode sslrootcert sslcert sslkey sslpassword sslcrl options application_name connect_timeout channel_binding target_session_attrs keepalives gssencmode'.split(
    ' '
  )
)

/** The address for libpq, with the password in the environment: a command line is read by every user of the machine. */
function libpqAddress(address: string): { target: string; environment: NodeJS.ProcessEnv } {
  const url = new URL(address)
  const environment = { ...process.env }
  const password = url.searchParams.get('password') ?? decodeURIComponent(url.password)
  if (password !== '') environment.PGPASSWORD = password
  url.password = ''
  if (/^(?:1|true)$/.test(url.searchParams.get('ssl') ?? '')) url.searchParams.set('sslmode', 'require')
  if (url.searchParams.get('sslmode') === 'no-verify') url.searchParams.set('sslmode', 'require')
  for (const name of [...url.searchParams.keys()]) if (!LIBPQ.has(name)) url.searchParams.delete(name)
  // URLSearchParams writes a blank as +, which libpq takes for a plus.
  url.search = url.searchParams.toString().replaceAll('+', '%20')
  return { target: url.href, environment }
}

/** @throws {BackupFailed} with what the program said */
async function endOf(name: string, child: ChildProcess): Promise<void> {
  const said = child.stderr === null ? Promise.resolve('') : text(child.stderr)
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new BackupFailed(`${name} 没有成功：${(await said).trim().split('\n').slice(0, 5).join('；')}`)
}

/** Hashes and counts what flows through. */
class Meter {
  readonly #hash = createHash('sha256')
  #bytes = 0

  async *through(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      this.#hash.update(chunk)
      this.#bytes += chunk.length
      yield chunk
    }
  }

  total(): z.infer<typeof size> {
    return { bytes: this.#bytes, sha256: this.#hash.digest('hex') }
  }
}

type Facts = Omit<BackupManifest, 'content' | 'body'>

async function writeArchive(handle: FileHandle, source: AsyncIterable<Buffer>, facts: Facts): Promise<BackupManifest> {
  const content = new Meter()
  const body = new Meter()
  await pipeline(
    source,
    (chunks) => content.through(chunks),
    createGzip(),
    (chunks: AsyncIterable<Buffer>) => body.through(chunks),
    writerAt(handle, HEADER_BYTES)
  )
  const manifest: BackupManifest = { ...facts, content: content.total(), body: body.total() }
  await writeFully(handle, header(manifest), 0)
  await handle.sync()
  return manifest
}

function writerAt(handle: FileHandle, from: number): Writable {
  let position = from
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      writeFully(handle, chunk, position).then(() => {
        position += chunk.length
        done()
      }, done)
    }
  })
}

/** A disk about to fill takes part of what it is given, and says so at the next write only. */
async function writeFully(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten
  }
}

/** First line: name and checksum of what follows; second: the manifest; blanks up to the body. */
function header(manifest: BackupManifest): Buffer {
  const json = JSON.stringify(manifest)
  const rest = `${json}\n`
  const blanks = HEADER_BYTES - MAGIC.length - 66 - Buffer.byteLength(rest)
  if (blanks < 1) throw new Error('The manifest does not fit into the header')
  const padded = `${rest}${' '.repeat(blanks - 1)}\n`
  return Buffer.from(`${MAGIC} ${sha256(padded)}\n${padded}`)
}

const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex')

async function readHeader(file: string): Promise<BackupManifest> {
  const handle = await open(file, 'r')
  const bytes = Buffer.alloc(HEADER_BYTES)
  try {
    await handle.read(bytes, 0, HEADER_BYTES, 0)
  } finally {
    await handle.close()
  }
  const first = bytes.indexOf('\n')
  const [, sum] = /^zhengxun-backup 1 ([0-9a-f]{64})$/.exec(bytes.toString('latin1', 0, Math.max(first, 0))) ?? []
  if (sum === undefined) throw new BackupFailed(`${file} 不是政询的备份文件，或者开头已损坏。请换一份备份。`)
  const rest = bytes.subarray(first + 1)
  if (sha256(rest) !== sum) throw damaged(file, '说明部分与校验值不符')
  return Manifest.parse(JSON.parse(rest.toString()))
}

const damaged = (file: string, how: string) =>
  new BackupFailed(`备份文件 ${file} 已损坏（${how}），没有恢复任何内容。请换一份备份，或从另一份拷贝重新复制。`)

/**
 * Reads a backup from end to end against its checksums, and through pg_restore where it is a dump; writes nothing.
 * @throws {BackupFailed} where a byte differs, is missing or too many
 */
async function check(file: string, pgRestore: string | null): Promise<BackupManifest> {
  const manifest = await readHeader(file)
  const { size } = await stat(file)
  if (size !== HEADER_BYTES + manifest.body.bytes) {
    throw damaged(file, `应有 ${HEADER_BYTES + manifest.body.bytes} 字节，实有 ${size} 字节`)
  }
  if (pgRestore === null) await unpack(file, manifest, discard())
  else await throughProgram(file, manifest, pgRestore, ['--file=-'])
  return manifest
}

const discard = () => new Writable({ write: (_chunk, _encoding, done) => done() })

async function unpack(file: string, manifest: BackupManifest, into: NodeJS.WritableStream): Promise<void> {
  const body = new Meter()
  const content = new Meter()
  try {
    await pipeline(
      createReadStream(file, { start: HEADER_BYTES }),
      (chunks) => body.through(chunks),
      createGunzip(),
      (chunks: AsyncIterable<Buffer>) => content.through(chunks),
      into
    )
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code?.startsWith('Z_')) throw damaged(file, '压缩内容读不通')
    throw error
  }
  const whole = body.total().sha256 === manifest.body.sha256 && content.total().sha256 === manifest.content.sha256
  if (!whole) throw damaged(file, '内容与校验值不符')
}

async function throughProgram(
  file: string,
  manifest: BackupManifest,
  program: string,
  args: readonly string[],
  environment = process.env
): Promise<void> {
  const child = spawn(program, args, { env: environment, stdio: ['pipe', 'ignore', 'pipe'] })
  const ended = endOf('pg_restore', child)
  const [unpacked, done] = await Promise.allSettled([unpack(file, manifest, child.stdin), ended])
  // A program that gives up closes its input: what it said explains more than a broken pipe.
  if (done.status === 'rejected') throw unpackedFailure(unpacked) ?? done.reason
  if (unpacked.status === 'rejected') throw unpacked.reason
}

function unpackedFailure(unpacked: PromiseSettledResult<void>): BackupFailed | null {
  return unpacked.status === 'rejected' && unpacked.reason instanceof BackupFailed ? unpacked.reason : null
}

export interface Restored {
  manifest: BackupManifest
  verified: Verified
  /** Whether the key file opens the personal data that came back; `absent` also tells that the service would make a new one. */
  key: 'fits' | 'other' | 'absent'
}

/**
 * Brings a backup back into an empty place, whole or not at all, up to this version's schema, and verifies it.
 * @throws {BackupFailed} where a database stands already, the file is damaged, of a newer program or of the other database
 */
export async function restore(needs: Needs, file: string): Promise<Restored> {
  const { database } = needs
  return await plainly(`从 ${file} 恢复`, async () => {
    if (!existsSync(file)) throw new BackupFailed(`没有这个备份文件：${file}。请核对路径。`)
    const { kind, version } = await readHeader(file)
    if (kind !== database.kind) {
      const [from, to] = kind === 'sqlite' ? ['SQLite', 'PostgreSQL'] : ['PostgreSQL', 'SQLite']
      const way = kind === 'sqlite' ? '去掉 DATABASE_URL' : '用 DATABASE_URL 指向一个空的 PostgreSQL 数据库'
      throw new BackupFailed(`这是 ${from} 的备份，不能恢复到 ${to}。请${way}再恢复。`)
    }
    if (isNewer(version, needs.version)) {
      throw new BackupFailed(
        `备份是由更新的版本 ${version} 做的，本程序是 ${needs.version}。请先装好 ${version} 或更新的版本再恢复。`
      )
    }
    const manifest =
      database.kind === 'sqlite'
        ? await restoreSqlite(database.file, file)
        : await restorePostgres(needs, database.url, file)
    const db = await openDatabase(database)
    try {
      await migrate(db)
      // The cluster's indexes may hold what the backup does not know yet: they are built anew.
      await db.deleteFrom('search_refused').execute()
      await db.deleteFrom('search_indexes').execute()
      await db.deleteFrom('leases').execute()
      return { manifest, verified: await verify(db, database), key: await keyFor(db, needs.keyFile) }
    } finally {
      await db.destroy()
    }
  })
}

function isNewer(version: string, than: string): boolean {
  const numbers = (text: string) => text.split(/[.-]/).slice(0, 3).map(Number)
  const [a, b] = [numbers(version), numbers(than)]
  const at = a.findIndex((number, index) => number !== (b[index] ?? 0))
  return at !== -1 && (a[at] ?? 0) > (b[at] ?? 0)
}

async function restoreSqlite(target: string, file: string): Promise<BackupManifest> {
  // A log left beside a lost database would be played into the restored one.
  const there = ['', '-wal', '-shm', '-journal'].map((suffix) => `${target}${suffix}`).find((path) => existsSync(path))
  if (there !== undefined) {
    throw new BackupFailed(
      `数据目录里已有 ${there}，没有动它。请先停止服务；确实要恢复，就把数据目录里 zhengxun.db 开头的文件移到别处，再运行一次。`
    )
  }
  const manifest = await check(file, null)
  await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  const part = `${target}.restore`
  const handle = await claim(part)
  try {
    await unpack(file, manifest, writerAt(handle, 0))
    await handle.sync()
    await handle.close()
    const { problems, tables } = await inspect(part)
    if (problems.length > 0) throw damaged(file, problems[0] as string)
    compareRows(manifest, tables)
    if (existsSync(target)) throw new BackupFailed(`恢复期间 ${target} 出现了，没有动它。请先停止服务再恢复。`)
    await rename(part, target)
    await syncFolder(dirname(target))
  } finally {
    await handle.close().catch(() => {})
    await removeCopy(part)
  }
  return manifest
}

async function restorePostgres(needs: Needs, url: string, file: string): Promise<BackupManifest> {
  const db = await openDatabase({ kind: 'postgresql', url })
  try {
    const [there] = await db.introspection.getTables({ withInternalKyselyTables: true })
    if (there !== undefined) {
      throw new BackupFailed(
        `PostgreSQL 数据库里已有表（${there.name} 等），没有动它。请新建一个空数据库，让 DATABASE_URL 指向它再恢复。`
      )
    }
    const program = findProgram('pg_restore', await serverMajor(db), needs.programFolders)
    const manifest = await check(file, program)
    const { target, environment } = libpqAddress(url)
    const once = ['--single-transaction', '--exit-on-error', '--no-owner', '--no-privileges', `--dbname=${target}`]
    await throughProgram(file, manifest, program, once, environment)
    compareRows(manifest, (await countRows(db)).tables)
    return manifest
  } finally {
    await db.destroy()
  }
}

function compareRows({ tables }: BackupManifest, restored: Record<string, number>): void {
  const wrong = Object.keys(tables).find((name) => tables[name] !== restored[name])
  if (wrong === undefined) return
  throw new BackupFailed(
    `恢复出来的表 ${wrong} 应有 ${tables[wrong]} 行，实有 ${restored[wrong] ?? 0} 行，请不要使用。请换一份备份，恢复到另一个空的地方。`
  )
}

/** Opens the code of the last consultation that is not erased: every one has it. */
async function keyFor(db: Database, keyFile: string): Promise<Restored['key']> {
  if (!existsSync(keyFile)) return 'absent'
  const last = await db
    .selectFrom('contacts')
    .select(['number', 'code'])
    .where('erased_at', 'is', null)
    .orderBy('number', 'desc')
    .executeTakeFirst()
  if (last === undefined) return 'fits'
  try {
    openFieldKey(keyFile).open(last.code, `${last.number}/code`)
    return 'fits'
  } catch {
    return 'other'
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** What the system says, as an operator reads it. */
const SYSTEM: Record<string, string> = {
  ENOSPC: '磁盘已满。请腾出空间，或换一个磁盘',
  EDQUOT: '磁盘配额已用完。请腾出空间，或换一个磁盘',
  SQLITE_FULL: '磁盘已满。请腾出空间，或换一个磁盘',
  EFBIG: '文件超过了允许的大小。请换一个文件系统，或放宽限制',
  ENOENT: '文件夹不存在。请先建好，或核对路径',
  ENOTDIR: '路径中有一段不是文件夹。请核对路径',
  EISDIR: '这是一个文件夹。请写上文件名',
  EACCES: '没有权限。请用运行服务的用户来运行，并检查文件夹的权限',
  EPERM: '没有权限。请用运行服务的用户来运行，并检查文件夹的权限',
  EROFS: '这个磁盘是只读的。请换一个磁盘',
  EIO: '磁盘读写出错。请检查磁盘，换一个磁盘再试',
  ECONNREFUSED: 'PostgreSQL 没有响应。请检查它是否在运行、DATABASE_URL 是否正确',
  '28P01': 'PostgreSQL 不接受用户名或密码。请核对 DATABASE_URL',
  '3D000': 'PostgreSQL 里没有这个数据库。请先新建，或核对 DATABASE_URL',
  '57P03': 'PostgreSQL 正在启动。请稍后再试'
}

async function plainly<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    const reason = SYSTEM[(error as NodeJS.ErrnoException).code ?? '']
    if (reason === undefined) throw error
    throw new BackupFailed(`${what}没有成功：${reason}。没有留下半个文件。`)
  }
}

/** How many daily, weekly and monthly backups are kept. */
export interface Keep {
  daily: number
  weekly: number
  monthly: number
}

/** A week to notice a mistake, a month of weeks, a year to look back: our choice; no rule names a number. */
export const KEEP: Keep = { daily: 7, weekly: 4, monthly: 12 }

const NAME = /^zhengxun-(\d{4}-\d{2}-\d{2})\.zxbak$/

export interface DailyBackup {
  /** Null where today's was there already. */
  made: Backup | null
  /** Names of the files that were removed, oldest first. */
  removed: string[]
}

/**
 * Makes today's backup (China Standard Time) as `zhengxun-YYYY-MM-DD.zxbak` where there is none, then removes what need not
 * be kept. Touches no other file; removes nothing when today's did not succeed.
 * @throws {BackupFailed}
 */
export async function backupDaily(needs: Needs, folder: string, now: Date, keep = KEEP): Promise<DailyBackup> {
  return await plainly(`备份到 ${folder}`, async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const today = dayOf(now)
    const file = join(folder, nameOf(today))
    const made = existsSync(file) ? null : await backup(needs, file, now)
    const days = readdirSync(folder).flatMap((name) => NAME.exec(name)?.[1] ?? [])
    // A day to come was written by a clock gone wrong: it must not push real ones out.
    const past = days.filter((day) => day <= today).sort()
    const kept = daysToKeep(past, keep)
    const removed = past.filter((day) => !kept.has(day)).map(nameOf)
    for (const name of removed) await rm(join(folder, name))
    return { made, removed }
  })
}

const nameOf = (day: string) => `zhengxun-${day}.zxbak`

/** The last days, and the last day of each of the last weeks and months that have any; days without a backup cost none its place. */
export function daysToKeep(days: readonly string[], { daily, weekly, monthly }: Keep): Set<string> {
  const newestFirst = [...days].sort().reverse()
  const kept = new Set(newestFirst.slice(0, daily))
  for (const [periodOf, count] of [
    [mondayOf, weekly],
    [(day: string) => day.slice(0, 7), monthly]
  ] as const) {
    const seen = new Set<string>()
    for (const day of newestFirst) {
      if (seen.has(periodOf(day))) continue
      if (seen.size === count) break
      seen.add(periodOf(day))
      kept.add(day)
    }
  }
  return kept
}

const DAY_MS = 24 * 3600 * 1000

function mondayOf(day: string): string {
  const date = new Date(`${day}T00:00:00Z`)
  return new Date(date.getTime() - ((date.getUTCDay() + 6) % 7) * DAY_MS).toISOString().slice(0, 10)
}

/** What `admin backup` prints. */
export function backupLines({ file, bytes, manifest }: Backup, keyFile: string): string[] {
  const { tables, madeAt } = manifest
  return [
    `✓ 已备份到 ${file}（${megabytes(bytes)}，${instantInChina(madeAt)} 的状态），并已从头读过一遍，校验无误。`,
    `  其中有内容记录 ${tables.records ?? 0} 条，咨询 ${tables.consultations ?? 0} 件，办理事件 ${tables.events ?? 0} 条，工作人员 ${tables.staff ?? 0} 人。`,
    `  备份里没有密钥。密钥文件在 ${keyFile}：请另存一份，和备份分开放。丢了它，备份里的姓名和电话就再也读不出来。`,
    '  会话密钥也不在备份里：恢复后大家重新登录一次即可。'
  ]
}

const KEY_LINES: Record<Restored['key'], (keyFile: string) => string> = {
  fits: (keyFile) => `✓ 密钥文件 ${keyFile} 与数据相符。`,
  other: (keyFile) =>
    `✗ 密钥文件 ${keyFile} 打不开恢复出来的个人信息。请先不要启动服务，把原来的密钥文件放回这里（权限 600）。`,
  absent: (keyFile) =>
    `✗ 没有密钥文件 ${keyFile}。请先不要启动服务（启动会新建一个，读不出原来的姓名和电话），把另存的密钥文件放回这里（权限 600）。`
}

/** What `admin restore` prints; exit code 1 where a line begins with ✗. */
export function restoreLines({ manifest, verified, key }: Restored, keyFile: string): string[] {
  const { findings, records, revisions, entries } = verified
  return [
    `✓ 已恢复到 ${instantInChina(manifest.madeAt)} 的状态（由 ${manifest.version} 版备份）。`,
    `  核查了 ${records} 条记录、${revisions} 个修订、${entries} 条检索词。`,
    ...findings.map(({ what, remedy }) => `✗ ${what}。${remedy}。`),
    findings.length === 0 ? '✓ 没有发现问题。' : `共发现 ${findings.length} 个问题。`,
    KEY_LINES[key](keyFile),
    '  备份之后登记的事项不在里面：请对照纸质登记和回执补录。'
  ]
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
