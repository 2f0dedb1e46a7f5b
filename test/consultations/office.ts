import type { Test } from 'tap'
import { eventsOf } from '../../src/consultations/events.ts'
import { findTicket } from '../../src/consultations/records.ts'
import { registered, type Service, service } from './people.ts'

interface Shown {
  status: number
  html: string
  location: string
}

function browsing({ app }: Service) {
  return async (as: string, url: string, fields?: Record<string, string>): Promise<Shown> => {
    const { statusCode, body, headers } = await app.inject({
      url,
      method: fields === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${as}`,
        accept: 'text/html',
        ...(fields === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' })
      },
      ...(fields === undefined ? {} : { payload: new URLSearchParams(fields).toString() })
    })
    return { status: statusCode, html: body, location: String(headers.location ?? '') }
  }
}

/** Cells of the row of a unit, in order. */
function rowOf(html: string, unit: string): string[] {
  const row = html.split('<tr>').find((one) => one.includes('scope="row"') && one.includes(`>${unit}<`)) ?? ''
  return [...row.matchAll(/<td[^>]*>(.*?)<\/td>/g)].map(([, cell = '']) => cell.replace(/<[^>]+>/g, ''))
}

/**
 * What the district office sees and does, alike on both databases.
 * @param environment with DATABASE_URL for PostgreSQL
 */
export function officeContract(t: Test, environment: (t: Test) => Promise<NodeJS.ProcessEnv>): void {
  t.test('the office sees every unit, what is late, and what waits since an earlier day', async (t) => {
    const own = await service(t, await environment(t))
    const { call, tokens, parts } = own
    const see = browsing(own)
    let today = '2026-11-23'
    parts.today = () => today
    parts.now = () => new Date(`${today}T02:00:00Z`)
    const units = await parts.library.all('unit')
    const name = units.get('ybj')?.content.name ?? ''
    const step = async (as: string, number: string, action: string, body: object) => {
      const version = (await findTicket(parts.db, number))?.version
      const reply = await call(as, 'POST', `/tickets/${number}/${action}`, { version, ...body })
      t.equal(reply.status, 200, `${action}: ${reply.raw.slice(0, 120)}`)
    }
    const [late, told, waits] = [
      await registered(own, '火星移民补贴在哪里领'),
      await registered(own, '月球移民补贴在哪里领'),
      await registered(own, '土星移民补贴在哪里领')
    ]
    await step(tokens.clerk, late.number, 'assign', { unit: 'ybj' })
    await step(tokens.clerk, told.number, 'assign', { unit: 'ybj' })
    await step(tokens.liaison, told.number, 'draft', {
      text: '到区医保局领。',
      basis: [{ document: 'zc-1', title: null, clause: '第二条' }],
      submit: true
    })
    await step(tokens.leader, told.number, 'approve', {})
    await step(tokens.liaison, told.number, 'contact', {
      outcome: 'told',
      by: 'phone',
      at: '2026-11-23T01:00:00Z',
      note: ''
    })

    const first = await see(tokens.office, '/office')
    t.equal(first.status, 200)
    t.same(rowOf(first.html, name), ['1', '0', '0', '0', '0', '1', '0.0'])
    t.notMatch(first.html, 'id="waiting"', 'registered today is not yet late to be assigned')
    t.match(first.html, '没有超期的')

    today = '2026-12-01'
    const later = await see(tokens.office, '/office')
    // Registered on a Monday: due on the next Monday, a day ago.
    t.same(rowOf(later.html, name).slice(0, 4), ['1', '0', '1', '6'])
    t.match(later.html, 'id="late"')
    t.match(later.html, late.number)
    t.match(later.html, '火星移民补贴')
    t.match(later.html, 'id="waiting"')
    t.match(later.html, waits.number)
    t.notMatch(later.html, told.number, 'what was answered last month is in no list of today')

    const behind = await see(tokens.office, '/office?show=overdue&unit=ybj')
    t.match(behind.html, late.number)
    const none = await see(tokens.office, '/office?show=overdue&unit=mzj')
    t.notMatch(none.html, late.number)
    t.match(none.html, '没有超期的')
    for (const show of ['open', 'soon', 'returned', 'answered', 'waiting', 'office', 'reopened', 'unsolved']) {
      t.equal((await see(tokens.office, `/office?show=${show}`)).status, 200, show)
    }
    t.equal((await see(tokens.office, '/office?show=nothing&page=-1')).status, 200, 'a bad address shows the board')

    for (const role of ['clerk', 'liaison', 'leader'] as const) {
      t.equal((await see(tokens[role], '/office')).status, 403, role)
    }
    const admin = await see(tokens.admin, '/office')
    t.equal(admin.status, 200)
    t.notMatch(admin.html, '移民', 'who administers sees no question')
    t.not((await see(tokens.admin, `/office/${late.number}`)).status, 200)
  })

  t.test('a second return is assigned by the office alone, and not given back', async (t) => {
    const own = await service(t, await environment(t))
    const { call, tokens, parts } = own
    const see = browsing(own)
    const { number } = await registered(own, '火星移民补贴在哪里领')
    const now = async () => (await findTicket(parts.db, number)) as NonNullable<Awaited<ReturnType<typeof findTicket>>>
    const step = async (as: string, action: string, body: object) =>
      await call(as, 'POST', `/tickets/${number}/${action}`, { version: (await now()).version, ...body })
    for (const round of [1, 2]) {
      t.equal((await step(tokens.clerk, 'assign', { unit: 'ybj' })).status, 200)
      const back = await step(tokens.liaison, 'return', { reason: `第${round}次：不归本局`, unit: 'mzj' })
      t.equal(back.status, 200)
    }
    t.ok((await now()).toOffice)
    const board = await see(tokens.office, '/office')
    t.match(board.html, 'id="designate"')
    t.match(board.html, '第1次：不归本局')
    t.match(board.html, `/office/${number}`)

    const page = await see(tokens.office, `/office/${number}`)
    t.match(page.html, '指定交办')
    const fields = { version: String((await now()).version), unit: 'mzj', otherUnit: '', coUnit: 'ybj' }
    const clerk = await see(tokens.clerk, `/desk/${number}/assign`, fields)
    t.not(clerk.status, 303, 'not the desk')
    const empty = await see(tokens.office, `/office/${number}/assign`, { ...fields, unit: '' })
    t.equal(empty.status, 422)
    t.match(empty.html, '请选一个单位')
    const done = await see(tokens.office, `/office/${number}/assign`, fields)
    t.equal(done.location, `/office/${number}?said=assigned`)
    t.match(await now(), { state: 'ASSIGNED', unit: 'mzj', coUnits: ['ybj'], toOffice: false })
    t.equal((await see(tokens.office, `/office/${number}/assign`, fields)).status, 303, 'sent twice, done once')
    const assigned = (await eventsOf(parts.db, number)).filter(({ type }) => type === 'assigned')
    t.equal(assigned.length, 3)
    t.match((await see(tokens.office, `/office/${number}`)).html, '指定交办')
  })

  t.test('the office reads an answer before it goes out, and sends it back', async (t) => {
    const own = await service(t, await environment(t))
    const { call, tokens, parts } = own
    const see = browsing(own)
    const { number } = await registered(own, '火星移民补贴在哪里领')
    const version = async () => (await findTicket(parts.db, number))?.version ?? 0
    const step = async (as: string, action: string, body: object) =>
      await call(as, 'POST', `/tickets/${number}/${action}`, { version: await version(), ...body })
    await step(tokens.clerk, 'assign', { unit: 'ybj' })
    await step(tokens.liaison, 'draft', {
      text: '请到窗口咨询。',
      basis: [{ document: 'zc-1', title: null, clause: '第二条' }],
      submit: true
    })
    const page = await see(tokens.office, `/office/${number}`)
    t.match(page.html, '请到窗口咨询。')
    t.notMatch(page.html, '13800000001', 'the phone is masked')
    const clerk = await see(tokens.clerk, `/desk/${number}`)
    t.notMatch(clerk.html, '请到窗口咨询。', 'the desk reads out nothing that is not approved')
    t.equal((await see(tokens.office, `/office/${number}/revise`, { version: String(await version()) })).status, 422)
    const back = await see(tokens.office, `/office/${number}/revise`, {
      version: String(await version()),
      reason: '没有写带什么'
    })
    t.equal(back.location, `/office/${number}?said=revised`)
    t.equal((await findTicket(parts.db, number))?.state, 'DRAFTING')

    const asked = await see(tokens.office, `/office/${number}/unmask`, { reason: '' })
    t.equal(asked.status, 422)
    const seen = await see(tokens.office, `/office/${number}/unmask`, { reason: '群众来电核对' })
    t.equal(seen.status, 200)
    t.match((await eventsOf(parts.db, number)).at(-1), { type: 'unmasked', data: { reason: '群众来电核对' } })
  })

  t.test('accounts, hours and self-approval are set on one page', async (t) => {
    const own = await service(t, await environment(t))
    const { tokens, parts } = own
    const see = browsing(own)
    t.equal((await see(tokens.leader, '/office/settings')).status, 403)
    const page = await see(tokens.admin, '/office/settings')
    t.match(page.html, 'test-clerk')
    t.notMatch(page.html, '自拟自审', 'an administrator of the machine sets no rule of the office')
    t.equal((await see(tokens.admin, '/office/settings/hours', { from: '08:00', until: '17:00' })).status, 403)

    const person = { username: '示例新人', name: '示例新人', role: 'liaison', zone: 'XZZX01', unit: '', mail: '' }
    const bad = await see(tokens.office, '/office/settings/staff', person)
    t.equal(bad.status, 400)
    t.match(bad.html, '单位：联络员要选所在的单位。')
    t.match(bad.html, 'value="示例新人"', 'what was typed is kept')
    const made = await see(tokens.office, '/office/settings/staff', { ...person, unit: 'mzj' })
    t.equal(made.status, 200)
    t.match(made.html, /class="secret">[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}</)
    const again = await see(tokens.office, '/office/settings/staff', { ...person, unit: 'mzj' })
    t.match(again.html, '已经有人用了')

    const on = await see(tokens.office, '/office/settings/self-approval', { unit: 'mzj', on: '1' })
    t.equal(on.status, 303)
    t.match((await see(tokens.office, '/office/settings')).html, '已准许，取消')

    const steps = `/office/settings/staff/${encodeURIComponent('示例新人')}`
    t.match((await see(tokens.office, `${steps}/reset`, {})).html, 'class="secret"')
    t.equal((await see(tokens.office, `${steps}/revoke`, {})).location, '/office/settings?said=signedOut')
    t.equal((await see(tokens.office, `${steps}/disable`, {})).location, '/office/settings?said=disabled')
    t.match((await see(tokens.office, `${steps}/disable`, {})).html, '可能已经停用')
    t.match((await see(tokens.office, '/office/settings/staff/test-office/disable', {})).html, '这是您自己的账号')

    const wrong = await see(tokens.office, '/office/settings/hours', { from: '18:00', until: '09:00' })
    t.equal(wrong.status, 400)
    t.match(wrong.html, '工作时间：')
    t.equal((await see(tokens.office, '/office/settings/hours', { from: '08:30', until: '17:00' })).status, 303)
    t.match((await see(tokens.office, '/office/settings')).html, 'value="08:30"')

    await parts.db.updateTable('staff').set({ sample: 1 }).where('username', '=', 'test-office').execute()
    const sample = await see(tokens.office, '/office/settings/staff', { ...person, username: '示例乙', unit: 'mzj' })
    t.match(sample.html, '示例账号只供演示')
    t.match((await see(tokens.office, '/office/settings/staff/test-clerk/disable', {})).html, '示例账号只供演示')
  })
}
