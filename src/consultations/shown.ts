import { ROLE_NAMES } from '../accounts/roles.ts'
import { listStaff } from '../accounts/staff.ts'
import { versionLabel } from '../bank/pages.ts'
import { instantInChina } from '../calendar/day.ts'
import type { Database } from '../database/open.ts'
import { RUNG_NAMES, rungOf } from '../notices/rungs.ts'
import type { Parts } from '../parts.ts'
import { dayLabel } from '../views/text.ts'
import type { Badge } from '../views/views.ts'
import type { LinkHolder } from './links.ts'
import { CHANNEL_NAMES, CONTACT_WAY_NAMES, type Due, OPEN, type Ticket, type TicketEvent } from './ticket.ts'

/** A day without its year, for lists of what is going on now: 11月24日. */
export function dayShort(day: string): string {
  return dayLabel(day).replace(/^\d+年/, '')
}

/** An instant to the minute, China Standard Time: 2026年11月24日 09:30. */
export function timeLabel(instant: string): string {
  const local = instantInChina(instant)
  return `${dayLabel(local.slice(0, 10))} ${local.slice(11, 16)}`
}

/** As `timeLabel`, without the year. */
export function timeShort(instant: string): string {
  return timeLabel(instant).replace(/^\d+年/, '')
}

/** A last day, and how far it may still move. */
export function dueLine({ dueOn, latestOn, provisional }: Due): string {
  return provisional ? `${dayLabel(dueOn)}（放假安排公布后可能顺延，最晚 ${dayLabel(latestOn)}）` : dayLabel(dueOn)
}

/** How long there is left, in working days and plain words; null where nothing is owed any more. */
export function clockBadge({ calendar, today: now }: Pick<Parts, 'calendar' | 'today'>, ticket: Ticket): Badge | null {
  const { due, state } = ticket
  const today = now()
  if (due === null || !OPEN.has(state)) return null
  if (due.dueOn === today) return { code: 'soon', text: '今天到期' }
  if (due.dueOn < today) {
    const over = calendar().workingDaysBetween(due.dueOn, today)
    return { code: 'late', text: over === 0 ? '已超期' : `已超 ${over} 个工作日` }
  }
  const left = calendar().workingDaysBetween(today, due.dueOn)
  return { code: left <= 1 ? 'soon' : '', text: `还剩 ${left} 个工作日` }
}

/** Who did something: members of staff by their name, who came by a link by unit and role. */
export async function personNames(
  db: Database,
  unitName: (id: string) => string
): Promise<(username: string) => string> {
  const names = new Map((await listStaff(db)).map(({ username, name }) => [username, name]))
  return (username) => {
    const [, unit, role] = /^链接:(.+):(liaison|leader)$/.exec(username) ?? []
    if (unit !== undefined) return `${unitName(unit)}${ROLE_NAMES[role as LinkHolder['role']]}（链接）`
    if (username === 'citizen') return '咨询人'
    return username === 'system' ? '系统' : (names.get(username) ?? username)
  }
}

/** What happened, in plain Chinese, newest last. */
export function historyOf(
  events: readonly TicketEvent[],
  personName: (username: string) => string,
  unitName: (id: string | null) => string
): { at: string; text: string }[] {
  return events.map((event) => ({
    at: timeLabel(event.at),
    text: `${personName(event.actor)}${sentence(event, unitName)}`
  }))
}

function sentence(event: TicketEvent, unitName: (id: string | null) => string): string {
  switch (event.type) {
    case 'registered':
      return `登记（${CHANNEL_NAMES[event.data.channel]}）`
    case 'answered':
      return `用问答库 ${event.data.entry}（${versionLabel(event.data.version)}）答复`
    case 'guided':
      return `引导到${unitName(event.data.unit)}`
    case 'assigned':
      return `${event.data.designated ? '指定交办' : '交办'}给${unitName(event.data.unit)}，期限 ${dayLabel(event.data.due.dueOn)}`
    case 'accepted':
      return '签收'
    case 'returned': {
      const proposed = event.data.proposed === null ? '' : `；建议由${unitName(event.data.proposed)}答复`
      const toOffice = event.data.toOffice ? '；第二次退回，由区政府办公室指定' : ''
      return `退回：${event.data.reason}${proposed}${toOffice}`
    }
    case 'drafted':
      return event.data.submitted ? '写好答复，送审' : '保存草稿'
    case 'approved':
      return event.data.self ? '审核通过（自拟自审）' : '审核通过'
    case 'revised':
      return `退改：${event.data.reason}`
    case 'contacted': {
      const note = event.data.note === '' ? '' : `（${event.data.note}）`
      const way = CONTACT_WAY_NAMES[event.data.by]
      return event.data.outcome === 'told' ? `${way}告知了咨询人${note}` : `${way}没有联系上咨询人${note}`
    }
    case 'joined':
      return `并入 ${event.data.head}${event.data.automatic ? '（问的完全相同）' : ''}`
    case 'separated':
      return `改为单独办理：${event.data.reason}`
    case 'followed':
      return event.data.unit === null ? '随主件退回' : `随主件转到${unitName(event.data.unit)}`
    case 'gained':
      return `把 ${event.data.number} 并进来`
    case 'withdrawn':
      return `撤回：${event.data.reason}`
    case 'rated':
      return event.data.solved ? '评价：解决了' : '评价：没解决'
    case 'reopened':
      return `重新办理：${event.data.reason}，新期限 ${dayLabel(event.data.due.dueOn)}`
    case 'closed':
      return event.data.reason === 'solved' ? '办结（咨询人说解决了）' : '办结（期满没有意见）'
    case 'archived':
      return '归档'
    case 'recounted':
      return `重新计算期限，到 ${dayLabel(event.data.due.dueOn)}：${event.data.reason}`
    case 'bank':
      switch (event.data.state) {
        case 'proposed':
          return '建议入库'
        case 'taken':
          return `收进问答库${event.data.entry === null ? '' : `（${event.data.entry}）`}`
        case 'declined':
          return `不入库：${event.data.reason ?? ''}`
      }
      break
    case 'unmasked':
      return `查看联系方式：${event.data.reason}`
    case 'reminded': {
      const rung = rungOf(event.data.kind)
      return `提醒${rung === null ? '' : `：${RUNG_NAMES[rung]}`}`
    }
    case 'contactChanged':
      return '更正了联系方式'
  }
}
