import type { Actor } from '../../accounts/roles.ts'
import { instantInChina } from '../../calendar/day.ts'
import type { Unit, Zone } from '../../content/kinds.ts'
import type { Item } from '../../content/library.ts'
import type { Chain } from '../../database/schema.ts'
import { chainFor } from '../../ledgers/records.ts'
import type { Parts } from '../../parts.ts'
import { headOf } from '../../views/models.ts'
import { dayLabel } from '../../views/text.ts'
import type { Badge, Link, Pager } from '../../views/views.ts'
import { chainsOf } from '../records.ts'
import { clockBadge, dayShort, timeShort } from '../shown.ts'
import { OPEN, STATE_NAMES, type Ticket } from '../ticket.ts'
import {
  type Days,
  daysOf,
  type Filter,
  lastReminders,
  listBehind,
  type Shown,
  UNASSIGNED_UNIT,
  unitFigures,
  unreadNumbers,
  waitingByZone
} from './figures.ts'

interface Line {
  href: string
  /** `late`, `soon` or empty: a class. */
  urgency: string
  number: string
  question: string
  state: Badge
  clock: Badge | null
  /** The person has a message about it that is not read. */
  unread: boolean
  detail: string
}

interface Cell {
  text: string
  /** Where it is a count of something: those consultations. */
  href: string | null
  late: boolean
  /** What the link says to who does not see the table. */
  label: string
}

interface Board {
  /** Real and sample figures, for a sample account where there are both; never added up. */
  chains: (Link & { current: boolean })[]
  counts: { text: string; count: string; href: string; urgent: boolean }[]
  /** Second returns: only the office says who answers (domain model 2.2, rule 2). */
  designate: { number: string; href: string; question: string; detail: string; returns: string[] }[]
  designateMore: Link | null
  grid: { period: string; rows: { unit: string; href: string; cells: Cell[] }[]; total: Cell[]; others: string } | null
  /** Printed for the weekly meeting. */
  late: {
    title: string
    about: string
    rows: {
      number: string
      href: string
      question: string
      unit: string
      due: string
      days: string
      reminder: string
      liaison: string
      phone: string | null
    }[]
    more: string | null
  } | null
  waiting: { name: string; count: string; href: string; lines: Line[] }[] | null
  unsolved: { lines: Line[]; more: Link[] } | null
  list: { total: string; lines: Line[]; pages: Pager | null } | null
}

declare module '../../views/views.ts' {
  interface Pages {
    office: {
      head: Head
      heading: string
      /** For who has no tickets, or where there is none: a page that says so. */
      instead: { text: string; links: Link[] } | null
      board: Board | null
    }
  }
}

/** A list longer than this is no list for a meeting; the rest is a page on. */
const MOST_LATE = 300
/** What waits since an earlier day should be none; the oldest are shown. */
const MOST_WAITING = 60
const MOST_UNSOLVED = 20
/** Second returns at once; each is read. */
const MOST_DESIGNATE = 10
const PAGE = 50
/** Characters of a question in a table. */
const EXCERPT = 60

type Names = { units: ReadonlyMap<string, Item<Unit>>; zones: ReadonlyMap<string, Item<Zone>> }

interface Asking {
  parts: Parts
  actor: Actor
  chain: Chain
  days: Days
  names: Names
}

async function asking(parts: Parts, actor: Actor, wanted: Chain | null): Promise<Asking> {
  const chain = wanted !== null && chainsOf(actor).includes(wanted) ? wanted : await chainFor(parts.db, actor.sample)
  const names = { units: await parts.library.all('unit'), zones: await parts.library.all('zone') }
  return { parts, actor, chain, days: daysOf(parts.calendar(), parts.today()), names }
}

const unitName = ({ units }: Names, id: string | null) =>
  id === null || id === UNASSIGNED_UNIT ? '还没有交办' : (units.get(id)?.content.name ?? id)
const zoneName = ({ zones }: Names, id: string) => zones.get(id)?.content.name ?? id
const hrefOf = (number: string) => `/office/${encodeURIComponent(number)}`

function listHref({ actor, chain }: Asking, show: Shown, more: Record<string, string> = {}): string {
  return `/office?${new URLSearchParams({ show, ...more, ...(actor.sample ? { chain } : {}) })}`
}

const short = (text: string) => (text.length > EXCERPT ? `${text.slice(0, EXCERPT)}…` : text)

/** What an office person needs in the morning, on one page. */
export async function overview(parts: Parts, actor: Actor, wanted: Chain | null) {
  const given = await asking(parts, actor, wanted)
  const { chain, days } = given
  const all = (show: Shown): Filter => ({ chain, show, unit: null, zone: null })
  const { db } = parts
  const figures = await unitFigures(db, chain, days, parts.calendar())
  const designate = await listBehind(db, all('office'), days, { limit: MOST_DESIGNATE, offset: 0 })
  const zones = await waitingByZone(db, chain, days)
  const waiting = await listBehind(db, all('waiting'), days, { limit: MOST_WAITING, offset: 0 })
  const reopened = await listBehind(db, all('reopened'), days, { limit: MOST_UNSOLVED, offset: 0 })
  const unsolved = await listBehind(db, all('unsolved'), days, { limit: MOST_UNSOLVED, offset: 0 })
  const sum = (of: 'open' | 'soon' | 'overdue') => figures.reduce((total, row) => total + row[of], 0)
  const isWaiting = [...zones.values()].reduce((total, count) => total + count, 0)
  const chip = (text: string, count: number, href: string, urgent: boolean) => ({
    text,
    count: String(count),
    href,
    urgent: urgent && count > 0
  })
  const again = await lines(given, [...reopened.tickets, ...unsolved.tickets])
  const board: Board = {
    chains: await chainLinks(given),
    counts: [
      chip('等指定交办', designate.total, '#designate', true),
      chip('已超期', sum('overdue'), '#late', true),
      chip('隔日未交办', isWaiting, '#waiting', true),
      chip('群众说没解决', reopened.total + unsolved.total, '#unsolved', true),
      chip('快到期', sum('soon'), listHref(given, 'soon'), false),
      chip('在办', sum('open'), listHref(given, 'open'), false)
    ],
    designate: designate.tickets.map((ticket) => ({
      number: ticket.number,
      href: hrefOf(ticket.number),
      question: ticket.question,
      detail: [zoneName(given.names, ticket.zone), clockBadge(parts, ticket)?.text ?? '']
        .filter((one) => one !== '')
        .join('　'),
      returns: ticket.returns.map(
        ({ at, unit, reason }) =>
          `${dayShort(instantInChina(at).slice(0, 10))}　${unitName(given.names, unit)}退回：${reason}`
      )
    })),
    designateMore:
      designate.total > designate.tickets.length
        ? { text: `全部 ${designate.total} 件`, href: listHref(given, 'office') }
        : null,
    grid: gridOf(given, figures),
    late: await lateOf(given, all('overdue')),
    waiting: await Promise.all(
      [...zones].map(async ([zone, count]) => ({
        name: zoneName(given.names, zone),
        count: String(count),
        href: listHref(given, 'waiting', { zone }),
        lines: await lines(
          given,
          waiting.tickets.filter((ticket) => ticket.zone === zone)
        )
      }))
    ),
    unsolved: {
      // What the person has not read comes first.
      lines: again.toSorted((a, b) => Number(b.unread) - Number(a.unread)),
      more: [
        ...(reopened.total > MOST_UNSOLVED
          ? [{ text: `重新办理中的全部 ${reopened.total} 件`, href: listHref(given, 'reopened') }]
          : []),
        ...(unsolved.total > MOST_UNSOLVED
          ? [{ text: `没有再办的全部 ${unsolved.total} 件`, href: listHref(given, 'unsolved') }]
          : [])
      ]
    },
    list: null
  }
  return {
    head: await headOf(parts.library, { title: '督办', sample: chain === 'sample' }),
    heading: `督办　${dayLabel(days.today)}${chain === 'sample' ? '（示例数据）' : ''}`,
    instead: null,
    board
  }
}

const TITLES: Record<Shown, string> = {
  open: '在办的咨询',
  soon: '快到期的咨询（今天和下一个工作日）',
  overdue: '超期未答复的咨询',
  returned: '本月退回过的咨询',
  answered: '本月答复的咨询',
  waiting: '隔日未交办的咨询',
  office: '等指定交办的咨询',
  reopened: '重新办理中的咨询',
  unsolved: '本月评价没解决、没有再办的咨询'
}

/** The consultations behind one figure. */
export async function listPage(
  parts: Parts,
  actor: Actor,
  wanted: Chain | null,
  { show, unit, zone }: Pick<Filter, 'show' | 'unit' | 'zone'>,
  page: number
) {
  const given = await asking(parts, actor, wanted)
  const { chain, days, names } = given
  const filter = { chain, show, unit, zone }
  const whose = [unit === null ? null : unitName(names, unit), zone === null ? null : zoneName(names, zone)].filter(
    (one) => one !== null
  )
  const heading = `${whose.length === 0 ? '' : `${whose.join('、')}：`}${TITLES[show]}${chain === 'sample' ? '（示例数据）' : ''}`
  const board: Board = {
    chains: await chainLinks(given),
    counts: [],
    designate: [],
    designateMore: null,
    grid: null,
    late: null,
    waiting: null,
    unsolved: null,
    list: null
  }
  const head = await headOf(parts.library, { title: TITLES[show], sample: chain === 'sample' })
  if (show === 'overdue' && page === 1) {
    const late = await lateOf(given, filter)
    if (late.more === null) return { head, heading, instead: null, board: { ...board, late } }
  }
  const { tickets, total } = await listBehind(parts.db, filter, days, { limit: PAGE, offset: (page - 1) * PAGE })
  const last = Math.max(1, Math.ceil(total / PAGE))
  const more = { ...(unit === null ? {} : { unit }), ...(zone === null ? {} : { zone }) }
  const pageHref = (at: number) => listHref(given, show, { ...more, page: String(at) })
  const pages =
    last === 1
      ? null
      : {
          text: `第 ${page} 页，共 ${last} 页`,
          previous: page > 1 ? pageHref(Math.min(page - 1, last)) : null,
          next: page < last ? pageHref(page + 1) : null
        }
  const list = {
    total: total === 0 ? '没有这样的咨询。' : `共 ${total} 件。`,
    lines: await lines(given, tickets),
    pages
  }
  return { head, heading, instead: null, board: { ...board, list } }
}

async function chainLinks({ parts, actor, chain }: Asking): Promise<Board['chains']> {
  if (!actor.sample) return []
  const there = await parts.db.selectFrom('consultations').select('chain').distinct().execute()
  if (there.length < 2) return []
  return (['real', 'sample'] as const).map((one) => ({
    text: one === 'real' ? '正式数据' : '示例数据',
    href: `/office?chain=${one}`,
    current: one === chain
  }))
}

async function lines(given: Asking, tickets: readonly Ticket[]): Promise<Line[]> {
  const { parts, actor, names } = given
  const unread = await unreadNumbers(
    parts.db,
    actor.id,
    tickets.map(({ number }) => number)
  )
  return tickets.map((ticket) => {
    const clock = clockBadge(parts, ticket)
    return {
      href: hrefOf(ticket.number),
      urgency: clock?.code ?? '',
      number: ticket.number,
      question: ticket.question,
      state: { code: OPEN.has(ticket.state) ? 'state' : 'done', text: STATE_NAMES[ticket.state] },
      clock,
      unread: unread.has(ticket.number),
      detail: [
        zoneName(names, ticket.zone),
        ticket.unit === null ? '' : unitName(names, ticket.unit),
        `${timeShort(ticket.registeredAt)}登记`,
        ticket.round > 1 ? `第 ${ticket.round} 次办理` : ''
      ]
        .filter((one) => one !== '')
        .join('　')
    }
  })
}

function gridOf(given: Asking, figures: Awaited<ReturnType<typeof unitFigures>>): Board['grid'] {
  const { parts, days, names } = given
  const calendar = parts.calendar()
  const rows = figures
    .map((row) => ({ ...row, name: unitName(names, row.unit) }))
    .sort(
      (a, b) =>
        Number(b.unit === UNASSIGNED_UNIT) - Number(a.unit === UNASSIGNED_UNIT) ||
        b.overdue - a.overdue ||
        b.open - a.open ||
        a.name.localeCompare(b.name, 'zh')
    )
  const waits = (oldest: string | null) =>
    oldest === null ? '' : String(calendar.workingDaysBetween(oldest, days.today))
  const mean = (workingDays: number, answered: number) => (answered === 0 ? '' : (workingDays / answered).toFixed(1))
  const cells = (row: Omit<(typeof rows)[number], 'unit'>, unit: string | null): Cell[] => {
    const count = (show: Shown, many: number, what: string, late = false): Cell => ({
      text: String(many),
      href: many === 0 ? null : listHref(given, show, unit === null ? {} : { unit }),
      late: late && many > 0,
      label: `${row.name}${what} ${many} 件`
    })
    const plain = (text: string): Cell => ({ text, href: null, late: false, label: '' })
    return [
      count('open', row.open, '在办'),
      count('soon', row.soon, '快到期'),
      count('overdue', row.overdue, '已超期', true),
      plain(waits(row.oldestOn)),
      count('returned', row.returned, '本月退回'),
      count('answered', row.answered, '本月答复'),
      plain(mean(row.workingDays, row.answered))
    ]
  }
  const sum = (of: 'open' | 'soon' | 'overdue' | 'returned' | 'answered' | 'workingDays') =>
    rows.reduce((total, row) => total + row[of], 0)
  const oldest = rows.flatMap(({ oldestOn }) => oldestOn ?? []).sort()[0] ?? null
  const active = rows.filter(({ unit }) => unit !== UNASSIGNED_UNIT).length
  const rest = names.units.size - active
  return {
    period: `${Number(days.month.slice(5, 7))}月1日至今`,
    rows: rows.map((row) => ({
      unit: row.name,
      href: listHref(given, 'open', { unit: row.unit }),
      cells: cells(row, row.unit)
    })),
    total: cells(
      {
        name: '合计',
        open: sum('open'),
        soon: sum('soon'),
        overdue: sum('overdue'),
        oldestOn: oldest,
        returned: sum('returned'),
        answered: sum('answered'),
        workingDays: sum('workingDays')
      },
      null
    ),
    others: rest > 0 ? `另有 ${rest} 个单位没有在办的，本月也没有退回和答复。` : ''
  }
}

async function lateOf(given: Asking, filter: Filter): Promise<NonNullable<Board['late']>> {
  const { parts, days, names } = given
  const calendar = parts.calendar()
  const { tickets, total } = await listBehind(parts.db, filter, days, { limit: MOST_LATE, offset: 0 })
  const reminders = await lastReminders(
    parts.db,
    tickets.map(({ number }) => number)
  )
  const district = await parts.library.district()
  return {
    title: `政策咨询超期未答复清单${given.chain === 'sample' ? '（示例数据）' : ''}`,
    about: `${district.content.name}　${dayLabel(days.today)}　共 ${total} 件`,
    rows: tickets.map((ticket) => {
      const dueOn = ticket.due?.dueOn ?? ticket.promisedOn
      const unit = names.units.get(ticket.unit ?? '')?.content ?? null
      const reminder = reminders.get(ticket.number)
      return {
        number: ticket.number,
        href: hrefOf(ticket.number),
        question: short(ticket.question),
        unit: ticket.unit === null ? `还没有交办（${zoneName(names, ticket.zone)}）` : unitName(names, ticket.unit),
        due: dayShort(dueOn),
        days: String(calendar.workingDaysBetween(dueOn, days.today)),
        reminder:
          reminder === undefined ? '没有' : `${dayShort(instantInChina(reminder.at).slice(0, 10))}${reminder.name}`,
        liaison: unit?.liaison ?? '',
        phone: ticket.unit === null ? (names.zones.get(ticket.zone)?.content.phone ?? null) : (unit?.phone ?? null)
      }
    }),
    more: total > tickets.length ? `这里是拖得最久的 ${tickets.length} 件，共 ${total} 件。` : null
  }
}
