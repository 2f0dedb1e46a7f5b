import type { Client } from '@elastic/elasticsearch'
import type { Database } from '../../database/open.ts'
import { lastSequence } from '../stored-entries.ts'
import { readOnly } from './client.ts'
import { ClusterProblem } from './problem.ts'
import type { Body } from './schema.ts'

/** The write alias: with it gone, the index is gone, and no write makes one without our mapping. */
export const writeAliasOf = (index: string) => `${index}-write`

/** Versions leave room between two changes, for repairs (compare.ts). */
export const VERSION_STEP = 1000

/** Where writing goes, and where the database's own word is. */
export interface WriteNeeds {
  db: Database
  client: Client
}

const TIMEOUT_MS = 30_000
const BULK_TIMEOUT_MS = 60_000

/** An entry to be written, or one to be taken away. */
export interface Operation {
  key: string
  body: Body | null
}

/**
 * Writes, with retries, in whatever order the cluster takes it: every entry carries the change it is as new as, and what is
 * newer stays. What the cluster refuses for good is written down.
 * @param sequence the change feed's number that all of `operations` are at least as new as
 * @param extra added to the version: a repair outranks what it mends
 * @throws {ClusterProblem} and the client's errors, with some of it written: to be done again
 */
export async function write(
  { client, db }: WriteNeeds,
  { name }: { name: string },
  operations: Operation[] | AsyncGenerator<Operation>,
  sequence: number,
  extra = 0
): Promise<void> {
  const refused = new Map<string, string>()
  const newer: string[] = []
  let failure: { status: number; reason: string } | null = null
  const version = { version: sequence * VERSION_STEP + extra, version_type: 'external_gte' as const }
  const written = new Set<string>()
  await client.helpers.bulk<Operation>(
    {
      index: writeAliasOf(name),
      require_alias: true,
      datasource: operations,
      onDocument: ({ key, body }) => {
        written.add(key)
        return body === null
          ? { delete: { _id: key, ...version } }
          : [{ index: { _id: key, ...version } }, body as never]
      },
      flushBytes: 2_000_000,
      concurrency: 2,
      retries: 5,
      wait: 500,
      onDrop: ({ status, error, operation }) => {
        const action = operation as { index?: { _id: string }; delete?: { _id: string } }
        const key = (action.index ?? action.delete)?._id as string
        const reason = error?.reason ?? String(status)
        if (status === 409) newer.push(key)
        else if (status === 404 && action.delete !== undefined && !error) return
        else if (status === 400) refused.set(key, reason)
        else failure = { status, reason }
      }
    },
    { requestTimeout: BULK_TIMEOUT_MS, maxRetries: 2 }
  )
  if (failure !== null) throw failed(failure)
  if (newer.length > 0) await mustNotBeAhead({ client, db }, name, newer)
  await noteRefused(db, name, [...written], refused)
}

function failed({ status, reason }: { status: number; reason: string }): ClusterProblem {
  if (status === 403) return readOnly()
  return new ClusterProblem(
    `Elasticsearch 没有收下改动（${status}：${reason.slice(0, 200)}）`,
    '会自动再试；请看各节点的日志'
  )
}

/** An index newer than the database itself: the database was restored from an older copy. */
async function mustNotBeAhead({ client, db }: WriteNeeds, index: string, keys: readonly string[]): Promise<void> {
  const { docs } = await client.mget({ index, ids: keys.slice(0, 100), _source: false }, { requestTimeout: TIMEOUT_MS })
  const most = ((await lastSequence(db)) + 1) * VERSION_STEP
  if (docs.every((doc) => !('_version' in doc) || (doc._version ?? 0) < most)) return
  // Forgotten, it is built anew.
  await db.deleteFrom('search_indexes').where('name', '=', index).execute()
  throw new ClusterProblem('索引比数据库还新：数据库是从较早的备份恢复的', '会自动重建索引，不用做什么')
}

async function noteRefused(
  db: Database,
  index: string,
  written: readonly string[],
  refused: ReadonlyMap<string, string>
): Promise<void> {
  const known = await db.selectFrom('search_refused').select('key').where('index_name', '=', index).execute()
  const taken = new Set(written)
  const mended = known.map(({ key }) => key).filter((key) => taken.has(key) || refused.has(key))
  if (mended.length > 0) {
    await db.deleteFrom('search_refused').where('index_name', '=', index).where('key', 'in', mended).execute()
  }
  if (refused.size === 0) return
  const refused_at = new Date().toISOString()
  const rows = Array.from(refused, ([key, error]) => ({
    index_name: index,
    key,
    error: error.slice(0, 500),
    refused_at
  }))
  await db.insertInto('search_refused').values(rows).execute()
}
