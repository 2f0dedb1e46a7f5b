import { sql } from 'kysely'
import { isPostgres } from './dialect.ts'
import type { Database } from './open.ts'

/**
 * Takes or keeps what only one process may do at a time. Time is the database's own, so that processes whose clocks differ
 * agree on who holds it.
 * @param holder names the process, the same at each call
 * @returns whether it is held for `ms` from now on
 */
export async function takeLease(db: Database, name: string, holder: string, ms: number): Promise<boolean> {
  const now = databaseNow(db)
  const row = await db
    .insertInto('leases')
    .values({ name, holder, until: sql<number>`${now} + ${ms}` })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet({ holder, until: sql<number>`${now} + ${ms}` })
        .where((e) => e.or([e('leases.holder', '=', holder), e('leases.until', '<', now)]))
    )
    .returning('holder')
    .executeTakeFirst()
  return row !== undefined
}

/** Gives it up at once, so that another process need not wait for its end. */
export async function dropLease(db: Database, name: string, holder: string): Promise<void> {
  await db.deleteFrom('leases').where('name', '=', name).where('holder', '=', holder).execute()
}

function databaseNow(db: Database) {
  return isPostgres(db)
    ? sql<number>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`
    : sql<number>`cast(unixepoch('subsec') * 1000 as integer)`
}
