import type { Kysely } from 'kysely'

/** Who may do what only one process may, and what stands in the Elasticsearch cluster. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('leases')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('holder', 'text', (c) => c.notNull())
    .addColumn('until', 'bigint', (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('search_indexes')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('alias', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('identity', 'text', (c) => c.notNull())
    .addColumn('rebuild', 'bigint', (c) => c.notNull())
    .addColumn('sequence', 'bigint', (c) => c.notNull())
    .addColumn('copied_to', 'text')
    .addColumn('entries', 'bigint', (c) => c.notNull())
    .addColumn('begun_at', 'text', (c) => c.notNull())
    .addColumn('stood_at', 'text')
    .execute()
  await db.schema.createIndex('search_indexes_alias').on('search_indexes').columns(['alias', 'state']).execute()
  await db.schema
    .createTable('search_refused')
    .addColumn('index_name', 'text', (c) => c.notNull().references('search_indexes.name').onDelete('cascade'))
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('error', 'text', (c) => c.notNull())
    .addColumn('refused_at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('search_refused_key', ['index_name', 'key'])
    .execute()
}
