import { randomUUID } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { type Database, withoutWaiting } from '../database/open.ts'
import type { QueriesTable } from '../database/schema.ts'

/** Waiting rows are written this often, so that an answer never waits for a disk. */
const WRITE_EVERY_MS = 500
/** … or as soon as so many wait. */
const BATCH = 200
/** With the database gone this many are kept in memory; later ones are counted and dropped. */
const MOST_WAITING = 10_000

/** What was asked, written behind the answers. Nothing here holds up or fails a citizen's question. */
export class QueryLog {
  readonly #db: Database
  readonly #logger: FastifyBaseLogger
  readonly #timer: NodeJS.Timeout
  #waiting: QueriesTable[] = []
  #writing: Promise<void> | null = null
  #dropped = 0

  constructor(db: Database, logger: FastifyBaseLogger) {
    this.#db = db
    this.#logger = logger
    this.#timer = setInterval(() => void this.flush(), WRITE_EVERY_MS).unref()
  }

  /** A new query's code: 122 random bits, so that nobody guesses another's. */
  static newId(): string {
    return randomUUID()
  }

  /** Takes a row; `text` must be masked already. */
  add(row: QueriesTable): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#dropped++
      return
    }
    // PostgreSQL stores no NUL, and one row must not keep the others from being stored.
    this.#waiting.push({ ...row, text: row.text.replaceAll('\0', '') })
    if (this.#waiting.length === BATCH) void this.flush()
  }

  /** A row that is still waiting to be written. */
  waiting(id: string): QueriesTable | undefined {
    return this.#waiting.find((row) => row.id === id)
  }

  /** Writes what waits; resolves when it is stored, or kept for the next try. */
  flush(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null
    })
    return this.#writing
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, BATCH)
      try {
        await withoutWaiting(this.#db, (db) =>
          // A row is there already when the last try was stored but its acknowledgement lost.
          db
            .insertInto('queries')
            .values(batch)
            .onConflict((conflict) => conflict.column('id').doNothing())
            .execute()
        )
      } catch (error) {
        const level = isBusy(error) ? 'debug' : 'warn'
        this.#logger[level](
          { err: error, waiting: this.#waiting.length },
          'query log not written, kept for the next try'
        )
        return
      }
      this.#waiting = this.#waiting.slice(batch.length)
    }
    if (this.#dropped > 0) {
      this.#logger.error({ dropped: this.#dropped }, 'query log rows dropped while the database was away')
      this.#dropped = 0
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }
}

/** An import is writing: usual, and over within the minute. */
function isBusy(error: unknown): boolean {
  return (error as { code?: string }).code?.startsWith('SQLITE_BUSY') === true
}

/** Deletes what was asked more than `days` before `now`. */
export async function forgetOldQueries(db: Database, days: number, now: Date): Promise<number> {
  const before = new Date(now.getTime() - days * 24 * 3600 * 1000).toISOString()
  const deleted = await withoutWaiting(db, (writer) =>
    writer.deleteFrom('queries').where('asked_at', '<', before).executeTakeFirstOrThrow()
  )
  return Number(deleted.numDeletedRows)
}
