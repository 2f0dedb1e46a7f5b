import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import type { Test } from 'tap'
import { buildApp } from '../src/app.ts'
import { readConfig } from '../src/config.ts'
import { compare, type Incoming, storeChanges } from '../src/content/store.ts'
import { migrate, openDatabase } from '../src/database/open.ts'
import { openParts, type Parts } from '../src/parts.ts'

export interface TestApp {
  app: FastifyInstance
  parts: Parts
  /** Stores records as an import would, and waits until they are searchable. */
  store: (incoming: readonly Incoming[], sources?: readonly string[]) => Promise<void>
}

/** A folder of the test's own, gone when it ends. */
export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'zhengxun-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The whole service over a database file of its own, with the given records; closes itself. */
export async function testApp(
  t: Test,
  { records = [], environment = {} }: { records?: readonly Incoming[]; environment?: NodeJS.ProcessEnv } = {}
): Promise<TestApp> {
  const config = readConfig({ DATA_DIR: temporaryFolder(t), LOG_LEVEL: 'silent', RATE_LIMIT: '0', ...environment })
  const db = await openDatabase(config.database)
  await migrate(db)
  await save(db, records, [])
  await db.destroy()
  const logger = pino({ level: config.logLevel })
  const parts = await openParts(config, logger)
  const app = await buildApp(parts, logger)
  t.teardown(async () => {
    await app.close()
    await parts.close()
  })
  await parts.engine.rebuild()
  return {
    app,
    parts,
    async store(incoming, sources = []) {
      await save(parts.db, incoming, sources)
      await parts.follow()
      await parts.elasticsearch?.indexer.caughtUp(60_000)
    }
  }
}

async function save(db: Parts['db'], incoming: readonly Incoming[], sources: readonly string[]): Promise<void> {
  const differences = await compare(db, incoming, sources)
  await storeChanges(db, { incoming, differences, by: 'test', at: new Date().toISOString() })
}
