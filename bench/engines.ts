import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { BOOSTS } from '../src/search/boosts.ts'
import { ENTRY_FIELDS, type Entry, TOKEN_UNITS, tokensOf } from '../src/search/tokens.ts'
import { benchDatabase, benchEntries, benchQuestions, WORK } from './entries.ts'
import { percentile, rounded } from './figures.ts'
import type { BenchOptions } from './run.ts'

export const describe =
  'Query time and memory of the embedded engine against tantivy, Lucene, SQLite FTS5 and MiniSearch on equal tokens'

const PEERS = join(import.meta.dirname, 'peers')
const TSX = ['--import', 'tsx', '--max-old-space-size=8192']

interface Peer {
  name: string
  /** Most entries it is asked to hold in each layout: beyond, minutes a question or all the memory. */
  most?: Record<keyof typeof LAYOUTS, number>
  /** Builds it if need be; gives its command, or throws. */
  prepare(): string[]
}

/**
 * `product`: three token units, every field a column with its boost, as the product searches.
 * `words`: one column with all of an entry's words, the plainest thing any engine does.
 */
const LAYOUTS = {
  product: {
    units: TOKEN_UNITS,
    columns: TOKEN_UNITS.flatMap((unit) =>
      ENTRY_FIELDS.filter((field) => field !== 'variants').map((field) => ({
        unit,
        boost: BOOSTS[unit][field],
        tokens: (entry: Entry) => entry.fields[field].flatMap((form) => tokensOf(form, unit))
      }))
    )
  },
  words: {
    units: ['words'] as const,
    columns: [
      {
        unit: 'words' as const,
        boost: BOOSTS.words.passage,
        tokens: (entry: Entry) => ENTRY_FIELDS.flatMap((field) => entry.fields[field].flatMap(({ words }) => words))
      }
    ]
  }
}

const ALL_PEERS: Peer[] = [
  { name: 'embedded', prepare: () => [process.execPath, ...TSX, join(PEERS, 'embedded.ts')] },
  {
    name: 'tantivy',
    prepare() {
      const target = resolve(WORK, 'tantivy')
      const args = ['build', '--release', '--quiet']
      execFileSync('cargo', args, { cwd: join(PEERS, 'tantivy'), env: { ...process.env, CARGO_TARGET_DIR: target } })
      return [join(target, 'release/measure')]
    }
  },
  {
    name: 'lucene',
    prepare() {
      const output = resolve(WORK, 'lucene')
      const dependencies = join(output, 'dependencies')
      const goals = ['compile', 'dependency:copy-dependencies', `-DoutputDirectory=${dependencies}`]
      const options = ['-q', '-B', `-Dmaven.repo.local=${resolve(WORK, 'm2')}`, `-Doutput=${output}`]
      execFileSync('mvn', [...options, ...goals], { cwd: join(PEERS, 'lucene') })
      return ['java', '-Xmx4g', '-XX:+UseSerialGC', '-cp', `${output}/classes:${dependencies}/*`, 'Measure']
    }
  },
  {
    name: 'fts5',
    most: { product: 50_000, words: 200_000 },
    prepare: () => [process.execPath, ...TSX, join(PEERS, 'fts5.ts')]
  },
  {
    name: 'minisearch',
    most: { product: 5000, words: 50_000 },
    prepare() {
      const cwd = join(PEERS, 'minisearch')
      execFileSync('npm', ['ci', '--silent', '--cache', resolve(WORK, 'npm')], { cwd })
      return [process.execPath, ...TSX, join(cwd, 'measure.mjs')]
    }
  }
]

/** All of an entry's text as one passage, as the layout of words alone has it. */
function oneField(entry: Entry): Entry {
  const passage = ENTRY_FIELDS.flatMap((field) => entry.fields[field])
  return { ...entry, fields: { question: [], variants: [], answer: [], title: [], passage } }
}

interface Row {
  layout: string
  entries: number
  engine: string
  questions: number
  p50Ms: number
  p99Ms: number
  buildMs: number
  peakMb: number
  /** Mean share of its ten best that are among ours. */
  overlap10: number | null
}

/**
 * Options: `--sizes 5000,50000,200000`, `--layouts product,words`, `--peers tantivy,lucene,…`, `--questions 600`,
 * `--limit 50` (what the matcher asks for), `--rounds 5`; a question's time is the median of its rounds.
 */
export async function run(options: BenchOptions): Promise<Record<string, unknown>> {
  const list = (name: string, fallback: string) => String(options[name] ?? fallback).split(',')
  const wanted = ['embedded', ...list('peers', 'tantivy,lucene,fts5,minisearch')]
  const limit = String(options.limit ?? 50)
  const rounds = String(options.rounds ?? 5)
  const questions = benchQuestions(Number(options.questions ?? 600))
  mkdirSync(WORK, { recursive: true })
  const skipped: string[] = []
  const commands = ALL_PEERS.filter(({ name }) => wanted.includes(name)).flatMap((peer) => {
    try {
      return [{ peer, command: peer.prepare() }]
    } catch (error) {
      skipped.push(`${peer.name}: ${error instanceof Error ? error.message.split('\n')[0] : error}`)
      return []
    }
  })
  const rows: Row[] = []
  const ratios: Record<string, unknown>[] = []
  for (const size of list('sizes', '5000,50000,200000').map(Number)) {
    const entries = benchEntries(size)
    for (const layout of list('layouts', 'product,words') as (keyof typeof LAYOUTS)[]) {
      const { units, columns } = LAYOUTS[layout]
      const file = (name: string) => join(WORK, `engines-${name}`)
      writeFileSync(
        file('questions'),
        questions.map((q) => units.map((unit) => tokensOf(q, unit).join(' ')).join('\t')).join('\n')
      )
      const out = openSync(file('entries'), 'w')
      for (const entry of entries)
        writeSync(out, `${columns.map(({ tokens }) => tokens(entry).join(' ')).join('\t')}\n`)
      closeSync(out)
      rmSync(file('entries.sqlite'), { force: true })
      await benchDatabase(file('entries.sqlite'), layout === 'words' ? entries.map(oneField) : entries)
      const columnText = columns.map(({ unit, boost }) => `${units.indexOf(unit as 'words')}:${boost}`).join(',')
      const found = new Map<string, string[][]>()
      for (const { peer, command } of commands) {
        if (entries.length > (peer.most?.[layout] ?? Number.POSITIVE_INFINITY)) {
          skipped.push(`${peer.name}: not at ${entries.length} entries, ${layout}`)
          continue
        }
        const [program, ...args] = command as [string, ...string[]]
        const order = [
          file('entries'),
          String(entries.length),
          file('questions'),
          columnText,
          limit,
          rounds,
          file('hits')
        ]
        let printed: string
        try {
          printed = execFileSync(program, [...args, ...order], {
            encoding: 'utf8',
            maxBuffer: 1e9,
            stdio: ['ignore', 'pipe', 'ignore']
          })
        } catch (error) {
          if (peer.name === 'embedded') throw error
          skipped.push(`${peer.name}: failed at ${entries.length} entries, ${layout}`)
          continue
        }
        const told = JSON.parse(printed.trim().split('\n').at(-1) as string) as {
          buildMs: number
          peakMb: number
          times: number[]
        }
        const hits = readFileSync(file('hits'), 'utf8')
          .replace(/\n$/, '')
          .split('\n')
          .map((line) => line.split(' ').slice(0, 10))
        found.set(peer.name, hits)
        const times = hits.map((_, at) =>
          percentile(
            told.times.filter((_, i) => i % hits.length === at),
            0.5
          )
        )
        const row: Row = {
          layout,
          entries: entries.length,
          engine: peer.name,
          questions: hits.length,
          p50Ms: rounded(percentile(times, 0.5)),
          p99Ms: rounded(percentile(times, 0.99)),
          buildMs: told.buildMs,
          peakMb: told.peakMb,
          overlap10: peer.name === 'embedded' ? null : rounded(overlap(found.get('embedded') ?? [], hits), 4)
        }
        rows.push(row)
        console.error(JSON.stringify(row))
      }
      const peers = rows.filter((row) => row.layout === layout && row.entries === entries.length)
      const own = peers.find(({ engine }) => engine === 'embedded') as Row
      const rivals = peers.filter(({ engine }) => engine === 'tantivy' || engine === 'lucene')
      if (rivals.length > 0) {
        const ratio = (key: 'p50Ms' | 'p99Ms') => rounded(own[key] / Math.min(...rivals.map((rival) => rival[key])))
        ratios.push({ layout, entries: entries.length, p50: ratio('p50Ms'), p99: ratio('p99Ms') })
      }
      for (const name of ['questions', 'entries', 'entries.sqlite', 'entries.sqlite-wal', 'entries.sqlite-shm', 'hits'])
        rmSync(file(name), { force: true })
    }
  }
  return { engines: rows, ratios, skipped }
}

function overlap(ours: readonly string[][], theirs: readonly string[][]): number {
  const shares = theirs.flatMap((hits, at) => {
    const own = new Set(ours[at]?.map((hit) => hit.split(':')[0]))
    const ids = hits.filter((hit) => hit !== '').map((hit) => hit.split(':')[0])
    return ids.length === 0 ? [] : [ids.filter((id) => own.has(id)).length / ids.length]
  })
  return shares.reduce((sum, share) => sum + share, 0) / shares.length
}
