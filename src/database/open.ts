import Sqlite from 'better-sqlite3'
import { Kysely, Migrator, type Migration, PostgresDialect, SqliteDialect, sql } from 'kysely'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import pg from 'pg'
import * as content from './migrations/0001-content.ts'
import type { Schema } from './schema.ts'

export type Database = Kysely<Schema>

/** Where the record lives. A plain value, so that a worker thread can open its own connection. */
export type DatabaseAddress = { kind: 'sqlite'; file: string } | { kind: 'postgresql'; url: string }

const MIGRATIONS: Record<string, Migration> = { '0001-content': content }

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
    sqlite.pragma('page_size = 4096')
    sqlite.pragma('journal_mode = WAL')
    sqlite.pragma('cache_size = -65536')
    sqlite.pragma('synchronous = FULL')
    sqlite.pragma('busy_timeout = 5000')
    sqlite.pragma('foreign_keys = ON')
    return new Kysely<Schema>({ dialect: new SqliteDialect({ database: sqlite }) })
  }
  const pool = new pg.Pool({
    connectionString: address.url,
    max: 10,
    connectionTimeoutMillis: 5000,
    options: '-c synchronous_commit=on'
  })
  // An idle connection that breaks must not end the process; the next query reports it.
  pool.on('error', () => {})
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  const fsync = await sql<{ fsync: string }>`show fsync`.execute(db)
  if (fsync.rows[0]?.fsync === 'off') {
    await db.destroy()
    throw new Error('PostgreSQL 的 fsync 已关闭，断电会丢失已受理的事项；请打开后再启动。 PostgreSQL runs with fsync=off: refused.')
  }
  return db
}

/**
 * Brings the schema up to this version, each migration in its own transaction.
 * @throws {DatabaseTooNew} when the database has a migration unknown here
 */
export async function migrate(db: Database): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } })
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (tables.some((table) => table.name === 'kysely_migration')) {
    const done = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
    const unknown = done.rows.find((row) => !(row.name in MIGRATIONS))
    if (unknown !== undefined) throw new DatabaseTooNew(unknown.name)
  }
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}
