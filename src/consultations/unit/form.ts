import * as z from 'zod'
import { NotAllowed } from '../../accounts/errors.ts'
import type { Actor } from '../../accounts/roles.ts'
import type { ActionRequest } from '../act.ts'
import { BadAction, NotNow, Stale } from '../errors.ts'
import { LONGEST_REASON } from '../limits.ts'
import type { LinkHolder } from '../links.ts'
import { readNumber } from '../numbers.ts'
import { CONTACT_WAYS, type TicketBasis } from '../ticket.ts'

/** As the API takes (src/consultations/ticket-routes.ts). */
export const LONGEST_ANSWER = 20_000

const LONGEST_TITLE = 300

const MOST_BASIS = 20

export const ACTIONS = ['accept', 'return', 'draft', 'approve', 'revise', 'contact', 'join'] as const

export type UnitAction = (typeof ACTIONS)[number]

export const typedText = z.string().catch('')

export const Typed = z.object({
  version: z.coerce.number().int().catch(0),
  /** Whom a contact form is about: this ticket's consultant, or one joined to it. */
  consultant: typedText,
  reason: typedText,
  unit: typedText,
  text: typedText,
  basis: z.union([z.array(z.string()), z.string().transform((one) => [one])]).catch([]),
  titles: typedText,
  /** `1` sends the draft to the leader. */
  submit: typedText,
  /** Keys of what the draft is to rest on, or to begin with: shown in the form, nothing stored. */
  use: typedText,
  copy: typedText,
  outcome: typedText,
  by: typedText,
  at: typedText,
  note: typedText,
  number: typedText
})

export type Typed = z.infer<typeof Typed>

/** How somebody works on a ticket: signed in, or by a link to this one alone. */
export interface Access {
  actor: Actor
  path: string
  link: LinkHolder | null
}

/** What goes back into the page that was sent. */
export interface Sent {
  action: UnitAction
  typed: Typed
  problem: string | null
  info: string | null
}

export function isRefusal(error: unknown): error is InstanceType<typeof Stale> {
  return [Stale, NotNow, BadAction, NotAllowed].some((refusal) => error instanceof refusal)
}

export const numberIn = (typed: string) => readNumber(typed) ?? typed

export function saidAfter(action: UnitAction, { submit, outcome }: Typed): string {
  switch (action) {
    case 'accept':
      return 'accepted'
    case 'return':
      return 'returned'
    case 'draft':
      return submit === '1' ? 'submitted' : 'saved'
    case 'approve':
      return 'approved'
    case 'revise':
      return 'revised'
    case 'join':
      return 'joined'
    case 'contact':
      return outcome === 'told' ? 'told' : 'unreached'
  }
}

/** For the unit that is competent: the person does not know either. */
export const NOT_KNOWN = 'unknown'

/**
 * A form as an action.
 * @throws {BadAction} naming the field and what to do
 */
export function requestOf(action: UnitAction, typed: Typed): ActionRequest {
  switch (action) {
    case 'accept':
    case 'approve':
      return { action, body: {} }
    case 'return': {
      const reason = reasonOf('退回理由', typed.reason, '请写明为什么不归本单位答复，依据是什么。')
      if (typed.unit === '') throw new BadAction('应由哪个单位答复：请选一个；拿不准的，选“不清楚”。')
      return { action, body: { reason, unit: typed.unit === NOT_KNOWN ? null : typed.unit } }
    }
    case 'revise':
      return { action, body: { reason: reasonOf('退改意见', typed.reason, '请写明要改哪里、怎么改。') } }
    case 'draft': {
      const text = typed.text.replace(/\r\n?/g, '\n').trim()
      if (text.length > LONGEST_ANSWER)
        throw new BadAction(`答复内容：现在 ${text.length} 个字，请缩短到 ${LONGEST_ANSWER} 个字以内。`)
      const basis = basisIn(typed)
      if (basis.length > MOST_BASIS) throw new BadAction(`答复依据：最多 ${MOST_BASIS} 份，请只留最直接的。`)
      if (basis.some(({ title }) => (title ?? '').length > LONGEST_TITLE))
        throw new BadAction(`其他依据：每行一份，每份不超过 ${LONGEST_TITLE} 个字。`)
      return { action, body: { text, basis, submit: typed.submit === '1' } }
    }
    case 'contact': {
      const { outcome, note } = typed
      if (outcome !== 'told' && outcome !== 'unreached') throw new BadAction('联系结果：请选“已告知”或“没有联系上”。')
      const by = CONTACT_WAYS.find((way) => way === typed.by)
      if (by === undefined) throw new BadAction('联系方式：请选电话、短信、信函或当面。')
      if (note.length > LONGEST_REASON) throw new BadAction(`备注：请缩短到 ${LONGEST_REASON} 个字以内。`)
      return { action, body: { outcome, by, at: instantTyped(typed.at), note: note.trim() } }
    }
    case 'join':
      return { action, body: { number: numberIn(typed.number) } }
  }
}

function reasonOf(field: string, typed: string, advice: string): string {
  const reason = typed.trim()
  if (reason === '') throw new BadAction(`${field}：${advice}`)
  if (reason.length > LONGEST_REASON) throw new BadAction(`${field}：请缩短到 ${LONGEST_REASON} 个字以内。`)
  return reason
}

/** A browser's `2026-11-24T10:30`, or the same with a blank, in China Standard Time; anything else as it is. */
function instantTyped(typed: string): string {
  const [, day, time] = /^\s*(\d{4}-\d{2}-\d{2})[T ]+(\d{2}:\d{2})(?::\d{2})?\s*$/.exec(typed) ?? []
  return day === undefined ? typed : `${day}T${time}:00+08:00`
}

export const basisValue = ({ document, clause }: TicketBasis) => `${document} ${clause ?? ''}`.trim()

/** Documents ticked, `ID CLAUSE` each, and those named in words, one a line. */
export function basisIn({ basis, titles }: Pick<Typed, 'basis' | 'titles'>): TicketBasis[] {
  const ticked = basis
    .filter((value) => value.trim() !== '')
    .map((value) => {
      const [document = '', ...clause] = value.trim().split(' ')
      return { document, title: null, clause: clause.length === 0 ? null : clause.join(' ').slice(0, 100) }
    })
  const named = titles
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((title) => ({ document: null, title, clause: null }))
  return [...ticked, ...named]
}
