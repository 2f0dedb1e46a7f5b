import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Actor } from '../accounts/roles.ts'
import { dayOf } from '../calendar/day.ts'
import type { Database } from '../database/open.ts'
import type { Role } from '../database/schema.ts'
import { AREAS_OF } from '../directory/areas.ts'
import { act, type ActionRequest, type ActNeeds } from './act.ts'
import { removeSampleEvents } from './events.ts'
import { type IntakeNeeds, register } from './intake.ts'
import { rate } from './rating.ts'
import { findTicket } from './records.ts'
import { CHANNELS } from './ticket.ts'

type Needs = IntakeNeeds & ActNeeds

/** What happens to one sample consultation: steps in order, and how many days before today it began. */
interface Life {
  steps: readonly Step[]
  daysAgo: number
}
type Step =
  | 'on the spot'
  | 'guided'
  | 'assign'
  | 'accept'
  | 'draft'
  | 'submit'
  | 'approve'
  | 'revise'
  | 'unreached'
  | 'told'
  | 'solved'
  | 'unsolved'
  | 'return'
  | 'withdraw'

const TO_REVIEW: readonly Step[] = ['assign', 'accept', 'submit']
const TO_APPROVAL: readonly Step[] = [...TO_REVIEW, 'approve']
/** Every state a consultation can be in, late ones too; together 66 of them. */
const LIVES: readonly Life[] = [
  ...times(14, { steps: ['on the spot'], daysAgo: 9 }),
  ...times(6, { steps: ['guided'], daysAgo: 8 }),
  ...times(4, { steps: [], daysAgo: 0 }),
  ...times(2, { steps: [], daysAgo: 3 }),
  ...times(4, { steps: ['assign'], daysAgo: 2 }),
  ...times(2, { steps: ['assign'], daysAgo: 12 }),
  ...times(3, { steps: ['assign', 'return'], daysAgo: 4 }),
  ...times(1, { steps: ['assign', 'return', 'assign', 'return'], daysAgo: 5 }),
  ...times(3, { steps: ['assign', 'accept'], daysAgo: 3 }),
  ...times(3, { steps: ['assign', 'accept', 'draft'], daysAgo: 6 }),
  ...times(3, { steps: TO_REVIEW, daysAgo: 4 }),
  ...times(2, { steps: [...TO_REVIEW, 'revise'], daysAgo: 5 }),
  ...times(3, { steps: TO_APPROVAL, daysAgo: 5 }),
  ...times(2, { steps: [...TO_APPROVAL, 'unreached'], daysAgo: 6 }),
  ...times(2, { steps: [...TO_APPROVAL, 'unreached', 'unreached', 'unreached'], daysAgo: 14 }),
  ...times(4, { steps: [...TO_APPROVAL, 'told'], daysAgo: 7 }),
  ...times(4, { steps: [...TO_APPROVAL, 'told', 'solved'], daysAgo: 20 }),
  ...times(3, { steps: [...TO_APPROVAL, 'told', 'unsolved'], daysAgo: 9 }),
  ...times(1, { steps: ['withdraw'], daysAgo: 6 })
]

function times(count: number, life: Life): Life[] {
  return Array.from({ length: count }, () => life)
}

const DAY_MS = 24 * 3600 * 1000
/** Between two steps: most of a working day. */
const STEP_MS = 7 * 3600 * 1000
const BETWEEN_MS = 20
const SETTING = 'sample-consultations'

/**
 * Lays sample consultations of every state into a database that holds none, once: numbered and chained apart, by the same
 * functions that real ones take.
 * @returns how many were laid
 */
export async function layDownSampleConsultations(needs: Needs): Promise<number> {
  const { db, library } = needs
  const laid = await db.selectFrom('settings').select('name').where('name', '=', SETTING).executeTakeFirst()
  const any = await db.selectFrom('consultations').select('number').limit(1).executeTakeFirst()
  const questions = await library.questions()
  const units = [...(await library.all('unit')).values()].map(({ content }) => content.id)
  const zone = [...(await library.all('zone')).values()].find(({ content }) =>
    AREAS_OF[content.venueKind].includes('consultation')
  )
  const [document] = (await library.documents()).keys()
  if (laid !== undefined || any !== undefined || questions.length === 0 || zone === undefined) return 0
  await db
    .insertInto('settings')
    .values({ name: SETTING, value: 'true', changed_at: needs.now().toISOString(), changed_by: 'system' })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const started = needs.now().getTime()
  for (const [at, { steps, daysAgo }] of LIVES.entries()) {
    // Whoever asks meanwhile goes first.
    await wait(BETWEEN_MS)
    // Spread over the bank, so that units and topics differ.
    const { id: entry, question, unit } = questions[(at * 37) % questions.length] as (typeof questions)[number]
    let moment = started - daysAgo * DAY_MS
    const clock = { ...needs, now: () => new Date(moment), today: () => dayOf(new Date(moment)) }
    const person = personOf(zone.content.id, unit)
    const settled = steps[0] === 'on the spot' || steps[0] === 'guided'
    const { number } = await register(clock, {
      key: randomUUID(),
      question: settled ? question : `${question}（示例第${at + 1}件）`,
      queryId: null,
      zone: zone.content.id,
      channel: settled ? 'desk' : (CHANNELS[at % CHANNELS.length] as (typeof CHANNELS)[number]),
      audience: at % 5 === 0 ? 'business' : 'person',
      contact: settled ? null : { name: `示例市民${at + 1}`, phone: `1380000${String(1000 + at)}` },
      answeredWith: steps[0] === 'on the spot' ? entry : null,
      guidedTo: steps[0] === 'guided' ? unit : null,
      staff: settled ? person('clerk') : null,
      chain: 'sample'
    })
    for (const step of settled ? [] : steps) {
      moment = Math.min(moment + STEP_MS, started)
      if (step === 'solved' || step === 'unsolved') {
        await rate(clock, number, step === 'solved')
        continue
      }
      const ticket = await findTicket(db, number)
      const other = units.find((one) => one !== ticket?.unit) ?? unit
      const [role, request] = requestOf(step, { unit, other, document, at: new Date(moment).toISOString() })
      // After a second return only the office assigns.
      const who = step === 'assign' && ticket?.toOffice === true ? 'office' : role
      await act(clock, person(who), number, ticket?.version ?? 0, request)
      // Three attempts lie on two days at least.
      if (step === 'unreached') moment = Math.min(moment + DAY_MS, started)
    }
  }
  return LIVES.length
}

interface Around {
  unit: string
  other: string
  document: string | undefined
  at: string
}

function requestOf(step: Step, { unit, other, document, at }: Around): [Role, ActionRequest] {
  const basis =
    document === undefined
      ? [{ document: null, title: '示例文件名称', clause: null }]
      : [{ document, title: null, clause: null }]
  const draft = { text: '这是示例答复：请带身份证到窗口办理，五个工作日内办结。', basis }
  switch (step) {
    case 'assign':
      return ['clerk', { action: 'assign', body: { unit } }]
    case 'accept':
      return ['liaison', { action: 'accept', body: {} }]
    case 'draft':
      return ['liaison', { action: 'draft', body: { ...draft, submit: false } }]
    case 'submit':
      return ['liaison', { action: 'draft', body: { ...draft, submit: true } }]
    case 'approve':
      return ['leader', { action: 'approve', body: {} }]
    case 'revise':
      return ['leader', { action: 'revise', body: { reason: '示例：请写清楚要带的材料。' } }]
    case 'return':
      return ['liaison', { action: 'return', body: { reason: '示例：不属于本单位职责。', unit: other } }]
    case 'unreached':
      return ['liaison', { action: 'contact', body: { outcome: 'unreached', by: 'phone', at, note: '示例：没有接听' } }]
    case 'told':
      return ['liaison', { action: 'contact', body: { outcome: 'told', by: 'phone', at, note: '' } }]
    default:
      return ['clerk', { action: 'withdraw', body: { reason: '示例：咨询人说不用了。' } }]
  }
}

/** Sample staff of a zone and a unit; they need no account to have acted. */
function personOf(zone: string, unit: string): (role: Role) => Actor {
  return (role) => ({
    id: `sample-${role}`,
    username: `sample-${role}`,
    name: `示例${role}`,
    role,
    zone: role === 'clerk' ? zone : null,
    unit: role === 'liaison' || role === 'leader' ? unit : null,
    sample: true,
    roles: role === 'liaison' || role === 'leader' ? [{ unit, role, standsInFor: null }] : [],
    approvesOwn: []
  })
}

/** Takes every sample consultation out again, with its events; real ones are refused by the database itself. */
export async function removeSampleConsultations(db: Database): Promise<{ consultations: number }> {
  return await db.transaction().execute(async (trx) => {
    const samples = trx.selectFrom('consultations').select('number').where('chain', '=', 'sample')
    for (const table of ['contacts', 'intents', 'proposals'] as const)
      await trx.deleteFrom(table).where('number', 'in', samples).execute()
    await trx.deleteFrom('outbox').where('chain', '=', 'sample').execute()
    await removeSampleEvents(trx)
    const { numDeletedRows } = await trx
      .deleteFrom('consultations')
      .where('chain', '=', 'sample')
      .executeTakeFirstOrThrow()
    return { consultations: Number(numDeletedRows) }
  })
}
