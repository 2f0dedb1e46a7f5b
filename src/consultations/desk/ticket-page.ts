import { type Actor, mayOn } from '../../accounts/roles.ts'
import { versionLabel } from '../../bank/pages.ts'
import type { Parts } from '../../parts.ts'
import { facts, headOf } from '../../views/models.ts'
import type { Contact } from '../contacts.ts'
import { eventsOf } from '../events.ts'
import { dueOf } from '../intake.ts'
import { LONGEST_QUESTION } from '../limits.ts'
import { clockBadge, dueLine, historyOf, personNames, timeLabel } from '../shown.ts'
import { viewTicket } from '../ticket-view.ts'
import { CHANNEL_NAMES, type Due, type Ticket } from '../ticket.ts'
import { AUDIENCES, dueText, type Option, similarTo, unitChoices } from './form.ts'
import { find, type Found } from './found.ts'
import { hrefOf } from './lists.ts'

declare module '../../views/views.ts' {
  interface Pages {
    'desk-ticket': {
      head: Head
      /** Where the forms are sent: `/desk/NUMBER` or `/office/NUMBER`. */
      path: string
      number: string
      version: string
      state: Badge
      clock: Badge | null
      problem: string | null
      question: string
      facts: Fact[]
      contact: { name: string; phone: string; masked: boolean } | null
      canUnmask: boolean
      answer: { title: string; paragraphs: string[]; facts: Fact[] } | null
      history: { at: string; text: string }[]
      assign: { title: string; suggested: Option[]; units: Option[]; coUnits: Option[]; due: string } | null
      /** The office sends an answer back before the citizen is told. */
      revise: boolean
      answers: { question: string; found: Found } | null
      guide: Option[] | null
      join: { number: string; question: string; detail: string }[] | null
      withdraw: boolean
      reopen: boolean
      reason: string
      slip: string | null
      contactSlip: string | null
      back: string
    }
  }
}

interface TicketGiven {
  problem?: string | null
  reason?: string
  /** Searched for on the page; else the question itself. */
  search?: string
  /** Shown once, after a reason was given. */
  plain?: Contact | null
  question?: string | null
}

/** The page of one consultation as the desk and the office see it. */
export async function ticketPage(parts: Parts, actor: Actor, ticket: Ticket, given: TicketGiven) {
  const { db, library, calendar, today } = parts
  const view = await viewTicket(parts, actor, ticket)
  const all = await library.all('unit')
  const unitName = (id: string | null) => all.get(id ?? '')?.content.name ?? id ?? ''
  const may = (action: (typeof view.actions)[number]) => view.actions.includes(action)
  const zone = (await library.all('zone')).get(ticket.zone) ?? null
  const plain = given.plain ?? null
  const contact = plain ?? view.contact
  const choices = may('assign') || may('guide') ? await unitChoices(parts, ticket.question, '') : null
  const search = given.search ?? ticket.question.slice(0, LONGEST_QUESTION)
  const entry = ticket.entry === null ? null : await library.get('qa', ticket.entry.id)
  const canAnswer = may('answer')
  const isClerk = actor.zone !== null
  return {
    head: await headOf(library, { title: `咨询 ${ticket.number}`, zone, sample: ticket.chain === 'sample' }),
    path: pathOf(actor, ticket.number),
    number: ticket.number,
    version: String(ticket.version),
    state: { code: view.answeredAt === null ? 'state' : 'done', text: view.stateName },
    clock: clockBadge(parts, ticket),
    problem: given.problem ?? null,
    question: given.question ?? view.question,
    facts: facts(
      ['登记', `${timeLabel(ticket.registeredAt)}　${CHANNEL_NAMES[ticket.channel]}　${AUDIENCES[ticket.audience]}`],
      ['答复单位', view.unit?.name ?? null],
      ['协办单位', view.coUnits.map(({ name }) => name).join('、')],
      ['引导到', view.guidedTo?.name ?? null],
      ['答复期限', ticket.due === null ? null : dueLine(ticket.due)],
      ['并入', view.head],
      ['并来', view.joined.join('、')]
    ),
    contact: contact === null ? null : { ...contact, masked: plain === null },
    canUnmask: plain === null && contact !== null && mayOn(actor, 'unmask', ticket),
    answer:
      entry !== null
        ? {
            title: entry.content.question,
            paragraphs: entry.content.answer.split('\n'),
            facts: facts(['编号', entry.content.id], ['版本', versionLabel(ticket.entry?.version ?? entry.version)])
          }
        : ticket.draft !== null && (ticket.answeredAt !== null || actor.role === 'office')
          ? {
              title: ticket.answeredAt === null ? `拟写的答复（${view.stateName}，还没有告知咨询人）` : '答复',
              paragraphs: ticket.draft.text.split('\n'),
              facts: []
            }
          : null,
    history: historyOf(await eventsOf(db, ticket.number), await personNames(db, unitName), unitName),
    assign:
      may('assign') && choices !== null
        ? {
            title: ticket.toOffice ? '指定交办（已退回两次，指定后不能再退）' : '交办',
            ...choices,
            coUnits: choices.units.map((unit) => ({ ...unit, selected: false })),
            due: assignDue(ticket, dueOf(calendar(), today()))
          }
        : null,
    revise: actor.role === 'office' && may('revise'),
    answers: canAnswer ? { question: search, found: await find(parts, search, ticket.zone) } : null,
    guide:
      may('guide') && choices !== null
        ? [...choices.suggested, ...choices.units.filter(notIn(choices.suggested))]
        : null,
    join: may('join') ? await similarTo(parts, ticket.question, ticket) : null,
    withdraw: may('withdraw'),
    reopen: may('reopen'),
    reason: given.reason ?? '',
    slip: isClerk ? `${hrefOf(ticket.number)}/slip` : null,
    contactSlip: (ticket.guidedTo ?? ticket.unit) === null ? null : `${hrefOf(ticket.number)}/contact-slip`,
    back: isClerk ? '/desk' : '/office'
  }
}

const notIn = (some: readonly Option[]) => (one: Option) => !some.some(({ value }) => value === one.value)

/** A returned one keeps the citizen's date (domain model 2.2, rule 2). */
const assignDue = (ticket: Ticket, due: Due) =>
  ticket.returns.length > 0 && ticket.due !== null ? `退回重新交办，期限不变：${dueLine(ticket.due)}。` : dueText(due)

/** The page of a consultation for this person: the desk's, or the office's. */
export function pathOf({ role }: Pick<Actor, 'role'>, number: string): string {
  return `${role === 'office' ? '/office' : '/desk'}/${encodeURIComponent(number)}`
}
