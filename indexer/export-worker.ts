import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { type DatabaseAddress, openDatabase } from '../src/database/open.ts'
import { exportBank } from './export.ts'

const folder = mkdtempSync(join(tmpdir(), 'zhengxun-'))
const db = await openDatabase(workerData as DatabaseAddress)
try {
  const file = join(folder, 'bank.xlsx')
  await exportBank(db, file)
  parentPort?.postMessage(readFileSync(file))
} finally {
  await db.destroy()
  rmSync(folder, { recursive: true, force: true })
}
