import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import type { Test } from 'tap'
import { append, SYSTEM } from '../../src/consultations/events.ts'
import type { EventData, EventType, Ticket } from '../../src/consultations/ticket.ts'
import { type Database, type DatabaseAddress, migrate, openDatabase } from '../../src/database/open.ts'
import type { Chain, Role } from '../../src/database/schema.ts'
import type { NoticeNeeds } from '../../src/notices/dispatch.ts'
import type { AppendReminder } from '../../src/notices/reminders.ts'

export const logger = pino({ level: 'silent' })

/** A migrated database that closes with the test. */
export async function openScene(t: Test, address: DatabaseAddress): Promise<Database> {
  const db = await openDatabase(address)
  t.teardown(() => db.destroy())
  await migrate(db)
  return db
}

/** Somebody at work; the user name is the id. */
export async function addPerson(
  db: Database,
  id: string,
  role: Role,
  { zone = null, unit = null, mail = null }: { zone?: string | null; unit?: string | null; mail?: string | null } = {}
): Promise<void> {
  await db
    .insertInto('staff')
    .values({
      id,
      username: id,
      name: `示例${id}`,
      role,
      zone,
      unit,
      mail,
      password: '',
      first_password: 0,
      locked_until: null,
      disabled_at: null,
      sample: 1,
      created_at: '2026-01-01T00:00:00.000Z'
    })
    .execute()
}

const REGISTERED: EventData['registered'] = {
  zone: 'XZZX01',
  channel: 'kiosk',
  audience: 'person',
  question: '怎么办居住证',
  topic: null,
  search: { queryId: 'q', decision: 'escalate', confidence: 0, candidates: [] },
  hasContact: true,
  suggestedUnit: 'ga',
  due: { dueOn: '2026-03-02', latestOn: '2026-03-02', provisional: false },
  day: '2026-02-13'
}

/** One consultation, moved on by events as the core appends them. */
export interface Moving {
  number: string
  ticket: Ticket
  /** Reads it anew after the program itself has moved it. */
  refresh(): Promise<void>
  move<Type extends EventType>(type: Type, at: string, data: EventData[Type]): Promise<void>
}

export async function register(
  db: Database,
  number: string,
  at: string,
  data: Partial<EventData['registered']> = {},
  chain: Chain = 'real'
): Promise<Moving> {
  const step = async (ticket: Ticket | null, type: EventType, on: string, said: EventData[EventType]) =>
    await db
      .transaction()
      .execute((trx) =>
        append(trx, { chain, number, ticket, normal: number }, { type, data: said, by: SYSTEM, at: on })
      )
  const moving: Moving = {
    number,
    ticket: await step(null, 'registered', at, { ...REGISTERED, ...data }),
    async refresh() {
      const rows = db.selectFrom('consultations').select('ticket').where('number', '=', number)
      moving.ticket = JSON.parse((await rows.executeTakeFirstOrThrow()).ticket) as Ticket
    },
    async move(type, on, said) {
      moving.ticket = await step(moving.ticket, type, on, said)
    }
  }
  return moving
}

/** As the core does it: nothing is appended to a consultation that has moved on. */
export function reminderOf(db: Database, at: () => string): AppendReminder {
  return async (number, version, kind, to) =>
    await db.transaction().execute(async (trx) => {
      const row = await trx
        .selectFrom('consultations')
        .selectAll()
        .where('number', '=', number)
        .executeTakeFirstOrThrow()
      if (row.version !== version) return false
      const standing = { chain: row.chain, number, ticket: JSON.parse(row.ticket) as Ticket }
      await append(trx, standing, { type: 'reminded', data: { kind, to }, by: SYSTEM, at: at() })
      return true
    })
}

/** What the dispatcher needs, over a clock the test moves. */
export function needsOf(db: Database, config: Partial<NoticeNeeds['config']>, clock: { now: Date }): NoticeNeeds {
  return {
    db,
    config: { mail: null, webhook: null, publicUrl: 'https://zx.example', ...config },
    logger,
    now: () => clock.now,
    today: () => '2026-02-13',
    calendar: () => ({ isWorkingDay: () => true }),
    openContact: async (number) => (number === 'ERASED' ? null : { phone: '13800000000' }),
    linkFor: (number, unit, role) => `https://zx.example/t/${number}/${unit}/${role}`,
    unitName: async (id) => (id === 'ga' ? '示例区公安分局' : null),
    appendReminder: reminderOf(db, () => clock.now.toISOString())
  }
}

/** Owes a notice directly. */
export async function owe(
  db: Database,
  { number, kind, recipient, chain = 'real' }: { number: string; kind: string; recipient: string; chain?: Chain }
): Promise<void> {
  await db
    .insertInto('outbox')
    .values({
      once: randomUUID(),
      chain,
      number,
      kind,
      recipient,
      data: JSON.stringify({ unit: 'ga', dueOn: '2026-03-02', provisional: false, joined: 0 }),
      created_at: '2026-02-13T01:00:00.000Z',
      done_at: null
    })
    .execute()
}
