import { sql } from 'kysely'
import type { Test } from 'tap'
import { append, CITIZEN, eventsOf, verifyChains } from '../../src/consultations/events.ts'
import { findTicket } from '../../src/consultations/records.ts'
import { tend } from '../../src/consultations/tend.ts'
import { ticketFrom } from '../../src/consultations/ticket.ts'
import { isPostgres } from '../../src/database/dialect.ts'
import { registered, type Service, service } from './people.ts'

const QUESTION = '火星移民补贴在哪里领'
const BASIS = [
  { document: 'zc-1', number: '江北示发〔2025〕3号', title: '江北区职工医保关系转移办法', clause: '第二条' }
]

/** A ticket that the unit has answered to the citizen. */
async function answeredTicket({ call, tokens, parts }: Service, question: string) {
  const made = await registered({ call }, question)
  const step = async (as: string, action: string, body: object) => {
    const { version } = (await findTicket(parts.db, made.number)) ?? { version: 0 }
    const reply = await call(as, 'POST', `/tickets/${made.number}/${action}`, { version, ...body })
    if (reply.status !== 200) throw new Error(`${action}: ${reply.raw}`)
    return reply.body
  }
  await step(tokens.clerk, 'assign', { unit: 'ybj' })
  await step(tokens.liaison, 'accept', {})
  await step(tokens.liaison, 'draft', { text: '到区医保局办理。', basis: BASIS, submit: true })
  await step(tokens.leader, 'approve', {})
  await step(tokens.liaison, 'contact', { outcome: 'told', by: 'phone', at: '2026-11-01T02:00:00Z', note: '' })
  return { ...made, step }
}

/**
 * What consultations must do alike on both databases.
 * @param environment with DATABASE_URL for PostgreSQL
 */
export function ticketContract(t: Test, environment: (t: Test) => Promise<NodeJS.ProcessEnv>): void {
  t.test(
    'an unanswered question reaches the citizen: registered, assigned, returned, answered, rated, reopened',
    async (t) => {
      const own = await service(t, await environment(t))
      const { call, tokens, parts } = own
      const made = await registered(own, QUESTION)
      t.match(made.number, /^ZX-XZZX01-20261123-0001-\d$/)
      t.match(made.code, /^[2-9A-HJ-NP-Z]{6}$/)
      t.match(made, { state: 'TO_ASSIGN', dueOn: '2026-11-30', dueIsProvisional: false })
      const path = `/tickets/${made.number}`
      let { body: ticket } = await call(tokens.clerk, 'GET', path)
      t.match(ticket, { state: 'TO_ASSIGN', version: 1, contact: { name: '示＊＊', phone: '138****0001' } })
      t.match(
        ticket.search,
        { queryId: /^[0-9a-f-]{36}$/, confidence: Number },
        'what the bank was asked is kept (R26)'
      )
      const act = async (as: string, action: string, body: object, status = 200) => {
        const reply = await call(as, 'POST', `${path}/${action}`, { version: ticket.version, ...body })
        t.equal(reply.status, status, `${action}: ${status === 200 ? '' : reply.body?.detail}`)
        if (reply.status === 200) ticket = reply.body
        return reply.body
      }
      await act(tokens.clerk, 'accept', {}, 403)
      await act(tokens.clerk, 'assign', { unit: 'gone' }, 422)
      await act(tokens.clerk, 'assign', { unit: 'mzj' })
      t.match(ticket, { state: 'ASSIGNED', unit: { id: 'mzj' }, dueOn: '2026-11-30' })
      t.equal(
        (await call(tokens.liaison, 'GET', path)).status,
        404,
        'another unit’s ticket does not exist for a liaison'
      )
      await act(tokens.clerk, 'assign', { unit: 'ybj' })
      await act(tokens.liaison, 'return', { reason: '不属于医保', unit: 'mzj' })
      t.match(ticket, { state: 'RETURNED', unit: null, returns: [{ unit: 'ybj', proposed: 'mzj' }] })
      await act(tokens.clerk, 'assign', { unit: 'ybj' })
      t.equal(ticket.dueOn, '2026-11-30', 'a return does not move the citizen’s date')
      t.equal(
        (await call(tokens.liaison, 'GET', path)).body.contact.phone,
        '13800000001',
        'the unit calls: it sees the phone'
      )
      t.match((await act(tokens.liaison, 'approve', {}, 403)).code, 'NOT_ALLOWED')
      await act(tokens.liaison, 'draft', { text: '', basis: BASIS, submit: true }, 422)
      await act(tokens.liaison, 'draft', { text: '请到民政局。', basis: [], submit: true }, 422)
      await act(tokens.liaison, 'draft', { text: '请到医保局。', basis: BASIS, submit: false })
      t.equal(ticket.state, 'DRAFTING')
      const notNow = await act(
        tokens.liaison,
        'contact',
        { outcome: 'told', by: 'phone', at: '2026-11-23T08:00:00+08:00' },
        409
      )
      t.match(notNow, { code: 'NOT_ALLOWED_NOW', detail: /现在可以：.*“拟写答复”/ }, 'says what is allowed')
      await act(tokens.liaison, 'draft', { text: '请到医保局。', basis: BASIS, submit: true })
      await act(tokens.leader, 'revise', { reason: '写清楚带什么材料' })
      await act(tokens.liaison, 'draft', { text: '请带身份证到医保局。', basis: ['zc-1'], submit: true })
      await act(tokens.leader, 'approve', {})
      t.equal(
        (await call(null, 'GET', `/consultations/${made.number}?code=${made.code}`)).body.answer,
        null,
        'not before it is told'
      )
      await act(tokens.liaison, 'contact', {
        outcome: 'unreached',
        by: 'phone',
        at: '2026-11-23T00:00:00+08:00',
        note: '没人接'
      })
      t.equal(ticket.state, 'CONTACTING')
      await act(tokens.liaison, 'contact', { outcome: 'told', by: 'phone', at: '2026-11-23T00:01:00+08:00', note: '' })
      t.match(ticket, { state: 'ANSWERED', answeredLate: false, overdue: false })
      const seen = (await call(null, 'GET', `/consultations/${made.number}?code=${made.code.toLowerCase()}`)).body
      t.match(seen, { stage: '已答复', answer: { text: '请带身份证到医保局。' }, canRate: true })
      t.notOk(JSON.stringify(seen).includes('13800000001'))
      const rated = await call(null, 'POST', `/consultations/${made.number}/rating`, { code: made.code, solved: false })
      t.match(rated.body, { state: 'REOPENED', dueOn: '2026-11-30' })
      ticket = (await call(tokens.liaison, 'GET', path)).body
      t.match(ticket, { state: 'REOPENED', round: 2, unit: { id: 'ybj' } }, 'it goes back to the unit that answered')
      await act(tokens.liaison, 'accept', {})
      const events = (await call(tokens.office, 'GET', `${path}/events`)).body
      t.equal(events.at(-1).type, 'accepted')
      t.equal(events.length, ticket.version)
      t.same((await verifyChains(parts.db)).findings, [])
    }
  )

  t.test('the same key registers once, however often it is sent; with another question it is refused', async (t) => {
    const { call, parts } = await service(t, await environment(t))
    const body = {
      question: QUESTION,
      zone: 'XZZX01',
      channel: 'web',
      contact: { name: '示例市民', phone: '023-67560000' },
      noticeSeen: true
    }
    const send = (more: object = {}, key = 'the-same-key') =>
      call(null, 'POST', '/consultations', { ...body, ...more }, { 'idempotency-key': key })
    const replies = await Promise.all([send(), send(), send(), send()])
    t.same([...new Set(replies.map(({ status }) => status))], [201])
    t.equal(new Set(replies.map(({ raw }) => raw)).size, 1)
    t.match(await send({ question: '别的问题怎么办' }), { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
    t.match(await call(null, 'POST', '/consultations', body), {
      status: 400,
      body: { code: 'IDEMPOTENCY_KEY_MISSING' }
    })
    const { rows } = await sql<{ n: number }>`select count(*) as n from consultations`.execute(parts.db)
    t.equal(Number(rows[0]?.n), 1)
    for (const [field, wrong] of [
      ['电话', { contact: { name: '示例', phone: '12345' } }],
      ['姓名', { contact: { name: '   ', phone: '13800000001' } }],
      ['questions', { question: '？！' }],
      ['长', { question: '长'.repeat(10_000) }],
      ['专区', { zone: 'NOWHERE' }],
      ['noticeSeen', { noticeSeen: false }]
    ] as const) {
      const reply = await send(wrong, `other-key-${field.length}-${Buffer.from(field).toString('hex')}`)
      t.ok(reply.status >= 400 && reply.status < 500, `${field}: ${reply.status}`)
      t.match(reply.body.detail, /[一-鿿]/)
    }
    t.equal(Number((await sql<{ n: number }>`select count(*) as n from events`.execute(parts.db)).rows[0]?.n), 1)
  })

  t.test('fifty claims of one ticket have one winner, and whoever comes late is told so', async (t) => {
    const own = await service(t, await environment(t))
    for (let round = 0; round < 3; round++) {
      const { number } = await registered(own, `${QUESTION}${'一二三'[round]}`)
      const claims = await Promise.all(
        Array.from({ length: 50 }, (_, at) =>
          own.call(own.tokens.clerk, 'POST', `/tickets/${number}/assign`, {
            version: 1,
            unit: at % 2 === 0 ? 'ybj' : 'mzj'
          })
        )
      )
      t.equal(claims.filter(({ status }) => status === 200).length, 1)
      t.equal(claims.filter(({ status, body }) => status === 409 && body.code === 'STALE').length, 49)
    }
    t.same((await verifyChains(own.parts.db)).findings, [])
  })

  t.test('the chain tells every change, removal and move, and the database refuses them', async (t) => {
    const own = await service(t, await environment(t))
    const { db } = own.parts
    const { number } = await answeredTicket(own, QUESTION)
    await registered(own, '木星移民补贴在哪里领')
    t.same((await verifyChains(db)).findings, [])
    await t.rejects(sql`update events set actor = 'x'`.execute(db), /append-only/)
    await t.rejects(sql`delete from events`.execute(db), /append-only/)
    const without = async (change: ReturnType<typeof sql>, expected: RegExp) => {
      await db
        .transaction()
        .execute(async (trx) => {
          if (isPostgres(db)) await sql`alter table events disable trigger user`.execute(trx)
          else
            for (const name of ['events_no_update', 'events_no_delete'])
              await sql`drop trigger ${sql.ref(name)}`.execute(trx)
          await change.execute(trx)
          t.match((await verifyChains(trx)).findings.join('；'), expected)
          throw new Error('undo')
        })
        .catch((error: Error) => t.equal(error.message, 'undo'))
    }
    await without(sql`update events set actor = 'x' where sequence = 2`, /第 2 条（.*）被改动过/)
    await without(sql`delete from events where sequence = 3`, /缺第 3 至 3 条/)
    await without(sql`delete from events where sequence = (select max(sequence) from events)`, /末尾缺第/)
    await without(sql`update consultations set state = 'CLOSED' where number = ${number}`, /现状与它的事件不一致/)
    await without(sql`delete from consultations where number = ${number}`, /有事件，却没有现状/)
    t.same((await verifyChains(db)).findings, [])
  })

  t.test('nobody sees a ticket that is not theirs: roles × tickets', async (t) => {
    const own = await service(t, await environment(t))
    const { call, tokens } = own
    const units = ['ybj', 'mzj', null]
    const zones = ['XZZX01', 'GYQ01']
    const made: { number: string; zone: string; unit: string | null }[] = []
    for (let at = 0; at < 60; at++) {
      const zone = zones[at % 2] as string
      const unit = units[at % 3] as string | null
      const { number } = await registered(own, `第${at}号事项找哪个部门办理`, { zone })
      if (unit !== null) await call(tokens.office, 'POST', `/tickets/${number}/assign`, { version: 1, unit })
      made.push({ number, zone, unit })
    }
    let leaks = 0
    for (const role of ['clerk', 'liaison', 'leader', 'office', 'admin'] as const) {
      const listed = await call(tokens[role], 'GET', '/tickets?limit=200')
      const expected = made.filter(({ zone, unit }) =>
        role === 'office' ? true : role === 'clerk' ? zone === 'XZZX01' : role === 'admin' ? false : unit === 'ybj'
      )
      if (role === 'admin') t.equal(listed.status, 403)
      else
        t.same(
          new Set(listed.body.tickets.map((one: { number: string }) => one.number)),
          new Set(expected.map(({ number }) => number)),
          role
        )
      for (const { number, unit } of made) {
        const reply = await call(tokens[role], 'GET', `/tickets/${number}`)
        const may = expected.some((one) => one.number === number)
        if ((reply.status === 200) !== may) leaks++
        const plain = reply.raw.includes('13800000001')
        if (plain && !(unit === 'ybj' && (role === 'liaison' || role === 'leader'))) leaks++
      }
    }
    t.equal(leaks, 0)
    t.equal((await call(null, 'GET', '/tickets')).status, 401)
  })

  t.test('the same words join an open ticket; one answer is told to each', async (t) => {
    const own = await service(t, await environment(t))
    const { call, tokens, parts } = own
    const head = await registered(own, QUESTION)
    const second = await registered(own, `请问，${QUESTION}？`)
    t.equal(second.state, 'JOINED')
    t.not(second.number, head.number)
    await call(tokens.clerk, 'POST', `/tickets/${head.number}/assign`, { version: 2, unit: 'ybj' })
    t.equal(
      (await call(tokens.liaison, 'GET', `/tickets/${second.number}`)).body?.unit?.id,
      'ybj',
      'it follows its head'
    )
    await call(tokens.liaison, 'POST', `/tickets/${head.number}/draft`, {
      version: 3,
      text: '没有这项补贴。',
      basis: BASIS,
      submit: true
    })
    const early = await call(tokens.liaison, 'POST', `/tickets/${second.number}/contact`, {
      version: 3,
      outcome: 'told',
      by: 'phone',
      at: '2026-11-23T00:00:00+08:00'
    })
    t.match(early, { status: 409 })
    await call(tokens.leader, 'POST', `/tickets/${head.number}/approve`, { version: 4 })
    const told = await call(tokens.liaison, 'POST', `/tickets/${second.number}/contact`, {
      version: 3,
      outcome: 'told',
      by: 'phone',
      at: '2026-11-23T00:00:00+08:00'
    })
    t.match(told, { status: 200, body: { state: 'ANSWERED', draft: { text: '没有这项补贴。' } } })
    t.equal((await findTicket(parts.db, head.number))?.state, 'APPROVED', 'the head’s own citizen is still to be told')
  })

  t.test('a wrong code, an unknown number and a wrong check digit look the same', async (t) => {
    const own = await service(t, await environment(t))
    const { number, code } = await registered(own, QUESTION)
    const wrongDigit = `${number.slice(0, -1)}${(Number(number.at(-1)) + 1) % 10}`
    const replies = await Promise.all(
      [`${number}?code=AAAAAA`, `${wrongDigit}?code=${code}`, `ZX-XZZX01-20261123-0999-1?code=${code}`, `x?code=`].map(
        (path) => own.call(null, 'GET', `/consultations/${path}`)
      )
    )
    const bodies = replies.map(({ status, body }) => ({ status, ...body, instance: '' }))
    t.equal(new Set(bodies.map((body) => JSON.stringify(body))).size, 1)
    t.equal(bodies[0]?.status, 404)
  })

  t.test('a clerk settles on the spot, and corrects a wrong key by a second event', async (t) => {
    const { call, tokens } = await service(t, await environment(t))
    const settle = (more: object, key: string, as: string | null = tokens.clerk) =>
      call(
        as,
        'POST',
        '/consultations',
        { question: '医保怎么转', zone: 'GYQ01', channel: 'desk', ...more },
        { 'idempotency-key': key }
      )
    t.equal((await settle({ answeredWith: 'yibao-001' }, 'settle-key-0', null)).status, 401)
    t.equal((await settle({ answeredWith: 'nothing' }, 'settle-key-1')).status, 422)
    const { body } = await settle({ answeredWith: 'yibao-001' }, 'settle-key-2')
    t.match(
      body,
      { state: 'ANSWERED_ON_SPOT', dueOn: null, number: /^ZX-XZZX01-/ },
      'a clerk registers at the own desk'
    )
    const corrected = await call(tokens.clerk, 'POST', `/tickets/${body.number}/guide`, { version: 2, unit: 'mzj' })
    t.match(corrected.body, { state: 'GUIDED_ELSEWHERE', guidedTo: { id: 'mzj' }, entry: null })
    const events = (await call(tokens.clerk, 'GET', `/tickets/${body.number}/events`)).body
    t.same(
      events.map(({ type }: { type: string }) => type),
      ['registered', 'answered', 'guided']
    )
  })

  t.test(
    'after ten working days an answer is closed, after the retention its personal data is gone, the chain whole',
    async (t) => {
      const own = await service(t, await environment(t))
      const { parts } = own
      const { number, step } = await answeredTicket(own, QUESTION)
      t.ok(step)
      const later = (day: string, retentionDays = 1095) =>
        tend({ ...parts, today: () => day, now: () => new Date(`${day}T02:00:00Z`), retentionDays })
      await later('2026-11-24')
      t.equal((await findTicket(parts.db, number))?.state, 'CLOSED', 'told three weeks ago')
      const erased = await later('2027-12-01', 30)
      t.equal(erased, 1)
      const contact = await parts.db
        .selectFrom('contacts')
        .selectAll()
        .where('number', '=', number)
        .executeTakeFirstOrThrow()
      t.match(contact, { name: null, phone: null, question: null })
      t.equal((await findTicket(parts.db, number))?.state, 'ARCHIVED')
      t.same((await verifyChains(parts.db)).findings, [])
      t.match(ticketFrom(await eventsOf(parts.db, number), 'real'), { state: 'ARCHIVED' })
    }
  )

  t.test('a clock set back does not turn a ticket’s events round', async (t) => {
    const own = await service(t, await environment(t))
    const { db, writer } = own.parts
    const { number } = await registered(own, QUESTION)
    const ticket = await findTicket(db, number)
    t.ok(ticket !== null)
    if (ticket === null) return
    const at = '2026-11-22T00:00:00.000Z'
    await writer.write((trx) =>
      append(trx, { chain: 'real', number, ticket }, { type: 'withdrawn', data: { reason: '不用了' }, by: CITIZEN, at })
    )
    const events = await eventsOf(db, number)
    t.ok((events[1]?.at ?? '') >= (events[0]?.at ?? ''))
  })
}
