import * as z from 'zod'
import type { Parts } from '../../parts.ts'
import { dayLabel } from '../../views/text.ts'
import { likelyUnits } from '../guidance.ts'
import { dueOf, LONGEST_CONSULTATION } from '../intake.ts'
import { COMPARED, LARGEST_FORM, SIMILAR_SHOWN } from '../limits.ts'
import { maskPersonalData, withoutMarks } from '../mask.ts'
import type { Half } from '../parked.ts'
import { openQuestions } from '../records.ts'
import { similarTickets } from '../similar.ts'
import { ANSWER_WITHIN, CHANNEL_NAMES, type Due, STATE_NAMES, type Ticket } from '../ticket.ts'

export interface Option {
  value: string
  text: string
  selected: boolean
}

export interface RegistrationForm {
  key: string
  problem: string | null
  /** The field that is to be looked at. */
  focus: { question: boolean; name: boolean; phone: boolean }
  question: string
  longest: string
  query: string
  parked: string
  name: string
  phone: string
  audiences: Option[]
  channels: Option[]
  suggested: Option[]
  units: Option[]
  due: string
  similar: { number: string; question: string; detail: string }[]
  notice: string
}

/** Read out before name and phone are asked for (PIPL Art. 17). */
const NOTICE =
  '请念给咨询人听：您的姓名和电话只用来答复这件咨询，只有咨询台和答复单位能看到，按规定期限保存后删除；您可以凭登记编号和查询码来查、改、删。'

export const AUDIENCES = { person: '群众', business: '企业' } as const

export const DESK_CHANNELS = ['desk', 'phone'] as const

export const typedText = z.string().max(LARGEST_FORM).default('')

export const typedChannel = z.enum(DESK_CHANNELS).catch('desk')

export const typedAudience = z.enum(['person', 'business']).catch('person')

export const FormBody = z.object({
  key: typedText,
  question: typedText,
  query: typedText,
  parked: typedText,
  name: typedText,
  phone: typedText,
  audience: typedAudience,
  channel: typedChannel,
  unit: typedText,
  otherUnit: typedText,
  /** `assign`, `later`, `guide`, `park`, or `join:NUMBER`. */
  step: typedText
})

export type FormBody = z.infer<typeof FormBody>

export const EMPTY: Half = {
  question: '',
  name: '',
  phone: '',
  audience: 'person',
  channel: 'desk',
  unit: '',
  query: ''
}

export const channelChoices = (chosen: string): Option[] =>
  DESK_CHANNELS.map((value) => ({ value, text: CHANNEL_NAMES[value], selected: value === chosen }))

export const unitIn = ({ unit, otherUnit }: Pick<FormBody, 'unit' | 'otherUnit'>) =>
  otherUnit === '' ? unit : otherUnit

export function halfOf(body: FormBody): Half {
  const { question, name, phone, query } = body
  return { question, name, phone, query, audience: body.audience, channel: body.channel, unit: unitIn(body) }
}

type FormGiven = Half & { key: string; parked: string; otherUnit: string; problem: string | null }

export async function registrationForm(parts: Parts, given: FormGiven): Promise<RegistrationForm> {
  const { question, key, problem, query, parked, name, phone } = given
  const { suggested, units } = await unitChoices(parts, question, given.unit)
  const focus = focusOf(problem, question)
  return {
    key,
    problem,
    focus: { question: focus === 'question', name: focus === 'name', phone: focus === 'phone' },
    question,
    longest: String(LONGEST_CONSULTATION),
    query,
    parked,
    name,
    phone,
    audiences: (Object.keys(AUDIENCES) as (keyof typeof AUDIENCES)[]).map((value) => ({
      value,
      text: AUDIENCES[value],
      selected: value === given.audience
    })),
    channels: channelChoices(given.channel),
    suggested,
    units,
    due: dueText(dueOf(parts.calendar(), parts.today())),
    similar: await similarTo(parts, question, null),
    notice: NOTICE
  }
}

/** Where the clerk goes on: at what was wrong, else at the first thing still to be asked. */
function focusOf(problem: string | null, question: string): 'question' | 'name' | 'phone' {
  if (problem?.startsWith('电话') === true) return 'phone'
  return question.trim() === '' || problem?.includes('问题') === true || problem?.includes('要问的事') === true
    ? 'question'
    : 'name'
}

/** The likely units first, one of them chosen, and all of them; the one chosen already stays so. */
export async function unitChoices(
  parts: Parts,
  question: string,
  chosen: string
): Promise<{ suggested: Option[]; units: Option[] }> {
  const { library, segmenter } = parts
  const all = await library.all('unit')
  const likely =
    question.trim() === ''
      ? []
      : await likelyUnits({ library, segmenter }, segmenter.tokens(withoutMarks(maskPersonalData(question))))
  const known = likely.filter(({ unit }) => all.has(unit)).map(({ unit }) => unit)
  const first = chosen === '' ? known[0] : chosen
  const nameOf = (id: string) => all.get(id)?.content.name ?? id
  return {
    suggested: known.map((id) => ({ value: id, text: nameOf(id), selected: id === first })),
    units: [...all.values()].map(({ content: { id } }) => ({
      value: id,
      text: nameOf(id),
      selected: id === first && !known.includes(id)
    }))
  }
}

export function dueText({ dueOn, latestOn, provisional }: Due): string {
  const term = `今天交办，答复单位最迟 ${dayLabel(dueOn)} 答复咨询人（${ANSWER_WITHIN} 个工作日）`
  return provisional ? `${term}。放假安排还没有公布，公布后可能顺延，最晚到 ${dayLabel(latestOn)}。` : `${term}。`
}

export async function similarTo(
  parts: Parts,
  question: string,
  ticket: Ticket | null
): Promise<{ number: string; question: string; detail: string }[]> {
  if (question.trim() === '') return []
  const open = (await openQuestions(parts.db, ticket?.chain ?? 'real', COMPARED)).filter(
    ({ number }) => number !== ticket?.number
  )
  const units = await parts.library.all('unit')
  const masked = maskPersonalData(question)
  return similarTickets(parts, masked, open, SIMILAR_SHOWN).flatMap(({ number }) => {
    const one = open.find((candidate) => candidate.number === number)
    if (one === undefined) return []
    const unit = one.unit === null ? null : (units.get(one.unit)?.content.name ?? one.unit)
    const detail = unit === null ? STATE_NAMES[one.state] : `${STATE_NAMES[one.state]}，${unit}`
    return [{ number, question: one.question, detail }]
  })
}
