import { type Kysely, sql } from 'kysely'
import { isPostgres } from '../dialect.ts'

/**
 * Consultations: the chain of events is the record, `consultations` what follows from it. Personal data stands apart in
 * `contacts`, encrypted, so that it can be erased while the chain stays whole.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const postgres = isPostgres(db)
  const binaryText = postgres ? sql`text collate "C"` : 'text'
  await db.schema
    .createTable('consultations')
    .addColumn('number', binaryText, (c) => c.primaryKey())
    .addColumn('chain', 'text', (c) => c.notNull())
    .addColumn('zone', 'text', (c) => c.notNull())
    .addColumn('unit', 'text')
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('open', 'integer', (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('channel', 'text', (c) => c.notNull())
    .addColumn('registered_at', 'text', (c) => c.notNull())
    .addColumn('registered_on', 'text', (c) => c.notNull())
    .addColumn('due_on', 'text')
    .addColumn('head', 'text')
    .addColumn('normal', 'text', (c) => c.notNull())
    .addColumn('ticket', 'text', (c) => c.notNull())
    .execute()
  for (const columns of [
    ['chain', 'zone', 'registered_at'],
    ['chain', 'unit', 'registered_at'],
    ['chain', 'registered_at'],
    ['chain', 'zone', 'open', 'state'],
    ['chain', 'open', 'registered_at'],
    ['open', 'state', 'due_on'],
    ['normal', 'open'],
    ['head']
  ])
    await db.schema
      .createIndex(`consultations_${columns.join('_')}`)
      .on('consultations')
      .columns(columns)
      .execute()
  await db.schema
    .createTable('contacts')
    .addColumn('number', binaryText, (c) => c.primaryKey())
    .addColumn('name', 'text')
    .addColumn('phone', 'text')
    .addColumn('question', 'text')
    .addColumn('code', 'text', (c) => c.notNull())
    .addColumn('erased_at', 'text')
    .execute()
  await db.schema
    .createTable('events')
    .addColumn('chain', 'text', (c) => c.notNull())
    .addColumn('sequence', 'bigint', (c) => c.notNull())
    .addColumn('number', binaryText, (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('at', 'text', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('role', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('data', 'text', (c) => c.notNull())
    .addColumn('previous', 'text', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('events_key', ['chain', 'sequence'])
    .addUniqueConstraint('events_once', ['number', 'version'])
    .execute()
  // Only sample events, numbered and chained apart, may ever go (`admin sample remove`).
  if (postgres) {
    await sql`create function refuse_event_change() returns trigger language plpgsql as $$
      begin raise exception 'events are append-only'; end $$`.execute(db)
    await sql`create trigger events_no_update before update on events
      for each row execute function refuse_event_change()`.execute(db)
    await sql`create trigger events_no_delete before delete on events
      for each row when (old.chain = 'real') execute function refuse_event_change()`.execute(db)
    await sql`create trigger events_no_truncate before truncate on events
      for each statement execute function refuse_event_change()`.execute(db)
  } else {
    await sql`create trigger events_no_update before update on events
      begin select raise(abort, 'events are append-only'); end`.execute(db)
    await sql`create trigger events_no_delete before delete on events when old.chain = 'real'
      begin select raise(abort, 'events are append-only'); end`.execute(db)
  }
  await db.schema
    .createTable('chains')
    .addColumn('chain', 'text', (c) => c.primaryKey())
    .addColumn('sequence', 'bigint', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .execute()
  await db
    .insertInto('chains' as never)
    .values([
      { chain: 'real', sequence: 0, hash: '' },
      { chain: 'sample', sequence: 0, hash: '' }
    ] as never)
    .execute()
  await db.schema
    .createTable('serials')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'integer', (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('intents')
    .addColumn('hash', binaryText, (c) => c.primaryKey())
    .addColumn('request', 'text', (c) => c.notNull())
    .addColumn('number', 'text', (c) => c.notNull())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('outbox')
    .addColumn('id', postgres ? 'bigserial' : 'integer', (c) => c.primaryKey())
    .addColumn('once', 'text', (c) => c.notNull().unique())
    .addColumn('chain', 'text', (c) => c.notNull())
    .addColumn('number', binaryText, (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('recipient', 'text', (c) => c.notNull())
    .addColumn('data', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('done_at', 'text')
    .execute()
  await db.schema.createIndex('outbox_waiting').on('outbox').columns(['done_at', 'id']).execute()
  await db.schema
    .createTable('proposals')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('number', binaryText, (c) => c.notNull())
    .addColumn('unit', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('content', 'text', (c) => c.notNull())
    .addColumn('made_at', 'text', (c) => c.notNull())
    .addColumn('made_by', 'text', (c) => c.notNull())
    .addColumn('decided_at', 'text')
    .addColumn('decided_by', 'text')
    .addColumn('reason', 'text')
    .execute()
  await db.schema
    .createTable('parked')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('zone', 'text', (c) => c.notNull())
    .addColumn('staff', 'text', (c) => c.notNull())
    .addColumn('content', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('trails')
    .addColumn('code', 'text', (c) => c.primaryKey())
    .addColumn('zone', 'text', (c) => c.notNull())
    .addColumn('queries', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute()
}
