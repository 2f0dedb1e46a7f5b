import { type Kysely, sql } from 'kysely'
import { isPostgres } from '../dialect.ts'

/** Content store, change feed, stored tokens, query log. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Keys are compared byte by byte on both databases: ranges of keys are read in that order.
  const binaryText = isPostgres(db) ? sql`text collate "C"` : 'text'
  await db.schema
    .createTable('revisions')
    .addColumn('sequence', 'bigint', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('id', 'text', (c) => c.notNull())
    .addColumn('revision', 'integer', (c) => c.notNull())
    .addColumn('retired', 'integer', (c) => c.notNull())
    .addColumn('content', 'text', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .addColumn('sample', 'integer', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('changed_at', 'text', (c) => c.notNull())
    .addColumn('changed_by', 'text', (c) => c.notNull())
    .addUniqueConstraint('revisions_once', ['kind', 'id', 'revision'])
    .execute()
  await db.schema
    .createTable('records')
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('id', 'text', (c) => c.notNull())
    .addColumn('sequence', 'bigint', (c) => c.notNull().references('revisions.sequence'))
    .addColumn('retired', 'integer', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('records_key', ['kind', 'id'])
    .execute()
  await db.schema
    .createTable('counters')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'bigint', (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('entries')
    .addColumn('key', binaryText, (c) => c.primaryKey())
    .addColumn('identity', 'text', (c) => c.notNull())
    .addColumn('entry', 'text', (c) => c.notNull())
    .addColumn('pinyin', 'text', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('entries_identity').on('entries').column('identity').execute()
  await db.schema
    .createTable('queries')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('asked_at', 'text', (c) => c.notNull())
    .addColumn('zone', 'text')
    .addColumn('text', 'text', (c) => c.notNull())
    .addColumn('decision', 'text', (c) => c.notNull())
    .addColumn('confidence', 'double precision', (c) => c.notNull())
    .addColumn('evidence', 'text', (c) => c.notNull())
    .addColumn('degraded', 'integer', (c) => c.notNull())
    .addColumn('took_ms', 'double precision', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('queries_asked').on('queries').column('asked_at').execute()
}
