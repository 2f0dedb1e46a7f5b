import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { loadFiles } from '../indexer/load.ts'
import { makeToken } from '../src/accounts/sessions.ts'
import { addStaff } from '../src/accounts/staff.ts'
import { readConfig } from '../src/config.ts'
import { Library } from '../src/content/library.ts'
import { type Database, migrate, openDatabase } from '../src/database/open.ts'
import type { Role } from '../src/database/schema.ts'
import { random } from './entries.ts'
import { percentile, rounded } from './figures.ts'
import { layConsultations } from './ledger-rows.ts'
import { startProcess } from './service.ts'

export const describe =
  'Is every intent registered once, at what rate beside bare FULL commits, who wins a claim, how fast is the desk? --intents 5000 --claims 100 --rows 100000'

const READY = `/api/v1/answers?q=${encodeURIComponent('医保怎么转到江北')}`
/** Requests under way at once: a queue at every desk of the district. */
const CONNECTIONS = 32
/** Alternating rounds of service and bare disk; the median counts. */
const ROUNDS = 3
const ROUND_MS = 4000
const CLAIMANTS = 50
/** Desk pages asked for, after as many as warm it up. */
const PAGES = 100

interface Answer {
  status: number
  body: string
}

/** One POST or GET on a shared pool of connections; null where the connection was cut, by us or the server. */
function send(
  agent: Agent,
  origin: string,
  path: string,
  given: { body?: object; headers?: Record<string, string>; cutAfterMs?: number } = {}
): Promise<Answer | null> {
  return new Promise((resolve) => {
    const payload = given.body === undefined ? null : JSON.stringify(given.body)
    const sent = request(
      origin + path,
      {
        method: payload === null ? 'GET' : 'POST',
        agent,
        headers: { ...(payload === null ? {} : { 'content-type': 'application/json' }), ...given.headers }
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', () => resolve(null))
        response.on('end', () => {
          if (response.complete) resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() })
          else resolve(null)
        })
      }
    )
    sent.on('error', () => resolve(null))
    sent.end(payload)
    if (given.cutAfterMs !== undefined) setTimeout(() => sent.destroy(), given.cutAfterMs)
  })
}

/** Works through jobs, `CONNECTIONS` at a time. */
async function atOnce<T>(jobs: readonly T[], work: (job: T) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < jobs.length) await work(jobs[next++] as T)
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
}

const intent = (key: string) => ({
  body: {
    question: `第${key}件：家门口的路灯坏了，找谁修`,
    zone: 'XZZX01',
    channel: 'web',
    contact: { name: '示例居民', phone: '13800000001' },
    noticeSeen: true
  },
  headers: { 'idempotency-key': `bench-${key}` }
})

async function data(): Promise<{ environment: NodeJS.ProcessEnv; db: Database; remove: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'zhengxun-intake-'))
  const environment = { DATA_DIR: folder, RATE_LIMIT: '0', LOG_LEVEL: 'error', SAMPLE_DATA: '0' }
  const db = await openDatabase(readConfig({ ...process.env, ...environment }).database)
  await migrate(db)
  await loadFiles(db, ['corpus'], { by: 'bench', at: new Date().toISOString() })
  return {
    environment,
    db,
    remove: async () => {
      await db.destroy()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

async function tokenOf(db: Database, role: Role, place: { zone?: string; unit?: string }, at = 0): Promise<string> {
  const { zone = null, unit = null } = place
  const username = `bench-${role}-${at}`
  const person = { username, name: '示例人员', role, zone, unit, mail: null }
  await addStaff({ db, library: new Library(db) }, person, new Date())
  await db.updateTable('staff').set({ first_password: 0 }).where('username', '=', username).execute()
  const { id } = await db.selectFrom('staff').select('id').where('username', '=', username).executeTakeFirstOrThrow()
  return await makeToken(db, id, new Date())
}

const count = async (db: Database) =>
  Number((await db.selectFrom('consultations').select(db.fn.countAll().as('count')).executeTakeFirstOrThrow()).count)

/** Intents sent one to five times, some cut while they travel: how many tickets, and were all answers of one intent equal? */
async function storm(db: Database, origin: string, intents: number): Promise<Record<string, unknown>> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const next = random(7)
  const sends = Array.from({ length: intents }, (_, at) => at).flatMap((at) =>
    Array.from({ length: 1 + Math.floor(next() * 5) }, (_, time) => ({ at, time, share: next(), order: next() }))
  )
  sends.sort((a, b) => a.order - b.order)
  const bodies = new Map<number, Set<string>>()
  let [cut, refused] = [0, 0]
  const take = (at: number, answer: Answer | null) => {
    if (answer === null) cut++
    else if (answer.status !== 201) refused++
    else bodies.set(at, (bodies.get(at) ?? new Set()).add(answer.body))
  }
  await atOnce(sends, async ({ at, share }) => {
    const cutAfterMs = share < 0.3 ? Math.floor(share * 100) : undefined
    take(
      at,
      await send(agent, origin, '/api/v1/consultations', {
        ...intent(`storm-${at}`),
        ...(cutAfterMs === undefined ? {} : { cutAfterMs })
      })
    )
  })
  // Who got no answer asks once more, as a browser does.
  const unanswered = Array.from({ length: intents }, (_, at) => at).filter((at) => !bodies.has(at))
  await atOnce(unanswered, async (at) =>
    take(at, await send(agent, origin, '/api/v1/consultations', intent(`storm-${at}`)))
  )
  agent.destroy()
  const numbers = new Set([...bodies.values()].flatMap((all) => [...all].map((body) => JSON.parse(body).number)))
  return {
    intents,
    requests: sends.length + unanswered.length,
    cut,
    refused,
    tickets: await count(db),
    answeredNumbers: numbers.size,
    unequalAnswers: [...bodies.values()].filter(({ size }) => size !== 1).length
  }
}

/** Rows a second into a table of the same disk, each in a FULL commit of its own. */
function bareRate(folder: string): number {
  const db = new Sqlite(join(folder, 'bare.db'))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.exec('create table if not exists bare (id integer primary key, body text not null)')
  const insert = db.prepare('insert into bare (body) values (?)')
  const body = 'x'.repeat(2000)
  const started = performance.now()
  let rows = 0
  while (performance.now() - started < ROUND_MS) {
    insert.run(body)
    rows++
  }
  db.close()
  return (rows * 1000) / (performance.now() - started)
}

async function postRate(origin: string, round: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const started = performance.now()
  let [made, next] = [0, 0]
  const worker = async () => {
    while (performance.now() - started < ROUND_MS) {
      const answer = await send(agent, origin, '/api/v1/consultations', intent(`rate-${round}-${next++}`))
      if (answer?.status !== 201) throw new Error(answer?.body ?? 'cut')
      made++
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
  const rate = (made * 1000) / (performance.now() - started)
  agent.destroy()
  return rate
}

/** Registers one after another, so that no commit holds two, and counts how often the process made the disk sync. */
async function syncs(environment: NodeJS.ProcessEnv, times: number): Promise<Record<string, unknown> | null> {
  if (spawnSync('strace', ['-V']).status !== 0) return null
  const file = join(environment.DATA_DIR as string, 'strace.txt')
  const under = ['strace', '-f', '-e', 'trace=fdatasync,fsync', '-o', file]
  const server = await startProcess(['scripts/start.mjs'], environment, READY, under)
  const made = () =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => / f(?:data)?sync\(/.test(line)).length
  const agent = new Agent({ keepAlive: true })
  const before = made()
  for (let at = 0; at < times; at++) {
    const answer = await send(agent, server.origin, '/api/v1/consultations', intent(`sync-${at}`))
    if (answer?.status !== 201) throw new Error(answer?.body ?? 'cut')
  }
  const during = made() - before
  agent.destroy()
  spawnSync('pkill', ['-TERM', '-P', String(server.child.pid)])
  await server.stop()
  return { acknowledgedCommits: times, syncs: during }
}

/** Fifty people of a unit take each ticket at the same moment. */
async function claims(db: Database, origin: string, tickets: number): Promise<Record<string, unknown>> {
  const agent = new Agent({ keepAlive: true, maxSockets: CLAIMANTS })
  const clerk = await tokenOf(db, 'clerk', { zone: 'XZZX01' })
  const people: string[] = []
  for (let at = 0; at < CLAIMANTS; at++) people.push(await tokenOf(db, 'liaison', { unit: 'mzj' }, at))
  const statuses = new Map<number, number>()
  let oneWinner = 0
  for (let at = 0; at < tickets; at++) {
    const made = await send(agent, origin, '/api/v1/consultations', intent(`claim-${at}`))
    const { number } = JSON.parse(made?.body ?? '{}') as { number: string }
    const path = `/api/v1/tickets/${number}`
    const assigned = await send(agent, origin, `${path}/assign`, {
      body: { version: 1, unit: 'mzj' },
      headers: { authorization: `Bearer ${clerk}` }
    })
    const { version } = JSON.parse(assigned?.body ?? '{}') as { version: number }
    const answers = await Promise.all(
      people.map((token) =>
        send(agent, origin, `${path}/accept`, { body: { version }, headers: { authorization: `Bearer ${token}` } })
      )
    )
    for (const answer of answers) statuses.set(answer?.status ?? 0, (statuses.get(answer?.status ?? 0) ?? 0) + 1)
    if (answers.filter((answer) => answer?.status === 200).length === 1) oneWinner++
  }
  agent.destroy()
  return { tickets, claimants: CLAIMANTS, ticketsWithOneWinner: oneWinner, statuses: Object.fromEntries(statuses) }
}

async function desk(rows: number): Promise<Record<string, unknown>> {
  const { environment, db, remove } = await data()
  await layConsultations(environment.DATA_DIR as string, rows)
  const token = await tokenOf(db, 'clerk', { zone: 'XZZX01' })
  const office = await tokenOf(db, 'office', {})
  const server = await startProcess(['scripts/start.mjs'], environment, READY)
  const agent = new Agent({ keepAlive: true })
  const timed = async (path: string, as: string) => {
    const took: number[] = []
    for (let at = 0; at < 2 * PAGES; at++) {
      const started = performance.now()
      const answer = await send(agent, server.origin, path, {
        headers: { authorization: `Bearer ${as}`, accept: 'text/html' }
      })
      if (answer?.status !== 200) throw new Error(`${path}: ${answer?.status} ${answer?.body.slice(0, 300)}`)
      if (at >= PAGES) took.push(performance.now() - started)
    }
    return { p50Ms: rounded(percentile(took, 0.5), 1), p95Ms: rounded(percentile(took, 0.95), 1) }
  }
  const result = {
    consultations: await count(db),
    desk: await timed('/desk', token),
    deskWithQuestion: await timed(`/desk?q=${encodeURIComponent('医保怎么转到江北')}`, token),
    office: await timed('/office', office)
  }
  agent.destroy()
  await server.stop()
  await remove()
  return result
}

/** `--only pages` leaves out what registers, `--only intake` the pages. */
export async function run(options: Record<string, unknown>): Promise<Record<string, unknown>> {
  if (options.only === 'pages') return { pages: await desk(Number(options.rows ?? 100_000)) }
  const { environment, db, remove } = await data()
  const server = await startProcess(['scripts/start.mjs'], environment, READY)
  console.error('storm')
  const stormed = await storm(db, server.origin, Number(options.intents ?? 5000))
  console.error('rate')
  const rates = { post: [] as number[], bare: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    rates.bare.push(bareRate(environment.DATA_DIR as string))
    rates.post.push(await postRate(server.origin, round))
  }
  console.error('claims')
  const claimed = await claims(db, server.origin, Number(options.claims ?? 100))
  await server.stop()
  console.error('syncs')
  const synced = await syncs(environment, 200)
  await remove()
  console.error('desk')
  const [post, bare] = [percentile(rates.post, 0.5), percentile(rates.bare, 0.5)]
  return {
    storm: stormed,
    ticketsPerSecond: rounded(post, 0),
    bareFullCommitsPerSecond: rounded(bare, 0),
    ratio: rounded(post / bare, 2),
    claims: claimed,
    syncs: synced,
    pages: options.only === 'intake' ? null : await desk(Number(options.rows ?? 100_000))
  }
}
