import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { compare, storeChanges } from '../src/content/store.ts'
import { migrate, openDatabase } from '../src/database/open.ts'
import { DISTRICT } from './sample-records.ts'
import { temporaryFolder } from './test-app.ts'

/** A server process of its own on a free port; `output` grows as it speaks. */
function start(t: Test, environment: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/server.ts'], {
    env: { ...process.env, PORT: '0', LOG_LEVEL: 'info', ...environment }
  })
  t.teardown(() => child.kill('SIGKILL'))
  const said = { output: '' }
  child.stdout.on('data', (data) => {
    said.output += data
  })
  child.stderr.on('data', (data) => {
    said.output += data
  })
  return { child, said }
}

async function address(child: ChildProcess, said: { output: string }): Promise<string> {
  for (;;) {
    const [, found] = /政询已启动：(\S+)/.exec(said.output) ?? []
    if (found !== undefined) return found
    if (child.exitCode !== null) throw new Error(said.output)
    await sleep(50)
  }
}

const ended = (child: ChildProcess) =>
  new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))

t.test('a stop loses no question that was answered, and logs no question', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'zhengxun.db')
  const db = await openDatabase({ kind: 'sqlite', file })
  await migrate(db)
  await storeChanges(db, {
    incoming: DISTRICT,
    differences: await compare(db, DISTRICT, []),
    by: 'test',
    at: new Date().toISOString()
  })
  const { child, said } = start(t, { DATA_DIR: folder })
  const origin = await address(child, said)
  while ((await fetch(`${origin}/readyz`)).status !== 200) await sleep(50)
  const asked: string[] = []
  let refused = 0
  const asking = Array.from({ length: 40 }, async (_, at) => {
    await sleep(at * 10)
    const q = encodeURIComponent(`公租房怎么申请${at}`)
    try {
      const response = await fetch(`${origin}/api/v1/answers?q=${q}`)
      if (response.ok) asked.push(((await response.json()) as { queryId: string }).queryId)
      else refused++
    } catch {
      refused++
    }
  })
  await sleep(200)
  child.kill('SIGTERM')
  const code = await ended(child)
  await Promise.all(asking)
  t.equal(code, 0)
  t.ok(asked.length > 0 && refused > 0, `stopped in the middle: ${asked.length} answered, ${refused} refused`)
  const logged = new Set((await db.selectFrom('queries').select('id').execute()).map(({ id }) => id))
  for (const id of asked) t.ok(logged.has(id))
  t.notMatch(said.output, /公租房|%E5%85%AC/, 'the log holds no question')
  await db.destroy()
})

t.test('a database from a newer version stops the start, and says so', async (t) => {
  const folder = temporaryFolder(t)
  const db = await openDatabase({ kind: 'sqlite', file: join(folder, 'zhengxun.db') })
  await migrate(db)
  await db
    .insertInto('kysely_migration' as never)
    .values({ name: '9999-later', timestamp: '2030-01-01' } as never)
    .execute()
  await db.destroy()
  const { child, said } = start(t, { DATA_DIR: folder })
  t.equal(await ended(child), 1)
  t.match(said.output, /更新版本的程序写过（9999-later）/)
  t.notMatch(said.output, /\n\s+at /, 'no stack')
})

t.test('a bad setting and a port in use are named', async (t) => {
  const bad = start(t, { DATA_DIR: temporaryFolder(t), PORT: 'http' })
  t.equal(await ended(bad.child), 1)
  t.match(bad.said.output, /PORT/)
  const folder = temporaryFolder(t)
  const first = start(t, { DATA_DIR: folder })
  const { port } = new URL(await address(first.child, first.said))
  const second = start(t, { DATA_DIR: temporaryFolder(t), PORT: port })
  t.equal(await ended(second.child), 1)
  t.match(second.said.output, /端口已被占用/)
})
