import { dayOf } from '../calendar/day.ts'
import type { Contact } from '../consultations/contacts.ts'
import {
  ANSWER_WITHIN,
  CHANNEL_NAMES,
  CONTACT_WAY_NAMES,
  OPEN,
  STATE_NAMES,
  type Channel,
  type Ticket,
  type TicketBasis
} from '../consultations/ticket.ts'
import type { Qa } from '../content/kinds.ts'

/** What stands in a cell: text, a count, an instant (ISO 8601) in a column of instants; null = nothing to say. */
export type Value = string | number | null

/** A column of a ledger. */
export interface Column<Row, Joins> {
  /** Name in the JSON form; stable. */
  key: string
  title: string
  /** In characters of Excel's standard font. */
  width: number
  /** True where values are instants. */
  instant?: true
  value(row: Row, joins: Joins): Value
}

/** A consultation as the ledger tells it. */
export interface LedgerRow {
  /** From 1, in order of registration. */
  place: number
  ticket: Ticket
  /** Masked; null where none was left. */
  contact: Contact | null
  /** The ticket it is joined to, whose answer it was given. */
  head: Ticket | null
  /** The bank entry it was answered from, in the version that was told. */
  entry: Qa | null
}

/** Names by code, and what the ledger counts with. */
export interface LedgerJoins {
  zones: ReadonlyMap<string, string>
  units: ReadonlyMap<string, string>
  topics: ReadonlyMap<string, string>
  /** By user name. */
  staff: ReadonlyMap<string, string>
  /** Document numbers, titles where there is none. */
  documents: ReadonlyMap<string, string>
  /** The first day does not count. */
  workingDaysBetween(from: string, to: string): number
  /** `YYYY-MM-DD`, China Standard Time. */
  today: string
}

/** Characters of the question that stand for its matter where no entry names it. */
const MATTER_LENGTH = 30

const ACTORS: Readonly<Record<string, string>> = { citizen: '咨询人', system: '系统' }

const join = (parts: readonly (string | null | false)[], between = '；'): string | null => {
  const said = parts.filter((part) => part !== null && part !== false && part !== '')
  return said.length === 0 ? null : said.join(between)
}
const yes = (is: boolean) => (is ? '是' : '否')

/** Minutes of China Standard Time as a clerk writes them: `2026-11-23 09:30`. */
export function minuteLabel(instant: string): string {
  const local = new Date(Date.parse(instant) + 8 * 3600_000).toISOString()
  return `${local.slice(0, 10)} ${local.slice(11, 16)}`
}

const named = (names: ReadonlyMap<string, string>, id: string | null) => (id === null ? null : (names.get(id) ?? id))

function person(user: string | null, { staff }: LedgerJoins): string | null {
  return user === null ? null : (staff.get(user) ?? ACTORS[user] ?? user)
}

/** Settled at the desk: by the one who keyed it in, or keyed it right. */
const settledBy = ({ corrections, registeredBy }: Ticket) =>
  corrections.at(-1)?.by ?? (registeredBy === 'citizen' ? null : registeredBy)

/** What was told, with what it rests on and whose work it was; null while the citizen has been told nothing. */
function answerOf({ ticket, head, entry }: LedgerRow) {
  if (ticket.guidedTo !== null || (ticket.answeredAt === null && ticket.state !== 'UNREACHED')) return null
  if (ticket.entry !== null) return { text: entry?.answer ?? null, basis: entry?.basis ?? [] }
  return ticket.draft ?? head?.draft ?? null
}

/** The ticket on which the answer was written and approved: a joined one's is its head. */
const workedOn = ({ ticket, head }: LedgerRow): Ticket => (ticket.approvedBy === null && head !== null ? head : ticket)

function basisText(basis: readonly (TicketBasis | Qa['basis'][number])[], { documents }: LedgerJoins): string | null {
  return join(
    basis.map(({ document, clause, ...rest }) => {
      const known = document === null ? null : (documents.get(document) ?? document)
      return `${known ?? ('title' in rest ? rest.title : null) ?? ''}${clause ?? ''}`
    })
  )
}

/** Days from one to another, both the citizen's: what the unit, or before it the desk, took. */
function workingDays({ assignedOn, registeredOn, answeredOn }: Ticket, joins: LedgerJoins): number | null {
  return answeredOn === null ? null : joins.workingDaysBetween(assignedOn ?? registeredOn, answeredOn)
}

/**
 * Whether the citizen was told after the last day, or waits longer; one who could not be reached counts by the last attempt,
 * one who withdrew not at all. Derived, never stored; `isLate` of records.ts says the same in SQL.
 */
export function isLate({ due, answeredOn, state, withdrawn, attempts }: Ticket, today: string): boolean {
  if (due === null || withdrawn !== null) return false
  const last = attempts.at(-1)
  const until = answeredOn ?? (OPEN.has(state) ? today : last === undefined ? null : dayOf(last.at))
  return until !== null && until > due.dueOn
}

function matchText({ entry, search }: Ticket): string {
  if (entry !== null) return entry.id
  const [nearest] = search.candidates
  return nearest === undefined ? '未命中' : `未命中（最相近：${nearest.key.replace(/^(qa|document)\//, '')}）`
}

function dueText({ due }: Ticket): string | null {
  if (due === null) return null
  const { dueOn, latestOn, provisional } = due
  return `${ANSWER_WITHIN}个工作日／${dueOn}${provisional ? `（暂定，最迟${latestOn}）` : ''}`
}

function unitText({ unit, coUnits }: Ticket, { units }: LedgerJoins): string | null {
  if (unit === null || coUnits.length === 0) return named(units, unit)
  return `${named(units, unit)}（主办）、${coUnits.map((id) => named(units, id)).join('、')}（协办）`
}

function returnsText(ticket: Ticket, { units }: LedgerJoins): string | null {
  const { returns, unit, toOffice } = ticket
  if (returns.length === 0) return null
  const said = returns.map(({ at, unit: from, reason, proposed }) => {
    const whose = proposed === null ? '' : `（建议转${named(units, proposed)}）`
    return `${minuteLabel(at)} ${named(units, from)}退回：${reason}${whose}`
  })
  return join([...said, unit !== null && `改派${named(units, unit)}`, toOffice && '待政务公开办指定交办'])
}

/** At the desk people are told there and then; a phone call is answered by phone. */
const SPOKEN: Readonly<Record<Channel, string>> = { ...CHANNEL_NAMES, desk: '当面' }

function wayText({ attempts, answeredAt, channel, state, entry, guidedTo }: Ticket): string | null {
  if (state === 'UNREACHED') return `无法联系（${attempts.length}次）`
  if (answeredAt === null) return null
  if (entry !== null || guidedTo !== null) return SPOKEN[channel]
  const told = attempts.findLast(({ outcome }) => outcome === 'told')
  return told === undefined ? null : CONTACT_WAY_NAMES[told.by]
}

function bankText({ bank, entry }: Ticket): string {
  if (entry !== null) return '已在库'
  if (bank === null) return '否'
  if (bank.state === 'taken') return `是${bank.entry === null ? '' : `（${bank.entry}）`}`
  return bank.state === 'proposed' ? '已建议，待审核' : `否${bank.reason === null ? '' : `（${bank.reason}）`}`
}

function notesText(ticket: Ticket): string | null {
  const { state, round, earlier, head, joined, withdrawn, corrections, revisions, attempts, due, promisedOn } = ticket
  const failed = attempts.filter(({ outcome }) => outcome === 'unreached').length
  return join([
    OPEN.has(state) && `当前：${STATE_NAMES[state]}`,
    due !== null && due.dueOn > promisedOn && `原告知期限${promisedOn}`,
    round > 1 && `第${round}次办理`,
    ...earlier.map(
      ({ answeredAt, reason }, at) =>
        `第${at + 1}次${answeredAt === null ? '' : `${minuteLabel(answeredAt)}答复`}后重新办理：${reason}`
    ),
    head !== null && `并入${head}`,
    joined.length > 0 && `${joined.join('、')}并入本件`,
    revisions.length > 0 && `退改${revisions.length}次`,
    failed > 0 && state !== 'UNREACHED' && `联系未成${failed}次`,
    withdrawn !== null && `撤回：${withdrawn.reason}`,
    ...corrections.map(({ at, before }) => `${minuteLabel(at)}更正（原为${before}）`)
  ])
}

/** 政策咨询登记、交办、回复台账: all consultations, those answered on the spot too (R28, R34; domain: ledgers). */
export const CONSULTATION_LEDGER = {
  name: 'consultations',
  title: '政策咨询登记、交办、回复台账'
} as const

export const CONSULTATION_COLUMNS: readonly Column<LedgerRow, LedgerJoins>[] = [
  { key: 'place', title: '序号', width: 6, value: ({ place }) => place },
  { key: 'number', title: '登记编号', width: 15, value: ({ ticket }) => ticket.number },
  { key: 'zone', title: '专区', width: 11, value: ({ ticket }, { zones }) => named(zones, ticket.zone) },
  {
    key: 'registeredAt',
    title: '咨询日期时间',
    width: 12,
    instant: true,
    value: ({ ticket }) => ticket.registeredAt
  },
  { key: 'channel', title: '咨询方式', width: 7, value: ({ ticket }) => CHANNEL_NAMES[ticket.channel] },
  { key: 'name', title: '咨询人', width: 8, value: ({ contact }) => contact?.name ?? null },
  { key: 'phone', title: '联系方式', width: 14, value: ({ contact }) => contact?.phone ?? null },
  {
    key: 'audience',
    title: '人群',
    width: 6,
    value: ({ ticket }) => (ticket.audience === 'business' ? '企业' : '群众')
  },
  {
    key: 'matter',
    title: '咨询事项',
    width: 16,
    value: ({ ticket, entry }) => entry?.question ?? [...ticket.question].slice(0, MATTER_LENGTH).join('')
  },
  { key: 'topic', title: '主题', width: 9, value: ({ ticket }, { topics }) => named(topics, ticket.topic) },
  { key: 'question', title: '咨询内容', width: 26, value: ({ ticket }) => ticket.question },
  { key: 'match', title: '问答库匹配结果', width: 13, value: ({ ticket }) => matchText(ticket) },
  { key: 'onTheSpot', title: '是否即时答复', width: 7, value: ({ ticket }) => yes(ticket.entry !== null) },
  {
    key: 'basis',
    title: '答复依据(文号)',
    width: 15,
    value: (row, joins) => basisText(answerOf(row)?.basis ?? [], joins)
  },
  { key: 'unit', title: '交办单位', width: 11, value: ({ ticket }, joins) => unitText(ticket, joins) },
  { key: 'assignedAt', title: '交办时间', width: 12, instant: true, value: ({ ticket }) => ticket.assignedAt },
  { key: 'assignedBy', title: '交办人', width: 8, value: ({ ticket }, joins) => person(ticket.assignedBy, joins) },
  { key: 'acceptedAt', title: '签收时间', width: 12, instant: true, value: ({ ticket }) => ticket.acceptedAt },
  { key: 'due', title: '办理期限(工作日/截止日)', width: 13, value: ({ ticket }) => dueText(ticket) },
  {
    key: 'handledBy',
    title: '承办人',
    width: 8,
    value: (row, joins) => {
      const { ticket } = row
      if (ticket.entry !== null || ticket.guidedTo !== null) return person(settledBy(ticket), joins)
      const { draft, acceptedBy } = workedOn(row)
      return person(draft?.by ?? acceptedBy, joins)
    }
  },
  { key: 'returns', title: '退回/改派情况', width: 14, value: ({ ticket }, joins) => returnsText(ticket, joins) },
  { key: 'answeredAt', title: '答复时间', width: 12, instant: true, value: ({ ticket }) => ticket.answeredAt },
  { key: 'answeredBy', title: '答复方式', width: 8, value: ({ ticket }) => wayText(ticket) },
  { key: 'answer', title: '答复内容', width: 30, value: (row) => answerOf(row)?.text ?? null },
  {
    key: 'approvedBy',
    title: '审核人',
    width: 8,
    value: (row, joins) => {
      const { approvedBy, selfApproved } = workedOn(row)
      const who = person(approvedBy, joins)
      return who !== null && selfApproved ? `${who}（自审）` : who
    }
  },
  { key: 'workingDays', title: '用时(工作日)', width: 7, value: ({ ticket }, joins) => workingDays(ticket, joins) },
  { key: 'overdue', title: '是否逾期', width: 6, value: ({ ticket }, { today }) => yes(isLate(ticket, today)) },
  { key: 'guidedTo', title: '引导去向', width: 11, value: ({ ticket }, { units }) => named(units, ticket.guidedTo) },
  { key: 'bank', title: '是否入库', width: 9, value: ({ ticket }) => bankText(ticket) },
  {
    key: 'rating',
    title: '满意度',
    width: 8,
    value: ({ ticket: { rating } }) => (rating === null ? '未评价' : rating.solved ? '解决' : '未解决')
  },
  { key: 'notes', title: '备注', width: 18, value: ({ ticket }) => notesText(ticket) }
]
