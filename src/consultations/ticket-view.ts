import { type Actor, type TicketAction, personalDataOf } from '../accounts/roles.ts'
import type { Calendar } from '../calendar/calendar.ts'
import { instantInChina } from '../calendar/day.ts'
import type { FieldKey } from '../accounts/field-key.ts'
import type { Library } from '../content/library.ts'
import type { Database } from '../database/open.ts'
import { actionsFor } from './act.ts'
import { type Contact, masked, readStored } from './contacts.ts'
import { findTicket } from './records.ts'
import { isOverdue, OPEN, type Search, type State, STATE_NAMES, type Ticket, type TicketBasis } from './ticket.ts'

export interface NamedUnit {
  id: string
  name: string
}

/** A ticket as its API shows it to one member of staff. */
export interface TicketView {
  number: string
  version: number
  state: State
  stateName: string
  zone: string
  channel: string
  audience: string
  question: string
  topic: string | null
  registeredAt: string
  registeredBy: string
  unit: NamedUnit | null
  suggestedUnit: NamedUnit | null
  coUnits: NamedUnit[]
  /** Masked unless the person may see it; null where none was left. */
  contact: Contact | null
  assignedAt: string | null
  acceptedAt: string | null
  dueOn: string | null
  latestOn: string | null
  dueIsProvisional: boolean
  promisedOn: string
  overdue: boolean
  dueToday: boolean
  dueSoon: boolean
  answeredLate: boolean
  search: Search
  entry: string | null
  guidedTo: NamedUnit | null
  draft: { text: string; basis: TicketBasis[]; by: string; at: string } | null
  revisions: { at: string; by: string; reason: string }[]
  approvedAt: string | null
  approvedBy: string | null
  answeredAt: string | null
  attempts: { at: string; outcome: 'told' | 'unreached'; by: string; note: string; who: string }[]
  returns: { at: string; unit: string; by: string; reason: string; proposed: string | null }[]
  head: string | null
  joined: string[]
  rating: { at: string; solved: boolean } | null
  round: number
  bank: Ticket['bank']
  sample: boolean
  /** What this person may do now. */
  actions: TicketAction[]
}

export interface ViewNeeds {
  db: Database
  library: Library
  fieldKey: FieldKey
  calendar: () => Calendar
  today: () => string
}

/** What of the clock matters today; all derived, nothing stored (domain model 2.2). */
export function clockOf(ticket: Ticket, calendar: Calendar, today: string) {
  const { due, state } = ticket
  const open = due !== null && OPEN.has(state)
  return {
    overdue: isOverdue(ticket, today),
    dueToday: open && due.dueOn === today,
    dueSoon: open && due.dueOn > today && calendar.workingDaysBetween(today, due.dueOn) <= 1,
    answeredLate: due !== null && ticket.answeredOn !== null && ticket.answeredOn > due.dueOn
  }
}

/** A ticket with the names, clock and personal data this person may see. */
export async function viewTicket(needs: ViewNeeds, actor: Actor, ticket: Ticket): Promise<TicketView> {
  const { db, library, fieldKey, calendar, today } = needs
  const units = await library.all('unit')
  const named = (id: string | null): NamedUnit | null =>
    id === null ? null : { id, name: units.get(id)?.content.name ?? id }
  const access = personalDataOf(actor, ticket)
  const stored = access === 'none' ? null : await readStored(db, fieldKey, ticket.number)
  const contact = stored?.contact ?? null
  const at = (instant: string | null) => (instant === null ? null : instantInChina(instant))
  return {
    number: ticket.number,
    version: ticket.version,
    state: ticket.state,
    stateName: STATE_NAMES[ticket.state],
    zone: ticket.zone,
    channel: ticket.channel,
    audience: ticket.audience,
    question: access === 'plain' ? (stored?.question ?? ticket.question) : ticket.question,
    topic: ticket.topic,
    registeredAt: instantInChina(ticket.registeredAt),
    registeredBy: ticket.registeredBy,
    unit: named(ticket.unit),
    suggestedUnit: named(ticket.suggestedUnit),
    coUnits: ticket.coUnits.map((id) => named(id) as NamedUnit),
    contact: contact === null ? null : access === 'plain' ? contact : masked(contact),
    assignedAt: at(ticket.assignedAt),
    acceptedAt: at(ticket.acceptedAt),
    dueOn: ticket.due?.dueOn ?? null,
    latestOn: ticket.due?.latestOn ?? null,
    dueIsProvisional: ticket.due?.provisional ?? false,
    promisedOn: ticket.promisedOn,
    ...clockOf(ticket, calendar(), today()),
    search: ticket.search,
    entry: ticket.entry?.id ?? null,
    guidedTo: named(ticket.guidedTo),
    draft: ticket.draft,
    revisions: ticket.revisions,
    approvedAt: at(ticket.approvedAt),
    approvedBy: ticket.approvedBy,
    answeredAt: at(ticket.answeredAt),
    attempts: ticket.attempts,
    returns: ticket.returns,
    head: ticket.head,
    joined: ticket.joined,
    rating: ticket.rating,
    round: ticket.round,
    bank: ticket.bank,
    sample: ticket.chain === 'sample',
    actions: actionsFor(actor, ticket)
  }
}

/** What a citizen is told, in plain words. */
export interface CitizenView {
  number: string
  state: State
  stage: string
  detail: string
  question: string
  registeredAt: string
  unit: (NamedUnit & { phone: string | null }) | null
  dueOn: string | null
  latestOn: string | null
  dueIsProvisional: boolean
  answer: { text: string; basis: TicketBasis[]; entry: string | null; answeredAt: string } | null
  rating: { solved: boolean } | null
  canRate: boolean
}

/** Answers that a citizen may read: told, or settled on the spot; a joined consultation's own, when it was told. */
export async function viewForCitizen(
  { db, library }: Pick<ViewNeeds, 'db' | 'library'>,
  ticket: Ticket,
  isReopenable: (ticket: Ticket) => boolean
): Promise<CitizenView> {
  const units = await library.all('unit')
  const unit = units.get(ticket.unit ?? ticket.guidedTo ?? '')?.content ?? null
  const head = ticket.head === null ? null : await findTicket(db, ticket.head)
  const { stage, detail } = stageOf(ticket, unit?.name ?? null)
  const isTold = ['ANSWERED', 'CLOSED', 'UNREACHED', 'ARCHIVED'].includes(ticket.state)
  const draft = ticket.draft ?? head?.draft ?? null
  const entry = ticket.entry === null ? null : await library.get('qa', ticket.entry.id)
  const answer =
    ticket.state === 'ANSWERED_ON_SPOT' && entry !== null
      ? {
          text: entry.content.answer,
          basis: entry.content.basis.map(({ document, clause }) => ({ document, title: null, clause })),
          entry: entry.content.id,
          answeredAt: instantInChina(ticket.answeredAt ?? ticket.registeredAt)
        }
      : isTold && draft !== null
        ? {
            text: draft.text,
            basis: draft.basis,
            entry: null,
            answeredAt: instantInChina(ticket.answeredAt ?? ticket.approvedAt ?? ticket.registeredAt)
          }
        : null
  const owes = OPEN.has(ticket.state)
  return {
    number: ticket.number,
    state: ticket.state,
    stage,
    detail,
    question: ticket.question,
    registeredAt: instantInChina(ticket.registeredAt),
    unit: unit === null ? null : { id: unit.id, name: unit.name, phone: unit.phone },
    dueOn: owes ? (ticket.due?.dueOn ?? null) : null,
    latestOn: owes ? (ticket.due?.latestOn ?? null) : null,
    dueIsProvisional: owes && (ticket.due?.provisional ?? false),
    answer,
    rating: ticket.rating === null ? null : { solved: ticket.rating.solved },
    canRate: ticket.rating === null && isReopenable(ticket)
  }
}

function stageOf({ state, round, hasContact }: Ticket, unit: string | null): { stage: string; detail: string } {
  const who = unit ?? '有关单位'
  const again = round > 1 ? '您说没有解决，' : ''
  switch (state) {
    case 'REGISTERED':
    case 'TO_ASSIGN':
    case 'RETURNED':
      return { stage: '正在确定由谁答复', detail: `${again}咨询台正在确定由哪个单位答复您。` }
    case 'REOPENED':
      return unit === null
        ? { stage: '正在重新办理', detail: '您说没有解决，咨询台正在确定由哪个单位再答复您。' }
        : { stage: '正在重新办理', detail: `您说没有解决，${who}会再答复您一次。` }
    case 'ASSIGNED':
      return { stage: '已交给答复单位', detail: `${again}已交给${who}，由他们答复您。` }
    case 'ACCEPTED':
    case 'DRAFTING':
    case 'IN_REVIEW':
      return { stage: '正在准备答复', detail: `${again}${who}已收到，正在准备答复。` }
    case 'APPROVED':
    case 'CONTACTING':
      return { stage: '答复已准备好', detail: `${who}正在联系您，请留意来电。` }
    case 'JOINED':
      return { stage: '正在准备答复', detail: '有人问过同样的问题，正在办理；有了答复会一起告诉您。' }
    case 'UNREACHED':
      return {
        stage: '没有联系上您',
        detail: `${who}按您留的电话多次没有联系上，答复在下面；也可以打电话问他们。`
      }
    case 'ANSWERED':
    case 'CLOSED':
    case 'ARCHIVED':
      return { stage: '已答复', detail: `${who}已答复您。` }
    case 'ANSWERED_ON_SPOT':
      return { stage: '已答复', detail: hasContact ? '咨询台已用问答库里的内容答复您。' : '已当场答复。' }
    case 'GUIDED_ELSEWHERE':
      return { stage: '请问这个单位', detail: `这件事由${who}负责，请按下面的电话或地址联系。` }
    case 'WITHDRAWN':
      return { stage: '已撤回', detail: '这件咨询已撤回，不再办理。' }
  }
}
