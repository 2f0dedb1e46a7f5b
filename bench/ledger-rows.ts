import { join } from 'node:path'
import { openFieldKey } from '../src/accounts/field-key.ts'
import { sealContact } from '../src/consultations/contacts.ts'
import { type EventData, type EventType, type TicketEvent, ticketFrom } from '../src/consultations/ticket.ts'
import { openDatabase } from '../src/database/open.ts'
import { random } from './entries.ts'

const DAY_MS = 24 * 3600_000
const BATCH = 500
const at = (ms: number) => new Date(ms).toISOString()

/** Lays answered, waiting and on-the-spot consultations of two years into a data folder's SQLite database; no events. */
export async function layConsultations(folder: string, rows: number): Promise<void> {
  const db = await openDatabase({ kind: 'sqlite', file: join(folder, 'zhengxun.db') })
  const key = openFieldKey(join(folder, 'field.key'))
  const next = random(42)
  const first = Date.parse('2024-11-25T01:00:00Z')
  await db.transaction().execute(async (trx) => {
    for (let done = 0; done < rows; done += BATCH) {
      const laid = Array.from({ length: Math.min(BATCH, rows - done) }, (_, n) => {
        const registered = first + Math.floor(((done + n) / rows) * 730) * DAY_MS + (done + n)
        return consultation(`ZX-XZZX01-20241125-${String(done + n).padStart(6, '0')}-0`, registered, next())
      })
      await trx
        .insertInto('consultations')
        .values(
          laid.map((ticket) => {
            const { number, chain, zone, unit, state, version, channel, registeredAt, registeredOn, due, head } = ticket
            return {
              ...{ number, chain, zone, unit, state, version, channel, head, normal: number },
              open: ticket.answeredAt === null ? (1 as const) : (0 as const),
              registered_at: registeredAt,
              registered_on: registeredOn,
              due_on: ticket.answeredAt === null ? (due?.dueOn ?? null) : null,
              ticket: JSON.stringify(ticket)
            }
          })
        )
        .execute()
      const contact = { name: '示例居民', phone: '13800000000' }
      const sealed = laid.map(({ number }) => sealContact(key, number, { contact, question: null, code: 'ABC234' }))
      await trx.insertInto('contacts').values(sealed).execute()
    }
  })
  await db.destroy()
}

const QUESTION = '我在外地上班，老人户口在江北，退休以后医保想从外地转过来，不知道要带什么材料、到哪里办、多久能办好？'
const ANSWER = '您好。退休人员的职工医保可以转入本区，请带身份证和原参保地的缴费凭证到区医保事务中心办理。'.repeat(6)

function consultation(number: string, registered: number, share: number) {
  const day = at(registered).slice(0, 10)
  const due = {
    dueOn: at(registered + 7 * DAY_MS).slice(0, 10),
    latestOn: at(registered + 7 * DAY_MS).slice(0, 10),
    provisional: false
  }
  const search = {
    queryId: number,
    decision: 'escalate' as const,
    confidence: 0.4,
    candidates: Array.from({ length: 5 }, (_, n) => ({ key: `qa/yibao-00${n}`, version: 1, confidence: 0.4 - n / 20 }))
  }
  const events: TicketEvent[] = []
  const happen = <Type extends EventType>(type: Type, hours: number, data: EventData[Type]) =>
    events.push({
      number,
      version: events.length + 1,
      at: at(registered + hours * 3600_000),
      actor: 'demo',
      role: 'clerk',
      type,
      data
    } as TicketEvent)
  happen('registered', 0, {
    zone: 'XZZX01',
    channel: 'desk',
    audience: 'person',
    question: QUESTION,
    topic: null,
    search,
    hasContact: true,
    suggestedUnit: 'ybj',
    due,
    day
  })
  if (share < 0.4) happen('answered', 0, { entry: 'yibao-001', version: 1, day })
  else {
    happen('assigned', 1, { unit: 'ybj', coUnits: [], due, day, designated: false })
    happen('accepted', 3, {})
    if (share < 0.95) {
      happen('drafted', 24, {
        text: ANSWER,
        basis: [{ document: 'zc-1', title: null, clause: '第二条' }],
        submitted: true
      })
      happen('approved', 26, { self: false })
      happen('contacted', 48, {
        outcome: 'told',
        by: 'phone',
        at: at(registered + 48 * 3600_000),
        note: '',
        day: at(registered + 2 * DAY_MS).slice(0, 10),
        unreached: false,
        answer: null
      })
    }
  }
  return ticketFrom(events, 'real')
}
