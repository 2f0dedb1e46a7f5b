import type { Database as Sqlite, Statement } from 'better-sqlite3'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  SqliteDialect,
  SqliteDriver,
  type TransactionSettings
} from 'kysely'

/** Kysely's SQLite with transactions that take the write lock when they begin, and that tell why they failed. */
export class SafeSqliteDialect extends SqliteDialect {
  readonly #sqlite: Sqlite

  constructor(sqlite: Sqlite) {
    super({ database: sqlite })
    this.#sqlite = sqlite
  }

  override createDriver(): Driver {
    return new SafeSqliteDriver(this.#sqlite)
  }
}

class SafeSqliteDriver extends SqliteDriver {
  readonly #sqlite: Sqlite

  constructor(sqlite: Sqlite) {
    super({ database: { prepare: keeping(sqlite), close: () => sqlite.close() } })
    this.#sqlite = sqlite
  }

  /** A transaction that reads first and writes later fails at once when another has written between; one that only reads may run beside a writer. */
  override async beginTransaction(connection: DatabaseConnection, settings?: TransactionSettings): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(settings?.accessMode === 'read only' ? 'begin' : 'begin immediate'))
  }

  /** SQLite itself rolls back on a full disk; a second rollback would fail and hide the reason. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#sqlite.inTransaction) await super.rollbackTransaction(connection)
  }
}

/** Statements kept; the service has some hundreds, each a few kB. */
const MOST_KEPT = 500
/** A bulk insert's text is as long as its rows are many, and seldom comes again. */
const LONGEST_KEPT = 4000

/** Prepares each statement once: a registration runs two dozen, and preparing them took a tenth of its time. */
function keeping(sqlite: Sqlite): (sql: string) => Statement {
  const kept = new Map<string, Statement>()
  return (sql) => {
    const known = kept.get(sql)
    // Somebody is still reading from it, row by row.
    if (known?.busy === true) return sqlite.prepare(sql)
    const statement = known ?? sqlite.prepare(sql)
    if (sql.length > LONGEST_KEPT) return statement
    kept.delete(sql)
    kept.set(sql, statement)
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value as string)
    return statement
  }
}
