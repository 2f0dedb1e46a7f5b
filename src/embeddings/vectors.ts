import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { type Database, withoutWaiting } from '../database/open.ts'
import type { Schema } from '../database/schema.ts'
import type { EmbeddingsAddress } from './client.ts'
import type { Role } from './texts.ts'

/** Hashes a statement names at most: far below SQLite's 32,766 parameters. */
const NAMED = 500
/** Rows looked through at once for those nobody uses. */
const PAGE = 5000

export type VectorRow = Schema['vectors']

/** Names the vector of a text: same model, prefix, role and text, same vector. */
export function vectorHash({ models, prefixes }: EmbeddingsAddress, role: Role, text: string): string {
  const named = JSON.stringify([models[role], prefixes[role], role, text])
  return createHash('sha256').update(named).digest('hex').slice(0, 32)
}

export function vectorRow(hash: string, model: string, vector: Int16Array): VectorRow {
  const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)
  return { hash, model, dimension: vector.length, vector: bytes }
}

/** Those of the vectors that are stored, by hash. */
export async function storedVectors(db: Database, hashes: readonly string[]): Promise<Map<string, Int16Array>> {
  const found = new Map<string, Int16Array>()
  for (let at = 0; at < hashes.length; at += NAMED) {
    const rows = await db
      .selectFrom('vectors')
      .select(['hash', 'dimension', 'vector'])
      .where('hash', 'in', hashes.slice(at, at + NAMED))
      .execute()
    for (const { hash, dimension, vector } of rows) {
      if (vector.length !== dimension * 2) continue
      const numbers = new Int16Array(dimension)
      Buffer.from(numbers.buffer).set(vector)
      found.set(hash, numbers)
    }
    // SQLite answers without letting others have their turn.
    await setImmediate()
  }
  return found
}

/** Stores vectors; fails at once while another program writes to the same SQLite file. */
export async function storeVectors(db: Database, rows: readonly VectorRow[]): Promise<void> {
  for (let at = 0; at < rows.length; at += NAMED) {
    const some = rows.slice(at, at + NAMED)
    await withoutWaiting(db, (now) =>
      now
        .insertInto('vectors')
        .values(some)
        // Another process of the same service may have come first.
        .onConflict((conflict) =>
          conflict.column('hash').doUpdateSet((e) => ({
            model: e.ref('excluded.model'),
            dimension: e.ref('excluded.dimension'),
            vector: e.ref('excluded.vector')
          }))
        )
        .execute()
    )
  }
}

/** Deletes the vectors that are not in use, some at a time. */
export async function forgetUnused(db: Database, used: ReadonlySet<string>): Promise<number> {
  let forgotten = 0
  for (let after = ''; ; ) {
    const rows = await db
      .selectFrom('vectors')
      .select('hash')
      .where('hash', '>', after)
      .orderBy('hash')
      .limit(PAGE)
      .execute()
    const unused = rows.map(({ hash }) => hash).filter((hash) => !used.has(hash))
    for (let at = 0; at < unused.length; at += NAMED) {
      const some = unused.slice(at, at + NAMED)
      await withoutWaiting(db, (now) => now.deleteFrom('vectors').where('hash', 'in', some).execute())
      await setImmediate()
    }
    forgotten += unused.length
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE) return forgotten
    after = last.hash
  }
}
