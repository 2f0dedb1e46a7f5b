import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { type DatabaseAddress, openDatabase } from '../../database/open.ts'
import { storedEntries } from '../stored-entries.ts'
import { buffersOf } from './arrays.ts'
import { buildIndex, type IndexParts } from './build.ts'

/** What the worker tells the engine. */
export type BuildMessage = { kind: 'progress'; read: number; count: number } | { kind: 'built'; parts: IndexParts }

// On Linux this holds for the calling thread alone: those who ask go before the build where cores are few.
if (process.platform === 'linux') setPriority(10)

const db = await openDatabase(workerData as DatabaseAddress)
try {
  const source = await storedEntries(db)
  const tell = (message: BuildMessage, transfer: ArrayBuffer[] = []) => parentPort?.postMessage(message, transfer)
  const parts = await buildIndex(source, (read) => {
    if (read % 1000 === 0) tell({ kind: 'progress', read, count: source.count })
  })
  tell({ kind: 'built', parts }, buffersOf(parts))
} finally {
  await db.destroy()
}
