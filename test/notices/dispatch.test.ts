import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { SMTPServer } from 'smtp-server'
import t, { type Test } from 'tap'
import { type Database, type DatabaseAddress, openDatabase } from '../../src/database/open.ts'
import { bellOf, deadLetters, noticesStanding, readBells, retryDelivery } from '../../src/notices/bells.ts'
import { type NoticeNeeds, openNotices } from '../../src/notices/dispatch.ts'
import { absent, postgres } from '../peers.ts'
import { temporaryFolder } from '../test-app.ts'
import { addPerson, needsOf, openScene, owe, register } from './scene.ts'

const SECRET = 'a secret of 16 or more'
const start = () => ({ now: new Date('2026-02-13T02:00:00.000Z') })
const later = (clock: { now: Date }, minutes: number) => {
  clock.now = new Date(clock.now.getTime() + minutes * 60_000)
}

interface Received {
  to: string
  text: string
  id: string
}

/** A mail server that answers the recipient with `refuse()`, a code, or takes the mail. */
async function mailServer(t: Test, refuse: () => number | null = () => null) {
  const received: Received[] = []
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    onRcptTo(_address, _session, done) {
      const code = refuse()
      done(code === null ? undefined : Object.assign(new Error('refused'), { responseCode: code }))
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const raw = Buffer.concat(chunks).toString()
        const [, body = ''] = raw.split('\r\n\r\n')
        received.push({
          to: session.envelope.rcptTo[0]?.address ?? '',
          text: Buffer.from(body, 'base64').toString(),
          id: /^Message-ID: (.*)$/im.exec(raw)?.[1] ?? ''
        })
        done()
      })
    }
  })
  server.on('error', () => {})
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())))
  const { port } = server.server.address() as AddressInfo
  return { received, mail: { url: `smtp://127.0.0.1:${port}`, from: 'zhengxun@zx.example' } }
}

/** A mail server that takes connections and says nothing. */
async function silentServer(t: Test): Promise<NoticeNeeds['config']['mail']> {
  const server = createTcpServer(() => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`, from: 'zhengxun@zx.example' }
}

interface Call {
  headers: IncomingMessage['headers']
  text: string
  body: Record<string, string>
}

async function gateway(t: Test, answer: (reply: ServerResponse, calls: number) => void = (reply) => reply.end('{}')) {
  const calls: Call[] = []
  const server = createHttpServer(async (request, reply) => {
    let text = ''
    for await (const chunk of request) text += chunk
    calls.push({ headers: request.headers, text, body: JSON.parse(text) })
    answer(reply, calls.length)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  return { calls, webhook: { url, secret: SECRET } }
}

function open(t: Test, needs: NoticeNeeds, timeoutMs = 5000) {
  const notices = openNotices(needs, { timeoutMs, timers: false })
  t.teardown(() => notices.close())
  return notices
}

const states = async (db: Database) =>
  (await db.selectFrom('deliveries').select(['channel', 'recipient', 'state']).orderBy('id').execute()).map(
    ({ channel, recipient, state }) => `${channel} ${recipient} ${state}`
  )

function dispatchContract(t: Test, address: (t: Test) => Promise<DatabaseAddress>): void {
  const scene = async (t: Test) => {
    const db = await openScene(t, await address(t))
    await addPerson(db, 'liaison', 'liaison', { unit: 'ga', mail: 'liaison@ga.example' })
    await addPerson(db, 'leader', 'leader', { unit: 'ga' })
    await addPerson(db, 'office', 'office')
    await addPerson(db, 'clerk', 'clerk', { zone: 'XZZX01' })
    return db
  }

  t.test("a notice rings, is mailed and pushed, signed; the citizen's phone goes to the gateway alone", async (t) => {
    const db = await scene(t)
    const { received, mail } = await mailServer(t)
    const { calls, webhook } = await gateway(t)
    const clock = start()
    const notices = open(t, needsOf(db, { mail, webhook }, clock))
    await owe(db, { number: 'ZX-1', kind: 'assigned', recipient: 'unit:ga:liaison' })
    await owe(db, { number: 'ZX-1', kind: 'answered', recipient: 'citizen' })
    await owe(db, { number: 'ERASED', kind: 'answered', recipient: 'citizen' })
    await notices.flush()
    await notices.flush()
    const bell = await bellOf(db, 'liaison')
    t.equal(bell.unread, 1)
    t.equal(bell.items[0]?.text, '咨询 ZX-1 已交办给示例区公安分局，请签收，最迟2026年3月2日答复咨询人。')
    t.equal(received.length, 1)
    t.equal(received[0]?.to, 'liaison@ga.example')
    t.match(received[0]?.text, /最迟2026年3月2日答复咨询人。\s+https:\/\/zx\.example\/unit\/ZX-1/)
    t.same(calls.map(({ body }) => `${body.recipient} ${body.phone}`).sort(), [
      'citizen 13800000000',
      'liaison undefined'
    ])
    for (const { headers, text, body } of calls) {
      const expected = createHmac('sha256', SECRET).update(`${headers['x-zhengxun-timestamp']}.${text}`).digest('hex')
      t.equal(headers['x-zhengxun-signature'], `sha256=${expected}`)
      t.equal(headers['x-zhengxun-id'], body.id)
      t.equal(Number(headers['x-zhengxun-timestamp']), clock.now.getTime() / 1000)
    }
    t.notMatch(JSON.stringify(await db.selectFrom('deliveries').selectAll().execute()), /13800000000/)
    await readBells(db, 'liaison', clock.now)
    t.equal((await bellOf(db, 'liaison')).unread, 0)
    t.same(await noticesStanding(db), { waiting: 0, dead: 0, oldest: null })
  })

  t.test(
    'who stands in today is told too; a unit without accounts is reached by its link and the office',
    async (t) => {
      const db = await scene(t)
      const { calls, webhook } = await gateway(t)
      await addPerson(db, 'other', 'liaison', { unit: 'mz' })
      for (const [id, from, until] of [
        ['1', '2026-02-10', '2026-02-13'],
        ['2', '2026-02-14', '2026-02-20']
      ] as const) {
        const row = { id, absent: 'liaison', from_on: from, until_on: until, made_at: '', made_by: '' }
        await db
          .insertInto('stand_ins')
          .values({ ...row, staff: id === '1' ? 'other' : 'leader' })
          .execute()
      }
      const notices = open(t, needsOf(db, { webhook }, start()))
      await owe(db, { number: 'ZX-1', kind: 'assigned', recipient: 'unit:ga:liaison' })
      await owe(db, { number: 'ZX-2', kind: 'assigned', recipient: 'unit:none:leader' })
      await notices.flush()
      t.equal((await bellOf(db, 'liaison')).unread, 1)
      t.equal((await bellOf(db, 'other')).unread, 1)
      t.equal((await bellOf(db, 'leader')).unread, 0)
      t.match((await bellOf(db, 'office')).items[0]?.text, /没有对应人员的账号/)
      t.match(
        calls.find(({ body }) => body.recipient === 'unit:none:leader')?.body.url,
        'https://zx.example/t/ZX-2/none/leader'
      )
    }
  )

  t.test('a sample consultation only rings', async (t) => {
    const db = await scene(t)
    const { received, mail } = await mailServer(t)
    const { calls, webhook } = await gateway(t)
    const notices = open(t, needsOf(db, { mail, webhook }, start()))
    await owe(db, { number: 'ZX-1', kind: 'assigned', recipient: 'unit:ga:liaison', chain: 'sample' })
    await owe(db, { number: 'ZX-1', kind: 'answered', recipient: 'citizen', chain: 'sample' })
    await notices.flush()
    t.same(await states(db), ['bell liaison sent'])
    t.same([received.length, calls.length], [0, 0])
  })

  t.test('a question answered in the same breath does not call the desk', async (t) => {
    const db = await scene(t)
    const notices = open(t, needsOf(db, {}, start()))
    const one = await register(db, 'ZX-1', '2026-02-13T01:00:00.000Z')
    await one.move('answered', '2026-02-13T01:00:00.000Z', { entry: 'qa1', version: 1, day: '2026-02-13' })
    await register(db, 'ZX-2', '2026-02-13T01:00:00.000Z')
    await notices.flush()
    t.same(
      (await bellOf(db, 'clerk')).items.map(({ number }) => number),
      ['ZX-2']
    )
  })

  t.test('a mail refused for now is tried again, later ones of its ticket wait, others do not', async (t) => {
    const db = await scene(t)
    let code: number | null = 421
    const { received, mail } = await mailServer(t, () => code)
    const clock = start()
    const notices = open(t, needsOf(db, { mail }, clock))
    await owe(db, { number: 'ZX-1', kind: 'assigned', recipient: 'unit:ga:liaison' })
    await notices.flush()
    code = null
    await owe(db, { number: 'ZX-1', kind: 'revised', recipient: 'unit:ga:liaison' })
    await owe(db, { number: 'ZX-2', kind: 'assigned', recipient: 'unit:ga:liaison' })
    await notices.flush()
    t.same(
      received.map(({ text }) => /ZX-\d/.exec(text)?.[0]),
      ['ZX-2']
    )
    later(clock, 2)
    await notices.flush()
    t.same(
      received.map(({ text }) => /交办|退改/.exec(text)?.[0]),
      ['交办', '交办', '退改']
    )
    t.match(received[1]?.id, /^<[0-9a-f]{32}@zx\.example>$/)
  })

  t.test('a mail refused for good becomes a dead letter, and goes when somebody has put it right', async (t) => {
    const db = await scene(t)
    let code: number | null = 550
    const { received, mail } = await mailServer(t, () => code)
    const clock = start()
    const notices = open(t, needsOf(db, { mail }, clock))
    await owe(db, { number: 'ZX-1', kind: 'assigned', recipient: 'unit:ga:liaison' })
    await notices.flush()
    const [letter] = await deadLetters(db)
    t.match(letter, { kind: 'assigned', number: 'ZX-1', to: '示例liaison', attempts: 1, error: /550/ })
    code = null
    t.equal(await retryDelivery(db, letter?.id ?? 0, clock.now), true)
    t.equal(await retryDelivery(db, letter?.id ?? 0, clock.now), false)
    await notices.flush()
    t.equal(received.length, 1)
    t.same(await deadLetters(db), [])
  })

  t.test('a silent mail server is given up after six tries, and holds nothing else up', async (t) => {
    const db = await scene(t)
    const { calls, webhook } = await gateway(t)
    const clock = start()
    const notices = open(t, needsOf(db, { mail: await silentServer(t), webhook }, clock), 150)
    await owe(db, { number: 'ZX-1', kind: 'assigned', recipient: 'unit:ga:liaison' })
    const waits = [0, 1, 5, 30, 120, 360]
    for (const wait of waits) {
      later(clock, wait)
      await notices.flush()
      await notices.flush()
    }
    t.equal(calls.length, 1)
    const [letter] = await deadLetters(db)
    t.match(letter, { channel: 'mail', attempts: 6, error: /邮件服务器/ })
  })

  t.test('a gateway that fails, redirects or hangs is tried again with the same id', async (t) => {
    const db = await scene(t)
    const elsewhere = await gateway(t)
    const { calls, webhook } = await gateway(t, (reply, count) => {
      if (count === 1) reply.writeHead(500).end('13800000000')
      else if (count === 2) reply.writeHead(307, { location: elsewhere.webhook.url }).end()
      else if (count >= 4) reply.end()
    })
    const clock = start()
    const notices = open(t, needsOf(db, { webhook }, clock), 200)
    await owe(db, { number: 'ZX-1', kind: 'registered', recipient: 'citizen' })
    const errors: (string | null)[] = []
    for (const wait of [0, 1, 5, 30]) {
      later(clock, wait)
      await notices.flush()
      errors.push((await db.selectFrom('deliveries').select('error').executeTakeFirstOrThrow()).error)
    }
    t.equal(calls.length, 4)
    t.equal(elsewhere.calls.length, 0, 'the phone went nowhere else')
    t.equal(new Set(calls.map(({ body }) => body.id)).size, 1)
    t.match(errors[0], '返回 500')
    t.match(errors[1], /redirect/)
    t.match(errors[2], '超时')
    t.notMatch(errors.join(''), /13800/)
    t.same(await states(db), ['webhook citizen sent'])
  })

  t.test('a clock set back a day delays nothing by a day', async (t) => {
    const db = await scene(t)
    const { calls, webhook } = await gateway(t, (reply, count) => reply.writeHead(count === 1 ? 500 : 200).end())
    const clock = start()
    const notices = open(t, needsOf(db, { webhook }, clock))
    await owe(db, { number: 'ZX-1', kind: 'answered', recipient: 'citizen' })
    await notices.flush()
    later(clock, -24 * 60)
    await notices.flush()
    t.equal(calls.length, 2)
  })

  t.test('what was sent while the database went away is written down later, not sent twice', async (t) => {
    const at = await address(t)
    const db = await openScene(t, at)
    const own = await openDatabase(at)
    const { calls, webhook } = await gateway(t)
    const clock = start()
    const needs = needsOf(own, { webhook }, clock)
    const notices = open(t, needs)
    await owe(db, { number: 'ZX-1', kind: 'answered', recipient: 'citizen' })
    let away = false
    const failing: Database = own.withPlugin({
      transformQuery: ({ node }) => {
        if (away) throw new Error('database away')
        return node
      },
      transformResult: async ({ result }) => result
    })
    const notices2 = open(t, {
      ...needs,
      db: failing,
      openContact: async () => {
        away = true
        return { phone: '13800000000' }
      }
    })
    await notices2.flush()
    t.equal(calls.length, 1)
    t.same(await states(db), ['webhook citizen waiting'])
    away = false
    later(clock, 10)
    await notices2.flush()
    t.same(await states(db), ['webhook citizen sent'])
    await notices.flush()
    t.equal(calls.length, 1)
    await notices.close()
    await notices2.close()
    await own.destroy()
  })
}

t.test('SQLite', async (t) => {
  dispatchContract(t, async (t) => ({ kind: 'sqlite', file: join(temporaryFolder(t), 'z.db') }))
})

t.test('PostgreSQL', { skip: absent('PostgreSQL') }, async (t) => {
  dispatchContract(t, async (t) => ({ kind: 'postgresql', url: await postgres(t) }))

  t.test('two processes send each notice once, in the order of its ticket', async (t) => {
    const address: DatabaseAddress = { kind: 'postgresql', url: await postgres(t) }
    const db = await openScene(t, address)
    const { calls, webhook } = await gateway(t)
    const clock = start()
    const dbs = await Promise.all([openDatabase(address), openDatabase(address)])
    const both = dbs.map((own) => openNotices(needsOf(own, { webhook }, clock), { timers: false }))
    const kinds = ['registered', 'recounted', 'answered']
    const owing = async () => {
      for (const kind of kinds) {
        for (let ticket = 0; ticket < 60; ticket++)
          await owe(db, { number: `ZX-${ticket}`, kind, recipient: 'citizen' })
        for (const notices of both) notices.poke()
      }
    }
    await owing()
    for (let round = 0; round < 5; round++) await Promise.all(both.map((notices) => notices.flush()))
    t.equal(calls.length, 180)
    t.equal(new Set(calls.map(({ body }) => body.id)).size, 180)
    for (let ticket = 0; ticket < 60; ticket++) {
      const own = calls.filter(({ body }) => body.number === `ZX-${ticket}`).map(({ body }) => body.kind)
      t.same(own, kinds)
    }
    for (const notices of both) await notices.close()
    for (const own of dbs) await own.destroy()
  })
})
