import type { Kysely } from 'kysely'
import { isPostgres } from '../dialect.ts'

/** What became of each notice: one row a person and channel, and the bell of each member of staff. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createIndex('outbox_number').on('outbox').columns(['number', 'id']).execute()
  const serial = isPostgres(db) ? 'bigserial' : 'integer'
  await db.schema
    .createTable('deliveries')
    .addColumn('id', serial, (c) => c.primaryKey())
    .addColumn('outbox', 'bigint', (c) => c.notNull().references('outbox.id').onDelete('cascade'))
    .addColumn('channel', 'text', (c) => c.notNull())
    .addColumn('recipient', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('not_before', 'text', (c) => c.notNull())
    .addColumn('error', 'text')
    .addColumn('done_at', 'text')
    .addUniqueConstraint('deliveries_once', ['outbox', 'channel', 'recipient'])
    .execute()
  await db.schema.createIndex('deliveries_waiting').on('deliveries').columns(['state', 'not_before']).execute()
  await db.schema
    .createTable('bells')
    .addColumn('id', serial, (c) => c.primaryKey())
    .addColumn('staff', 'text', (c) => c.notNull().references('staff.id'))
    .addColumn('outbox', 'bigint', (c) => c.notNull().references('outbox.id').onDelete('cascade'))
    .addColumn('number', 'text', (c) => c.notNull())
    .addColumn('text', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('read_at', 'text')
    .addUniqueConstraint('bells_once', ['staff', 'outbox'])
    .execute()
}
