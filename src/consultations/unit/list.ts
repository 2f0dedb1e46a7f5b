import { type Actor, actsAs, ROLE_NAMES, scopeOf } from '../../accounts/roles.ts'
import type { Calendar } from '../../calendar/calendar.ts'
import type { Parts } from '../../parts.ts'
import { headOf } from '../../views/models.ts'
import type { Badge } from '../../views/views.ts'
import { actionsFor } from '../act.ts'
import { countStates, findTicket, listTickets } from '../records.ts'
import { clockBadge } from '../shown.ts'
import { isOverdue, OPEN, type State, STATE_NAMES, STATES, type Ticket } from '../ticket.ts'

interface Line {
  href: string
  /** `late`, `soon` or empty: a class. */
  urgency: string
  number: string
  place: string
  question: string
  state: Badge
  clock: Badge | null
  /** What the person is to do; null where somebody else is to. */
  todo: string | null
}

declare module '../../views/views.ts' {
  interface Pages {
    unit: {
      head: Head
      heading: string
      acting: string[]
      counts: { text: string; count: string; href: string; current: boolean }[]
      sections: { title: string; groups: { title: string; lines: Line[] }[] }[]
      nothing: string | null
      more: string | null
      pages: Pager | null
      standIn: boolean
    }
  }
}

/** Most open tickets shown at once; the most urgent (a unit has some tens). */
const MOST_LISTED = 200

const PAGE = 50

interface Shown {
  state: State | null
  overdue: boolean
  closed: boolean
  page: number
}

export async function listPage(parts: Parts, actor: Actor, { state, overdue, closed, page }: Shown) {
  const { db, library, calendar } = parts
  const today = parts.today()
  const units = await library.all('unit')
  const nameOf = (id: string) => units.get(id)?.content.name ?? id
  const scope = scopeOf(actor)
  const own = scope.kind === 'unit' ? scope.units : []
  const counted = await countStates(db, actor, today)
  const filter = closed
    ? { states: STATES.filter((one) => !OPEN.has(one)) }
    : { open: true, ...(state === null ? {} : { states: [state] }), ...(overdue ? { overdueOn: today } : {}) }
  const { tickets, total } = await listTickets(db, actor, filter, {
    order: closed ? 'newest' : 'urgency',
    limit: closed ? PAGE : MOST_LISTED,
    offset: closed ? (page - 1) * PAGE : 0
  })
  const zones = await library.all('zone')
  const heads = await headsOf(parts, tickets)
  const lines = tickets.map((ticket) => {
    const clock = clockBadge(parts, ticket)
    const place = zones.get(ticket.zone)?.content.name ?? ticket.zone
    return {
      urgency: urgencyOf(calendar(), today, ticket),
      line: {
        href: `/unit/${ticket.number}`,
        urgency: clock?.code ?? '',
        number: ticket.number,
        place: own.length > 1 && ticket.unit !== null ? `${place}　${nameOf(ticket.unit)}` : place,
        question: ticket.question,
        state: { code: OPEN.has(ticket.state) ? 'state' : 'done', text: STATE_NAMES[ticket.state] },
        clock,
        todo: todoOf(actor, ticket, heads.get(ticket.head ?? '') ?? null, today)
      }
    }
  })
  const grouped = (some: typeof lines) =>
    URGENCIES.map(({ code, title }) => ({
      title,
      lines: some.filter(({ urgency }) => urgency === code).map(({ line }) => line)
    })).filter((group) => group.lines.length > 0)
  const mine = lines.filter(({ line }) => line.todo !== null)
  const others = lines.filter(({ line }) => line.todo === null)
  const sections = closed
    ? [{ title: '已办的', groups: [{ title: '', lines: lines.map(({ line }) => line) }] }]
    : [
        { title: `等您办的（${mine.length}）`, groups: grouped(mine) },
        { title: `正在办、等别人的（${others.length}）`, groups: grouped(others) }
      ]
  const allOpen = [...counted.states.values()].reduce((sum, count) => sum + count, 0)
  const isAll = state === null && !overdue && !closed
  const chip = (text: string, count: number | null, query: string, current: boolean) => ({
    text,
    count: count === null ? '' : String(count),
    href: `/unit${query}`,
    current
  })
  const pageHref = (to: number) => `/unit?closed=1&page=${to}`
  return {
    head: await headOf(library, { title: '待办', sample: tickets.some(({ chain }) => chain === 'sample') }),
    heading: own.length === 0 ? '待办' : `${own.map(nameOf).join('、')}的待办`,
    acting: actor.roles.flatMap(({ standsInFor, role, unit }) =>
      standsInFor === null ? [] : [`您今天代办${nameOf(unit)}${ROLE_NAMES[role]}的工作。`]
    ),
    counts: [
      chip('全部在办', allOpen, '', isAll),
      ...(counted.overdue > 0 ? [chip('已超期', counted.overdue, '?overdue=1', overdue)] : []),
      ...STATES.filter((one) => (counted.states.get(one) ?? 0) > 0).map((one) =>
        chip(STATE_NAMES[one], counted.states.get(one) ?? 0, `?state=${one}`, state === one)
      ),
      chip('已办的', null, '?closed=1', closed)
    ],
    sections: sections.filter(({ groups }) => groups.some((group) => group.lines.length > 0)),
    nothing: lines.length > 0 ? null : nothingText(isAll, closed),
    more:
      !closed && total > tickets.length
        ? `这里是最急的 ${tickets.length} 件，共 ${total} 件。办完再看，或按状态筛选。`
        : null,
    pages:
      closed && total > PAGE
        ? {
            text: `第 ${page} 页，共 ${Math.ceil(total / PAGE)} 页`,
            previous: page > 1 ? pageHref(page - 1) : null,
            next: page * PAGE < total ? pageHref(page + 1) : null
          }
        : null,
    standIn: actor.roles.some(({ role }) => role === 'leader')
  }
}

function nothingText(isAll: boolean, closed: boolean): string {
  if (closed) return '还没有办完的咨询。'
  return isAll
    ? '现在没有要办的咨询，辛苦了。有新的交办，会发通知给您，也会出现在这里。'
    : '没有这样的咨询。看“全部在办”。'
}

const URGENCIES = [
  { code: 'late', title: '已超期' },
  { code: 'today', title: '今天到期' },
  { code: 'next', title: '下一个工作日到期' },
  { code: 'later', title: '还有时间' }
] as const

function urgencyOf(calendar: Calendar, today: string, { due, state }: Ticket): (typeof URGENCIES)[number]['code'] {
  if (due === null || !OPEN.has(state) || due.dueOn > today) {
    const isNext = due !== null && OPEN.has(state) && calendar.workingDaysBetween(today, due.dueOn) <= 1
    return isNext ? 'next' : 'later'
  }
  return due.dueOn === today ? 'today' : 'late'
}

const LIAISON_TODO: Partial<Record<State, string>> = {
  ASSIGNED: '请签收',
  REOPENED: '请签收，再答复一次',
  ACCEPTED: '请拟写答复',
  DRAFTING: '请拟写答复，送审',
  APPROVED: '请联系咨询人',
  CONTACTING: '请再联系咨询人'
}

/** What waits for this person, in a few words; null where it waits for somebody else. */
function todoOf(actor: Actor, ticket: Ticket, head: Ticket | null, today: string): string | null {
  const { unit, state } = ticket
  if (unit === null) return null
  if (actionsFor(actor, ticket).includes('approve')) return '请审核'
  if (actsAs(actor, 'liaison', unit)) {
    const todo = state === 'JOINED' ? (isTellable(head) ? '请一并告知咨询人' : null) : (LIAISON_TODO[state] ?? null)
    if (todo !== null) return todo
  }
  return actsAs(actor, 'leader', unit) && isOverdue(ticket, today) ? '已超期，请过问' : null
}

/** Whether one that is joined to it may be told. */
export const isTellable = (head: Ticket | null) => head !== null && head.approvedAt !== null

async function headsOf({ db }: Parts, tickets: readonly Ticket[]): Promise<Map<string, Ticket>> {
  const known = new Map(tickets.map((ticket) => [ticket.number, ticket]))
  for (const { head } of tickets) {
    if (head === null || known.has(head)) continue
    const found = await findTicket(db, head)
    if (found !== null) known.set(head, found)
  }
  return known
}
