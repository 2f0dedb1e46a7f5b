import type { Actor } from '../../accounts/roles.ts'
import { dayOf, instantInChina } from '../../calendar/day.ts'
import type { Database } from '../../database/open.ts'
import { workingHours } from '../../notices/reminders.ts'
import type { Parts } from '../../parts.ts'
import type { Badge } from '../../views/views.ts'
import { maskPersonalData } from '../mask.ts'
import { listParked } from '../parked.ts'
import { listTickets } from '../records.ts'
import { clockBadge, dayShort, timeShort } from '../shown.ts'
import { CHANNEL_NAMES, type State, STATE_NAMES, type Ticket } from '../ticket.ts'

/** A ticket, or what was parked, in a list. */
interface Line {
  href: string
  /** `late`, `soon` or empty: a class. */
  urgency: string
  top: string
  text: string
  badge: Badge | null
}

export interface List {
  title: string
  total: string
  lines: Line[]
  nothing: string
  more: string | null
}

const LISTED = 20

const WAITING: readonly State[] = ['REGISTERED', 'TO_ASSIGN', 'RETURNED', 'REOPENED']

const IN_HAND: readonly State[] = [
  'ASSIGNED',
  'ACCEPTED',
  'DRAFTING',
  'IN_REVIEW',
  'APPROVED',
  'CONTACTING',
  'JOINED',
  'REOPENED'
]

export const hrefOf = (number: string) => `/desk/${encodeURIComponent(number)}`

export async function lists(parts: Parts, actor: Actor): Promise<List[]> {
  const { db, calendar, library } = parts
  const today = parts.today()
  const [waiting, inHand, units] = [
    await listTickets(db, actor, { states: WAITING, open: true }, { order: 'oldest', limit: LISTED, offset: 0 }),
    await listTickets(db, actor, { states: IN_HAND, open: true }, { order: 'urgency', limit: LISTED, offset: 0 }),
    await library.all('unit')
  ]
  // A reopened one that went back to its unit waits there, not here.
  const toAssign = waiting.tickets.filter(({ unit }) => unit === null)
  const inUnits = inHand.tickets.filter(({ unit, state }) => unit !== null || state !== 'REOPENED')
  const closes =
    calendar().isWorkingDay(today) && minutesUntil((await workingHours(db)).until, parts.now()) <= ALARM_MINUTES
  const parked = actor.zone === null ? [] : await listParked(parts, actor.zone)
  const names = await namesOf(
    db,
    parked.map(({ staff }) => staff),
    'id'
  )
  return [
    {
      title: '待交办',
      total: String(waiting.total - (waiting.tickets.length - toAssign.length)),
      nothing: '没有等着交办的。',
      more: waiting.total > LISTED ? `还有 ${waiting.total - LISTED} 件，办完上面的就会出现。` : null,
      lines: toAssign.map((ticket) => {
        const since = ticket.returns.at(-1)?.at ?? ticket.registeredAt
        const isOld = dayOf(since) < today
        return {
          ...lineOf(ticket),
          urgency: isOld || closes ? 'late' : '',
          top: `${CHANNEL_NAMES[ticket.channel]}　${timeShort(since)}`,
          badge:
            ticket.state !== 'TO_ASSIGN'
              ? { code: 'late', text: STATE_NAMES[ticket.state] }
              : isOld
                ? { code: 'late', text: '隔日未交办' }
                : closes
                  ? { code: 'late', text: '下班前交办' }
                  : null
        }
      })
    },
    {
      title: '暂存',
      total: String(parked.length),
      nothing: '没有暂存的登记。',
      more: null,
      lines: parked.map(({ id, staff, createdAt, half }) => ({
        href: `/desk/new?${new URLSearchParams({ parked: id })}`,
        urgency: dayOf(createdAt) < today ? 'late' : 'soon',
        top: `${names.get(staff) ?? ''}　${timeShort(createdAt)}`,
        text: maskPersonalData(half.question).slice(0, 80) || '（还没写问题）',
        badge: null
      }))
    },
    {
      title: '在办',
      total: String(inHand.total - (inHand.tickets.length - inUnits.length)),
      nothing: '没有在办的。',
      more: inHand.total > LISTED ? `只列最急的 ${LISTED} 件，其余在台账里。` : null,
      lines: inUnits.map((ticket) => {
        const late = clockBadge(parts, ticket)
        const due = ticket.due === null ? '' : `${dayShort(ticket.due.dueOn)}到期`
        return {
          ...lineOf(ticket),
          urgency: late?.code ?? '',
          top: [units.get(ticket.unit ?? '')?.content.name ?? '', STATE_NAMES[ticket.state], due].join('　'),
          badge: late
        }
      })
    }
  ]
}

const lineOf = ({ number, question }: Ticket) => ({ href: hrefOf(number), text: question.slice(0, 120) })

/** What waits is red from an hour before closing (domain model 2.5). */
const ALARM_MINUTES = 60

function minutesUntil(time: string, now: Date): number {
  const minutes = (clock: string) => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3, 5))
  return minutes(time) - minutes(instantInChina(now).slice(11, 16))
}

async function namesOf(db: Database, who: readonly string[], by: 'id' | 'username'): Promise<Map<string, string>> {
  const wanted = [...new Set(who)]
  if (wanted.length === 0) return new Map()
  const rows = await db.selectFrom('staff').select(['id', 'username', 'name']).where(by, 'in', wanted).execute()
  return new Map(rows.map((row) => [row[by], row.name]))
}
