import Sqlite from 'better-sqlite3'
import { Kysely, Migrator, type Migration, PostgresDialect, sql } from 'kysely'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import pg from 'pg'
import { isPostgres } from './dialect.ts'
import * as content from './migrations/0001-content.ts'
import * as vectors from './migrations/0002-vectors.ts'
import * as labels from './migrations/0003-labels.ts'
import * as calendar from './migrations/0004-calendar.ts'
import * as accounts from './migrations/0005-accounts.ts'
import * as consultations from './migrations/0006-consultations.ts'
import * as notices from './migrations/0007-notices.ts'
import * as bank from './migrations/0008-bank.ts'
import * as office from './migrations/0009-office.ts'
import * as search from './migrations/0010-search.ts'
import type { Schema } from './schema.ts'
import { SafeSqliteDialect } from './sqlite-dialect.ts'

export type Database = Kysely<Schema>

/** Where the record lives. A plain value, so that a worker thread can open its own connection. */
export type DatabaseAddress = { kind: 'sqlite'; file: string } | { kind: 'postgresql'; url: string }

const MIGRATIONS: Record<string, Migration> = {
  '0001-content': content,
  '0002-vectors': vectors,
  '0003-labels': labels,
  '0004-calendar': calendar,
  '0005-accounts': accounts,
  '0006-consultations': consultations,
  '0007-notices': notices,
  '0008-bank': bank,
  '0009-office': office,
  '0010-search': search
}

/** The database holds migrations this program does not know: a newer version wrote it. */
export class DatabaseTooNew extends Error {
  constructor(unknown: string) {
    super(
      `这个数据库由更新版本的程序写过（${unknown}），本版本不能打开它。请换用新版本程序，或用本版本的备份另建数据目录。 ` +
        `The database was written by a newer version (${unknown}); start that version, or another DATA_DIR.`
    )
    this.name = 'DatabaseTooNew'
  }
}

/** An operator who turned safety off must hear of it before anything is accepted. */
class FsyncOff extends Error {
  constructor() {
    super(
      'PostgreSQL 的 fsync 已关闭，断电会丢失已受理的事项；请打开后再启动。 PostgreSQL runs with fsync=off: refused.'
    )
    this.name = 'FsyncOff'
  }
}

/** How long one program waits for another that writes to the same SQLite file. */
const BUSY_TIMEOUT_MS = 5000

// bigint and numeric arrive as strings from pg; every one we store is far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

/**
 * Opens the database without touching its schema.
 * SQLite: WAL and synchronous=FULL, so that what was acknowledged survives a power cut (design decision 0006).
 * PostgreSQL: synchronous_commit is forced on and a server with fsync off is refused.
 */
export async function openDatabase(address: DatabaseAddress): Promise<Database> {
  if (address.kind === 'sqlite') {
    if (!existsSync(dirname(address.file))) mkdirSync(dirname(address.file), { recursive: true, mode: 0o700 })
    const sqlite = new Sqlite(address.file)
    sqlite.pragma('page_size = 8192')
    sqlite.pragma('journal_mode = WAL')
    sqlite.pragma('cache_size = -65536')
    sqlite.pragma('synchronous = FULL')
    sqlite.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
    sqlite.pragma('foreign_keys = ON')
    return new Kysely<Schema>({ dialect: new SafeSqliteDialect(sqlite) })
  }
  const pool = new pg.Pool({ connectionString: durable(address.url), max: 10, connectionTimeoutMillis: 5000 })
  // An idle connection that breaks must not end the process; the next query reports it.
  pool.on('error', () => {})
  // … nor one that breaks in the hands of a query, which reports it too.
  pool.on('connect', (client) => client.on('error', () => {}))
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  try {
    const { rows } = await sql<{ fsync: string }>`show fsync`.execute(db)
    if (rows[0]?.fsync === 'off') throw new FsyncOff()
  } catch (error) {
    await db.destroy()
    throw error
  }
  return db
}

/** The address with synchronous_commit on, last, so that no setting of the address, role or server undoes it. */
function durable(address: string): string {
  const url = new URL(address)
  const options = [url.searchParams.get('options'), '-c synchronous_commit=on']
  url.searchParams.set('options', options.filter((option) => option !== null).join(' '))
  return url.href
}

/**
 * Brings the schema up to this version, in one transaction; writes nothing when it is.
 * @throws {DatabaseTooNew} when the database has a migration unknown here
 */
export async function migrate(db: Database): Promise<void> {
  const done = await appliedMigrations(db)
  const unknown = done.find((name) => !(name in MIGRATIONS))
  if (unknown !== undefined) throw new DatabaseTooNew(unknown)
  if (done.length === Object.keys(MIGRATIONS).length) return
  const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } })
  const toLatest = async () => {
    const { error } = await migrator.migrateToLatest()
    if (error !== undefined) throw error
  }
  if (isPostgres(db)) return await toLatest()
  // Kysely opens no transaction for SQLite's migrations; all statements go through the one connection, so this one holds them.
  await sql`begin immediate`.execute(db)
  try {
    await toLatest()
    await sql`commit`.execute(db)
  } catch (error) {
    // A full disk has rolled back already.
    await sql`rollback`.execute(db).catch(() => {})
    throw error
  }
}

async function appliedMigrations(db: Database): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some((table) => table.name === 'kysely_migration')) return []
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
  return rows.map(({ name }) => name)
}

/**
 * Writes on SQLite without waiting for another program that is writing, which would hold up every answer of this process;
 * fails at once instead, for those who can write later.
 */
export async function withoutWaiting<T>(db: Database, write: (db: Database) => Promise<T>): Promise<T> {
  if (isPostgres(db)) return await write(db)
  return await db.connection().execute(async (connection) => {
    await sql`pragma busy_timeout = 0`.execute(connection)
    try {
      return await write(connection)
    } finally {
      await sql.raw(`pragma busy_timeout = ${BUSY_TIMEOUT_MS}`).execute(connection)
    }
  })
}
