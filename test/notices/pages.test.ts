import t, { type Test } from 'tap'
import { openSession } from '../../src/accounts/sessions.ts'
import type { Role } from '../../src/database/schema.ts'
import { unit, zone } from '../sample-records.ts'
import { testApp } from '../test-app.ts'
import { addPerson, owe } from './scene.ts'

async function stage(t: Test) {
  const { app, parts } = await testApp(t, {
    records: [zone({ id: 'SC1' }), unit({ id: 'ga', name: '示例区公安分局' })],
    environment: { SAMPLE_DATA: '0' }
  })
  const { db } = parts
  const person = async (role: Role) => {
    await addPerson(db, role, role, { unit: role === 'leader' ? 'ga' : null })
    const { id, csrf } = await openSession(db, parts.secret, role, parts.now())
    const headers = { cookie: `session=${id}`, 'x-csrf-token': csrf, accept: 'text/html' }
    return {
      get: (url: string) => app.inject({ url, headers }),
      post: (url: string, payload?: Record<string, unknown>) =>
        app.inject({ method: 'POST', url, headers, ...(payload === undefined ? {} : { payload }) })
    }
  }
  return { db, app, person }
}

t.test('the office sees what could not be sent, to whom and why, and sends it again', async (t) => {
  const { db, person } = await stage(t)
  const office = await person('office')
  t.match((await office.get('/office/notices')).body, '所有通知都已送达')
  await owe(db, { number: 'ZX-1', kind: 'answered', recipient: 'citizen' })
  await owe(db, { number: 'ZX-2', kind: 'assigned', recipient: 'unit:ga:leader' })
  const notices = await db.selectFrom('outbox').selectAll().orderBy('id').execute()
  await db.updateTable('outbox').set({ done_at: '2026-02-13T01:00:00.000Z' }).execute()
  for (const { id, recipient } of notices) {
    await db
      .insertInto('deliveries')
      .values({
        outbox: id,
        channel: 'webhook',
        recipient,
        state: 'dead',
        attempts: 6,
        not_before: '2026-02-13T01:00:00.000Z',
        error: '推送地址：返回 500',
        done_at: '2026-02-13T01:00:00.000Z'
      })
      .execute()
  }
  const { statusCode, body } = await office.get('/office/notices')
  t.equal(statusCode, 200)
  t.match(body, /有 2 条通知没有送达/)
  for (const said of ['咨询人', '示例区公安分局分管领导', '返回 500（发了 6 次）', '2026年2月13日 09:00'])
    t.match(body, said)
  const address = /action="(\/office\/notices\/\d+\/retry)"/.exec(body)?.[1] ?? ''
  const leader = await person('leader')
  t.equal((await leader.get('/office/notices')).statusCode, 403)
  t.equal((await leader.post(address)).statusCode, 403)
  t.equal((await office.post(address)).headers.location, '/office/notices')
  t.equal((await office.post(address)).statusCode, 404)
  t.equal((await (await person('admin')).get('/office/notices')).statusCode, 200)
})

t.test('the bell belongs to whoever is signed in', async (t) => {
  const { db, app, person } = await stage(t)
  t.equal((await app.inject('/api/v1/bell')).statusCode, 401)
  const leader = await person('leader')
  const office = await person('office')
  for (const number of ['ZX-1', 'ZX-2']) await owe(db, { number, kind: 'submitted', recipient: 'unit:ga:leader' })
  const [first, second] = await db.selectFrom('outbox').selectAll().orderBy('id').execute()
  for (const row of [first, second]) {
    const said = { staff: 'leader', outbox: row?.id ?? 0, number: row?.number ?? '', text: '请审核', read_at: null }
    await db
      .insertInto('bells')
      .values({ ...said, created_at: '2026-02-13T01:00:00.000Z' })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
  const bell = (await leader.get('/api/v1/bell')).json()
  t.equal(bell.unread, 2)
  t.match(bell.items, [{ number: 'ZX-2', url: '/unit/ZX-2', read: false }, { number: 'ZX-1' }])
  t.equal((await office.get('/api/v1/bell')).json().unread, 0)
  t.equal((await leader.post('/api/v1/bell/read', { upTo: bell.items[1].id })).json().unread, 1)
  t.equal((await leader.post('/api/v1/bell/read', {})).json().unread, 0)
})
