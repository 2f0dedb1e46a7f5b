import type { FastifyInstance, InjectOptions } from 'fastify'
import type { Test } from 'tap'
import { makeToken } from '../../src/accounts/sessions.ts'
import { addStaff } from '../../src/accounts/staff.ts'
import type { Role } from '../../src/database/schema.ts'
import { DISTRICT } from '../sample-records.ts'
import { testApp, type TestApp } from '../test-app.ts'

export type People = Record<Role, string>

export interface Service extends TestApp {
  /** Bearer tokens: a clerk of XZZX01, liaison and leader of ybj, the office, an administrator. */
  tokens: People
  /** A request of the API as somebody, or as nobody. */
  call(
    as: string | null,
    method: 'GET' | 'POST',
    path: string,
    body?: object,
    headers?: Record<string, string>
  ): Promise<Reply>
}

export interface Reply {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: bodies of many kinds, looked at by the tests
  body: any
  raw: string
}

/** The whole service with one person of each role. */
export async function service(t: Test, environment: NodeJS.ProcessEnv = {}): Promise<Service> {
  const made = await testApp(t, {
    records: DISTRICT,
    environment: { TODAY: '2026-11-23', ALLOW_TODAY: '1', ...environment }
  })
  const { db, library, now } = made.parts
  const tokens: Partial<People> = {}
  const places: [Role, string | null, string | null][] = [
    ['clerk', 'XZZX01', null],
    ['liaison', null, 'ybj'],
    ['leader', null, 'ybj'],
    ['office', null, null],
    ['admin', null, null]
  ]
  for (const [role, zone, unit] of places) {
    await addStaff(
      { db, library },
      { username: `test-${role}`, name: `示例${role}`, role, zone, unit, mail: null },
      now()
    )
    const { id } = await db
      .selectFrom('staff')
      .select('id')
      .where('username', '=', `test-${role}`)
      .executeTakeFirstOrThrow()
    tokens[role] = await makeToken(db, id, now())
  }
  return { ...made, tokens: tokens as People, call: caller(made.app) }
}

function caller(app: FastifyInstance): Service['call'] {
  return async (as, method, path, body, headers = {}) => {
    const options: InjectOptions = {
      method,
      url: `/api/v1${path}`,
      headers: { ...(as === null ? {} : { authorization: `Bearer ${as}` }), ...headers }
    }
    if (body !== undefined) options.payload = body
    const response = await app.inject(options)
    const json = response.headers['content-type']?.toString().includes('json') === true
    return { status: response.statusCode, body: json ? response.json() : null, raw: response.body }
  }
}

let keys = 0

/** A citizen's registration, and what it was answered with. */
export async function registered(
  { call }: Pick<Service, 'call'>,
  question: string,
  more: object = {}
): Promise<{ number: string; code: string; state: string; dueOn: string }> {
  const { body, status, raw } = await call(
    null,
    'POST',
    '/consultations',
    {
      question,
      zone: 'XZZX01',
      channel: 'web',
      contact: { name: '示例市民', phone: '13800000001' },
      noticeSeen: true,
      ...more
    },
    { 'idempotency-key': `test-key-${++keys}-${process.pid}` }
  )
  if (status !== 201) throw new Error(raw)
  return body
}
