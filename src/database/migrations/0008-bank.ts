import type { Kysely } from 'kysely'

/** Why an entry was withdrawn, and sheets uploaded to the bank that wait for a confirmation. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('revisions').addColumn('reason', 'text').execute()
  await db.schema.createIndex('proposals_number').on('proposals').columns(['number', 'state']).execute()
  await db.schema
    .createTable('uploads')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('bytes', 'text', (c) => c.notNull())
    .addColumn('report', 'text', (c) => c.notNull())
    .addColumn('made_at', 'text', (c) => c.notNull())
    .addColumn('made_by', 'text', (c) => c.notNull())
    .execute()
}
