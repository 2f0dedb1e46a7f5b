import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import type { LoadOutcome, LoadTask } from '../src/bank/uploads.ts'
import { Library } from '../src/content/library.ts'
import type { Difference } from '../src/content/store.ts'
import { type Database, openDatabase } from '../src/database/open.ts'
import { kindName } from './columns.ts'
import { loadFiles } from './load.ts'
import { fieldLines, placeOf, type Report } from './report.ts'

/** What goes out, or comes back after it was withdrawn for a reason. */
const isUrgent = ({ change, fields }: Difference) =>
  change === 'retired' || fields.some(({ field }) => field === 'retired')

async function outcomeOf(db: Database, report: Report): Promise<Omit<LoadOutcome, 'difference'>> {
  const { records, stored, problems, warnings, differences } = report
  const known = new Map((await new Library(db).questions()).map(({ id, question }) => [id, question]))
  return {
    stored,
    counts: records,
    problems: problems.map((one) => ({
      place: placeOf(one),
      value: one.value,
      problem: one.problem,
      remedy: one.remedy
    })),
    warnings: warnings.map((one) => `${placeOf(one)}：${one.problem}。${one.remedy}`),
    changes: differences
      .map((one) => ({
        change: one.change,
        urgent: isUrgent(one),
        kind: kindName(one.kind),
        id: one.id,
        title: one.kind === 'qa' ? (known.get(one.id) ?? '') : '',
        fields: one.fields.map((field) => fieldLines(field).join('').trim())
      }))
      .sort((a, b) => Number(b.urgent) - Number(a.urgent))
  }
}

const { database, name, bytes, by, at, agreed } = workerData as LoadTask
const folder = mkdtempSync(join(tmpdir(), 'zhengxun-'))
try {
  // A source is named by its folder and file.
  mkdirSync(join(folder, '上传'))
  const file = join(folder, '上传', name)
  writeFileSync(file, bytes)
  const db = await openDatabase(database)
  try {
    const seen = await loadFiles(db, [file], { dryRun: true, by, at })
    const difference = createHash('sha256').update(JSON.stringify(seen.differences)).digest('hex')
    const report = agreed === difference ? await loadFiles(db, [file], { by, at }) : seen
    const outcome: LoadOutcome = { ...(await outcomeOf(db, report)), difference }
    parentPort?.postMessage(outcome)
  } finally {
    await db.destroy()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
