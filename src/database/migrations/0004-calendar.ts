import type { Kysely } from 'kysely'

/** Holiday notices and local orders, as published (src/calendar/). */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('holiday_notices')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('title', 'text', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('days', 'text', (c) => c.notNull())
    .addColumn('imported_at', 'text', (c) => c.notNull())
    .addColumn('imported_by', 'text', (c) => c.notNull())
    .execute()
}
