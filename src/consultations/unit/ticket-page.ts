import { type Actor, actsAs, may, ROLE_NAMES, scopeOf } from '../../accounts/roles.ts'
import type { Calendar } from '../../calendar/calendar.ts'
import type { Parts } from '../../parts.ts'
import { facts, headOf, linksOf } from '../../views/models.ts'
import { dayLabel } from '../../views/text.ts'
import { actionsFor } from '../act.ts'
import { eventsOf } from '../events.ts'
import { COMPARED, SIMILAR_SHOWN } from '../limits.ts'
import { findTicket, openQuestions } from '../records.ts'
import { clockBadge, historyOf, personNames, timeLabel } from '../shown.ts'
import { similarTickets } from '../similar.ts'
import { viewTicket } from '../ticket-view.ts'
import {
  ANSWER_WITHIN,
  CHANNEL_NAMES,
  type Due,
  OPEN,
  REOPEN_WITHIN,
  type State,
  STATE_NAMES,
  type Ticket,
  type TicketEvent
} from '../ticket.ts'
import { draftForm, type Near, nearTo } from './draft.ts'
import { type Access, NOT_KNOWN, type Sent, type Typed, type UnitAction } from './form.ts'
import { isTellable } from './list.ts'
import { slipOf, type SlipRow } from './slip.ts'
import { type ContactForm, contactForms } from './telling.ts'

export interface Option {
  value: string
  text: string
  selected: boolean
}

declare module '../../views/views.ts' {
  interface Pages {
    'unit-ticket': {
      head: Head
      /** Where the forms are sent: `/unit/NUMBER` or `/t/TOKEN`. */
      path: string
      back: string | null
      /** For who holds a link: as whom, and until when. */
      holder: string | null
      number: string
      version: string
      state: Badge
      clock: Badge | null
      problem: string | null
      info: string | null
      /** What was typed and has no field any more. */
      lost: string | null
      question: string
      facts: Fact[]
      due: { text: string; why: string; href: string | null } | null
      waiting: string | null
      accept: boolean
      consultant: { name: string; phone: string | null } | null
      earlier: { title: string; text: string }[]
      revised: string | null
      draft: {
        text: string
        longest: string
        basis: { title: string; href: string; clauses: { value: string; text: string; checked: boolean }[] }[]
        titles: string
        /** What is stored, where it is another text than the one typed. */
        stored: string | null
      } | null
      answer: { title: string; text: string; basis: { text: string; href: string | null }[]; by: string } | null
      approve: { button: string; note: string | null } | null
      revise: { reason: string } | null
      giveBack: { reason: string; units: Option[] } | null
      contacts: ContactForm[]
      next: { title: string; steps: string[] } | null
      bank: { text: string; href: string | null; link: string } | null
      near: Near[]
      similar: { number: string; question: string; detail: string; href: string | null }[]
      history: { at: string; text: string }[]
      slip: { title: string; district: string; rows: SlipRow[] }
    }
  }
}

export async function ticketPage(parts: Parts, { actor, path, link }: Access, ticket: Ticket, sent: Sent | null) {
  const { db, library, calendar } = parts
  const view = await viewTicket(parts, actor, ticket)
  const units = await library.all('unit')
  const unitName = (id: string | null) => (id === null ? '' : (units.get(id)?.content.name ?? id))
  const zoneName = (await library.all('zone')).get(ticket.zone)?.content.name ?? ticket.zone
  const events = await eventsOf(db, ticket.number)
  const personName = await personNames(db, unitName)
  const head = ticket.head === null ? null : await findTicket(db, ticket.head)
  const can = (action: UnitAction) => view.actions.includes(action)
  const of = (action: UnitAction) => (sent?.action === action ? sent.typed : null)
  const near = OPEN.has(ticket.state) ? await nearTo(parts, ticket) : []
  const draft = can('draft') ? await draftForm(parts, ticket, near, of('draft')) : null
  const revise = can('revise') ? { reason: of('revise')?.reason ?? '' } : null
  const giveBack = can('return') ? giveBackForm(units, ticket, of('return')) : null
  const contacts = await contactForms(parts, actor, ticket, head, of('contact'))
  const answer = draft === null ? await answerShown(parts, ticket, head, personName) : null
  const approvesOwn = ticket.unit !== null && actor.approvesOwn.includes(ticket.unit)
  const isOwn = ticket.draft?.by === actor.username
  const { contact } = view
  const asked = facts(
    ['登记时间', timeLabel(ticket.registeredAt)],
    ['专区', zoneName],
    ['咨询方式', CHANNEL_NAMES[ticket.channel]],
    ['咨询人', ticket.audience === 'business' ? '企业' : '群众'],
    ['答复单位', unitName(ticket.unit)],
    ['协办单位', ticket.coUnits.map(unitName).join('、')],
    ['并入', ticket.head],
    ['并入本件', ticket.joined.join('、')]
  )
  return {
    head: await headOf(library, { title: `咨询 ${ticket.number}`, sample: view.sample }),
    path,
    back: link === null ? '/unit' : null,
    holder:
      link === null
        ? null
        : `您凭链接办理这一件，身份是${unitName(link.unit)}${ROLE_NAMES[link.role]}。链接有效到 ${timeLabel(link.expiresAt)}，请不要转发。`,
    number: ticket.number,
    version: String(ticket.version),
    state: { code: OPEN.has(ticket.state) ? 'state' : 'done', text: STATE_NAMES[ticket.state] },
    clock: clockBadge(parts, ticket),
    problem: sent?.problem ?? null,
    info: sent?.info ?? null,
    lost: lostText(sent, {
      draft: draft !== null,
      revise: revise !== null,
      return: giveBack !== null,
      contact: contacts
    }),
    question: view.question,
    facts: asked,
    due: ticket.due === null ? null : dueShown(calendar(), events, ticket.due),
    waiting: waitingText(actor, ticket, head),
    accept: can('accept'),
    consultant: contact === null ? null : { name: contact.name, phone: contact.phone },
    earlier: ticket.earlier.map(({ answer: text, reason }, at) => ({
      title: `第 ${at + 1} 次答复，咨询人说没有解决：${reason}`,
      text: text ?? '（用问答库答复）'
    })),
    revised: revisedText(ticket, personName),
    draft,
    answer,
    approve: can('approve')
      ? {
          button: approvesOwn && isOwn ? '自拟自审，审核通过' : '审核通过',
          note:
            approvesOwn && isOwn
              ? '本单位只有一个人，区政府办公室已开通自拟自审：这份答复是您自己写的，也由您审核，会如实记录。'
              : null
        }
      : null,
    revise,
    giveBack,
    contacts,
    next: nextSteps(ticket),
    bank: link === null ? bankBox(actor, ticket) : null,
    near,
    similar: can('join') ? await similarTo(parts, actor, ticket, link === null) : [],
    history: historyOf(events, personName, unitName),
    slip: await slipOf(parts, { ticket, question: view.question, contact, zoneName, unitName, personName, answer })
  }
}

/** `2026-11-24T02:05:00Z` → 2026年11月24日 10:05. */
/** The last day and how it was counted, from what happened: a returned ticket keeps its first unit's date. */
function dueShown(calendar: Calendar, events: readonly TicketEvent[], due: Due) {
  const { dueOn, latestOn, provisional } = due
  const text = provisional ? `${dayLabel(dueOn)}（暂定，最晚 ${dayLabel(latestOn)}）` : dayLabel(dueOn)
  const recounted = events.findLast(({ type }) => type === 'recounted')
  const starts = events.flatMap((event) => {
    switch (event.type) {
      case 'assigned':
        return [{ day: event.data.day, text: `${dayLabel(event.data.day)}交办` }]
      case 'registered':
      case 'reopened': {
        const day = calendar.nextWorkingDay(event.data.day)
        const what = event.type === 'reopened' ? '咨询人说没有解决' : '登记'
        const from = day === event.data.day ? '' : `，从${dayLabel(day)}起算`
        return [{ day, text: `${dayLabel(event.data.day)}${what}${from}` }]
      }
      default:
        return []
    }
  })
  const start = starts.findLast(({ day }) => calendar.due(day, ANSWER_WITHIN).dueOn === dueOn)
  const later = provisional ? '下一年的放假安排公布后可能顺延。' : ''
  if (start === undefined) {
    const why = recounted?.type === 'recounted' ? recounted.data.reason : '期限另有安排'
    return { text, why: `${why}。${later}`, href: null }
  }
  const why = `${start.text}，当天不算，第 ${ANSWER_WITHIN} 个工作日到期。${later}`
  return { text, why, href: `/calendar?from=${start.day}&workingDays=${ANSWER_WITHIN}` }
}

/** Whom it waits for, where that is not this person. */
function waitingText(actor: Actor, ticket: Ticket, head: Ticket | null): string | null {
  const { state, unit } = ticket
  const isLiaison = unit !== null && actsAs(actor, 'liaison', unit)
  const isLeader = unit !== null && actsAs(actor, 'leader', unit)
  switch (state) {
    case 'IN_REVIEW':
      if (!isLeader) return '已经送审，等分管领导审核。'
      return actionsFor(actor, ticket).includes('approve')
        ? null
        : '这份答复是您自己写的，要由另一个人审核。本单位只有一个人的，请区政府办公室开通“自拟自审”。'
    case 'JOINED':
      return isTellable(head)
        ? null
        : `有人问过同样的事，并入 ${ticket.head} 一起办。那件的答复审核通过后，在这里告知这位咨询人。`
    case 'ASSIGNED':
    case 'REOPENED':
    case 'ACCEPTED':
    case 'DRAFTING':
      return isLiaison ? null : '等联络员拟写答复。联络员不在的，您也可以写；写了就要由别人审核。'
    case 'APPROVED':
    case 'CONTACTING':
      return isLiaison ? null : '等联络员联系咨询人。'
    default:
      return null
  }
}

function revisedText({ state, revisions, draft }: Ticket, personName: (username: string) => string): string | null {
  const last = revisions.at(-1)
  if (state !== 'DRAFTING' || last === undefined || (draft !== null && draft.at > last.at)) return null
  return `${personName(last.by)}退改（${timeLabel(last.at)}）：${last.reason}`
}

/** Words that would be gone with the page: the form they stood in is no longer offered. */
function lostText(
  sent: Sent | null,
  shown: { draft: boolean; revise: boolean; return: boolean; contact: readonly ContactForm[] }
): string | null {
  if (sent === null) return null
  const { action, typed } = sent
  const consultant = typed.consultant
  const isShown =
    action === 'contact'
      ? shown.contact.some(({ number }) => consultant === '' || number === consultant)
      : action === 'draft' || action === 'revise' || action === 'return'
        ? shown[action]
        : true
  if (isShown) return null
  const text =
    action === 'draft' ? [typed.text, typed.titles].join('\n') : action === 'contact' ? typed.note : typed.reason
  return text.trim() === '' ? null : text.trim()
}

/** The answer as it stands, to be read and not written; of one that is joined its head's. */
async function answerShown(
  { library }: Parts,
  ticket: Ticket,
  head: Ticket | null,
  personName: (username: string) => string
) {
  const draft = ticket.draft ?? (isTellable(head) ? (head?.draft ?? null) : null)
  if (draft === null) return null
  const documents = await library.documents()
  const { document: hrefOf } = linksOf(null)
  return {
    title: ticket.approvedAt === null && !isTellable(head) ? '拟好的答复' : '审核通过的答复',
    text: draft.text,
    basis: draft.basis.map(({ document, title, clause }) => {
      const content = documents.get(document ?? '')?.content
      return content === undefined
        ? { text: `${title ?? document ?? ''}${clause ?? ''}`, href: null }
        : { text: `《${content.title}》${content.number ?? ''} ${clause ?? ''}`, href: hrefOf(content.id, clause) }
    }),
    by: `${personName(draft.by)}　${timeLabel(draft.at)}`
  }
}

function giveBackForm(
  units: ReadonlyMap<string, { content: { id: string; name: string } }>,
  ticket: Ticket,
  typed: Typed | null
) {
  const option = (value: string, text: string) => ({ value, text, selected: typed?.unit === value })
  return {
    reason: typed?.reason ?? '',
    units: [
      option('', '请选择'),
      ...[...units.values()]
        .filter(({ content }) => content.id !== ticket.unit)
        .map(({ content }) => option(content.id, content.name)),
      option(NOT_KNOWN, '不清楚，请咨询台判断')
    ]
  }
}

async function similarTo(parts: Parts, actor: Actor, ticket: Ticket, hasAccount: boolean) {
  const scope = scopeOf(actor)
  const own = (await openQuestions(parts.db, ticket.chain, COMPARED)).filter(
    ({ number, unit }) =>
      number !== ticket.number && unit !== null && scope.kind === 'unit' && scope.units.includes(unit)
  )
  const byNumber = new Map(own.map((one) => [one.number, one]))
  return similarTickets(parts, ticket.question, own, SIMILAR_SHOWN).map(({ number, probability }) => {
    const { question, state } = byNumber.get(number) as (typeof own)[number]
    return {
      number,
      question,
      detail: `${STATE_NAMES[state]}　${probability >= 0.8 ? '很可能是同一件事' : '可能是同一件事'}`,
      href: hasAccount ? `/unit/${number}` : null
    }
  })
}

function nextSteps(ticket: Ticket): { title: string; steps: string[] } | null {
  switch (ticket.state) {
    case 'ANSWERED':
      return {
        title: '接下来',
        steps: [
          '咨询人会收到通知，凭登记编号和查询码看到答复，可以评价“解决了”或“没解决”。',
          `说“没解决”的，${REOPEN_WITHIN} 个工作日内会重新办理，期限重新计算，还由本单位答复。`,
          '说“解决了”或者期满没有意见的，自动办结，不用再操作。'
        ]
      }
    case 'UNREACHED':
      return {
        title: '接下来',
        steps: [
          '多次联系不上，答复已放在查询页，咨询人凭登记编号和查询码能看到。',
          '咨询人后来打电话来问的，请答复，并在这里登记“已告知”。'
        ]
      }
    default:
      return null
  }
}

const TOLD: readonly State[] = ['ANSWERED', 'UNREACHED', 'CLOSED']

function bankBox(
  actor: Actor,
  { number, state, bank }: Ticket
): { text: string; href: string | null; link: string } | null {
  if (!may(actor, 'bank-propose') && !may(actor, 'bank-approve')) return null
  if (!TOLD.includes(state)) return null
  const href = `/unit/${number}/bank`
  switch (bank?.state) {
    case undefined:
      return {
        text: '以后还会有人问同样的事。把这份答复收进政策问答库，下一位当场就能得到答复。',
        href,
        link: '建议入库'
      }
    case 'proposed':
      return { text: '已建议入库，等分管领导审核。', href, link: '看入库建议' }
    case 'taken':
      return {
        text: `已收进政策问答库：${bank?.entry ?? ''}。`,
        href: bank?.entry == null ? null : linksOf(null).qa(bank.entry),
        link: '看这条问答'
      }
    case 'declined':
      return { text: `没有入库：${bank?.reason ?? ''}`, href: null, link: '' }
  }
}
