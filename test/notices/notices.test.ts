import t from 'tap'
import { join } from 'node:path'
import { callScript, staffText } from '../../src/notices/notices.ts'
import { temporaryFolder } from '../test-app.ts'
import { openScene, register } from './scene.ts'

const DUE = { dueOn: '2026-03-03', latestOn: '2026-03-03', provisional: false }

t.test('each event tells those it concerns, and nobody else', async (t) => {
  const db = await openScene(t, { kind: 'sqlite', file: join(temporaryFolder(t), 'z.db') })
  let seen = 0
  const told = async () => {
    const rows = await db
      .selectFrom('outbox')
      .select(['id', 'kind', 'recipient', 'data'])
      .where('id', '>', seen)
      .orderBy('id')
      .execute()
    seen = rows.at(-1)?.id ?? seen
    for (const { data } of rows) t.notMatch(data, /居住证|13800/, 'no question, no phone')
    return rows.map(({ kind, recipient }) => `${kind} ${recipient}`)
  }
  const one = await register(db, 'ZX-1', '2026-02-13T02:00:00.000Z')
  t.same(await told(), ['registered citizen', 'to-assign zone:XZZX01'])
  await one.move('assigned', '2026-02-13T02:10:00.000Z', {
    unit: 'ga',
    coUnits: ['mz'],
    due: DUE,
    day: '2026-02-13',
    designated: false
  })
  t.same(await told(), ['assigned unit:ga:liaison', 'taking-part unit:mz:liaison'])
  await one.move('accepted', '2026-02-13T03:00:00.000Z', {})
  t.same(await told(), [])
  await one.move('returned', '2026-02-13T03:00:00.000Z', { reason: '不归我们', proposed: 'mz', toOffice: false })
  t.same(await told(), ['returned zone:XZZX01'])
  await one.move('assigned', '2026-02-13T04:00:00.000Z', {
    unit: 'mz',
    coUnits: [],
    due: DUE,
    day: '2026-02-13',
    designated: false
  })
  t.same(await told(), ['assigned unit:mz:liaison'])
  await one.move('returned', '2026-02-13T05:00:00.000Z', { reason: '也不归我们', proposed: 'ga', toOffice: true })
  t.same(await told(), ['returned-again office'])
  await one.move('assigned', '2026-02-13T06:00:00.000Z', {
    unit: 'ga',
    coUnits: [],
    due: DUE,
    day: '2026-02-13',
    designated: true
  })
  t.same(await told(), ['designated unit:ga:liaison', 'designated unit:ga:leader'])
  await one.move('drafted', '2026-02-13T06:00:00.000Z', { text: '可以办', basis: [], submitted: false })
  t.same(await told(), [])
  await one.move('drafted', '2026-02-13T06:00:00.000Z', { text: '可以办', basis: [], submitted: true })
  t.same(await told(), ['submitted unit:ga:leader'])
  await one.move('revised', '2026-02-13T06:00:00.000Z', { reason: '写清楚' })
  t.same(await told(), ['revised unit:ga:liaison'])
  await one.move('drafted', '2026-02-13T06:00:00.000Z', { text: '带身份证', basis: [], submitted: true })
  await one.move('approved', '2026-02-13T06:00:00.000Z', { self: false })
  t.same(await told(), ['submitted unit:ga:leader', 'approved unit:ga:liaison'])
  await one.move('recounted', '2026-02-13T06:00:00.000Z', { due: DUE, reason: '放假安排公布' })
  t.same(await told(), ['recounted unit:ga:liaison', 'recounted citizen'])
  await one.move('gained', '2026-02-13T06:00:00.000Z', { number: 'ZX-2' })
  t.same(await told(), ['gained unit:ga:liaison'])
  const contacted = { by: 'phone' as const, at: '2026-02-13T07:00:00.000Z', note: '', day: '2026-02-13', answer: null }
  await one.move('contacted', '2026-02-13T07:00:00.000Z', { ...contacted, outcome: 'unreached', unreached: false })
  t.same(await told(), [])
  const script = callScript(one.ticket, '示例区公安分局')
  t.match(script.map(({ text }) => text).join('\n'), /示例区公安分局[\s\S]*ZX-1[\s\S]*带身份证[\s\S]*解决了/)
  t.notMatch(JSON.stringify(script), /居住证/, 'the question is not read out')
  await one.move('contacted', '2026-02-13T07:00:00.000Z', { ...contacted, outcome: 'told', unreached: false })
  t.same(await told(), ['answered citizen'])
  await one.move('bank', '2026-02-13T07:00:00.000Z', { state: 'proposed', entry: null, reason: null, askers: [] })
  await one.move('bank', '2026-02-13T07:00:00.000Z', { state: 'taken', entry: 'qa1', reason: null, askers: ['N2'] })
  t.same(await told(), ['bank-proposed unit:ga:leader', 'bank-taken citizen:N2'])
  await one.move('reopened', '2026-02-14T07:00:00.000Z', { reason: '没解决', due: DUE, day: '2026-02-14' })
  t.same(await told(), ['reopened unit:ga:liaison', 'reopened unit:ga:leader', 'reopened office', 'reopened citizen'])
  await one.move('reminded', '2026-02-14T08:00:00.000Z', {
    kind: 'overdue@2/2026-03-03',
    to: ['unit:ga:leader', 'office']
  })
  t.same(await told(), ['overdue unit:ga:leader', 'overdue office'])
  await one.move('withdrawn', '2026-02-14T08:00:00.000Z', { reason: '不问了' })
  t.same(await told(), ['withdrawn unit:ga:liaison'])
})

t.test('a text names the last day, and says so of a kind it does not know', async (t) => {
  const data = { unit: 'ga', dueOn: '2026-03-03', provisional: true, joined: 2 }
  t.equal(
    staffText('approved', 'ZX-1', data, '示例局'),
    '咨询 ZX-1 的答复已审核通过，请联系咨询人答复，最迟2026年3月3日答复咨询人（暂定）（另有并入的 2 件，也要逐一告知）。'
  )
  t.equal(
    staffText('overdue', 'ZX-1', { ...data, unit: null }, null),
    '咨询 ZX-1 已超期（尚未交办），期限是2026年3月3日，请马上答复咨询人并说明原因。'
  )
  t.equal(staffText('later-kind', 'ZX-1', data, null), '咨询 ZX-1 有新的进展。')
})
