import { type Actor, covers, mayOn, scopeOf, type TicketAction, whoMay, ROLE_NAMES } from '../accounts/roles.ts'
import { NotAllowed } from '../accounts/errors.ts'
import type { Calendar } from '../calendar/calendar.ts'
import { dayOf } from '../calendar/day.ts'
import type { Library } from '../content/library.ts'
import type { GroupCommit } from '../database/group-commit.ts'
import type { Schema } from '../database/schema.ts'
import { NotFound } from '../errors.ts'
import type { Transaction } from 'kysely'
import { BadAction, NotNow, Stale } from './errors.ts'
import { append, type Doer, type NewEvent, SYSTEM } from './events.ts'
import { bankEntry, dueOf } from './intake.ts'
import { maskPersonalData } from './mask.ts'
import { chainsOf, findTicket } from './records.ts'
import {
  ACTION_NAMES,
  actionsNow,
  ATTEMPTS_BEFORE_UNREACHED,
  type ContactWay,
  DAYS_BEFORE_UNREACHED,
  type EventType,
  OPEN,
  RULES,
  STATE_NAMES,
  type Ticket,
  type TicketBasis
} from './ticket.ts'

/** What each action carries beside the version. */
export interface ActionBody {
  assign: { unit: string; coUnits?: readonly string[] }
  accept: Record<string, never>
  return: { reason: string; unit: string | null }
  draft: { text: string; basis: readonly TicketBasis[]; submit: boolean }
  approve: Record<string, never>
  revise: { reason: string }
  contact: { outcome: 'told' | 'unreached'; by: ContactWay; at: string; note: string }
  answer: { entry: string }
  guide: { unit: string }
  join: { number: string }
  withdraw: { reason: string }
  reopen: { reason: string }
}

export type ActionRequest = {
  [Name in TicketAction]: { action: Name; body: ActionBody[Name] }
}[TicketAction]

export interface ActNeeds {
  writer: GroupCommit
  library: Library
  calendar: () => Calendar
  now: () => Date
  today: () => string
}

/** Actions this person may do to this ticket now. */
export function actionsFor(actor: Actor, ticket: Ticket): TicketAction[] {
  return actionsNow(ticket).filter((action) => refusal(actor, action, ticket) === null)
}

/** Who is not let, and why; null when nothing stands against it. */
function refusal(actor: Actor, action: TicketAction, ticket: Ticket): 'role' | 'office' | 'own' | null {
  const isOwnApproval = action === 'approve' && ticket.unit !== null && actor.approvesOwn.includes(ticket.unit)
  if (!mayOn(actor, action, ticket) && !isOwnApproval) return 'role'
  // After a second return units would send it back and forth: the office says who answers (指定交办).
  if ((action === 'assign' || action === 'guide') && ticket.toOffice && actor.role !== 'office') return 'office'
  if (action === 'approve' && ticket.draft?.by === actor.username && !isOwnApproval) return 'own'
  return null
}

const REFUSALS = {
  office: '这件咨询已被退回两次，只能由区政府办公室指定交办。',
  own: '自己写的答复要由另一个人审核。只有一个人的单位，请区政府办公室开通“自拟自审”。'
}

/**
 * Does one thing to a ticket.
 * @param version the ticket's version the person saw
 * @throws {NotFound} no such ticket in the person's scope
 * @throws {NotAllowed} 403, the role may not
 * @throws {Stale} 409, somebody was faster
 * @throws {NotNow} 409, the state does not allow it; says what is allowed
 * @throws {BadAction} 422, what it carries is not right
 */
export async function act(
  needs: ActNeeds,
  actor: Actor,
  number: string,
  version: number,
  request: ActionRequest
): Promise<Ticket> {
  const { action } = request
  const checked = await checkBody(needs, request)
  return await needs.writer.write(async (trx) => {
    const ticket = await findTicket(trx, number)
    if (ticket === null || !chainsOf(actor).includes(ticket.chain) || !covers(scopeOf(actor), ticket)) {
      throw new NotFound('咨询', number)
    }
    const refused = refusal(actor, action, ticket)
    if (refused === 'role') throw new NotAllowed(whoMay(action), ROLE_NAMES[actor.role])
    if (ticket.version !== version) throw new Stale(STATE_NAMES[ticket.state], String(ticket.version))
    const { from, unless } = RULES[action]
    if (!from.includes(ticket.state)) throw notNow(actor, action, ticket)
    const why = refused === null ? (unless?.(ticket) ?? null) : REFUSALS[refused]
    if (why !== null) throw new NotNow(`${why.replace(/。$/, '')}。`)
    return await perform({ ...needs, trx, actor, ticket }, request, checked)
  })
}

function notNow(actor: Actor, action: TicketAction, ticket: Ticket) {
  const may = actionsFor(actor, ticket).map((name) => `“${ACTION_NAMES[name]}”`)
  return new NotNow(
    `这件咨询现在是“${STATE_NAMES[ticket.state]}”，不能“${ACTION_NAMES[action]}”。` +
      (may.length === 0 ? '现在没有您要办的。' : `现在可以：${may.join('、')}。`)
  )
}

interface Performing extends ActNeeds {
  trx: Transaction<Schema>
  actor: Actor
  ticket: Ticket
}

interface Checked {
  /** Version of the bank entry answered with. */
  entry: number
}

/** What needs no ticket: units and entries that exist, texts that say something. */
async function checkBody({ library }: ActNeeds, request: ActionRequest): Promise<Checked> {
  const units = await library.all('unit')
  const mustBeUnit = (id: string, field: string) => {
    if (!units.has(id)) throw new BadAction(`${field}：没有编号为 ${id} 的单位，可能已撤销。请在单位名单里另选一个。`)
  }
  switch (request.action) {
    case 'assign':
      mustBeUnit(request.body.unit, '交办单位')
      for (const unit of request.body.coUnits ?? []) mustBeUnit(unit, '协办单位')
      break
    case 'guide':
      mustBeUnit(request.body.unit, '引导单位')
      break
    case 'return':
      if (request.body.unit !== null) mustBeUnit(request.body.unit, '建议单位')
      break
    case 'answer':
      return { entry: (await bankEntry(library, request.body.entry)).version }
    case 'draft': {
      const { text, basis, submit } = request.body
      if (submit && text.trim() === '') throw new BadAction('答复内容：还没有写，写好再送审。')
      if (submit && basis.length === 0)
        throw new BadAction('答复依据：请至少选一份文件；库里没有的，写出文件的全称和文号。')
      const documents = await library.documents()
      for (const { document, title } of basis) {
        if (document !== null && !documents.has(document))
          throw new BadAction(`答复依据：没有编号为 ${document} 的文件。请从检索结果里选，或者写文件名称。`)
        if (document === null && (title ?? '').trim().length < SHORTEST_TITLE)
          throw new BadAction('答复依据：请选一份文件，或者写出文件的全称和文号。')
      }
      break
    }
  }
  return { entry: 0 }
}

/** A title of fewer characters names no document. */
const SHORTEST_TITLE = 4

async function perform(doing: Performing, request: ActionRequest, { entry }: Checked): Promise<Ticket> {
  const { ticket, actor, calendar, today, trx } = doing
  const day = today()
  switch (request.action) {
    case 'assign': {
      const { unit, coUnits = [] } = request.body
      if (unit === ticket.unit && ticket.state === 'ASSIGNED') throw new NotNow('这件咨询已经在这个单位了。')
      const data = {
        unit,
        coUnits: coUnits.filter((one) => one !== unit),
        // Returned: the citizen's date does not move (domain model 2.2, rule 2).
        due: ticket.returns.length > 0 && ticket.due !== null ? ticket.due : dueOf(calendar(), day),
        day,
        designated: actor.role === 'office'
      }
      return await withJoined(doing, await record(doing, 'assigned', data), unit)
    }
    case 'accept':
      return await record(doing, 'accepted', {})
    case 'return': {
      const { unit } = request.body
      const reason = maskPersonalData(request.body.reason)
      if (unit === ticket.unit) throw new BadAction('建议单位：不能是本单位。请写应当由哪个单位答复。')
      const toOffice = ticket.returns.length + 1 >= RETURNS_BEFORE_OFFICE
      return await withJoined(doing, await record(doing, 'returned', { reason, proposed: unit, toOffice }), null)
    }
    case 'draft': {
      const { text, basis, submit } = request.body
      return await record(doing, 'drafted', { text, basis: [...basis], submitted: submit })
    }
    case 'approve':
      return await record(doing, 'approved', { self: ticket.draft?.by === actor.username })
    case 'revise':
      return await record(doing, 'revised', { reason: maskPersonalData(request.body.reason) })
    case 'contact':
      return await recordContact(doing, request.body)
    case 'answer':
    case 'guide': {
      const made =
        request.action === 'answer'
          ? await record(doing, 'answered', { entry: request.body.entry, version: entry, day })
          : await record(doing, 'guided', { unit: request.body.unit, day })
      for (const joined of await joinedTo(trx, made)) {
        if (request.action === 'answer')
          await record({ ...doing, ticket: joined }, 'answered', { entry: request.body.entry, version: entry, day })
        else await record({ ...doing, ticket: joined }, 'guided', { unit: request.body.unit, day })
      }
      return made
    }
    case 'join': {
      const head = await findTicket(trx, request.body.number)
      if (head === null || head.chain !== ticket.chain)
        throw new BadAction(`并入哪件：没有编号为 ${request.body.number} 的咨询。`)
      if (head.number === ticket.number) throw new BadAction('并入哪件：不能并到自己。')
      if (!OPEN.has(head.state) || head.head !== null)
        throw new BadAction(`并入哪件：${head.number} 现在是“${STATE_NAMES[head.state]}”，不能再并入。`)
      const made = await record(doing, 'joined', { head: head.number, unit: head.unit, automatic: false })
      await record({ ...doing, ticket: head }, 'gained', { number: ticket.number })
      return made
    }
    case 'withdraw': {
      const made = await record(doing, 'withdrawn', { reason: maskPersonalData(request.body.reason) })
      for (const joined of await joinedTo(trx, ticket)) {
        await record({ ...doing, ticket: joined }, 'separated', { reason: `${ticket.number} 已撤回` }, SYSTEM)
      }
      return made
    }
    case 'reopen': {
      const due = dueOf(calendar(), calendar().nextWorkingDay(day))
      return await record(doing, 'reopened', { reason: maskPersonalData(request.body.reason), due, day })
    }
  }
}

/** A second return goes to the office (domain model 2.2, rule 2). */
const RETURNS_BEFORE_OFFICE = 2

async function recordContact(doing: Performing, body: ActionBody['contact']): Promise<Ticket> {
  const { ticket, trx, now } = doing
  const head = ticket.head === null ? null : await findTicket(trx, ticket.head)
  if (ticket.state === 'JOINED' && (head === null || head.approvedAt === null))
    throw new NotNow(`并入的 ${ticket.head} 还没有审核通过的答复，答复定了再联系。`)
  const at = new Date(body.at)
  if (Number.isNaN(at.getTime())) throw new BadAction('联系时间：请写成 2026-11-23 15:30 这样。')
  if (at.getTime() > now().getTime() + CLOCK_SLACK_MS) throw new BadAction('联系时间：不能晚于现在。')
  const answer = ticket.head === null ? null : (head?.draft ?? null)
  const failed = ticket.attempts.filter(({ outcome }) => outcome === 'unreached').map((attempt) => attempt.at)
  const days = new Set([...failed, at.toISOString()].map(dayOf))
  const unreached =
    body.outcome === 'unreached' && failed.length + 1 >= ATTEMPTS_BEFORE_UNREACHED && days.size >= DAYS_BEFORE_UNREACHED
  return await record(doing, 'contacted', {
    outcome: body.outcome,
    by: body.by,
    at: at.toISOString(),
    // Events hold no personal data: they cannot be erased.
    note: maskPersonalData(body.note),
    day: dayOf(at),
    unreached,
    answer
  })
}

/** Clocks of a browser and the server differ by minutes. */
const CLOCK_SLACK_MS = 10 * 60 * 1000

async function joinedTo(trx: Transaction<Schema>, { joined }: Ticket): Promise<Ticket[]> {
  const tickets: Ticket[] = []
  for (const number of joined) {
    const ticket = await findTicket(trx, number)
    if (ticket !== null && ticket.state === 'JOINED') tickets.push(ticket)
  }
  return tickets
}

/** Joined tickets go where their head goes. */
async function withJoined(doing: Performing, head: Ticket, unit: string | null): Promise<Ticket> {
  for (const joined of await joinedTo(doing.trx, head)) {
    await record({ ...doing, ticket: joined }, 'followed', { unit }, SYSTEM)
  }
  return head
}

async function record<Type extends EventType>(
  { trx, ticket, actor, now }: Performing,
  type: Type,
  data: NewEvent<Type>['data'],
  by: Doer = { actor: actor.username, role: actor.role }
): Promise<Ticket> {
  const { chain, number } = ticket
  return await append(trx, { chain, number, ticket }, { type, data, by, at: now().toISOString() })
}
