import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadFiles } from '../indexer/load.ts'
import { readConfig } from '../src/config.ts'
import { migrate, openDatabase } from '../src/database/open.ts'
import { fileURLToPath } from 'node:url'
import { drillCluster } from './drill/cluster.ts'
import { drill } from './drill/drill.ts'
import type { BenchOptions } from './run.ts'

export const describe =
  'Is anything acknowledged ever lost: kill -9 amid registrations, and the negative control; then the nodes of a cluster killed under load; --only database|cluster'

const CORPUS = fileURLToPath(new URL('../corpus', import.meta.url))
/** The control shows a loss within few rounds. */
const CONTROL_ROUNDS = 5

/** `--only database`: `--rounds 200` …; `--only cluster`: `--questions 20000`, `--swaps 20`. */
export async function run(options: BenchOptions & Options): Promise<Record<string, unknown>> {
  const { only, questions = '20000', swaps = '20' } = options
  return {
    ...(only === 'cluster' ? {} : await drillDatabase(options)),
    ...(only === 'database'
      ? {}
      : {
          cluster: await drillCluster({ questions: Number(questions), swaps: Number(swaps) })
        })
  }
}

interface Options {
  only?: string
  rounds?: string
  questions?: string
  swaps?: string
}

/** With DATABASE_URL an empty PostgreSQL database instead of SQLite (no control then). */
async function drillDatabase({ rounds = '200' }: Options): Promise<Record<string, unknown>> {
  const folders: string[] = []
  const fresh = async (): Promise<NodeJS.ProcessEnv> => {
    const folder = mkdtempSync(join(tmpdir(), 'zhengxun-drill-'))
    folders.push(folder)
    const environment = { ...process.env, DATA_DIR: folder }
    const db = await openDatabase(readConfig(environment).database)
    await migrate(db)
    await loadFiles(db, [CORPUS], { by: 'bench', at: new Date().toISOString() })
    await db.destroy()
    return environment
  }
  try {
    const environment = await fresh()
    const { database } = readConfig(environment)
    const product = await drill({ rounds: Number(rounds), mode: 'late', environment, address: database })
    if (database.kind === 'postgresql') return { product }
    const other = await fresh()
    const control = await drill({
      rounds: Math.min(Number(rounds), CONTROL_ROUNDS),
      mode: 'early',
      environment: other,
      address: readConfig(other).database
    })
    return { product, control }
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
}
