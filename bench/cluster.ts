import type { Client } from '@elastic/elasticsearch'
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startElasticsearch } from '../test/elasticsearch/node.ts'

/** Which engine proposes candidates while a bench runs. */
export type EngineName = 'embedded' | 'elasticsearch'

let own: Promise<string> | null = null

/** The cluster ELASTICSEARCH_URL names, else a node of the bench's own, which ends with it. */
export function clusterUrl(): Promise<string> {
  const { ELASTICSEARCH_URL } = process.env
  if (ELASTICSEARCH_URL !== undefined && ELASTICSEARCH_URL !== '') return Promise.resolve(ELASTICSEARCH_URL)
  own ??= startElasticsearch(mkdtempSync(join(tmpdir(), 'zhengxun-bench-es-')), 1, 'full').then(({ url, close }) => {
    // An unreferenced child would let the process end before its data is gone.
    process.once('beforeExit', () => void close())
    return url
  })
  return own
}

/** Settings of a service on the cluster, under an alias of its own. */
export async function clusterSettings(): Promise<NodeJS.ProcessEnv> {
  const { ELASTICSEARCH_API_KEY, ELASTICSEARCH_CA, ELASTICSEARCH_SHARDS } = process.env
  return {
    ELASTICSEARCH_URL: await clusterUrl(),
    ELASTICSEARCH_API_KEY,
    ELASTICSEARCH_CA,
    ELASTICSEARCH_SHARDS,
    ELASTICSEARCH_INDEX: `bench-${randomBytes(4).toString('hex')}`
  }
}

/** Takes away what a service under such an alias has made. */
export async function removeIndexes(client: Client, alias: string): Promise<void> {
  const indexes = Object.keys(await client.indices.get({ index: `${alias}-*`, allow_no_indices: true }))
  if (indexes.length > 0) await client.indices.delete({ index: indexes })
}
