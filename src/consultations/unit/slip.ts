import type { Parts } from '../../parts.ts'
import { dayLabel } from '../../views/text.ts'
import { timeLabel } from '../shown.ts'
import { ANSWER_WITHIN, CHANNEL_NAMES, CONTACT_WAY_NAMES, type Ticket } from '../ticket.ts'

/** A row of the printed form: one wide cell, or two. */
export interface SlipRow {
  cells: { name: string; text: string; wide: boolean }[]
}

interface SlipParts {
  ticket: Ticket
  question: string
  contact: { name: string; phone: string } | null
  zoneName: string
  unitName: (id: string | null) => string
  personName: (username: string) => string
  answer: { text: string; basis: { text: string }[] } | null
}

/** 政策咨询交办单, as it goes with the file. */
export async function slipOf({ library }: Parts, given: SlipParts) {
  const { ticket, question, contact, zoneName, unitName, personName } = given
  const { due, draft } = ticket
  const who = (username: string | null) => (username === null ? '' : personName(username))
  const when = (instant: string | null) => (instant === null ? '' : timeLabel(instant))
  const told = ticket.attempts.findLast(({ outcome }) => outcome === 'told')
  const pair = (...cells: [name: string, text: string][]): SlipRow => ({
    cells: cells.map(([name, text]) => ({ name, text, wide: false }))
  })
  const wide = (name: string, text: string): SlipRow => ({ cells: [{ name, text, wide: true }] })
  const documents = await library.documents()
  const basis = (draft?.basis ?? []).map(({ document, title, clause }) => {
    const content = documents.get(document ?? '')?.content
    return `${content === undefined ? (title ?? '') : `《${content.title}》${content.number ?? ''} `}${clause ?? ''}`
  })
  return {
    title: '政策咨询交办单',
    district: (await library.district()).content.name,
    rows: [
      pair(['登记编号', ticket.number], ['登记时间', when(ticket.registeredAt)]),
      pair(['专区', zoneName], ['咨询方式', CHANNEL_NAMES[ticket.channel]]),
      pair(['咨询人', contact?.name ?? ''], ['联系电话', contact?.phone ?? '']),
      wide('咨询内容', question),
      pair(['交办单位', unitName(ticket.unit)], ['交办时间', when(ticket.assignedAt)]),
      pair(
        ['交办人', who(ticket.assignedBy)],
        ['办理期限', due === null ? '' : `${dayLabel(due.dueOn)}（${ANSWER_WITHIN} 个工作日）`]
      ),
      pair(['签收人', who(ticket.acceptedBy)], ['签收时间', when(ticket.acceptedAt)]),
      ...ticket.returns.map(({ at, unit, reason }) => wide('退回情况', `${when(at)}　${unitName(unit)}：${reason}`)),
      ...(ticket.joined.length === 0 ? [] : [wide('并入本件', ticket.joined.join('、'))]),
      wide('答复内容', draft?.text ?? ''),
      wide('答复依据', basis.join('；')),
      pair(
        ['承办人', who(draft?.by ?? null)],
        ['审核人', `${who(ticket.approvedBy)}${ticket.selfApproved ? '（自拟自审）' : ''}`]
      ),
      pair(['答复时间', when(told?.at ?? null)], ['答复方式', told === undefined ? '' : CONTACT_WAY_NAMES[told.by]]),
      pair(['承办人签字', ''], ['审核人签字', '']),
      wide('备注', '')
    ]
  }
}
