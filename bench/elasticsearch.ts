import { Client } from '@elastic/elasticsearch'
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { pino } from 'pino'
import { loadFiles } from '../indexer/load.ts'
import { readConfig } from '../src/config.ts'
import { ask } from '../src/consultations/ask.ts'
import { hashOf } from '../src/content/hash.ts'
import { vocabularyOf } from '../src/content/store.ts'
import { THRESHOLDS } from '../src/matching/confidence.ts'
import { match } from '../src/matching/match.ts'
import { migrate, openDatabase } from '../src/database/open.ts'
import { openParts, type Parts } from '../src/parts.ts'
import { openClient } from '../src/search/elasticsearch/client.ts'
import type { ElasticsearchEngine } from '../src/search/elasticsearch/engine.ts'
import { Indexer } from '../src/search/elasticsearch/indexer.ts'
import { bodyOf, PROPERTIES, searchOf, settingsOf } from '../src/search/elasticsearch/schema.ts'
import type { EngineQuery, SearchEngine } from '../src/search/search-engine.ts'
import { decodeEntry, encodeEntry } from '../src/search/stored-entries.ts'
import { bigramsOf, charactersOf } from '../src/text/tokens.ts'
import { openSegmenter } from '../src/text/segment.ts'
import { type Asked, byRule, byService, say } from './asked.ts'
import { bankFolder, bankRecord, openFolder } from './bank.ts'
import { clusterSettings, removeIndexes } from './cluster.ts'
import { benchEntries } from './entries.ts'
import { percentile, rounded } from './figures.ts'
import { judgedQuestions } from './judged.ts'
import { withBank, withCorpus } from './quality.ts'
import type { BenchOptions } from './run.ts'
import { CORPUS, chosenSets, filesOf, readSample } from './samples.ts'

export const describe =
  'The cluster beside the embedded engine: the same answers, the time of our own adapter, indexing, 241,000 entries; --only parity|adapter|indexing|large'

const PARTS = { parity, adapter, indexing, large } as const
const STATUTES = resolve(import.meta.dirname, '../../shared/data/documents/laws_and_chongqing_rules.jsonl')
const CANDIDATES = 50
const WARM_UP = 100

/** On the cluster ELASTICSEARCH_URL names, else on one node of its own (512 MB, shared machine). */
export async function run(options: BenchOptions): Promise<Record<string, unknown>> {
  const names = options.only === undefined ? Object.keys(PARTS) : [options.only].flat()
  const result: Record<string, unknown> = {}
  for (const name of names) {
    const part = PARTS[name as keyof typeof PARTS]
    if (part === undefined) throw new Error(`--only ${name}: there are ${Object.keys(PARTS).join(', ')}`)
    say(String(name))
    result[String(name)] = await part()
  }
  return result
}

// ---- The same answers

interface Compared {
  queries: number
  sameDecision: number
  sameFirst: number
  sameBoth: number
  /** Mean share of the one's ten among the other's. */
  overlap: number
  degraded: number
  differences: { text: string; embedded: string; elasticsearch: string }[]
}

/** Every dev query and the project's own, put to both engines over the same bank. */
async function parity(): Promise<Record<string, unknown>> {
  const all: (Compared & { set: string })[] = []
  for (const set of chosenSets(undefined)) {
    const compared =
      set === CORPUS
        ? await withCorpus(
            null,
            (parts) =>
              compareEngines(
                parts,
                judgedQuestions().map(({ text }) => text),
                byService
              ),
            'elasticsearch'
          )
        : await bankParity(set)
    const { differences, ...figures } = compared
    say(`${set}: ${JSON.stringify(figures)}`)
    for (const one of differences.slice(0, 5)) say(`  ${JSON.stringify(one)}`)
    all.push({ set, ...compared })
  }
  const queries = all.reduce((sum, one) => sum + one.queries, 0)
  const share = (of: 'sameBoth' | 'sameFirst' | 'sameDecision') =>
    rounded((100 * all.reduce((sum, one) => sum + one[of], 0)) / queries, 2)
  return {
    queries,
    /** Goal: at least 99.5. */
    sameDecisionAndFirst: share('sameBoth'),
    sameDecision: share('sameDecision'),
    sameFirst: share('sameFirst'),
    /** Goal: at least 0.99. */
    topTenOverlap: rounded(all.reduce((sum, one) => sum + one.overlap * one.queries, 0) / queries, 4),
    differences: all.reduce((sum, one) => sum + one.differences.length, 0),
    degraded: all.reduce((sum, one) => sum + one.degraded, 0),
    sets: all.map(({ differences, ...figures }) => ({ ...figures, overlap: rounded(figures.overlap, 4) }))
  }
}

async function bankParity(set: string): Promise<Compared> {
  const { bank, queries } = readSample(...filesOf(set))
  const texts = queries.map(({ text }) => text)
  return await withBank(bank, null, (parts) => compareEngines(parts, texts, () => byRule(THRESHOLDS)), 'elasticsearch')
}

/** The matcher's own terms come from the embedded engine, which holds the same bank. */
const embeddedOf = (parts: Parts) => parts.terms as unknown as SearchEngine

async function compareEngines(
  parts: Parts,
  texts: readonly string[],
  decideBy: (
    parts: Parts
  ) => (found: Awaited<ReturnType<typeof match>>, text: string) => Promise<Pick<Asked, 'decision' | 'offered'>>
): Promise<Compared> {
  const other = { ...parts, engine: embeddedOf(parts) }
  const compared: Compared = {
    queries: 0,
    sameDecision: 0,
    sameFirst: 0,
    sameBoth: 0,
    overlap: 0,
    degraded: 0,
    differences: []
  }
  for (const text of texts) {
    const sides = []
    for (const side of [other, parts]) {
      const found = await match(side, text)
      const { decision } = await decideBy(side)(found, text)
      const query = { ...queryOf(parts, text), limit: 10 }
      const { hits } = await side.engine.search(query)
      sides.push({ found, decision, first: found.candidates[0]?.hit.key ?? null, ten: hits.map(({ key }) => key) })
    }
    const [a, b] = sides as [(typeof sides)[number], (typeof sides)[number]]
    const isDecision = a.decision === b.decision
    const isFirst = a.first === b.first
    compared.queries++
    compared.sameDecision += +isDecision
    compared.sameFirst += +isFirst
    compared.sameBoth += +(isDecision && isFirst)
    compared.degraded += +b.found.degraded
    compared.overlap += a.ten.length === 0 ? 1 : a.ten.filter((key) => b.ten.includes(key)).length / a.ten.length
    if (!isDecision || !isFirst) {
      const said = ({ decision, first, found }: typeof a) =>
        `${decision} ${first} ${rounded(found.candidates[0]?.confidence ?? 0, 4)}`
      compared.differences.push({ text: text.slice(0, 60), embedded: said(a), elasticsearch: said(b) })
    }
  }
  compared.overlap /= Math.max(1, compared.queries)
  return compared
}

function queryOf({ segmenter }: Pick<Parts, 'segmenter'>, asked: string): EngineQuery {
  const { text, words } = segmenter.tokens(asked)
  return { tokens: { words, bigrams: bigramsOf(text), characters: charactersOf(text) }, limit: CANDIDATES }
}

// ---- Our own time

/** The adapter's answer and the same request by the client alone, turn by turn. */
async function adapter(): Promise<Record<string, unknown>> {
  const { records, texts } = desk()
  const folder = await bankFolder({ corpus: true, records })
  const parts = await openFolder(folder, null, 'elasticsearch')
  try {
    return await timesOf(parts, texts)
  } finally {
    await parts.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function desk() {
  const { bank, queries } = readSample(...filesOf('desk'))
  const records = bank.map((row, at) => bankRecord('bench', { ...row, id: `row-${at}` }))
  const texts = [...queries, ...readSample(...filesOf('letters')).queries].map(({ text }) => text)
  return { records, texts: texts.slice(0, 900) }
}

async function timesOf(parts: Parts, texts: readonly string[]) {
  const engine = parts.elasticsearch as ElasticsearchEngine
  const index = parts.config.elasticsearch?.alias as string
  const times = { raw: [] as number[], adapter: [] as number[], answer: [] as number[] }
  const clock = async (to: number[], work: () => Promise<unknown>) => {
    const started = performance.now()
    await work()
    to.push(performance.now() - started)
  }
  let degraded = 0
  for (const [at, text] of [...texts.slice(0, WARM_UP), ...texts].entries()) {
    const query = queryOf(parts, text)
    const request = { index, ...searchOf(query) }
    const kept = at < WARM_UP ? { raw: [], adapter: [], answer: [] } : times
    // Each goes first as often as the others: what was asked just before is warm.
    const turns = [
      () => clock(kept.raw, () => engine.client.search(request, { requestTimeout: 5000 })),
      () => clock(kept.adapter, async () => (degraded += +(await engine.search(query)).degraded)),
      () => clock(kept.answer, () => ask(parts, { question: text, zone: null, limit: 5, live: true }))
    ]
    for (let turn = 0; turn < 3; turn++) await turns[(at + turn) % 3]?.()
  }
  const raw = { p50: percentile(times.raw, 0.5), p95: percentile(times.raw, 0.95) }
  const own = percentile(times.adapter, 0.5) - raw.p50
  return {
    questions: texts.length,
    degraded,
    rawP50: rounded(raw.p50),
    rawP95: rounded(raw.p95),
    adapterP50: rounded(percentile(times.adapter, 0.5)),
    /** Goals: at most 2 ms and 25 %. */
    ownMsP50: rounded(own),
    ownShareP50: rounded(own / raw.p50),
    answerP50: rounded(percentile(times.answer, 0.5)),
    answerP95: rounded(percentile(times.answer, 0.95)),
    /** Goal: at most 2. */
    answerToRawP95: rounded(percentile(times.answer, 0.95) / raw.p95)
  }
}

// ---- Indexing

/** The product's own way from the database against `helpers.bulk` with the same bodies made beforehand; disk and heap beside. */
async function indexing(): Promise<Record<string, unknown>> {
  const count = 50_000
  const settings = await clusterSettings()
  const url = settings.ELASTICSEARCH_URL as string
  const client = new Client({ nodes: url.split(',') })
  const folder = await bankFolder({ corpus: false, records: [] })
  await insertEntries(folder, benchEntries(count))
  const raw: number[] = []
  const product: number[] = []
  for (let round = 0; round < 5; round++) {
    raw.push(await bulkAlone(client, benchEntries(count).map(bodyOf)))
    product.push(
      await productAlone(
        folder,
        { ...settings, ELASTICSEARCH_INDEX: `${settings.ELASTICSEARCH_INDEX}-${round}` },
        count
      )
    )
    say(`round ${round + 1}: raw ${Math.round(raw.at(-1) ?? 0)} entries/s, product ${Math.round(product.at(-1) ?? 0)}`)
  }
  rmSync(folder, { recursive: true, force: true })
  await client.close()
  return {
    entries: count,
    rawPerSecond: Math.round(percentile(raw, 0.5)),
    productPerSecond: Math.round(percentile(product, 0.5)),
    /** Goal: at least 0.7. */
    ratio: rounded(percentile(product, 0.5) / percentile(raw, 0.5))
  }
}

async function bulkAlone(client: Client, bodies: ReturnType<typeof bodyOf>[]): Promise<number> {
  const index = `bench-raw-${Date.now()}`
  await client.indices.create({
    index,
    settings: settingsOf(1),
    mappings: { dynamic: 'strict', properties: PROPERTIES }
  })
  const started = performance.now()
  await client.helpers.bulk({
    index,
    datasource: bodies,
    onDocument: ({ key }) => ({ index: { _id: key } }),
    flushBytes: 2_000_000,
    concurrency: 2
  })
  // Searchable, as the product's is.
  await client.indices.refresh({ index })
  const rate = (1000 * bodies.length) / (performance.now() - started)
  await client.indices.delete({ index })
  return rate
}

/** From an empty cluster to the swap, the checks included. */
async function productAlone(folder: string, settings: NodeJS.ProcessEnv, count: number): Promise<number> {
  const config = readConfig({ ...settings, DATA_DIR: folder, LOG_LEVEL: 'silent' })
  const db = await openDatabase(config.database)
  const address = config.elasticsearch
  if (address === null) throw new Error('no cluster')
  const client = openClient(address)
  const indexer = new Indexer({ db, client, address, logger: pino({ level: 'silent' }) })
  const started = performance.now()
  indexer.start()
  try {
    await indexer.caughtUp(10 * 60_000)
    return (1000 * count) / (performance.now() - started)
  } finally {
    await indexer.close()
    await removeIndexes(client, address.alias)
    await client.close()
    await db.destroy()
  }
}

async function insertEntries(folder: string, entries: ReturnType<typeof benchEntries>): Promise<void> {
  const db = await openDatabase(readConfig({ DATA_DIR: folder }).database)
  await migrate(db)
  // Named after the vocabulary that stands, or the service would cut them all again.
  const { identity } = openSegmenter(await vocabularyOf(db))
  const at = new Date().toISOString()
  const first = Number(
    (
      await db
        .selectFrom('revisions')
        .select((e) => e.fn.max('sequence').as('n'))
        .executeTakeFirst()
    )?.n ?? 0
  )
  await db.transaction().execute(async (trx) => {
    for (let from = 0; from < entries.length; from += 500) {
      const some = entries.slice(from, from + 500)
      await trx
        .insertInto('entries')
        .values(some.map((entry) => ({ key: entry.key, identity, entry: encodeEntry(entry), pinyin: '' })))
        .execute()
      // Records too, so that an answer can be given from them.
      const contents = some.map((entry) =>
        JSON.stringify(
          bankRecord('bench', { id: entry.id, question: textOf(entry, 'question'), answer: textOf(entry, 'answer') })
            .content
        )
      )
      await trx
        .insertInto('revisions')
        .values(
          some.map(({ id }, n) => ({
            sequence: first + from + n + 1,
            kind: 'qa' as const,
            id,
            revision: 1,
            retired: 0 as const,
            content: contents[n] as string,
            hash: hashOf(contents[n] as string),
            sample: 0 as const,
            source: 'bench',
            changed_at: at,
            changed_by: 'bench',
            reason: null
          }))
        )
        .execute()
      await trx
        .insertInto('records')
        .values(
          some.map(({ id }, n) => ({
            kind: 'qa' as const,
            id,
            sequence: first + from + n + 1,
            retired: 0 as const,
            source: 'bench'
          }))
        )
        .execute()
    }
    const value = first + entries.length
    await trx
      .insertInto('counters')
      .values({ name: 'change', value })
      .onConflict((c) => c.column('name').doUpdateSet({ value }))
      .execute()
  })
  await db.destroy()
}

const textOf = (entry: ReturnType<typeof benchEntries>[number], field: 'question' | 'answer') =>
  entry.fields[field].map(({ text }) => text).join(' ')

// ---- 200,000 entries and every article of 910 statutes

/** A full answer, finding to guidance, against the client's search alone on the same index. */
async function large(): Promise<Record<string, unknown>> {
  const folder = await bankFolder({ corpus: true, records: [] })
  const db = await openDatabase(readConfig({ DATA_DIR: folder }).database)
  say('loading statutes')
  await loadFiles(db, [STATUTES], { by: 'bench', at: new Date().toISOString() })
  await db.destroy()
  say('inserting 200,000 entries')
  await insertEntries(folder, asQa(benchEntries(200_000)))
  const settings = await clusterSettings()
  const started = performance.now()
  const parts = await openParts(
    readConfig({ ...settings, DATA_DIR: folder, LOG_LEVEL: 'silent', RATE_LIMIT: '0' }),
    pino({ level: 'silent' })
  )
  const engine = parts.elasticsearch as ElasticsearchEngine
  try {
    while (!parts.engine.status().ready) await new Promise((done) => setTimeout(done, 100))
    const embeddedMs = performance.now() - started
    await engine.indexer.caughtUp(30 * 60_000)
    const indexedMs = performance.now() - started
    const index = engine.indexer.state?.standing?.name as string
    await engine.client.indices.refresh({ index })
    const { indices } = await engine.client.indices.stats({ index })
    const { entries } = parts.engine.status()
    say(`asked of ${entries} entries`)
    const texts = desk().texts.slice(0, 600)
    return {
      entries,
      embeddedReadyMs: Math.round(embeddedMs),
      indexedMs: Math.round(indexedMs),
      entriesPerSecond: Math.round((1000 * entries) / indexedMs),
      diskMB: Math.round((indices?.[index]?.total?.store?.size_in_bytes ?? 0) / 2 ** 20),
      processMB: Math.round(process.memoryUsage().rss / 2 ** 20),
      ...(await timesOf(parts, texts))
    }
  } finally {
    await parts.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Passages among the bench's entries as questions: their document is no record. */
function asQa(entries: ReturnType<typeof benchEntries>) {
  return entries.map((entry) => {
    const { question, answer, title, passage, variants } = entry.fields
    const fields = {
      variants,
      question: question.length > 0 ? question : title,
      answer: answer.length > 0 ? answer : passage,
      title: [],
      passage: []
    }
    return {
      ...decodeEntry(encodeEntry(entry)),
      key: `qa/bench-${entry.id}`,
      kind: 'qa' as const,
      id: `bench-${entry.id}`,
      anchor: null,
      fields
    }
  })
}
