import { randomBytes } from 'node:crypto'
import t from 'tap'
import { addStaff } from '../src/accounts/staff.ts'
import { registered, service } from './consultations/people.ts'
import { elasticsearch, until } from './elasticsearch/cluster.ts'
import { absent, postgres } from './peers.ts'
import { runScript } from './scripts/run-script.ts'
import { DISTRICT, qa } from './sample-records.ts'
import { temporaryFolder, testApp } from './test-app.ts'

t.setTimeout(300_000)

const skip = absent('PostgreSQL') || absent('Elasticsearch')

// Whatever a later request needs is in the database: it may come to another process than the one before.
t.test('two service processes on one PostgreSQL and one cluster', { skip, timeout: 300_000 }, async (t) => {
  const cluster = await elasticsearch(t)
  const environment = {
    DATABASE_URL: await postgres(t),
    ELASTICSEARCH_URL: cluster.url,
    ELASTICSEARCH_INDEX: `test-${randomBytes(4).toString('hex')}`,
    DATA_DIR: temporaryFolder(t),
    TODAY: '2026-11-23',
    ALLOW_TODAY: '1'
  }
  const first = await service(t, environment)
  const second = await testApp(t, { environment })
  const both = [first, second]
  for (const { parts } of both) await parts.elasticsearch?.indexer.caughtUp(60_000)
  const onSecond = { ...first, ...second, call: first.call }
  onSecond.call = async (as, method, path, body, headers = {}) => {
    const response = await second.app.inject({
      method,
      url: `/api/v1${path}`,
      headers: { ...(as === null ? {} : { authorization: `Bearer ${as}` }), ...headers },
      ...(body === undefined ? {} : { payload: body })
    })
    return { status: response.statusCode, body: response.json(), raw: response.body }
  }
  const question = encodeURIComponent('结婚登记要带什么')

  await t.test('both answer alike, from the cluster; one of them indexes', async (t) => {
    const answers = await Promise.all(
      both.map(async ({ app }) => (await app.inject(`/api/v1/answers?live=1&q=${question}`)).json())
    )
    t.match(answers[0], { degraded: false, hits: [{ id: 'hunyin-001' }] })
    t.same({ ...answers[0], tookMs: 0 }, { ...answers[1], tookMs: 0 })
    t.equal(both.filter(({ parts }) => parts.elasticsearch?.indexer.leads).length, 1)
    for (const { app } of both) {
      await until('well', async () => (await app.inject('/readyz')).json().parts.elasticsearch.ok)
    }
  })

  await t.test('a login on one is a session on the other', async (t) => {
    const { parts } = first
    const person = {
      username: 'walker',
      name: '示例窗口员',
      role: 'clerk' as const,
      zone: 'XZZX01',
      unit: null,
      mail: null
    }
    const { username, password } = await addStaff(parts, person, parts.now())
    await parts.db.updateTable('staff').set({ first_password: 0 }).where('username', '=', username).execute()
    const signedIn = await first.app.inject({
      method: 'POST',
      url: '/login',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' },
      payload: new URLSearchParams({ username, password }).toString()
    })
    const session = signedIn.cookies.find(({ name }) => name === 'session')
    const desk = await second.app.inject({
      url: '/desk',
      headers: { cookie: `session=${session?.value}`, accept: 'text/html' }
    })
    t.equal(desk.statusCode, 200)
  })

  await t.test('the same key on the other process is the same registration, and its code opens it there', async (t) => {
    const headers = { 'idempotency-key': 'two-processes-1' }
    const body = {
      question: '示例：路灯坏了找谁修',
      zone: 'XZZX01',
      channel: 'web',
      contact: { name: '示例市民', phone: '13800000001' },
      noticeSeen: true
    }
    const one = await first.call(null, 'POST', '/consultations', body, headers)
    const other = await onSecond.call(null, 'POST', '/consultations', body, headers)
    t.equal(one.status, 201)
    t.same(other, one)
    const { number, code } = one.body
    t.equal((await onSecond.call(null, 'GET', `/consultations/${number}?code=${code}`)).status, 200)
  })

  await t.test('an action on one makes what the other knew stale', async (t) => {
    const { number } = await registered(first, '示例：医保断缴以后怎么补')
    const { clerk } = first.tokens
    const { version } = (await first.call(clerk, 'GET', `/tickets/${number}`)).body
    const assigned = await onSecond.call(clerk, 'POST', `/tickets/${number}/assign`, { version, unit: 'ybj' })
    t.equal(assigned.status, 200, assigned.raw)
    t.equal((await first.call(clerk, 'POST', `/tickets/${number}/assign`, { version, unit: 'ybj' })).status, 409)
  })

  await t.test('a changed entry is answered from by both within two seconds', async () => {
    const answer = '示例：带上身份证和户口簿，新规定。'
    const [before] = DISTRICT.filter(({ content }) => content.id === 'hunyin-001')
    await first.store([qa({ ...(before?.content as Parameters<typeof qa>[0]), answer })])
    for (const { app } of both) {
      const text = async () => (await app.inject(`/api/v1/answers?live=1&q=${question}`)).json().hits[0]?.text
      await until('answered from', async () => (await text()) === answer, 2000)
    }
  })

  await t.test('reindex builds another index and swaps, --rollback goes back, verify finds nothing', async (t) => {
    const standing = async () => {
      const rows = await first.parts.db.selectFrom('search_indexes').select(['name', 'state']).execute()
      return rows.find(({ state }) => state === 'standing')?.name
    }
    const before = await standing()
    const rebuilt = await runScript('reindex', [], environment)
    t.equal(rebuilt.code, 0, rebuilt.errors)
    t.match(rebuilt.output, /集群索引已建好、核对过并换上/)
    const after = await standing()
    t.not(after, before)
    const back = await runScript('reindex', ['--rollback'], environment)
    t.equal(back.code, 0, back.errors)
    t.equal(await standing(), before)
    const verified = await runScript('admin', ['verify', '--repair'], environment)
    t.equal(verified.code, 0, verified.output)
    t.match(verified.output, /没有发现问题/)
    const answer = (await second.app.inject(`/api/v1/answers?live=1&q=${question}`)).json()
    t.match(answer, { degraded: false, hits: [{ id: 'hunyin-001' }] })
    const alone = await runScript('reindex', ['--rollback'], { ...environment, ELASTICSEARCH_URL: '' })
    t.equal(alone.code, 2)
  })

  await t.test('the one that indexes ends: the other goes on with it', async () => {
    const [leader, other] = first.parts.elasticsearch?.indexer.leads ? [first, second] : [second, first]
    await leader.parts.elasticsearch?.indexer.close()
    await until('taken over', () => other.parts.elasticsearch?.indexer.leads === true, 15_000)
  })
})
