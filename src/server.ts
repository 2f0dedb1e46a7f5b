import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pino } from 'pino'
import { buildApp } from './app.ts'
import { layDownSampleAccounts } from './accounts/sample.ts'
import { BadConfig, readConfig } from './config.ts'
import { layDownSampleConsultations } from './consultations/sample.ts'
import { BadSecretFile } from './accounts/secret-file.ts'
import { DatabaseTooNew } from './database/open.ts'
import { openParts, type Parts } from './parts.ts'
import { ClusterProblem } from './search/elasticsearch/problem.ts'

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
    await greet(parts)
  } catch (error) {
    await parts.close()
    throw error
  }
}

/** On a database without staff: how to make the first administrator, and where the sample accounts lie. */
async function greet(parts: Parts): Promise<void> {
  const { db, config } = parts
  const anybody = await db.selectFrom('staff').select('id').limit(1).executeTakeFirst()
  if (anybody !== undefined) return
  console.log('还没有工作人员。新增第一个管理员：npm run admin -- users add 用户名 --role admin')
  if (!config.sampleData) return
  const accounts = await layDownSampleAccounts(parts, config.dataDir, parts.now())
  if (accounts.length > 0)
    console.log(
      `示例账号（含密码和令牌）在 ${join(config.dataDir, 'sample-accounts.json')}，正式使用前请运行 npm run admin -- sample remove`
    )
  // The search is asked for each of them: once the first index stands, and behind whoever asks meanwhile.
  const started = setInterval(() => {
    if (!parts.engine.status().ready) return
    clearInterval(started)
    layDownSampleConsultations(parts).then(
      (laid) => laid > 0 && console.log(`已放入 ${laid} 件示例咨询（编号以 YL 开头）。`),
      (error: unknown) => console.error('示例咨询没有放入：', error)
    )
  }, 200)
  started.unref()
}

/**
 * What went wrong with the start, for an operator: one message where it is understood, else everything.
 * @public scripts/start.mjs calls it
 */
export function explainStart(error: unknown): string {
  if (error instanceof BadConfig || error instanceof DatabaseTooNew || error instanceof BadSecretFile)
    return error.message
  if (error instanceof ClusterProblem) return `${error.message}。${error.remedy}。`
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
