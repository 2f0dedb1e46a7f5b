import { createHash } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { type Selectable, sql, type Transaction } from 'kysely'
import * as z from 'zod'
import type { Config } from '../config.ts'
import { type Database, withoutWaiting } from '../database/open.ts'
import type { DeliveriesTable, OutboxTable, Role, Schema } from '../database/schema.ts'
import { type Addressee, addresseeOf, citizenText, type NoticeData, staffText } from './notices.ts'
import { type AppendReminder, remind } from './reminders.ts'
import { callWebhook, MAILS_AT_ONCE, type Mailer, type Outcome, openMailer, SEND_TIMEOUT_MS } from './senders.ts'

/** What notices need of the rest. */
export interface NoticeNeeds {
  db: Database
  config: Pick<Config, 'mail' | 'webhook' | 'publicUrl'>
  logger: FastifyBaseLogger
  now: () => Date
  /** `YYYY-MM-DD`: stand-ins go by it. */
  today: () => string
  /** Whether people work that day; asked anew each time, because a notice may have been imported. */
  calendar: () => { isWorkingDay(day: string): boolean }
  /** How a consultant is reached, opened only when a short message goes out; null where no contact is left. */
  openContact: (number: string) => Promise<{ phone: string } | null>
  /** Signed address of one ticket, for a liaison or leader without an account. */
  linkFor: (number: string, unit: string, role: 'liaison' | 'leader') => string
  unitName: (id: string) => Promise<string | null>
  appendReminder: AppendReminder
}

export interface Notices {
  /** Looks into the outbox now; called after every commit that may have filled it. */
  poke(): void
  /** Sends what is due and waits for it; for tests and the stop. */
  flush(): Promise<void>
  close(): Promise<void>
}

const LOOK_EVERY_MS = 2000
const REMIND_EVERY_MS = 60_000
/** Notices expanded in one transaction. */
const BATCH = 100
const HOOKS_AT_ONCE = 8
/** Between tries: 1 min, 5 min, 30 min, 2 h, 6 h; ours: over night a server is mended or somebody has looked. */
export const BACKOFF_MS: readonly number[] = [1, 5, 30, 120, 360].map((minutes) => minutes * 60_000)
/** A try is over well before: then another process may take what a dead one had in hand. */
const LEASE_MS = 120_000
/** Nothing waits so long but by a clock that was set back. */
const LONGEST_WAIT_MS = Math.max(...BACKOFF_MS) + 3600_000

const Data = z.object({
  unit: z.string().nullable().catch(null),
  dueOn: z.string().nullable().catch(null),
  provisional: z.boolean().catch(false),
  joined: z.number().catch(0)
})
const NO_DATA: NoticeData = { unit: null, dueOn: null, provisional: false, joined: 0 }

function readData(json: string): NoticeData {
  try {
    return Data.catch(NO_DATA).parse(JSON.parse(json))
  } catch {
    return NO_DATA
  }
}

interface Person {
  id: string
  mail: string | null
}

type NewDelivery = Pick<DeliveriesTable, 'channel' | 'recipient'>

/**
 * Starts to send what the outbox holds and to climb the reminder ladder. Nothing it does throws into the process; what the
 * database or a server refuses is tried again.
 * @param timeoutMs after which a silent server counts as down
 */
export function openNotices(needs: NoticeNeeds, { timeoutMs = SEND_TIMEOUT_MS, timers = true } = {}): Notices {
  const { config, logger, now } = needs
  const mailer = config.mail === null ? null : openMailer(config.mail, timeoutMs)
  /** Sent or failed, and not yet written down because the database was away. */
  const unrecorded = new Map<number, { attempts: number; outcome: Outcome }>()
  let closed = false
  let running: Promise<void> | null = null
  let again = false
  let complaint = ''

  async function look(): Promise<void> {
    do {
      again = false
      try {
        while ((await expand(needs)) === BATCH && !closed);
        await record(needs, unrecorded)
        await Promise.all([lane('mail', MAILS_AT_ONCE, mailer), lane('webhook', HOOKS_AT_ONCE, mailer)])
        complaint = ''
      } catch (error) {
        // Once, not every two seconds while the database is away.
        const { message } = error as Error
        if (message !== complaint) logger.warn({ err: error }, 'notices wait: tried again in two seconds')
        complaint = message
      }
    } while (again && !closed)
  }

  async function lane(channel: 'mail' | 'webhook', most: number, mailer: Mailer | null): Promise<void> {
    while (!closed) {
      const claimed = await claim(needs, channel, most, unrecorded)
      if (claimed.length === 0) return
      await Promise.all(
        claimed.map(async (delivery) => {
          const outcome = await sendOne(needs, delivery, mailer, timeoutMs)
          unrecorded.set(delivery.id, { attempts: delivery.attempts, outcome })
        })
      )
      await record(needs, unrecorded)
    }
  }

  function run(): Promise<void> {
    if (running !== null) {
      again = true
      return running
    }
    running = look().finally(() => {
      running = null
    })
    return running
  }

  let reminding: Promise<void> | null = null
  function climb(): void {
    reminding ??= remind({ ...needs, calendar: needs.calendar() }, now())
      .then((taken) => {
        if (taken > 0) poke()
      })
      .catch((error: unknown) => logger.warn({ err: error }, 'reminders wait: tried again in a minute'))
      .finally(() => {
        reminding = null
      })
  }

  function poke(): void {
    if (!closed) void run()
  }

  const intervals = timers
    ? [setInterval(poke, LOOK_EVERY_MS).unref(), setInterval(climb, REMIND_EVERY_MS).unref()]
    : []

  return {
    poke,
    flush: run,
    async close() {
      closed = true
      for (const interval of intervals) clearInterval(interval)
      await reminding
      await running
      mailer?.close()
    }
  }
}

/**
 * Turns notices into deliveries, one to each person and channel, and rings the bells. In order of ids and in one transaction, so
 * that two processes wait for each other and no later notice is there before an earlier one of its ticket.
 */
async function expand({ db, config, now, today, unitName }: NoticeNeeds): Promise<number> {
  const waiting = await db
    .selectFrom('outbox')
    .selectAll()
    .where('done_at', 'is', null)
    .orderBy('id')
    .limit(BATCH)
    .execute()
  if (waiting.length === 0) return 0
  const at = now().toISOString()
  const names = new Map<string, string | null>()
  for (const { data } of waiting) {
    const { unit } = readData(data)
    if (unit !== null && !names.has(unit)) names.set(unit, await unitName(unit))
  }
  await withoutWaiting(db, (writer) =>
    writer.transaction().execute(async (trx) => {
      for (const row of waiting) {
        const { numUpdatedRows } = await trx
          .updateTable('outbox')
          .set({ done_at: at })
          .where('id', '=', row.id)
          .where('done_at', 'is', null)
          .executeTakeFirstOrThrow()
        if (numUpdatedRows === 0n) continue
        const addressee = addresseeOf(row.recipient)
        if (addressee === null || (row.kind === 'to-assign' && !(await waitsForDesk(trx, row.number)))) continue
        if (addressee.kind === 'citizen') {
          if (row.chain === 'real' && config.webhook !== null && citizenText(row.kind, row.number, NO_DATA) !== null) {
            await insertDeliveries(trx, row, [{ channel: 'webhook', recipient: 'citizen' }], at)
          }
          continue
        }
        const data = readData(row.data)
        const text = staffText(row.kind, row.number, data, names.get(data.unit ?? '') ?? null)
        const { people, missing } = await peopleOf(trx, addressee, today())
        const said = missing ? `（${MISSING}）${text}` : text
        if (people.length > 0) {
          await trx
            .insertInto('bells')
            .values(
              people.map(({ id }) => ({
                staff: id,
                outbox: row.id,
                number: row.number,
                text: said,
                created_at: at,
                read_at: null
              }))
            )
            .onConflict((conflict) => conflict.doNothing())
            .execute()
        }
        const deliveries: NewDelivery[] = people.map(({ id }) => ({ channel: 'bell', recipient: id }))
        if (row.chain === 'real') {
          if (config.mail !== null) {
            for (const { id, mail } of people) if (mail !== null) deliveries.push({ channel: 'mail', recipient: id })
          }
          if (config.webhook !== null) {
            for (const { id } of people) deliveries.push({ channel: 'webhook', recipient: id })
            // The gateway may know who answers there.
            if (missing || people.length === 0) deliveries.push({ channel: 'webhook', recipient: row.recipient })
          }
        }
        await insertDeliveries(trx, row, deliveries, at)
      }
    })
  )
  return waiting.length
}

const MISSING = '该单位没有对应人员的账号，请代为转告'

async function insertDeliveries(
  trx: Transaction<Schema>,
  { id }: Selectable<OutboxTable>,
  deliveries: readonly NewDelivery[],
  at: string
): Promise<void> {
  if (deliveries.length === 0) return
  await trx
    .insertInto('deliveries')
    .values(
      deliveries.map(({ channel, recipient }) => ({
        outbox: id,
        channel,
        recipient,
        state: channel === 'bell' ? ('sent' as const) : ('waiting' as const),
        attempts: 0,
        not_before: at,
        error: null,
        done_at: channel === 'bell' ? at : null
      }))
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** A question answered or joined in the same breath needs no desk. */
async function waitsForDesk(trx: Transaction<Schema>, number: string): Promise<boolean> {
  const row = await trx.selectFrom('consultations').select('state').where('number', '=', number).executeTakeFirst()
  return row === undefined || ['REGISTERED', 'TO_ASSIGN', 'RETURNED'].includes(row.state)
}

/** Who is meant today, stand-ins included; where a unit has nobody of that role, the unit's other one, else the office. */
async function peopleOf(
  trx: Transaction<Schema>,
  addressee: Exclude<Addressee, { kind: 'citizen' }>,
  today: string
): Promise<{ people: Person[]; missing: boolean }> {
  if (addressee.kind === 'office') return { people: await withRole(trx, 'office', null, today), missing: false }
  if (addressee.kind === 'zone') {
    const people = await withRole(trx, 'clerk', { zone: addressee.zone }, today)
    return people.length > 0
      ? { people, missing: false }
      : { people: await withRole(trx, 'office', null, today), missing: true }
  }
  const { unit, role } = addressee
  for (const one of [role, role === 'liaison' ? 'leader' : 'liaison'] as const) {
    const people = await withRole(trx, one, { unit }, today)
    if (people.length > 0) return { people, missing: false }
  }
  return { people: await withRole(trx, 'office', null, today), missing: true }
}

async function withRole(
  trx: Transaction<Schema>,
  role: Role,
  at: { zone: string } | { unit: string } | null,
  today: string
): Promise<Person[]> {
  let own = trx.selectFrom('staff').select(['id', 'mail']).where('role', '=', role).where('disabled_at', 'is', null)
  if (at !== null) own = 'zone' in at ? own.where('zone', '=', at.zone) : own.where('unit', '=', at.unit)
  const people = await own.orderBy('id').execute()
  if (at === null || 'zone' in at) return people
  const standing = await trx
    .selectFrom('stand_ins')
    .innerJoin('staff as absent', 'absent.id', 'stand_ins.absent')
    .innerJoin('staff', 'staff.id', 'stand_ins.staff')
    .select(['staff.id', 'staff.mail'])
    .where('absent.role', '=', role)
    .where('absent.unit', '=', at.unit)
    .where('staff.disabled_at', 'is', null)
    .where('stand_ins.from_on', '<=', today)
    .where('stand_ins.until_on', '>=', today)
    .execute()
  return [...new Map([...people, ...standing].map((person) => [person.id, person])).values()]
}

interface Claimed {
  id: number
  /** With this one. */
  attempts: number
  channel: DeliveriesTable['channel']
  /** Id of a member of staff, a role of a unit, or `citizen`. */
  recipient: string
  once: string
  number: string
  kind: string
  /** Whom the notice addressed. */
  addressed: string
  data: string
  username: string | null
  mail: string | null
}

/** Takes deliveries that are due for this process alone, none before an earlier one of its ticket to the same person. */
async function claim(
  { db, now }: NoticeNeeds,
  channel: 'mail' | 'webhook',
  most: number,
  unrecorded: ReadonlyMap<number, unknown>
): Promise<Claimed[]> {
  const at = now()
  const due = at.toISOString()
  const astray = new Date(at.getTime() + LONGEST_WAIT_MS).toISOString()
  const rows = await db
    .selectFrom('deliveries')
    .innerJoin('outbox', 'outbox.id', 'deliveries.outbox')
    .leftJoin('staff', 'staff.id', 'deliveries.recipient')
    .select([
      'deliveries.id',
      'deliveries.attempts',
      'deliveries.channel',
      'deliveries.recipient',
      'outbox.once',
      'outbox.number',
      'outbox.kind',
      'outbox.recipient as addressed',
      'outbox.data',
      'staff.username',
      'staff.mail'
    ])
    .where('deliveries.channel', '=', channel)
    .where('deliveries.state', '=', 'waiting')
    .where((eb) => eb.or([eb('deliveries.not_before', '<=', due), eb('deliveries.not_before', '>', astray)]))
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('outbox as earlier')
            .innerJoin('deliveries as before', 'before.outbox', 'earlier.id')
            .select(sql.lit(1).as('one'))
            .whereRef('earlier.number', '=', 'outbox.number')
            .whereRef('earlier.id', '<', 'outbox.id')
            .whereRef('before.channel', '=', 'deliveries.channel')
            .whereRef('before.recipient', '=', 'deliveries.recipient')
            .where('before.state', '=', 'waiting')
        )
      )
    )
    .orderBy('deliveries.id')
    .limit(most)
    .execute()
  const free = rows.filter(({ id }) => !unrecorded.has(id))
  if (free.length === 0) return []
  const until = new Date(at.getTime() + LEASE_MS).toISOString()
  const claimed: Claimed[] = []
  await withoutWaiting(db, async (writer) => {
    for (const row of free) {
      // Whoever comes second finds another number of attempts.
      const { numUpdatedRows } = await writer
        .updateTable('deliveries')
        .set({ attempts: row.attempts + 1, not_before: until })
        .where('id', '=', row.id)
        .where('state', '=', 'waiting')
        .where('attempts', '=', row.attempts)
        .executeTakeFirstOrThrow()
      if (numUpdatedRows === 1n) claimed.push({ ...row, attempts: row.attempts + 1 })
    }
  })
  return claimed
}

async function sendOne(
  needs: NoticeNeeds,
  delivery: Claimed,
  mailer: Mailer | null,
  timeoutMs: number
): Promise<Outcome> {
  const { config, now, openContact, linkFor, unitName } = needs
  const { channel, kind, number, addressed, recipient, once, username, mail } = delivery
  try {
    const data = readData(delivery.data)
    const id = createHash('sha256').update(`${once}/${channel}/${recipient}`).digest('hex').slice(0, 32)
    const addressee = addresseeOf(addressed)
    if (channel === 'webhook' && config.webhook !== null) {
      if (addressee?.kind === 'citizen') {
        const own = addressee.number ?? number
        const contact = await openContact(own)
        if (contact === null) return { kind: 'sent', note: '已没有联系方式，没有发送' }
        const text = citizenText(kind, own, data) ?? ''
        const url = `${config.publicUrl ?? ''}/track`
        const body = { id, kind, number: own, recipient: 'citizen', text, url, phone: contact.phone }
        return await callWebhook(config.webhook, body, now(), timeoutMs)
      }
      const text = staffText(kind, number, data, data.unit === null ? null : await unitName(data.unit))
      const url =
        username === null && addressee?.kind === 'unit'
          ? linkFor(number, addressee.unit, addressee.role)
          : ticketUrl(config, number)
      const body = { id, kind, number, recipient: username ?? recipient, text, url }
      return await callWebhook(config.webhook, body, now(), timeoutMs)
    }
    if (channel === 'mail' && mailer !== null) {
      if (mail === null) return { kind: 'sent', note: '已没有邮箱，没有发送' }
      const text = staffText(kind, number, data, data.unit === null ? null : await unitName(data.unit))
      const way = config.publicUrl === null ? '请登录系统办理。' : ticketUrl(config, number)
      return await mailer.send({ to: mail, subject: `政策咨询 ${number}`, text: `${text}\n\n${way}\n`, id })
    }
    return { kind: 'failed', error: '这个发送渠道现在没有设置', final: true }
  } catch (error) {
    return { kind: 'failed', error: `系统：${(error as Error).name}`, final: false }
  }
}

/** Where staff work on a ticket; a path where no public address is set. */
export function ticketUrl({ publicUrl }: Pick<Config, 'publicUrl'>, number: string): string {
  return `${publicUrl ?? ''}/unit/${encodeURIComponent(number)}`
}

/** Writes down what became of tries; what cannot be written stays for the next look. */
async function record(
  { db, now, logger }: NoticeNeeds,
  unrecorded: Map<number, { attempts: number; outcome: Outcome }>
): Promise<void> {
  for (const [id, { attempts, outcome }] of unrecorded) {
    const at = now()
    const wait = BACKOFF_MS[attempts - 1]
    const dead = outcome.kind === 'failed' && (outcome.final || wait === undefined)
    const update =
      outcome.kind === 'sent'
        ? { state: 'sent' as const, error: outcome.note, done_at: at.toISOString() }
        : dead
          ? { state: 'dead' as const, error: outcome.error, done_at: at.toISOString() }
          : { error: outcome.error, not_before: new Date(at.getTime() + (wait as number)).toISOString() }
    await withoutWaiting(db, (writer) =>
      writer
        .updateTable('deliveries')
        .set(update)
        .where('id', '=', id)
        .where('state', '=', 'waiting')
        .where('attempts', '=', attempts)
        .execute()
    )
    unrecorded.delete(id)
    if (outcome.kind === 'failed')
      logger.warn({ delivery: id, attempts, dead, error: outcome.error }, 'notice not sent')
  }
}
