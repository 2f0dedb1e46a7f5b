import { execFile } from 'node:child_process'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { openFieldKey } from '../src/accounts/field-key.ts'
import { Library } from '../src/content/library.ts'
import { openDatabase } from '../src/database/open.ts'
import { exportLedger, selectionOf } from '../src/ledgers/ledger.ts'
import { type Filters, type LedgerNeeds, openReader, readScreen, sumsOf } from '../src/ledgers/records.ts'
import { FORMATS, type Format } from '../src/ledgers/write.ts'
import { bankFolder } from './bank.ts'
import { percentile, rounded } from './figures.ts'
import { layConsultations } from './ledger-rows.ts'

export const describe = 'How long, and in how much memory, is a ledger of 100,000 consultations written? --rows 100000'

const TODAY = '2026-11-24'
const OFFICE = {
  id: 'o',
  username: 'o',
  name: '示例',
  role: 'office',
  zone: null,
  unit: null,
  sample: false,
  roles: [],
  approvesOwn: []
} as const
const ALL: Filters = { from: null, to: null, zone: null, unit: null, state: null, overdue: null }

/** Each export in a process of its own, which makes no rows: what was used before would hide what it uses. */
export async function run(options: Record<string, unknown>): Promise<Record<string, unknown>> {
  if (typeof options.folder === 'string') return await measure(options.folder, options.format as Format | 'screen')
  const rows = Number(options.rows ?? 100_000)
  const folder = await bankFolder({ corpus: true, records: [] })
  await layConsultations(folder, rows)
  const results: Record<string, Record<string, unknown>> = {}
  for (const format of [...FORMATS, 'screen']) {
    const args = ['--import', 'tsx', 'bench/run.ts', 'ledger', '--folder', folder, '--format', format, '--json']
    const { stdout } = await promisify(execFile)(process.execPath, args)
    results[format] = JSON.parse(stdout)
  }
  const databaseMb = rounded(statSync(join(folder, 'zhengxun.db')).size / 1e6, 0)
  rmSync(folder, { recursive: true, force: true })
  const most = (name: string) => Math.max(...FORMATS.map((format) => Number(results[format]?.[name])))
  return { rows, seconds: most('seconds'), rssGrowthMb: most('rssGrowthMb'), databaseMb, ...results }
}

async function open(folder: string): Promise<LedgerNeeds> {
  const db = await openDatabase({ kind: 'sqlite', file: join(folder, 'zhengxun.db') })
  const calendar = () => ({
    workingDaysBetween: (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 864e5
  })
  return { db, library: new Library(db), fieldKey: openFieldKey(join(folder, 'field.key')), calendar }
}

async function measure(folder: string, format: Format | 'screen'): Promise<Record<string, unknown>> {
  const needs = await open(folder)
  const selection = await selectionOf(needs, OFFICE, ALL, TODAY)
  const reader = await openReader(needs, TODAY, () => {})
  if (format === 'screen') return await measureScreen(needs, selection, reader)
  const [before, started] = [process.memoryUsage.rss(), performance.now()]
  const delay = monitorEventLoopDelay({ resolution: 5 })
  let rss = before
  let bytes = 0
  let written = 0
  const timer = setInterval(() => {
    rss = Math.max(rss, process.memoryUsage.rss())
  }, 20)
  const sink = new Writable({
    write(chunk, _, done) {
      bytes += chunk.length
      setTimeout(done, 0)
    }
  })
  const onEnd = (rows: number) => {
    written = rows
  }
  delay.enable()
  const about = { actor: OFFICE, filters: ALL, format, today: TODAY }
  await pipeline(await exportLedger(needs, about, { onBroken: () => {}, onEnd }), sink)
  clearInterval(timer)
  const seconds = rounded((performance.now() - started) / 1000, 1)
  const loopDelayMs = { p99: rounded(delay.percentile(99) / 1e6, 0), longest: rounded(delay.max / 1e6, 0) }
  return {
    rows: written,
    seconds,
    rssGrowthMb: rounded((rss - before) / 2 ** 20, 0),
    fileMb: rounded(bytes / 1e6, 1),
    loopDelayMs
  }
}

async function measureScreen(
  needs: LedgerNeeds,
  all: Parameters<typeof sumsOf>[1],
  reader: Parameters<typeof readScreen>[2]
) {
  const month = { ...all, filters: { ...ALL, from: '2026-11-01' } }
  const time = async (selection: typeof all, offset: number) => {
    const took: number[] = []
    for (let n = 0; n < 11; n++) {
      const started = performance.now()
      await sumsOf(needs.db, selection)
      await readScreen(needs, selection, reader, { offset, limit: 50 })
      took.push(performance.now() - started)
    }
    return rounded(percentile(took, 0.5), 1)
  }
  const { total } = await sumsOf(needs.db, all)
  return { monthMs: await time(month, 0), allFirstMs: await time(all, 0), allLastMs: await time(all, total - 50) }
}
