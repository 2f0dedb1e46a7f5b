import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { loadFiles } from '../indexer/load.ts'
import { readConfig } from '../src/config.ts'
import { compare, type Incoming, storeChanges } from '../src/content/store.ts'
import { migrate, openDatabase } from '../src/database/open.ts'
import { openParts, type Parts } from '../src/parts.ts'
import { openClient } from '../src/search/elasticsearch/client.ts'
import { clusterSettings, type EngineName, removeIndexes } from './cluster.ts'
import { jsonLines } from './entries.ts'

const SETS = '../shared/data/sets'

interface BankRow {
  id: string
  question: string | null
  answer: string | null
  variants?: string[]
}

/** Entries of a judged bank as Q&A records; null and empty fields stay empty, units are not ours. */
export function bankRecords(file: string, prefix = ''): Incoming[] {
  return jsonLines<BankRow>(file).map((row) => bankRecord(file, { ...row, id: prefix + row.id }))
}

export function bankRecord(source: string, { id, question, answer, variants }: BankRow): Incoming {
  return {
    kind: 'qa',
    source,
    sample: false,
    content: {
      id,
      question: question ?? '',
      variants: variants ?? [],
      answer: answer ?? '',
      materials: [],
      steps: [],
      fee: null,
      place: null,
      duration: null,
      basis: [],
      unit: 'zfb',
      audience: ['群众'],
      topic: null,
      effectiveOn: null,
      expiresOn: null,
      reviewBy: null
    }
  }
}

/** A data folder whose database holds the sample corpus or none, and the given records; loaded by the product's own path. */
export async function bankFolder(options: { corpus: boolean; records: readonly Incoming[] }): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'zhengxun-bench-'))
  const db = await openDatabase(readConfig({ DATA_DIR: folder }).database)
  await migrate(db)
  const at = new Date().toISOString()
  if (options.corpus) {
    const { problems } = await loadFiles(db, ['corpus'], { by: 'bench', at })
    if (problems.length > 0) throw new Error(JSON.stringify(problems.slice(0, 5), null, 2))
  }
  const differences = await compare(db, options.records, [])
  await storeChanges(db, { incoming: options.records, differences, by: 'bench', at })
  await db.destroy()
  return folder
}

const INDEXED_WITHIN_MS = 30 * 60_000

/** A service's parts over a data folder, ready to answer. */
export async function openFolder(
  folder: string,
  embeddings: string | null = null,
  engine: EngineName = 'embedded'
): Promise<Parts> {
  const config = readConfig({
    ...(engine === 'elasticsearch' ? await clusterSettings() : {}),
    DATA_DIR: folder,
    LOG_LEVEL: 'silent',
    RATE_LIMIT: '0',
    ...(embeddings === null ? {} : { ...embeddingsSettings(), EMBEDDINGS_URL: embeddings })
  })
  const parts = await openParts(config, pino({ level: 'silent' }))
  while (!parts.engine.status().ready) await new Promise((resolve) => setTimeout(resolve, 20))
  const { elasticsearch } = parts
  if (elasticsearch === null || config.elasticsearch === null) return parts
  await elasticsearch.indexer.caughtUp(INDEXED_WITHIN_MS)
  const { alias } = config.elasticsearch
  const { close } = parts
  const client = openClient(config.elasticsearch)
  parts.close = async () => {
    await close()
    await removeIndexes(client, alias)
    await client.close()
  }
  return parts
}

/** How the server is called is not its address: models, prefixes and key come from the environment, as the service takes them. */
function embeddingsSettings(): NodeJS.ProcessEnv {
  const { EMBEDDINGS_MODEL, EMBEDDINGS_PREFIXES, EMBEDDINGS_API_KEY } = process.env
  return { EMBEDDINGS_MODEL, EMBEDDINGS_PREFIXES, EMBEDDINGS_API_KEY }
}

/** Real policy questions and letters, where they are: with the sample corpus about 5,000 entries. */
function serviceRecords(): Incoming[] {
  const names = existsSync(SETS) ? ['desk', 'letters'] : []
  return names.flatMap((name) => bankRecords(`${SETS}/${name}/dev.bank.jsonl`, `${name}-`))
}

/** About 5,000 entries, real policy questions and letters beside the sample corpus, and short questions to ask. */
export async function serviceFolder(): Promise<{ folder: string; questions: string[]; remove: () => void }> {
  const present = existsSync(SETS)
  const folder = await bankFolder({ corpus: true, records: serviceRecords() })
  const asked = (present ? ['desk', 'letters-title', 'covid-faq'] : []).flatMap((name) =>
    jsonLines<{ text: string }>(`${SETS}/${name}/dev.queries.jsonl`)
      .slice(0, 160)
      .map(({ text }) => text)
  )
  return {
    folder,
    questions: asked.length > 0 ? asked : ['我妈退休了医保怎么转到江北来', '老年人优待证怎么办', '公租房怎么申请'],
    remove: () => rmSync(folder, { recursive: true, force: true })
  }
}
