import { type Kysely, sql } from 'kysely'
import { isPostgres } from '../dialect.ts'

/** Vectors of texts for semantic matching, by hash of text and model; derived, may be deleted at any time. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Compared byte by byte on both databases: hashes are paged through in that order.
  const binaryText = isPostgres(db) ? sql`text collate "C"` : 'text'
  await db.schema
    .createTable('vectors')
    .addColumn('hash', binaryText, (c) => c.primaryKey())
    .addColumn('model', 'text', (c) => c.notNull())
    .addColumn('dimension', 'integer', (c) => c.notNull())
    .addColumn('vector', isPostgres(db) ? 'bytea' : 'blob', (c) => c.notNull())
    .execute()
}
