import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { actorOn, requireAction, requireStaff } from '../../src/accounts/guard.ts'
import { IDLE_MINUTES, SESSION_HOURS } from '../../src/accounts/sessions.ts'
import { addStaff, addToken, disableStaff, MOST_FAILURES, type NewStaff } from '../../src/accounts/staff.ts'
import type { Parts } from '../../src/parts.ts'
import { absent, postgres } from '../peers.ts'
import { unit, zone } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

// argon2, and a quarter of a second a refusal, on a machine that may be busy.
t.setTimeout(120_000)

const NOW = new Date('2026-11-24T02:00:00Z')
const CLERK: NewStaff = { username: 'clerk', name: '示例窗口员', role: 'clerk', zone: 'SC1', unit: null, mail: null }
const OWN_PASSWORD = '一 匹 青色 的 小马 跑'

interface Stage {
  app: FastifyInstance
  parts: Parts
  /** A signed-in browser. */
  browser: (person: NewStaff) => Promise<Browser>
}

type Response = Awaited<ReturnType<FastifyInstance['inject']>>

interface Browser {
  cookie: string
  csrf: string
  get: (url: string) => Promise<Response>
  post: (url: string, form: Record<string, string>) => Promise<Response>
}

const HTML = 'text/html,application/xhtml+xml'
const form = (fields: Record<string, string>) => ({
  headers: { 'content-type': 'application/x-www-form-urlencoded', accept: HTML },
  payload: new URLSearchParams(fields).toString()
})

const cookieOf = (response: { cookies: { name: string; value: string }[] }) =>
  response.cookies.filter(({ name }) => name === 'session').map(({ value }) => `session=${value}`)[0] ?? ''

async function stage(t: Test, environment: NodeJS.ProcessEnv = {}): Promise<Stage> {
  const records = [zone({ id: 'SC1' }), zone({ id: 'TC1' }), unit({ id: 'ybj' })]
  const { app, parts } = await testApp(t, { records, environment: { SAMPLE_DATA: '0', ...environment } })
  parts.now = () => NOW
  app.get('/api/v1/probe', { onRequest: requireStaff() }, async (request) => actorOn(request))
  app.post('/api/v1/probe', { onRequest: requireStaff() }, async (request) => ({ body: request.body }))
  app.get('/probe/leader', { onRequest: requireAction('approve') }, async () => 'in')
  app.get('/api/v1/probe/leader', { onRequest: requireStaff('leader') }, async () => 'in')
  app.post('/api/v1/probe/open', { config: { everybody: true } }, async ({ staff }) => ({
    by: staff?.username ?? null
  }))
  const browser = async (person: NewStaff): Promise<Browser> => {
    const { username, password } = await addStaff(parts, person, NOW)
    await parts.db.updateTable('staff').set({ first_password: 0 }).where('username', '=', username).execute()
    const signedIn = await app.inject({ method: 'POST', url: '/login', ...form({ username, password }) })
    const cookie = cookieOf(signedIn)
    const { csrf } = await parts.db
      .selectFrom('sessions')
      .innerJoin('staff', 'staff.id', 'sessions.staff')
      .select('csrf')
      .where('username', '=', username)
      .executeTakeFirstOrThrow()
    return {
      cookie,
      csrf,
      get: (url) => app.inject({ url, headers: { cookie, accept: url.startsWith('/api/') ? '*/*' : HTML } }),
      post: (url, fields) => {
        const { headers, payload } = form(fields)
        return app.inject({ method: 'POST', url, headers: { ...headers, cookie }, payload })
      }
    }
  }
  return { app, parts, browser }
}

function onSqlite(name: string, run: (t: Test, stage: Stage) => Promise<void>): void {
  t.test(name, async (t) => await run(t, await stage(t)))
}

/** What lives in tables. */
function onBoth(name: string, run: (t: Test, stage: Stage) => Promise<void>): void {
  onSqlite(`${name} (SQLite)`, run)
  t.test(`${name} (PostgreSQL)`, { skip: absent('PostgreSQL') }, async (t) => {
    await run(t, await stage(t, { DATABASE_URL: await postgres(t) }))
  })
}

onSqlite(
  'signing in leads to where the role works, or back to where the person was going',
  async (t, { app, parts }) => {
    const homes = { clerk: '/desk', leader: '/unit', office: '/office', admin: '/office' } as const
    for (const [role, home] of Object.entries(homes) as [keyof typeof homes, string][]) {
      const person = {
        ...CLERK,
        username: role,
        role,
        zone: role === 'clerk' ? 'SC1' : null,
        unit: role === 'leader' ? 'ybj' : null
      }
      const { password } = await addStaff(parts, person, NOW)
      const first = await app.inject({ method: 'POST', url: '/login', ...form({ username: role, password }) })
      t.equal(first.headers.location, `/password?back=${encodeURIComponent(home)}`, 'a first password is changed first')
      await parts.db.updateTable('staff').set({ first_password: 0 }).execute()
      const signIn = async (back: string) =>
        (await app.inject({ method: 'POST', url: '/login', ...form({ username: role, password, back }) })).headers
          .location
      t.equal(await signIn(''), home)
      t.equal(await signIn('/desk?q=医保'), '/desk?q=%E5%8C%BB%E4%BF%9D')
      t.equal(await signIn('/desk?q=%E5%8C%BB'), '/desk?q=%E5%8C%BB')
      for (const back of ['//evil.example', '/\\evil.example', 'https://evil.example', '/login', '/logout?x'])
        t.equal(await signIn(back), home, back)
    }
  }
)

onSqlite('the cookie is for this site’s pages alone, and the database does not hold it', async (t, { app, parts }) => {
  const { username, password } = await addStaff(parts, CLERK, NOW)
  const signedIn = await app.inject({ method: 'POST', url: '/login', ...form({ username, password }) })
  t.equal(signedIn.statusCode, 303)
  t.match(signedIn.headers['set-cookie'], /^session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/)
  const [row] = await parts.db.selectFrom('sessions').selectAll().execute()
  t.match(row?.hash, /^[0-9a-f]{64}$/)
  t.notMatch(JSON.stringify(row), cookieOf(signedIn).slice('session='.length))
  t.equal(statSync(join(parts.config.dataDir, 'session-secret')).mode & 0o777, 0o600)
})

t.test('over HTTPS the cookie is secure', async (t) => {
  const { app, parts } = await stage(t, { PUBLIC_URL: 'https://zx.example' })
  const { username, password } = await addStaff(parts, CLERK, NOW)
  const signedIn = await app.inject({ method: 'POST', url: '/login', ...form({ username, password }) })
  t.match(signedIn.headers['set-cookie'], /; Secure/)
})

onBoth(
  'a wrong password, an unknown name, a locked and a closed account are answered alike',
  async (t, { app, parts }) => {
    const { username, password } = await addStaff(parts, CLERK, NOW)
    const locked = await addStaff(parts, { ...CLERK, username: 'locked' }, NOW)
    const closed = await addStaff(parts, { ...CLERK, username: 'closed' }, NOW)
    await disableStaff(parts.db, 'closed', NOW)
    const signIn = async (fields: Record<string, string>) => {
      const response = await app.inject({ method: 'POST', url: '/login', ...form(fields) })
      const { 'x-request-id': _, date: __, ...headers } = response.headers
      return { status: response.statusCode, body: response.body.replaceAll(fields.username ?? '', 'X'), headers }
    }
    const wrong = await signIn({ username, password: 'wrong' })
    t.equal(wrong.status, 401)
    t.match(wrong.body, /用户名或密码不对/)
    for (let at = 0; at < MOST_FAILURES; at++) await signIn({ username: 'locked', password: 'wrong' })
    for (const fields of [{ username: 'nobody', password }, { ...locked }, { ...closed }, { username, password: '' }]) {
      const refused = await signIn(fields)
      t.equal(refused.status, wrong.status, fields.username)
      t.equal(refused.body, wrong.body, fields.username)
      t.equal(refused.headers['set-cookie'], undefined)
    }
  }
)

onSqlite('without a session a page leads to the sign-in page and back, the API answers 401', async (t, { app }) => {
  const page = await app.inject({ url: '/probe/leader?q=1', headers: { accept: HTML } })
  t.equal(page.statusCode, 302)
  t.equal(page.headers.location, '/login?back=%2Fprobe%2Fleader%3Fq%3D1')
  for (const authorization of [undefined, 'Bearer zx_guessed', 'Bearer ', 'Basic eA==']) {
    const headers = authorization === undefined ? {} : { authorization }
    const api = await app.inject({ url: '/api/v1/probe', headers })
    t.equal(api.statusCode, 401)
    t.match(api.headers['content-type'], /application\/problem\+json/)
    t.equal(api.json().code, 'NOT_SIGNED_IN')
  }
})

onSqlite('who may not is told who may', async (t, { browser }) => {
  const clerk = await browser(CLERK)
  const api = await clerk.get('/api/v1/probe/leader')
  t.equal(api.statusCode, 403)
  t.match(api.json(), { code: 'NOT_ALLOWED', detail: '这一步由分管领导办理，您的身份是窗口人员。' })
  const page = await clerk.get('/probe/leader')
  t.equal(page.statusCode, 403)
  t.match(page.body, /这一步由分管领导办理/)
})

onSqlite(
  'a write by cookie needs the session’s CSRF token, in the form or a header; a bearer token needs none',
  async (t, { app, parts, browser }) => {
    const clerk = await browser(CLERK)
    const other = await browser({ ...CLERK, username: 'other' })
    const url = '/api/v1/probe'
    for (const fields of [{ text: 'x' }, { text: 'x', _csrf: 'guessed' }, { text: 'x', _csrf: other.csrf }]) {
      const refused = await clerk.post(url, fields)
      t.equal(refused.statusCode, 403)
      t.match(refused.body, /防伪码/)
    }
    const byForm = await clerk.post(url, { text: 'x', _csrf: clerk.csrf })
    t.same(byForm.json(), { body: { text: 'x' } }, 'the token is no field of the form')
    const json = { method: 'POST', url, payload: { text: 'x' } } as const
    const byHeader = await app.inject({ ...json, headers: { cookie: clerk.cookie, 'x-csrf-token': clerk.csrf } })
    t.equal(byHeader.statusCode, 200)
    t.equal((await app.inject({ ...json, headers: { cookie: clerk.cookie } })).statusCode, 403)
    const token = await addToken(parts.db, 'clerk', NOW)
    t.equal((await app.inject({ ...json, headers: { authorization: `Bearer ${token}` } })).statusCode, 200)
    const inAddress = await app.inject({
      ...json,
      url: `${url}?_csrf=${clerk.csrf}`,
      headers: { cookie: clerk.cookie }
    })
    t.equal(inAddress.statusCode, 403, 'only a file form may carry it in its address')
    const missing = await clerk.post('/nowhere', {})
    t.equal(missing.statusCode, 403)
  }
)

onSqlite('where everybody may write, a session without its token counts as nobody', async (t, { app, browser }) => {
  const clerk = await browser(CLERK)
  const by = async (headers: Record<string, string>) =>
    (await app.inject({ method: 'POST', url: '/api/v1/probe/open', headers, payload: {} })).json().by
  t.equal(await by({}), null)
  t.equal(await by({ cookie: clerk.cookie }), null)
  t.equal(await by({ cookie: clerk.cookie, 'x-csrf-token': clerk.csrf }), 'clerk')
})

onBoth(
  'a session ends by signing out, by idling, after twelve hours, and with the account',
  async (t, { parts, browser }) => {
    const status = async ({ get }: Browser) => (await get('/api/v1/probe')).statusCode
    const at = (minutes: number) => {
      parts.now = () => new Date(NOW.getTime() + minutes * 60_000)
    }
    const first = await browser(CLERK)
    t.equal(await status(first), 200)
    t.equal((await first.post('/logout', {})).statusCode, 403)
    t.equal((await first.post('/logout', { _csrf: first.csrf })).headers.location, '/login')
    t.equal(await status(first), 401)

    const second = await browser({ ...CLERK, username: 'second' })
    for (let minutes = 0; minutes < SESSION_HOURS * 60; minutes += IDLE_MINUTES - 1) {
      at(minutes)
      t.equal(await status(second), 200, `${minutes} minutes`)
    }
    at(SESSION_HOURS * 60)
    t.equal(await status(second), 401, 'twelve hours')

    at(0)
    const third = await browser({ ...CLERK, username: 'third' })
    at(IDLE_MINUTES)
    t.equal(await status(third), 401, 'idle')

    at(0)
    const fourth = await browser({ ...CLERK, username: 'fourth' })
    t.equal(await status(fourth), 200)
    await disableStaff(parts.db, 'fourth', NOW)
    t.equal(await status(fourth), 401, 'account closed')
  }
)

onBoth('who signed in with a first password changes it before anything else', async (t, { app, parts }) => {
  const { username, password } = await addStaff(parts, CLERK, NOW)
  const cookie = cookieOf(await app.inject({ method: 'POST', url: '/login', ...form({ username, password }) }))
  const get = (url: string, accept: string) => app.inject({ url, headers: { cookie, accept } })
  t.match((await get('/api/v1/probe', '*/*')).json(), { code: 'CHANGE_PASSWORD_FIRST' })
  t.equal((await get('/probe/leader', HTML)).headers.location, '/password')
  const page = await get('/password?back=/desk', HTML)
  t.match(page.body, /请先改成自己的密码/)
  const _csrf = /name="_csrf" value="([\w-]+)"/.exec(page.body)?.[1] ?? ''
  const change = async (fields: Record<string, string>) => {
    const { headers, payload } = form({ _csrf, password, back: '/desk', ...fields })
    return await app.inject({ method: 'POST', url: '/password', headers: { ...headers, cookie }, payload })
  }
  const differing = await change({ chosen: OWN_PASSWORD, again: `${OWN_PASSWORD}!` })
  t.equal(differing.statusCode, 400)
  t.match(differing.body, /两次输入的新密码不一样/)
  t.match((await change({ chosen: '短', again: '短' })).body, /至少要 10 个字符/)
  const changed = await change({ chosen: OWN_PASSWORD, again: OWN_PASSWORD })
  t.equal(changed.statusCode, 303)
  t.equal(changed.headers.location, '/desk')
  t.equal((await get('/api/v1/probe', '*/*')).statusCode, 401, 'the session with the first password is over')
  const own = await app.inject({ url: '/api/v1/probe', headers: { cookie: cookieOf(changed) } })
  t.match(own.json(), { username, role: 'clerk', zone: 'SC1' })
})

onSqlite('a sign-in form another site sent is refused', async (t, { app, parts }) => {
  const { username, password } = await addStaff(parts, CLERK, NOW)
  const status = async (extra: Record<string, string>) => {
    const { headers, payload } = form({ username, password })
    const response = await app.inject({
      method: 'POST',
      url: '/login',
      headers: { ...headers, host: 'zx.example', ...extra },
      payload
    })
    return response.statusCode
  }
  t.equal(await status({ 'sec-fetch-site': 'cross-site' }), 403)
  t.equal(await status({ origin: 'http://evil.example' }), 403)
  t.equal(await status({ origin: 'http://zx.example' }), 303)
  t.equal(await status({ origin: 'null', 'sec-fetch-site': 'same-origin' }), 303)
  t.equal(await status({}), 303)
})

onSqlite(
  'another browser signing in leaves the first signed in; the same browser’s old session ends',
  async (t, { app, browser, parts }) => {
    const clerk = await browser(CLERK)
    const { username, password } = await addStaff(parts, { ...CLERK, username: 'other' }, NOW)
    await app.inject({ method: 'POST', url: '/login', ...form({ username, password }) })
    t.equal((await clerk.get('/api/v1/probe')).statusCode, 200)
    t.equal((await clerk.post('/login', { username, password })).statusCode, 303)
    t.equal((await clerk.get('/api/v1/probe')).statusCode, 401)
  }
)
