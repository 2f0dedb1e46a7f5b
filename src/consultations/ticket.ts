import { TICKET_ACTIONS, type TicketAction } from '../accounts/roles.ts'
import type { Chain, Role } from '../database/schema.ts'

/** States of a consultation (domain model 2.2). Overdue is not one of them: it follows from the due date. */
export const STATES = [
  'REGISTERED',
  'ANSWERED_ON_SPOT',
  'GUIDED_ELSEWHERE',
  'JOINED',
  'TO_ASSIGN',
  'ASSIGNED',
  'ACCEPTED',
  'RETURNED',
  'DRAFTING',
  'IN_REVIEW',
  'APPROVED',
  'CONTACTING',
  'UNREACHED',
  'ANSWERED',
  'REOPENED',
  'CLOSED',
  'ARCHIVED',
  'WITHDRAWN'
] as const
export type State = (typeof STATES)[number]

export const STATE_NAMES: Record<State, string> = {
  REGISTERED: '已登记',
  ANSWERED_ON_SPOT: '即时答复',
  GUIDED_ELSEWHERE: '已引导',
  JOINED: '已并件',
  TO_ASSIGN: '待交办',
  ASSIGNED: '已交办',
  ACCEPTED: '已签收',
  RETURNED: '已退回',
  DRAFTING: '拟答中',
  IN_REVIEW: '待审核',
  APPROVED: '已审核',
  CONTACTING: '正在联系咨询人',
  UNREACHED: '无法联系',
  ANSWERED: '已答复',
  REOPENED: '重新办理',
  CLOSED: '已办结',
  ARCHIVED: '已归档',
  WITHDRAWN: '已撤回'
}

export const CHANNELS = ['desk', 'kiosk', 'phone', 'web'] as const
export type Channel = (typeof CHANNELS)[number]
export const CHANNEL_NAMES: Record<Channel, string> = { desk: '窗口', kiosk: '自助终端', phone: '电话', web: '网络' }

/** How a citizen was told. */
export const CONTACT_WAYS = ['phone', 'sms', 'mail', 'visit'] as const
export type ContactWay = (typeof CONTACT_WAYS)[number]
export const CONTACT_WAY_NAMES: Record<ContactWay, string> = { phone: '电话', sms: '短信', mail: '信函', visit: '当面' }

/** What the bank gave when it was asked (R26). */
export interface Search {
  queryId: string
  decision: 'answer' | 'choose' | 'escalate'
  confidence: number
  /** `qa/ID` or `document/ID#ANCHOR`, nearest first. */
  candidates: { key: string; version: number; confidence: number }[]
}

/** A document an answer rests on, with the clause: one the bank holds, or one named in words. */
export interface TicketBasis {
  document: string | null
  title: string | null
  clause: string | null
}

/** A last day in working days; `latestOn` differs from `dueOn` while a year's holidays are unpublished. */
export interface Due {
  dueOn: string
  latestOn: string
  provisional: boolean
}

export interface Draft {
  text: string
  basis: TicketBasis[]
  by: string
  at: string
}

/** How and when a citizen was told, or why not. */
export interface Attempt {
  at: string
  outcome: 'told' | 'unreached'
  by: ContactWay
  note: string
  who: string
}

/** Everything that stands of a consultation; follows from its events. No personal data: that is in `contacts`. */
export interface Ticket {
  number: string
  chain: Chain
  zone: string
  channel: Channel
  audience: 'person' | 'business'
  /** Masked (R41). */
  question: string
  /** Topic of the entry that answered, or of the nearest. */
  topic: string | null
  state: State
  version: number
  registeredAt: string
  registeredOn: string
  /** User name, or `citizen`. */
  registeredBy: string
  search: Search
  /** Whether a phone was left: without one nobody can be told. */
  hasContact: boolean
  /** Whom the router would assign it to. */
  suggestedUnit: string | null
  unit: string | null
  /** Units that take part; the one above leads and answers for all. */
  coUnits: string[]
  assignedAt: string | null
  assignedOn: string | null
  assignedBy: string | null
  acceptedAt: string | null
  acceptedBy: string | null
  /** Null where nothing was ever owed: settled when it was registered. */
  due: Due | null
  /** First due date told to the citizen; kept apart, never moved. */
  promisedOn: string
  /** Bank entry it was answered from on the spot. */
  entry: { id: string; version: number } | null
  guidedTo: string | null
  draft: Draft | null
  revisions: { at: string; by: string; reason: string }[]
  approvedAt: string | null
  approvedBy: string | null
  /** True where the office lets a unit of one person approve its own. */
  selfApproved: boolean
  attempts: Attempt[]
  /** When the citizen was told; for an on-the-spot answer the registration or its correction. */
  answeredAt: string | null
  answeredOn: string | null
  returns: { at: string; unit: string; by: string; reason: string; proposed: string | null }[]
  /** Second return: only the office may assign (指定交办). */
  toOffice: boolean
  head: string | null
  /** Tickets joined to this one. */
  joined: string[]
  rating: { at: string; solved: boolean } | null
  closedAt: string | null
  withdrawn: { at: string; reason: string } | null
  /** 1 for the first; each reopening begins another. */
  round: number
  /** What earlier rounds told the citizen. */
  earlier: {
    answer: string | null
    entry: string | null
    answeredAt: string | null
    reason: string
    dueOn: string | null
  }[]
  /** What became of the answer in the bank. */
  bank: { state: 'proposed' | 'taken' | 'declined'; entry: string | null; reason: string | null } | null
  /** Corrections of what a wrong key registered. */
  corrections: { at: string; by: string; before: string }[]
}

export const ACTION_NAMES: Record<TicketAction, string> = {
  assign: '交办',
  accept: '签收',
  return: '退回',
  draft: '拟写答复',
  approve: '审核通过',
  revise: '退改',
  contact: '登记答复情况',
  answer: '用问答库答复',
  guide: '引导',
  join: '并件',
  withdraw: '撤回',
  reopen: '重新办理'
}

/** What each event says. Actor, role and instant stand beside it. */
export interface EventData {
  registered: {
    zone: string
    channel: Channel
    audience: Ticket['audience']
    question: string
    topic: string | null
    search: Search
    hasContact: boolean
    suggestedUnit: string | null
    due: Due
    day: string
  }
  /** From the bank, at the desk or for one who waits. */
  answered: { entry: string; version: number; day: string }
  guided: { unit: string; day: string }
  assigned: { unit: string; coUnits: string[]; due: Due; day: string; designated: boolean }
  accepted: Record<string, never>
  returned: { reason: string; proposed: string | null; toOffice: boolean }
  drafted: { text: string; basis: TicketBasis[]; submitted: boolean }
  approved: { self: boolean }
  revised: { reason: string }
  contacted: {
    outcome: Attempt['outcome']
    by: ContactWay
    at: string
    note: string
    day: string
    unreached: boolean
    /** The head's answer, for one that is joined to it. */
    answer: Draft | null
  }
  joined: { head: string; unit: string | null; automatic: boolean }
  /** The head of a joined ticket went away. */
  separated: { reason: string }
  /** The head of a joined ticket went to another unit, or to none. */
  followed: { unit: string | null }
  gained: { number: string }
  withdrawn: { reason: string }
  rated: { solved: boolean }
  reopened: { reason: string; due: Due; day: string }
  closed: { reason: 'solved' | 'time' }
  archived: Record<string, never>
  /** The year's holidays were published, or the office ordered otherwise. */
  recounted: { due: Due; reason: string }
  bank: {
    state: 'proposed' | 'taken' | 'declined'
    entry: string | null
    reason: string | null
    /** Earlier consultations that asked the same and were told no answer: they are told now. */
    askers: string[]
  }
  /** Somebody looked at personal data that was masked. */
  unmasked: { reason: string }
  /** A step of the reminder ladder was taken. */
  reminded: { kind: string; to: string[] }
  /** Personal data was shown to or changed for its owner (PIPL 45, 46). */
  contactChanged: { fields: string[] }
}
export type EventType = keyof EventData

/** One thing that happened. */
export type TicketEvent = {
  [Type in EventType]: {
    number: string
    version: number
    at: string
    actor: string
    role: Role | 'citizen' | 'system'
    type: Type
    data: EventData[Type]
  }
}[EventType]

/** States in which somebody still owes something. */
export const OPEN: ReadonlySet<State> = new Set([
  'REGISTERED',
  'JOINED',
  'TO_ASSIGN',
  'ASSIGNED',
  'ACCEPTED',
  'RETURNED',
  'DRAFTING',
  'IN_REVIEW',
  'APPROVED',
  'CONTACTING',
  'REOPENED'
])

/** Waiting for somebody to decide who answers. */
const UNASSIGNED: readonly State[] = ['REGISTERED', 'TO_ASSIGN', 'RETURNED', 'REOPENED']
/** Settled at the desk; doing it again corrects a wrong key. */
const SETTLED: readonly State[] = ['ANSWERED_ON_SPOT', 'GUIDED_ELSEWHERE']
/** With a unit that has not said yet that it answers; a reopened ticket goes back to the unit that answered it. */
const HANDED: readonly State[] = ['ASSIGNED', 'REOPENED']
const IN_HAND: readonly State[] = ['ACCEPTED', 'DRAFTING']

interface Rule {
  from: readonly State[]
  /** Why it is not to be done now though the state allows it, in Chinese; null when it may be. */
  unless?: (ticket: Ticket) => string | null
}

const needsUnit = ({ unit }: Ticket) => (unit === null ? '还没有交办给单位，请先交办' : null)

/**
 * What may be done from which state: the one table that routes, pages and tests go by (domain model 2.2). Who may is the
 * roles' matter (src/accounts/roles.ts), what it makes of the ticket is `after`'s.
 */
export const RULES: Record<TicketAction, Rule> = {
  assign: {
    // A unit's own leader may hand it to another liaison by standing in; between units only desk and office assign.
    from: [...UNASSIGNED, 'ASSIGNED']
  },
  accept: { from: HANDED, unless: needsUnit },
  return: { from: [...HANDED, ...IN_HAND], unless: needsUnit },
  draft: { from: [...HANDED, ...IN_HAND], unless: needsUnit },
  approve: { from: ['IN_REVIEW'] },
  revise: { from: ['IN_REVIEW', 'APPROVED'] },
  contact: {
    from: ['APPROVED', 'CONTACTING', 'UNREACHED', 'JOINED']
  },
  answer: { from: [...UNASSIGNED, ...SETTLED] },
  guide: { from: [...UNASSIGNED, ...SETTLED, 'ASSIGNED'] },
  join: {
    from: [...UNASSIGNED, 'ASSIGNED', 'ACCEPTED', 'DRAFTING'],
    unless: ({ joined }) => (joined.length > 0 ? '已有别的咨询并入本件，不能再并到其他件' : null)
  },
  withdraw: {
    from: [...OPEN].filter((state) => state !== 'REGISTERED')
  },
  reopen: {
    from: ['ANSWERED', 'CLOSED', 'ANSWERED_ON_SPOT', 'UNREACHED']
  }
}

/** Actions a ticket's state allows now, whoever asks. */
export function actionsNow(ticket: Ticket): TicketAction[] {
  return TICKET_ACTIONS.filter((action) => {
    const { from, unless } = RULES[action]
    return from.includes(ticket.state) && (unless?.(ticket) ?? null) === null
  })
}

/** Failed attempts, and days they must lie on, before a citizen counts as unreached (domain model 2.2). */
export const ATTEMPTS_BEFORE_UNREACHED = 3
export const DAYS_BEFORE_UNREACHED = 2

/** Working days within which 没解决 reopens (domain model 2.2, rule 4). */
export const REOPEN_WITHIN = 10
/** Working days a unit has to answer the citizen (R28). */
export const ANSWER_WITHIN = 5
/** Working days to accept or return (ours; domain model 2.5). */
export const ACCEPT_WITHIN = 1

/** Fields of a ticket no event has touched yet. */
function opened(event: Extract<TicketEvent, { type: 'registered' }>, chain: Chain): Ticket {
  const { zone, channel, audience, question, topic, search, hasContact, suggestedUnit, due, day } = event.data
  return {
    number: event.number,
    chain,
    zone,
    channel,
    audience,
    question,
    topic,
    state: 'TO_ASSIGN',
    version: event.version,
    registeredAt: event.at,
    registeredOn: day,
    registeredBy: event.role === 'citizen' ? 'citizen' : event.actor,
    search,
    hasContact,
    suggestedUnit,
    unit: null,
    coUnits: [],
    assignedAt: null,
    assignedOn: null,
    assignedBy: null,
    acceptedAt: null,
    acceptedBy: null,
    due,
    promisedOn: due.dueOn,
    entry: null,
    guidedTo: null,
    draft: null,
    revisions: [],
    approvedAt: null,
    approvedBy: null,
    selfApproved: false,
    attempts: [],
    answeredAt: null,
    answeredOn: null,
    returns: [],
    toOffice: false,
    head: null,
    joined: [],
    rating: null,
    closedAt: null,
    withdrawn: null,
    round: 1,
    earlier: [],
    bank: null,
    corrections: []
  }
}

/**
 * What a consultation is after an event; pure, and the only place where its fields change.
 * @param ticket null before `registered`
 */
export function after(ticket: Ticket | null, event: TicketEvent, chain: Chain): Ticket {
  if (event.type === 'registered') return opened(event, chain)
  if (ticket === null) throw new Error(`${event.number}: ${event.type} before it was registered`)
  return { ...ticket, ...changeOf(ticket, event), version: event.version }
}

/** Nothing of this round has been done yet. */
const FRESH_ROUND = {
  assignedAt: null,
  assignedOn: null,
  assignedBy: null,
  acceptedAt: null,
  acceptedBy: null,
  draft: null,
  approvedAt: null,
  approvedBy: null,
  selfApproved: false,
  answeredAt: null,
  answeredOn: null,
  entry: null,
  guidedTo: null,
  rating: null,
  closedAt: null
} satisfies Partial<Ticket>

/** A wrong key is corrected by a second event, never by changing the first. */
function corrected(ticket: Ticket, { at, actor }: TicketEvent): Partial<Ticket> {
  if (!SETTLED.includes(ticket.state)) return {}
  const before = ticket.entry?.id ?? ticket.guidedTo ?? ''
  return { corrections: [...ticket.corrections, { at, by: actor, before }] }
}

function changeOf(ticket: Ticket, event: Exclude<TicketEvent, { type: 'registered' }>): Partial<Ticket> {
  const { at, actor } = event
  switch (event.type) {
    case 'answered': {
      const { entry, version, day } = event.data
      return {
        state: 'ANSWERED_ON_SPOT',
        entry: { id: entry, version },
        guidedTo: null,
        answeredAt: at,
        answeredOn: day,
        unit: null,
        due: null,
        toOffice: false,
        ...corrected(ticket, event)
      }
    }
    case 'guided':
      return {
        state: 'GUIDED_ELSEWHERE',
        guidedTo: event.data.unit,
        entry: null,
        answeredAt: at,
        answeredOn: event.data.day,
        unit: null,
        due: null,
        toOffice: false,
        ...corrected(ticket, event)
      }
    case 'assigned': {
      const { unit, coUnits, due, day } = event.data
      return {
        ...FRESH_ROUND,
        state: 'ASSIGNED',
        unit,
        coUnits,
        due,
        assignedAt: at,
        assignedOn: day,
        assignedBy: actor,
        toOffice: false,
        head: null
      }
    }
    case 'accepted':
      return { state: 'ACCEPTED', acceptedAt: at, acceptedBy: actor }
    case 'returned': {
      const { reason, proposed, toOffice } = event.data
      return {
        ...FRESH_ROUND,
        state: 'RETURNED',
        returns: [...ticket.returns, { at, unit: ticket.unit ?? '', by: actor, reason, proposed }],
        unit: null,
        coUnits: [],
        toOffice
      }
    }
    case 'drafted': {
      const { text, basis, submitted } = event.data
      return {
        state: submitted ? 'IN_REVIEW' : 'DRAFTING',
        draft: { text, basis, by: actor, at },
        acceptedAt: ticket.acceptedAt ?? at,
        acceptedBy: ticket.acceptedBy ?? actor
      }
    }
    case 'approved':
      return { state: 'APPROVED', approvedAt: at, approvedBy: actor, selfApproved: event.data.self }
    case 'revised':
      return {
        state: 'DRAFTING',
        approvedAt: null,
        approvedBy: null,
        selfApproved: false,
        revisions: [...ticket.revisions, { at, by: actor, reason: event.data.reason }]
      }
    case 'contacted': {
      const { outcome, by, note, day, unreached, answer } = event.data
      const attempts = [...ticket.attempts, { at: event.data.at, outcome, by, note, who: actor }]
      if (outcome === 'told') {
        const draft = answer ?? ticket.draft
        return { state: 'ANSWERED', attempts, draft, answeredAt: event.data.at, answeredOn: day }
      }
      if (unreached) return { state: 'UNREACHED', attempts }
      return { state: ticket.state === 'JOINED' ? 'JOINED' : 'CONTACTING', attempts }
    }
    case 'joined':
      return { ...FRESH_ROUND, state: 'JOINED', head: event.data.head, unit: event.data.unit }
    case 'separated':
      return { ...FRESH_ROUND, state: 'TO_ASSIGN', head: null, unit: null }
    case 'followed':
      return { unit: event.data.unit }
    case 'gained':
      return { joined: [...ticket.joined, event.data.number] }
    case 'withdrawn':
      return { state: 'WITHDRAWN', withdrawn: { at, reason: event.data.reason }, closedAt: at }
    case 'rated': {
      const { solved } = event.data
      const isAnswered = ticket.state === 'ANSWERED' || ticket.state === 'UNREACHED'
      return {
        rating: { at, solved },
        ...(solved && isAnswered ? { state: 'CLOSED' as const, closedAt: at } : {})
      }
    }
    case 'reopened': {
      const { reason, due } = event.data
      const earlier = {
        answer: ticket.draft?.text ?? null,
        entry: ticket.entry?.id ?? null,
        answeredAt: ticket.answeredAt,
        reason,
        dueOn: ticket.due?.dueOn ?? ticket.promisedOn
      }
      return {
        ...FRESH_ROUND,
        state: 'REOPENED',
        attempts: [],
        due,
        promisedOn: due.dueOn,
        round: ticket.round + 1,
        earlier: [...ticket.earlier, earlier],
        bank: null,
        assignedAt: ticket.unit === null ? null : at,
        assignedOn: ticket.unit === null ? null : event.data.day,
        // The citizen sent it back to the unit it had; who gave it to that unit still did.
        assignedBy: ticket.unit === null ? null : ticket.assignedBy
      }
    }
    case 'closed':
      return { state: 'CLOSED', closedAt: at }
    case 'archived':
      return { state: 'ARCHIVED' }
    case 'recounted':
      return { due: event.data.due }
    case 'bank': {
      const { state, entry, reason } = event.data
      return { bank: { state, entry, reason } }
    }
    case 'unmasked':
    case 'reminded':
    case 'contactChanged':
      return {}
  }
}

/** A consultation from all of its events, in order. */
export function ticketFrom(events: readonly TicketEvent[], chain: Chain): Ticket {
  let ticket: Ticket | null = null
  for (const event of events) ticket = after(ticket, event, chain)
  if (ticket === null) throw new Error('no events')
  return ticket
}

/** Whether the citizen waits longer than the last day; derived, never stored. */
export function isOverdue({ due, state }: Ticket, today: string): boolean {
  return due !== null && OPEN.has(state) && due.dueOn < today
}
