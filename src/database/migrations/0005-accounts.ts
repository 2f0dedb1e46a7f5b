import { type Kysely, sql } from 'kysely'
import { isPostgres } from '../dialect.ts'

/** Staff, their sessions and bearer tokens, who stands in for whom, terminals, and what the office has set. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const binaryText = isPostgres(db) ? sql`text collate "C"` : 'text'
  await db.schema
    .createTable('staff')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('username', 'text', (c) => c.notNull().unique())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('role', 'text', (c) => c.notNull())
    .addColumn('zone', 'text')
    .addColumn('unit', 'text')
    .addColumn('mail', 'text')
    .addColumn('password', 'text', (c) => c.notNull())
    .addColumn('first_password', 'integer', (c) => c.notNull())
    .addColumn('failures', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('locked_until', 'text')
    .addColumn('disabled_at', 'text')
    .addColumn('sample', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('sessions')
    .addColumn('hash', binaryText, (c) => c.primaryKey())
    .addColumn('staff', 'text', (c) => c.notNull().references('staff.id'))
    .addColumn('csrf', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('seen_at', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'text', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('sessions_staff').on('sessions').column('staff').execute()
  await db.schema
    .createTable('tokens')
    .addColumn('hash', binaryText, (c) => c.primaryKey())
    .addColumn('staff', 'text', (c) => c.notNull().references('staff.id'))
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('revoked_at', 'text')
    .execute()
  await db.schema
    .createTable('stand_ins')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('absent', 'text', (c) => c.notNull().references('staff.id'))
    .addColumn('staff', 'text', (c) => c.notNull().references('staff.id'))
    .addColumn('from_on', 'text', (c) => c.notNull())
    .addColumn('until_on', 'text', (c) => c.notNull())
    .addColumn('made_at', 'text', (c) => c.notNull())
    .addColumn('made_by', 'text', (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('terminals')
    .addColumn('hash', binaryText, (c) => c.primaryKey())
    .addColumn('zone', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('revoked_at', 'text')
    .execute()
  await db.schema
    .createTable('settings')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .addColumn('changed_at', 'text', (c) => c.notNull())
    .addColumn('changed_by', 'text', (c) => c.notNull())
    .execute()
}
