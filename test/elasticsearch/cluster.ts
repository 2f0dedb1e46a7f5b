import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Test } from 'tap'
import { pino } from 'pino'
import { openEmbeddedEngine } from '../../src/search/embedded/engine.ts'
import { type ElasticsearchEngine, openElasticsearchEngine } from '../../src/search/elasticsearch/engine.ts'
import type { ElasticsearchAddress } from '../../src/search/elasticsearch/client.ts'
import type { Bank } from '../search/engine-contract.ts'
import { temporaryFolder } from '../test-app.ts'
import { type ElasticsearchCluster, startElasticsearch } from './node.ts'

/** A cluster of the test's own. */
export async function elasticsearch(t: Test, nodes = 1): Promise<ElasticsearchCluster> {
  const cluster = await startElasticsearch(temporaryFolder(t), nodes)
  t.teardown(() => cluster.close())
  return cluster
}

/** An alias nobody else uses. */
export const newAlias = () => `test-${randomBytes(4).toString('hex')}`

interface Options extends Partial<ElasticsearchAddress> {
  /** How long the first index may take. */
  waitMs?: number
}

/** The adapter over a bank, in step with it: a change is searchable when `apply` resolves. */
export async function openOn(
  t: Test,
  nodes: readonly string[],
  bank: Bank,
  { waitMs = 60_000, ...given }: Options = {}
): Promise<ElasticsearchEngine> {
  const embedded = openEmbeddedEngine(bank)
  await embedded.firstIndex
  const address = { nodes, auth: null, ca: null, alias: newAlias(), shards: 1, ...given }
  const engine = openElasticsearchEngine({ db: bank.db, address, embedded, logger: pino({ level: 'silent' }) })
  t.teardown(async () => {
    await engine.close()
    await embedded.close()
  })
  await engine.indexer.caughtUp(waitMs)
  const { apply, rebuild } = engine
  engine.apply = async (...change) => {
    await apply.call(engine, ...change)
    await engine.indexer.caughtUp(60_000)
  }
  engine.rebuild = async () => {
    // As `npm run reindex` asks for it.
    await bank.db
      .insertInto('counters')
      .values({ name: 'rebuild', value: 1 })
      .onConflict((conflict) => conflict.column('name').doUpdateSet((e) => ({ value: e('counters.value', '+', 1) })))
      .execute()
    await rebuild.call(engine)
    await engine.indexer.caughtUp(60_000)
  }
  return engine
}

/** A breaker has to close within this after the repair. */
const WITHIN_MS = 30_000

/** Waits until something has come about. */
export async function until(what: string, test: () => Promise<boolean> | boolean, ms = WITHIN_MS): Promise<void> {
  for (const end = Date.now() + ms; ; ) {
    if (await test()) return
    if (Date.now() > end) throw new Error(`never: ${what}`)
    await wait(50)
  }
}
