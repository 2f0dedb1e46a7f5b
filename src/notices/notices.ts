import {
  ATTEMPTS_BEFORE_UNREACHED,
  DAYS_BEFORE_UNREACHED,
  REOPEN_WITHIN,
  type Ticket,
  type TicketEvent
} from '../consultations/ticket.ts'
import { dayLabel } from '../views/text.ts'
import { type Rung, RUNG_NAMES, rungOf } from './rungs.ts'

/** What a notice says beside its kind; no personal data and nothing anybody typed: mails and gateways are not ours. */
export interface NoticeData {
  /** The unit it is about. */
  unit: string | null
  /** Last day to answer the citizen. */
  dueOn: string | null
  /** The year's holidays are not all published: the day may move on. */
  provisional: boolean
  /** Citizens who asked the same and are told the same. */
  joined: number
}

export const NOTICE_KINDS = [
  'to-assign',
  'registered',
  'assigned',
  'designated',
  'taking-part',
  'taken-away',
  'submitted',
  'revised',
  'approved',
  'returned',
  'returned-again',
  'answered',
  'unreached',
  'gained',
  'withdrawn',
  'reopened',
  'recounted',
  'bank-proposed',
  'bank-taken',
  'bank-declined'
] as const
export type NoticeKind = (typeof NOTICE_KINDS)[number] | Rung

/** As the page of unsent notices names them. */
export const NOTICE_NAMES: Readonly<Record<NoticeKind, string>> = {
  'to-assign': '待交办',
  registered: '登记告知',
  assigned: '交办',
  designated: '指定交办',
  'taking-part': '协办',
  'taken-away': '改派',
  submitted: '待审核',
  revised: '退改',
  approved: '审核通过',
  returned: '退回',
  'returned-again': '再次退回',
  answered: '答复告知',
  unreached: '无法联系告知',
  gained: '并件',
  withdrawn: '撤回',
  reopened: '重新办理',
  recounted: '期限重算',
  'bank-proposed': '入库建议',
  'bank-taken': '已入库',
  'bank-declined': '不入库',
  ...RUNG_NAMES
}

/** A notice an event owes, as it goes into the outbox. */
export interface NewNotice {
  kind: NoticeKind
  /** `unit:ID:liaison`, `unit:ID:leader`, `zone:ID`, `office`, `citizen`, or `citizen:NUMBER` for another consultant who asked the same. */
  recipient: string
  data: NoticeData
}

/** Whom an event is told to, and what; pure. Each kind and recipient once. */
export function noticesFor(event: TicketEvent, before: Ticket | null, after: Ticket): NewNotice[] {
  const { unit, zone, due, joined, hasContact } = after
  const data: NoticeData = {
    unit,
    dueOn: due?.dueOn ?? null,
    provisional: due?.provisional ?? false,
    joined: joined.length
  }
  const tell = (kind: NoticeKind, ...recipients: readonly string[]): NewNotice[] =>
    [...new Set(recipients)].map((recipient) => ({ kind, recipient, data }))
  const people = (...roles: readonly ('liaison' | 'leader')[]) =>
    unit === null ? [] : roles.map((role) => unitRecipient(unit, role))
  const citizen = hasContact ? ['citizen'] : []
  const desk = `zone:${zone}`

  switch (event.type) {
    case 'registered':
      return [
        ...tell('registered', ...citizen),
        // Who registers at the desk is the one who assigns.
        ...(after.channel === 'desk' ? [] : tell('to-assign', desk))
      ]
    case 'answered':
    case 'guided':
      return tell('answered', ...citizen)
    case 'assigned': {
      const { designated, coUnits } = event.data
      const left = before?.unit ?? null
      return [
        ...(designated ? tell('designated', ...people('liaison', 'leader')) : tell('assigned', ...people('liaison'))),
        ...tell('taking-part', ...coUnits.filter((id) => id !== unit).map((id) => unitRecipient(id, 'liaison'))),
        ...(left === null || left === unit ? [] : tell('taken-away', unitRecipient(left, 'liaison')))
      ]
    }
    case 'drafted':
      return event.data.submitted ? tell('submitted', ...people('leader')) : []
    case 'revised':
      return tell('revised', ...people('liaison'))
    case 'approved':
      return tell('approved', ...people('liaison'))
    case 'returned': {
      const by = { ...data, unit: before?.unit ?? null }
      return event.data.toOffice
        ? [{ kind: 'returned-again', recipient: 'office', data: by }]
        : [{ kind: 'returned', recipient: desk, data: by }]
    }
    case 'contacted':
      if (event.data.outcome === 'told') return tell('answered', ...citizen)
      return event.data.unreached ? tell('unreached', ...citizen) : []
    case 'gained':
      return tell('gained', ...people('liaison'))
    case 'separated':
      return tell('to-assign', desk)
    case 'withdrawn':
      return tell('withdrawn', ...people('liaison'))
    case 'reopened':
      return [
        ...tell('reopened', ...people('liaison', 'leader'), 'office', ...(unit === null ? [desk] : [])),
        ...tell('reopened', ...citizen)
      ]
    case 'recounted':
      return tell('recounted', ...(unit === null ? [desk] : people('liaison')), ...citizen)
    case 'bank':
      if (event.data.state === 'proposed') return tell('bank-proposed', ...people('leader'))
      if (event.data.state === 'declined') return tell('bank-declined', ...people('liaison'))
      return tell('bank-taken', ...event.data.askers.map((number) => `citizen:${number}`))
    case 'reminded': {
      const rung = rungOf(event.data.kind)
      return rung === null ? [] : tell(rung, ...event.data.to)
    }
    case 'accepted':
    case 'joined':
    case 'followed':
    case 'rated':
    case 'closed':
    case 'archived':
    case 'unmasked':
    case 'contactChanged':
      return []
  }
}

function unitRecipient(unit: string, role: 'liaison' | 'leader'): string {
  return `unit:${unit}:${role}`
}

/** Whom an outbox row addresses; null where it is no recipient of ours. */
export type Addressee =
  | { kind: 'unit'; unit: string; role: 'liaison' | 'leader' }
  | { kind: 'zone'; zone: string }
  | { kind: 'office' }
  /** `number` null: of the ticket the notice is about. */
  | { kind: 'citizen'; number: string | null }

export function addresseeOf(recipient: string): Addressee | null {
  const unit = /^unit:(.+):(liaison|leader)$/.exec(recipient)
  if (unit !== null) return { kind: 'unit', unit: unit[1] as string, role: unit[2] as 'liaison' | 'leader' }
  if (recipient === 'office') return { kind: 'office' }
  if (recipient === 'citizen') return { kind: 'citizen', number: null }
  const [, place, id = ''] = /^(zone|citizen):(.+)$/.exec(recipient) ?? []
  if (place === 'zone') return { kind: 'zone', zone: id }
  return place === 'citizen' ? { kind: 'citizen', number: id } : null
}

/** One sentence for staff, with the last day where there is one; without the address. */
export function staffText(kind: string, number: string, data: NoticeData, unitName: string | null): string {
  const about = `咨询 ${number} `
  const until = data.dueOn === null ? '' : `最迟${dayLabel(data.dueOn)}答复咨询人${data.provisional ? '（暂定）' : ''}`
  const also = until === '' ? '' : `，${until}`
  const unit = data.unit === null ? '尚未交办' : (unitName ?? data.unit)
  const last = data.dueOn === null ? '' : `期限是${dayLabel(data.dueOn)}，`
  const crowd = data.joined > 0 ? `（另有并入的 ${data.joined} 件，也要逐一告知）` : ''
  const texts: Record<NoticeKind, string> = {
    'to-assign': `${about}还没有交办，请今天交办给政策制定单位。`,
    registered: `${about}已登记${also}。`,
    assigned: `${about}已交办给${unit}，请签收${also}。`,
    designated: `${about}由政务公开办指定${unit}办理，不再退回${also}。`,
    'taking-part': `${about}由${unit}牵头答复，请你单位协助${also}。`,
    'taken-away': `${about}已改派给${unit}，你单位不用再办。`,
    submitted: `${about}的答复等您审核${also}。`,
    revised: `${about}的答复退改了，请按意见修改后重新提交${also}。`,
    approved: `${about}的答复已审核通过，请联系咨询人答复${also}${crowd}。`,
    returned: `${about}被${unit}退回，请今天另行交办${also}。`,
    'returned-again': `${about}再次被退回（${unit}），请指定办理单位${also}。`,
    answered: `${about}已答复。`,
    unreached: `${about}多次联系不上咨询人。`,
    gained: `${about}又并入一件，同一答复要告知 ${data.joined} 位并件的咨询人${also}。`,
    withdrawn: `${about}已撤回，不用再办。`,
    reopened: `${about}咨询人说没有解决，重新办理${also}。`,
    recounted: `${about}的办理期限重新计算${also}。`,
    'bank-proposed': `${about}的答复建议入库，请您审核。`,
    'bank-taken': `${about}的答复已入库。`,
    'bank-declined': `${about}的答复不入库，原因见办理页。`,
    'assign-soon': `${about}今天还没有交办，请在下班前交办。`,
    'not-assigned': `${about}今天没有交办出去，请马上交办。`,
    'assigned-late': `${about}过了应交办的日子还没有交办，请督促。`,
    'not-accepted': `${about}交办已满一个工作日，${unit}还没有签收，请过问${also}。`,
    'due-soon': `${about}下一个工作日到期${also}。`,
    'due-today': `${about}今天到期，请今天答复咨询人。`,
    overdue: `${about}已超期（${unit}），${last}请马上答复咨询人并说明原因。`,
    urged: `${about}超期已满一个工作日（${unit}），${last}请督办。`
  }
  return isKind(kind) ? texts[kind] : `${about}有新的进展。`
}

/** What a short message tells the citizen; null where the kind is not for citizens. No question, no name, no answer: others read it too. */
export function citizenText(kind: string, number: string, { dueOn, provisional }: NoticeData): string | null {
  const until =
    dueOn === null ? '' : `，最迟${dayLabel(dueOn)}答复您${provisional ? '（节假日安排公布后可能顺延）' : ''}`
  const texts: Partial<Record<NoticeKind, string>> = {
    registered: `您的政策咨询已登记，编号${number}${until}。凭编号和查询码可以查进度。`,
    answered: `您的政策咨询（编号${number}）已答复。请凭编号和查询码查看，并评价“解决了”或“没解决”；没解决的，${REOPEN_WITHIN}个工作日内可以重新办理。`,
    unreached: `您的政策咨询（编号${number}）已有答复，多次打电话没有联系上您。请凭编号和查询码查看，或到政策咨询台领取。`,
    reopened: `您的政策咨询（编号${number}）已重新办理${until}。`,
    recounted: `您的政策咨询（编号${number}）的答复期限因节假日安排有调整${until}。`,
    'bank-taken': `您问过的问题（编号${number}）的答复已收入政策问答库，以后可以随时查询。`
  }
  return isKind(kind) ? (texts[kind] ?? null) : null
}

function isKind(kind: string): kind is NoticeKind {
  return Object.hasOwn(NOTICE_NAMES, kind)
}

/** One step of a phone call: what it is for, and the words. */
export interface CallStep {
  step: string
  text: string
}

/** What to say on the phone when a citizen is told; holds no personal data, because others hear a call. */
export function callScript(ticket: Ticket, unitName: string): CallStep[] {
  const { number, registeredOn, draft } = ticket
  return [
    {
      step: '说明身份',
      text: `您好，这里是${unitName}。您${dayLabel(registeredOn)}做过一次政策咨询，编号 ${number}，现在答复您。您方便听吗？`
    },
    {
      step: '确认是本人',
      text: '请您说一下当时问的大致是什么事。（由对方说；不要念出姓名、电话、证件号码和咨询内容。对不上或不是本人，就说“那我们另外联系”，不说答复。）'
    },
    { step: '说答复', text: draft?.text ?? '（答复还没有拟好，先不要打电话。）' },
    {
      step: '说依据',
      text: '这个答复的依据是……（念办理页上的文件名称和条款；要原文的，告诉对方在查询页上能看、能打印。）'
    },
    { step: '请对方确认', text: '我说清楚了吗？您还有哪里不明白？（再说一遍要点、要带的材料、办理地点。）' },
    {
      step: '请对方评价',
      text: `请您用编号和登记时给的查询码，在“查进度”页点“解决了”或“没解决”。没解决的，${REOPEN_WITHIN}个工作日内我们重新办理。谢谢您，再见。`
    },
    {
      step: '没有接通',
      text: `不留言说内容。记一次“没联系上”，换个时间再打；${DAYS_BEFORE_UNREACHED}天里打过${ATTEMPTS_BEFORE_UNREACHED}次都没接通，才算无法联系。`
    }
  ]
}
