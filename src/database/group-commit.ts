import createError from '@fastify/error'
import { setTimeout as wait } from 'node:timers/promises'
import { sql, type Transaction } from 'kysely'
import { type Database, withoutWaiting } from './open.ts'
import type { Schema } from './schema.ts'

export const StoreBusy = createError(
  'STORE_BUSY',
  '系统正在忙别的写入，刚才这一步没有存入。请稍等一分钟再按一次，不会重复登记。',
  503
)
export const StoreAway = createError(
  'STORE_AWAY',
  '数据库暂时连不上，刚才这一步没有存入。请稍后再按一次，不会重复登记；着急请打咨询台电话。',
  503
)
export const StoreFull = createError(
  'STORE_FULL',
  '磁盘已满，刚才这一步没有存入。请马上告诉系统管理员；在此之前请用纸登记。',
  507
)

type Job<T> = (trx: Transaction<Schema>) => Promise<T>

interface Waiting {
  job: Job<unknown>
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** Writes that wait for the disk together: what a second holds many of costs few flushes. */
const MOST_TOGETHER = 64
/** How long a write waits for another program that writes to the same SQLite file: an import's last step. */
const BUSY_FOR_MS = 8000
const BUSY_STEP_MS = 40

export interface GroupCommit {
  /**
   * Runs a job in a transaction that it may share with others, and resolves when it is on the disk. A job that fails is
   * undone alone.
   * @throws {StoreBusy|StoreAway|StoreFull} with nothing stored; else what the job threw
   */
  write<T>(job: Job<T>): Promise<T>
  /** Resolves when nothing waits. */
  idle(): Promise<void>
}

/** Gathers the writes of many requests into few transactions, each acknowledged only after its commit. */
export function openGroupCommit(db: Database): GroupCommit {
  let waiting: Waiting[] = []
  let running: Promise<void> | null = null

  async function run(): Promise<void> {
    // What arrives in the same turn of the event loop goes together.
    await Promise.resolve()
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MOST_TOGETHER)
      waiting = waiting.slice(MOST_TOGETHER)
      try {
        const outcomes = await commit(batch)
        for (const [at, { resolve, reject }] of batch.entries()) {
          const outcome = outcomes[at] as PromiseSettledResult<unknown>
          if (outcome.status === 'fulfilled') resolve(outcome.value)
          else reject(outcome.reason)
        }
      } catch (error) {
        for (const { reject } of batch) reject(explained(error))
      }
    }
  }

  async function commit(batch: readonly Waiting[]): Promise<PromiseSettledResult<unknown>[]> {
    for (const until = Date.now() + BUSY_FOR_MS; ; ) {
      try {
        return await withoutWaiting(db, (writer) =>
          writer.transaction().execute(async (trx) => {
            const outcomes: PromiseSettledResult<unknown>[] = []
            for (const { job } of batch) outcomes.push(await apart(trx, job, batch.length > 1))
            return outcomes
          })
        )
      } catch (error) {
        // Refused before anything ran: the write lock is taken when the transaction begins.
        if (!codeOf(error).startsWith('SQLITE_BUSY') || Date.now() > until) throw error
        await wait(BUSY_STEP_MS)
      }
    }
  }

  return {
    write<T>(job: Job<T>): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        waiting.push({ job, resolve: resolve as Waiting['resolve'], reject })
        running ??= run().finally(() => {
          running = null
        })
      })
    },
    async idle() {
      while (running !== null) await running
    }
  }
}

/** One job's own part of a shared transaction; alone it is the transaction. */
async function apart(
  trx: Transaction<Schema>,
  job: Job<unknown>,
  shared: boolean
): Promise<PromiseSettledResult<unknown>> {
  if (!shared) return { status: 'fulfilled', value: await job(trx) }
  await sql`savepoint job`.execute(trx)
  try {
    const value = await job(trx)
    await sql`release savepoint job`.execute(trx)
    return { status: 'fulfilled', value }
  } catch (reason) {
    // What fails everybody (a full disk, a lost connection) fails this too, and with it the whole transaction.
    if (isOfTheStore(reason)) throw reason
    await sql`rollback to savepoint job`.execute(trx)
    await sql`release savepoint job`.execute(trx)
    return { status: 'rejected', reason }
  }
}

const codeOf = (error: unknown) => String((error as { code?: unknown } | null)?.code ?? '')

/** PostgreSQL's classes 08 (connection), 53 (resources), 57 (operator), a database closed to connections, and what Node says of sockets. */
const AWAY = /^(?:08|53|57|55000)|^E(?:CONN|PIPE|TIMEDOUT|HOSTUNREACH|AI_AGAIN|NOTFOUND|NOENT)/

function isOfTheStore(error: unknown): boolean {
  return explained(error) !== error
}

/** What went wrong with the store, in words for people; anything else as it was. */
export function explained(error: unknown): unknown {
  const code = codeOf(error)
  if (code.startsWith('SQLITE_BUSY')) return new StoreBusy()
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || code === '53100') return new StoreFull()
  if (code.startsWith('SQLITE_IOERR')) return new StoreFull()
  if (AWAY.test(code)) return new StoreAway()
  if (error instanceof Error && /Connection terminated|timeout exceeded when trying to connect/.test(error.message))
    return new StoreAway()
  return error
}
