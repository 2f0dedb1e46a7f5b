import type { Test } from 'tap'
import { eventsOf } from '../../src/consultations/events.ts'
import { findTicket } from '../../src/consultations/records.ts'
import { registered, type Service, service } from '../consultations/people.ts'

const QUESTION = '火星移民补贴在哪里领'
const BASIS = [{ document: 'zc-1', title: null, clause: '第二条' }]

interface Asked {
  number: string
  /** A form of the entry's page, with the ticket's version of now. */
  send: (
    as: string,
    action: string,
    fields?: Record<string, string | string[]>
  ) => Promise<{ status: number; html: string }>
  page: (as: string) => Promise<{ status: number; html: string }>
}

/** A ticket that the unit has answered to the citizen. */
async function answered({ app, call, tokens, parts }: Service, question: string, told = true): Promise<Asked> {
  const { number } = await registered({ call }, question)
  const version = async () => (await findTicket(parts.db, number))?.version ?? 0
  const step = async (as: string, action: string, body: object) => {
    const reply = await call(as, 'POST', `/tickets/${number}/${action}`, { version: await version(), ...body })
    if (reply.status !== 200) throw new Error(`${action}: ${reply.raw}`)
  }
  await step(tokens.clerk, 'assign', { unit: 'ybj' })
  await step(tokens.liaison, 'accept', {})
  await step(tokens.liaison, 'draft', { text: '带身份证到区医保局领，电话67560000。', basis: BASIS, submit: true })
  await step(tokens.leader, 'approve', {})
  if (told)
    await step(tokens.liaison, 'contact', { outcome: 'told', by: 'phone', at: '2026-11-01T02:00:00Z', note: '' })
  const read = async (as: string, url: string, payload?: URLSearchParams) => {
    const { statusCode, body } = await app.inject({
      url,
      method: payload === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${as}`,
        accept: 'text/html',
        ...(payload === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' })
      },
      ...(payload === undefined ? {} : { payload: payload.toString() })
    })
    return { status: statusCode, html: body }
  }
  return {
    number,
    page: (as) => read(as, `/unit/${number}/bank`),
    async send(as, action, fields = {}) {
      const form = new URLSearchParams({ version: String(await version()) })
      const whole = { ...(action === 'decline' ? {} : FORM), ...fields }
      for (const [name, value] of Object.entries(whole)) for (const one of [value].flat()) form.append(name, one)
      return await read(as, `/unit/${number}/bank/${action}`, form)
    }
  }
}

const FORM = {
  entryVersion: '',
  question: '火星移民补贴到哪里领',
  variants: `${QUESTION}\n火星补贴怎么领`,
  answer: '带身份证到区医保局领，电话67560000。',
  basis: ['zc-1 第二条'],
  topic: '',
  titles: ''
}

/**
 * What becomes of an answer in the bank, alike on both databases.
 * @param environment with DATABASE_URL for PostgreSQL
 */
export function proposalContract(t: Test, environment: (t: Test) => Promise<NodeJS.ProcessEnv>): void {
  t.test('an answer is proposed, taken in, and found by the next one who asks', async (t) => {
    const own = await service(t, await environment(t))
    const { call, tokens, parts } = own
    // Asked the same, sent on to the unit by hand: has been told nothing.
    const earlier = await registered(own, `请问${QUESTION}？`)
    await call(tokens.clerk, 'POST', `/tickets/${earlier.number}/guide`, { version: 1, unit: 'mzj' })
    const one = await answered(own, QUESTION)
    const before = await call(null, 'GET', `/answers?zone=XZZX01&q=${encodeURIComponent(QUESTION)}`)
    t.not(before.body.decision, 'answer')

    const { html } = await one.page(tokens.liaison)
    t.match(html, /value="火星移民补贴在哪里领"/, 'the question as it was asked')
    t.match(html, /电话67560000/, 'the phone of an office stays')
    t.match(html, /name="basis" value="zc-1 第二条" checked/)
    t.match(html, /送分管领导审核/)
    t.notMatch(html, /不入库</, 'the liaison does not decide')

    const proposed = await one.send(tokens.liaison, 'propose')
    t.equal(proposed.status, 303, proposed.html)
    t.equal((await one.send(tokens.liaison, 'take')).status, 403)
    const shown = await one.page(tokens.leader)
    t.match(shown.html, /示例liaison于2026年11月23日 \d\d:\d\d 建议入库/)
    t.match(shown.html, /火星补贴怎么领/, 'as the liaison left it')
    const taken = await one.send(tokens.leader, 'take')
    t.equal(taken.status, 303, taken.html)

    for (const asked of ['火星移民补贴到哪里领', '火星补贴怎么领']) {
      const { body } = await call(null, 'GET', `/answers?zone=XZZX01&q=${encodeURIComponent(asked)}`)
      t.match(body, { decision: 'answer', hits: [{ id: one.number }] }, asked)
    }
    const ticket = await findTicket(parts.db, one.number)
    t.match(ticket?.bank, { state: 'taken', entry: one.number })
    const last = (await eventsOf(parts.db, one.number)).at(-1)
    t.match(last, { type: 'bank', data: { state: 'taken', askers: [earlier.number] } })
    const told = await parts.db.selectFrom('outbox').select('recipient').where('kind', '=', 'bank-taken').execute()
    t.same(told, [{ recipient: `citizen:${earlier.number}` }], 'who was told nothing is told now; the consultant was')
    t.match((await one.page(tokens.leader)).html, /已经收进政策问答库/)
    t.equal((await one.send(tokens.leader, 'decline', { reason: '不合适' })).status, 409)
  })

  t.test('what may not stand in the bank is refused with its field, and nothing is kept', async (t) => {
    const own = await service(t, await environment(t))
    const { tokens, parts } = own
    const one = await answered(own, '请问示例市民13800000001的火星补贴怎么领')
    const { html } = await one.page(tokens.leader)
    t.notMatch(/<form[\s\S]*<\/form>/.exec(html)?.[0] ?? '', /13800000001/, 'the offered wording holds no phone')
    const refused = async (fields: Record<string, string | string[]>, problem: RegExp, status = 422) => {
      const reply = await one.send(tokens.leader, 'take', fields)
      t.match({ status: reply.status, html: reply.html }, { status, html: problem })
      t.match(reply.html, '火星', 'what was typed is kept')
    }
    await refused({ basis: [] }, /依据：请至少选一份/)
    await refused({ basis: [], titles: '没有的文件' }, /依据：库里没有“没有的文件”/)
    await refused({ question: '火星补贴'.repeat(60) }, /问题：太长了，请缩短到 200/)
    await refused({ question: '?', variants: '火星' }, /问题：没有文字/)
    await refused({ question: '公租房怎么申请？' }, /问题：问答库里已有同一个问题（zhufang-001）/)
    await refused({ answer: '火星的事打13800000001问。' }, /答复：里面有个人的电话/)
    await refused({ variants: '火星的〔电话〕怎么办' }, /其他问法：里面有个人的电话/)
    await refused({ answer: '示例市民可以去火星。' }, /答复：里面有咨询人的姓名/)
    await refused({ topic: 'no-such' }, /主题：没有编号为 no-such 的主题/)
    await refused({ entryVersion: '3' }, /这条问答刚刚被别人改过/)
    await refused({ version: '1' }, /刚刚被别人办理过/, 409)
    t.equal(await parts.library.get('qa', one.number), null)
    t.equal((await parts.db.selectFrom('proposals').select('id').execute()).length, 0)
    t.equal((await findTicket(parts.db, one.number))?.bank, null)

    t.equal((await one.send(tokens.clerk, 'propose')).status, 403)
    t.equal((await one.send(tokens.leader, 'decline', { reason: ' ' })).status, 422)
    t.equal((await one.send(tokens.leader, 'decline', { reason: '只对他一家适用' })).status, 303)
    t.match((await one.page(tokens.liaison)).html, /上次没有入库：只对他一家适用/)
    const named = await one.send(tokens.leader, 'take', { basis: [], titles: '江北示发〔2025〕3号 第一条' })
    t.equal(named.status, 303, named.html)
    const entry = await parts.library.get('qa', one.number)
    t.same(entry?.content.basis, [{ document: 'zc-1', clause: '第一条' }], 'a document named by its number')
  })

  t.test('an answer goes into the bank only when the consultant knows it, and is changed by a later one', async (t) => {
    const own = await service(t, await environment(t))
    const { call, tokens, parts } = own
    const one = await answered(own, QUESTION, false)
    t.match((await one.page(tokens.leader)).html, /答复告知咨询人以后才能入库/)
    const early = await one.send(tokens.leader, 'take')
    t.match({ status: early.status, html: early.html }, { status: 409, html: /答复告知咨询人以后才能入库/ })
    const step = async (as: string, action: string, body: object) => {
      const { version } = (await findTicket(parts.db, one.number)) ?? { version: 0 }
      const reply = await call(as, 'POST', `/tickets/${one.number}/${action}`, { version, ...body })
      t.equal(reply.status, 200, `${action} ${reply.raw}`)
    }
    const told = { outcome: 'told', by: 'phone', at: '2026-11-01T02:00:00Z', note: '' }
    await step(tokens.liaison, 'contact', told)
    t.equal((await one.send(tokens.leader, 'take')).status, 303)
    await step(tokens.clerk, 'reopen', { reason: '没说地址' })
    await step(tokens.liaison, 'accept', {})
    await step(tokens.liaison, 'draft', { text: '到区医保局二楼领。', basis: BASIS, submit: true })
    await step(tokens.leader, 'approve', {})
    await step(tokens.liaison, 'contact', told)
    const { html } = await one.page(tokens.leader)
    t.match(html, /name="entryVersion" value="1"/)
    t.match(html, /到区医保局二楼领/)
    const changed = await one.send(tokens.leader, 'take', { entryVersion: '1', answer: '到区医保局二楼领。' })
    t.equal(changed.status, 303, changed.html)
    t.match(await parts.library.get('qa', one.number), { version: 2, content: { answer: '到区医保局二楼领。' } })
  })
}
