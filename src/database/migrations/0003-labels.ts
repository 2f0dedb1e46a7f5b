import { type Kysely, sql } from 'kysely'
import { isPostgres } from '../dialect.ts'

/** What staff confirmed of queries, and the thresholds that were made from it. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const postgres = isPostgres(db)
  // No reference to `queries`: a query's text goes after QUERY_LOG_DAYS, what was confirmed of it stays.
  await db.schema
    .createTable('labels')
    .addColumn('query_id', postgres ? sql`text collate "C"` : 'text', (c) => c.primaryKey())
    .addColumn('label', 'text', (c) => c.notNull())
    .addColumn('entry', 'text')
    .addColumn('labelled_at', 'text', (c) => c.notNull())
    .addColumn('asked_at', 'text', (c) => c.notNull())
    .addColumn('model', 'text', (c) => c.notNull())
    .addColumn('decision', 'text', (c) => c.notNull())
    .addColumn('confidence', 'double precision', (c) => c.notNull())
    .addColumn('among', 'double precision')
    .addColumn('first', 'text')
    .addColumn('withheld', 'integer', (c) => c.notNull())
    .addColumn('place', 'integer')
    .execute()
  await db.schema.createIndex('labels_asked').on('labels').column('asked_at').execute()
  await db.schema
    .createTable('thresholds')
    .addColumn('id', postgres ? 'serial' : 'integer', (c) => c.primaryKey())
    .addColumn('model', 'text', (c) => c.notNull())
    .addColumn('content', 'text', (c) => c.notNull())
    .addColumn('made_at', 'text', (c) => c.notNull())
    .addColumn('made_from', 'text')
    .addColumn('previous', 'integer')
    .execute()
}
