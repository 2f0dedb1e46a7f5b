import type { Actor } from '../../accounts/roles.ts'
import { instantInChina } from '../../calendar/day.ts'
import { callScript, type CallStep } from '../../notices/notices.ts'
import type { Parts } from '../../parts.ts'
import { actionsFor } from '../act.ts'
import { findTicket } from '../records.ts'
import { timeLabel } from '../shown.ts'
import { viewTicket } from '../ticket-view.ts'
import {
  ATTEMPTS_BEFORE_UNREACHED,
  CONTACT_WAY_NAMES,
  CONTACT_WAYS,
  DAYS_BEFORE_UNREACHED,
  type Ticket
} from '../ticket.ts'
import type { Typed } from './form.ts'
import { isTellable } from './list.ts'
import type { Option } from './ticket-page.ts'

/** One consultant to be told, with a contact proof of their own. */
export interface ContactForm {
  number: string
  version: string
  title: string
  name: string
  /** Null where none was left. */
  phone: string | null
  state: string
  attempts: string[]
  script: CallStep[]
  outcomes: Option[]
  ways: Option[]
  at: string
  note: string
}

/** A form for each consultant who may be told now: the ticket's own, and those joined to it (domain model 2.2, rule 6). */
export async function contactForms(
  parts: Parts,
  actor: Actor,
  ticket: Ticket,
  head: Ticket | null,
  typed: Typed | null
): Promise<ContactForm[]> {
  const forms: ContactForm[] = []
  const mayTell = (one: Ticket) => actionsFor(actor, one).includes('contact')
  if (mayTell(ticket) && (ticket.state !== 'JOINED' || isTellable(head))) {
    forms.push(await contactForm(parts, actor, ticket, ticket.draft ?? head?.draft ?? null, '联系咨询人', typed))
  }
  if (!isTellable(ticket)) return forms
  for (const number of ticket.joined) {
    const joined = await findTicket(parts.db, number)
    if (joined === null || joined.state !== 'JOINED' || !mayTell(joined)) continue
    forms.push(await contactForm(parts, actor, joined, ticket.draft, `一并告知：${number}`, typed))
  }
  return forms
}

async function contactForm(
  parts: Parts,
  actor: Actor,
  ticket: Ticket,
  draft: Ticket['draft'],
  title: string,
  typed: Typed | null
): Promise<ContactForm> {
  const { contact, unit } = await viewTicket(parts, actor, ticket)
  const own = typed !== null && (typed.consultant === '' || typed.consultant === ticket.number) ? typed : null
  const failed = ticket.attempts.filter(({ outcome }) => outcome === 'unreached').length
  return {
    number: ticket.number,
    version: String(ticket.version),
    title,
    name: contact?.name ?? '没有留姓名',
    phone: contact?.phone ?? null,
    state:
      ticket.state === 'UNREACHED'
        ? '已按“无法联系”处理；后来联系上了，仍然可以登记。'
        : failed === 0
          ? ''
          : `已有 ${failed} 次没有联系上。满 ${ATTEMPTS_BEFORE_UNREACHED} 次、分在 ${DAYS_BEFORE_UNREACHED} 天，才算无法联系。`,
    attempts: ticket.attempts.map(
      ({ at, outcome, by, note }) =>
        `${timeLabel(at)}　${CONTACT_WAY_NAMES[by]}　${outcome === 'told' ? '已告知' : '没有联系上'}${note === '' ? '' : `　${note}`}`
    ),
    script: callScript({ ...ticket, draft }, unit?.name ?? ''),
    outcomes: [
      { value: 'told', text: '已告知', selected: own?.outcome === 'told' },
      { value: 'unreached', text: '没有联系上', selected: own?.outcome === 'unreached' }
    ],
    ways: CONTACT_WAYS.map((way) => ({
      value: way,
      text: CONTACT_WAY_NAMES[way],
      selected: (own?.by ?? 'phone') === way
    })),
    at: own?.at ?? instantInChina(parts.now()).slice(0, 16),
    note: own?.note ?? ''
  }
}
