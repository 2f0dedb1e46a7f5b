import { pathToFileURL } from 'node:url'
import { pino } from 'pino'
import { buildApp } from './app.ts'
import { BadConfig, readConfig } from './config.ts'
import { DatabaseTooNew } from './database/open.ts'
import { openParts } from './parts.ts'

/** A stop waits this long for requests that have begun; a service manager's own limit is usually 90 s. */
const STOP_WITHIN_MS = 10_000

/** Bytes of log gathered before they are written, and how long they wait at most: a write a request costs more than the line. */
const LOG_BUFFER = 4096
const LOG_FLUSH_MS = 1000

/**
 * Opens the parts, listens, and stops without losing anything accepted.
 * @public scripts/start.mjs calls it
 */
export async function serve(environment: NodeJS.ProcessEnv): Promise<void> {
  const config = readConfig(environment)
  // Lines are gathered and written together; pino writes the rest when the process ends.
  const destination = pino.destination({ dest: 1, sync: false, minLength: LOG_BUFFER, periodicFlush: LOG_FLUSH_MS })
  const logger = pino(
    {
      level: config.logLevel,
      redact: ['req.headers.authorization', 'req.headers.cookie', '*.phone', '*.name', '*.code'],
      base: null
    },
    destination
  )
  const parts = await openParts(config, logger)
  const app = await buildApp(parts, logger)
  let stopping = false
  const stop = async (signal: string) => {
    if (stopping) return
    stopping = true
    logger.info({ signal }, 'stopping')
    setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref()
    await app.close()
    await parts.close()
    destination.flushSync()
    process.exit(0)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  try {
    const address = await app.listen({ host: config.host, port: config.port })
    console.log(`政询已启动：${config.publicUrl ?? address} （按 Ctrl+C 停止）`)
  } catch (error) {
    await parts.close()
    throw error
  }
}

/**
 * What went wrong with the start, for an operator: one message where it is understood, else everything.
 * @public scripts/start.mjs calls it
 */
export function explainStart(error: unknown): string {
  if (error instanceof BadConfig || error instanceof DatabaseTooNew) return error.message
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    return '端口已被占用，请先停止占用它的程序，或用 PORT 换一个端口。 The port is in use: stop the other program or set PORT.'
  if (code?.startsWith('SQLITE_BUSY'))
    return '数据库正被别的程序写入（例如正在导入），请稍后再试。 Another program is writing to the database.'
  if (code === 'ENOSPC' || code === 'SQLITE_FULL') return '磁盘已满，未启动。 The disk is full.'
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  serve(process.env).catch((error: unknown) => {
    console.error(explainStart(error))
    process.exit(1)
  })
}
