import { type Kysely, PostgresAdapter } from 'kysely'

/** Which of the two databases it is, for the few statements they word differently. */
export function isPostgres<T>(db: Kysely<T>): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter
}
