import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { makeToken } from '../../src/accounts/sessions.ts'
import { addStaff } from '../../src/accounts/staff.ts'
import { act, type ActionRequest } from '../../src/consultations/act.ts'
import { actorOf } from '../../src/accounts/actors.ts'
import { register } from '../../src/consultations/intake.ts'
import { signLink } from '../../src/consultations/links.ts'
import { findTicket } from '../../src/consultations/records.ts'
import type { Role } from '../../src/database/schema.ts'
import { absent, postgres } from '../peers.ts'
import { DISTRICT } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

t.setTimeout(300_000)

/** Consultations by place and state; 60 in all. */
const PLACES = [
  ['XZZX01', 'ybj'],
  ['XZZX01', 'mzj'],
  ['XZZX01', null],
  ['GYQ01', 'ybj'],
  ['GYQ01', 'mzj'],
  ['GYQ01', null]
] as const
const EACH = 10

interface Secret {
  number: string
  zone: string
  unit: string | null
  /** Words that stand in this consultation and nowhere else. */
  question: string
  name: string
  phone: string
}

interface Person {
  who: string
  token: string | null
  /** Domain model 2.6, written down once more and not read from the program's own table. */
  sees: (one: Secret) => boolean
  /** Names and phones in plain, where the consultation is seen. */
  plain: boolean
}

const isUnit = (unit: string) => (one: Secret) => one.unit === unit

/** Every route the service has, from the service itself: one that is added later is asked too. */
function routesOf(app: FastifyInstance): { method: string; url: string }[] {
  const path: string[] = []
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', own = '', methods] = /^((?:[│ ] {3})*)[├└]── (.*?)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? []
      if (own === '') return []
      path.length = indent.length / 4
      path.push(own)
      return (methods ?? '').split(', ').flatMap((method) => (method === '' ? [] : [{ method, url: path.join('') }]))
    })
}

async function leaks(t: Test, environment: NodeJS.ProcessEnv): Promise<void> {
  const { app, parts } = await testApp(t, {
    records: DISTRICT,
    environment: { SAMPLE_DATA: '0', TODAY: '2026-11-24', ALLOW_TODAY: '1', ...environment }
  })
  const routes = routesOf(app)
  parts.now = () => new Date('2026-11-24T02:00:00Z')
  const staff = async (role: Role, zone: string | null, unit: string | null) => {
    const username = `${role}-${zone ?? unit ?? 'qu'}`.toLowerCase()
    await addStaff(parts, { username, name: `示例${role}`, role, zone, unit, mail: null }, parts.now())
    await parts.db.updateTable('staff').set({ first_password: 0 }).execute()
    const row = await parts.db
      .selectFrom('staff')
      .selectAll()
      .where('username', '=', username)
      .executeTakeFirstOrThrow()
    return { token: await makeToken(parts.db, row.id, parts.now()), actor: await actorOf(parts.db, row, parts.today()) }
  }
  const clerks = { XZZX01: await staff('clerk', 'XZZX01', null), GYQ01: await staff('clerk', 'GYQ01', null) }
  const liaisons = { ybj: await staff('liaison', null, 'ybj'), mzj: await staff('liaison', null, 'mzj') }
  const leader = await staff('leader', null, 'ybj')
  const office = await staff('office', null, null)
  const admin = await staff('admin', null, null)

  const secrets: Secret[] = []
  for (const [zone, unit] of PLACES) {
    for (let at = 0; at < EACH; at++) {
      const serial = String(secrets.length).padStart(2, '0')
      const secret = {
        zone,
        unit,
        question: `星舰补贴题${serial}号`,
        name: `示例${['赵', '钱', '孙', '李', '周', '吴'][secrets.length % 6]}${serial}`,
        phone: `138000900${serial}`
      }
      const { number } = await register(parts, {
        key: `leak-key-${serial}`,
        question: `${secret.question}怎么领，第${serial}种`,
        queryId: null,
        zone,
        channel: 'web',
        audience: 'person',
        contact: { name: secret.name, phone: secret.phone },
        answeredWith: null,
        guidedTo: null,
        staff: null
      })
      const step = async (actor: typeof office.actor, request: ActionRequest) => {
        const { version = 0 } = (await findTicket(parts.db, number)) ?? {}
        await act(parts, actor, number, version, request)
      }
      if (unit !== null) {
        await step(clerks[zone].actor, { action: 'assign', body: { unit } })
        if (at % 3 > 0) await step(liaisons[unit].actor, { action: 'accept', body: {} })
        if (at % 3 > 1) {
          const basis = [{ document: 'zc-1', title: null, clause: '第二条' }]
          await step(liaisons[unit].actor, {
            action: 'draft',
            body: { text: `${secret.question}答复`, basis, submit: true }
          })
        }
      }
      secrets.push({ ...secret, number })
    }
  }
  t.equal(secrets.length, 60)

  const people: Person[] = [
    { who: 'nobody', token: null, sees: () => false, plain: false },
    { who: 'clerk', token: clerks.XZZX01.token, sees: ({ zone }) => zone === 'XZZX01', plain: false },
    { who: 'liaison', token: liaisons.ybj.token, sees: isUnit('ybj'), plain: true },
    { who: 'leader', token: leader.token, sees: isUnit('ybj'), plain: true },
    { who: 'office', token: office.token, sees: () => true, plain: false },
    { who: 'admin', token: admin.token, sees: () => false, plain: false }
  ]

  /** What of others' consultations a body tells; the asked number itself, said back in an address, is nobody's secret. */
  const told = (body: string, { sees, plain }: Pick<Person, 'sees' | 'plain'>, asked: string | null): string[] =>
    secrets.flatMap((one) => {
      const found: string[] = []
      if (!sees(one)) {
        if (body.includes(one.question)) found.push(`${one.number} question`)
        if (one.number !== asked && body.includes(one.number)) found.push(`${one.number} number`)
      }
      if (!(sees(one) && plain)) {
        if (body.includes(one.name)) found.push(`${one.number} name`)
        if (body.includes(one.phone)) found.push(`${one.number} phone`)
      }
      return found
    })

  const ask = async (app: FastifyInstance, person: Person, method: 'GET' | 'POST', url: string, body?: object) =>
    await app.inject({
      method,
      url,
      headers: {
        accept: url.startsWith('/api') ? 'application/json' : 'text/html',
        ...(person.token === null ? {} : { authorization: `Bearer ${person.token}` })
      },
      ...(body === undefined ? {} : { payload: body })
    })

  const numbered = routes.filter(({ url }) => url.includes(':number'))
  const lists = routes.filter(({ method, url }) => method === 'GET' && !url.includes(':') && !url.includes('*'))
  t.ok(numbered.length > 15, `${numbered.length} routes of one consultation`)
  t.ok(lists.length > 15, `${lists.length} lists`)

  for (const person of people) {
    const leaked: string[] = []
    let asked = 0
    for (const { url } of lists) {
      const { body } = await ask(app, person, 'GET', url)
      asked++
      leaked.push(...told(body, person, null).map((what) => `GET ${url}: ${what}`))
    }
    for (const { method, url } of numbered.filter(({ method }) => method === 'GET')) {
      for (const one of secrets) {
        const { body, statusCode } = await ask(app, person, method as 'GET', url.replace(':number', one.number))
        asked++
        leaked.push(...told(body, person, one.number).map((what) => `GET ${url}: ${what}`))
        if (!person.sees(one) && statusCode === 200) leaked.push(`GET ${url} of ${one.number} answered 200`)
      }
    }
    // What is done to others' consultations is refused, and tells nothing; one of each place will do.
    for (const { url } of numbered.filter(({ method }) => method === 'POST')) {
      for (const one of secrets.filter((_, at) => at % EACH === 0).filter((one) => !person.sees(one))) {
        const before = (await findTicket(parts.db, one.number))?.version
        const paths = url.includes(':action')
          ? ['assign', 'accept', 'draft', 'approve', 'withdraw', 'contact'].map((action) =>
              url.replace(':action', action)
            )
          : [url]
        for (const path of paths) {
          const body = { version: before, reason: '看看', unit: 'ybj', text: '改', submit: false, number: one.number }
          const reply = await ask(app, person, 'POST', path.replace(':number', one.number), body)
          asked++
          leaked.push(...told(reply.body, person, one.number).map((what) => `POST ${path}: ${what}`))
          if (reply.statusCode < 300) leaked.push(`POST ${path} of ${one.number} answered ${reply.statusCode}`)
        }
        t.equal(
          (await findTicket(parts.db, one.number))?.version,
          before,
          `${person.who} changed nothing of ${one.number}`
        )
      }
    }
    t.same(leaked.slice(0, 20), [], `${person.who}: ${asked} requests, ${leaked.length} leaks`)
  }

  t.test('a link opens its own consultation alone', async (t) => {
    const [own] = secrets as [Secret]
    const expiresAt = '2026-12-08T00:00:00.000Z'
    const token = signLink(parts.secret, { number: own.number, unit: 'ybj', role: 'liaison', expiresAt })
    const { body, statusCode } = await app.inject({ url: `/t/${token}`, headers: { accept: 'text/html' } })
    t.equal(statusCode, 200)
    t.match(body, own.question)
    t.same(told(body, { sees: (one) => one.number === own.number, plain: true }, null), [])
    const foreign = signLink(parts.secret, { number: own.number, unit: 'mzj', role: 'liaison', expiresAt })
    const refused = await app.inject({ url: `/t/${foreign}`, headers: { accept: 'text/html' } })
    t.same(told(refused.body, { sees: () => false, plain: false }, null), [])
  })

  t.test('the measure can fail', async (t) => {
    const all = await ask(app, people[4] as Person, 'GET', '/api/v1/tickets?limit=100')
    const asNobody = told(all.body, people[0] as Person, null)
    t.ok(
      asNobody.some((what) => what.endsWith('question')),
      'what the office reads would be a leak to others'
    )
    const own = await ask(app, people[2] as Person, 'GET', `/unit/${(secrets[0] as Secret).number}`)
    t.ok(
      told(own.body, people[4] as Person, null).some((what) => what.endsWith('phone')),
      'a plain phone is noticed'
    )
  })
}

t.test('SQLite', async (t) => leaks(t, {}))
t.test('PostgreSQL', { skip: absent('PostgreSQL') }, async (t) => leaks(t, { DATABASE_URL: await postgres(t) }))
