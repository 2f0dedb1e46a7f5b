import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { verifyChains } from '../../src/consultations/events.ts'
import { type DatabaseAddress, openDatabase } from '../../src/database/open.ts'

const SERVICE = fileURLToPath(new URL('service.ts', import.meta.url))

export interface Drill {
  rounds: number
  /** `early` is the negative control. */
  mode: 'late' | 'early'
  /** Settings of the service: DATA_DIR, DATABASE_URL. */
  environment: NodeJS.ProcessEnv
  address: DatabaseAddress
}

export interface Drilled {
  rounds: number
  sent: number
  acknowledged: number
  /** Acknowledged and not there. */
  lost: number
  /** Registered more than once for one intent. */
  twice: number
  /** Sent again after a restart and answered otherwise than before. */
  changed: number
  findings: string[]
}

const AT_ONCE = 8
const LEAST_MS = 60
const MOST_MS = 400

/** Kills the service with -9 in the middle of registrations, again and again, sends again what was not acknowledged, and counts. */
export async function drill({ rounds, mode, environment, address }: Drill): Promise<Drilled> {
  const answers = new Map<string, string>()
  const unanswered = new Set<string>()
  let sent = 0
  let changed = 0
  const post = async (base: string, key: string) => {
    const path = mode === 'late' ? '/api/v1/consultations' : '/early'
    const reply = await fetch(base + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({
        question: `${key} 的事找哪个部门`,
        zone: 'XZZX01',
        channel: 'web',
        contact: { name: '示例市民', phone: '13800000001' },
        noticeSeen: true
      })
    })
    const body = await reply.text()
    if (reply.status !== 201) throw new Error(body)
    const before = answers.get(key)
    if (before !== undefined && before !== body) changed++
    answers.set(key, body)
    unanswered.delete(key)
  }
  for (let round = 0; round <= rounds; round++) {
    const { service, base } = await start(mode, environment)
    // What nobody acknowledged is sent again, and a few that were: the answers must be the same.
    const again = mode === 'late' ? [...unanswered, ...[...answers.keys()].slice(-AT_ONCE)] : []
    for (const key of again) await insist(() => post(base, key))
    if (round === rounds) {
      service.kill('SIGKILL')
      break
    }
    const until = Date.now() + LEAST_MS + Math.random() * (MOST_MS - LEAST_MS)
    const ended = new Promise((resolve) => service.once('exit', resolve))
    const senders = Array.from({ length: AT_ONCE }, async () => {
      for (;;) {
        const key = `drill-${round}-${++sent}`
        unanswered.add(key)
        try {
          await post(base, key)
        } catch {
          return
        }
      }
    })
    setTimeout(() => service.kill('SIGKILL'), until - Date.now())
    await Promise.all([ended, ...senders])
  }
  const db = await openDatabase(address)
  try {
    const intents = new Set((await db.selectFrom('intents').select('hash').execute()).map(({ hash }) => hash))
    const numbers = await db.selectFrom('consultations').select('ticket').execute()
    const questions = numbers.map(({ ticket }) => (JSON.parse(ticket) as { question: string }).question)
    const hashOf = (key: string) => createHash('sha256').update(`:${key}`).digest('hex')
    return {
      rounds,
      sent,
      acknowledged: answers.size,
      lost: [...answers.keys()].filter((key) => !intents.has(hashOf(key))).length,
      twice: questions.length - new Set(questions).size,
      changed,
      findings: (await verifyChains(db)).findings
    }
  } finally {
    await db.destroy()
  }
}

/** A service that has just started may still be busy with itself, and says so. */
async function insist(send: () => Promise<void>): Promise<void> {
  for (const until = Date.now() + 60_000; ; ) {
    try {
      return await send()
    } catch (error) {
      if (Date.now() > until) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

async function start(
  mode: Drill['mode'],
  environment: NodeJS.ProcessEnv
): Promise<{ service: ChildProcess; base: string }> {
  const service = spawn(process.execPath, ['--import', 'tsx', SERVICE, mode], {
    env: { ...process.env, RATE_LIMIT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  for await (const line of createInterface({ input: service.stdout as NodeJS.ReadableStream }))
    return { service, base: line }
  throw new Error('the service did not start')
}
