import { randomUUID } from 'node:crypto'
import type { FastifyError } from 'fastify'
import { NotAllowed } from '../../accounts/errors.ts'
import { type Actor, may, mayOn, ROLE_NAMES, whoMay } from '../../accounts/roles.ts'
import type { Zone } from '../../content/kinds.ts'
import type { Item, Library } from '../../content/library.ts'
import type { Parts } from '../../parts.ts'
import { headOf } from '../../views/models.ts'
import { LONGEST_QUESTION } from '../limits.ts'
import { readNumber } from '../numbers.ts'
import { findOwn } from '../records.ts'
import { HITS } from '../routes.ts'
import { timeShort } from '../shown.ts'
import { STATE_NAMES } from '../ticket.ts'
import { readTrail, TRAIL_MINUTES } from '../trails.ts'
import { channelChoices, type DESK_CHANNELS, type Option, type RegistrationForm } from './form.ts'
import { BLANK, type DeskHit, find, type Found, NOTHING_FOUND } from './found.ts'
import { hrefOf, type List, lists } from './lists.ts'

declare module '../../views/views.ts' {
  interface Pages {
    desk: {
      head: Head
      /** Null for who may only look. */
      desk: { zone: string; key: string; channel: string; channels: Option[] } | null
      question: string
      longest: string
      /** From what confidence on an entry is sure, or possible: the page's script says the same words. */
      sureFrom: string
      maybeFrom: string
      problem: string | null
      found: Found
      blank: DeskHit
      done: {
        number: string
        state: string
        href: string
        slip: string
        contactSlip: string | null
        version: string
        instead: { id: string; title: string }[]
      } | null
      trail: {
        code: string
        problem: string | null
        asked: { text: string; time: string; search: string; register: string }[]
      }
      form: RegistrationForm | null
      lists: List[]
    }
  }
}

/** What the screen is shown with. */
export interface Screen {
  question?: string
  channel?: (typeof DESK_CHANNELS)[number]
  done?: string
  trail?: string
  problem?: string | null
  form?: RegistrationForm | null
}

/** The whole screen: search, what was just done, the kiosk's trail, the form and the lists. */
export async function screenOf(parts: Parts, actor: Actor, given: Screen) {
  const { library } = parts
  const zone = await zoneOf(library, actor)
  const question = (given.question ?? '').trim()
  const { answer, choose } = parts.thresholds()
  const form = given.form ?? null
  const chosen = given.channel ?? 'desk'
  return {
    head: await headOf(library, { title: form === null ? '咨询台' : '登记咨询', zone }),
    desk:
      zone !== null && may(actor, 'register')
        ? { zone: zone.content.id, key: randomUUID(), channel: chosen, channels: channelChoices(chosen) }
        : null,
    question,
    longest: String(LONGEST_QUESTION),
    sureFrom: String(answer),
    maybeFrom: String(choose),
    problem: given.problem ?? null,
    found: form === null ? await find(parts, question, zone?.content.id ?? null) : NOTHING_FOUND,
    blank: BLANK,
    done: given.done === undefined ? null : await doneLine(parts, actor, given.done),
    trail: await trailOf(parts, actor, given.trail ?? '', chosen),
    form,
    lists: await lists(parts, actor)
  }
}

async function trailOf(parts: Parts, actor: Actor, code: string, chosen: string) {
  if (code.trim() === '' || actor.zone === null) return { code: '', problem: null, asked: [] }
  const asked = await readTrail(parts, actor.zone, code, parts.now())
  if (asked === null) {
    const problem = `没有这个码。它是六位数字，${TRAIL_MINUTES} 分钟内有效，只能在本专区用；请咨询人在自助机上再取一个。`
    return { code, problem, asked: [] }
  }
  return {
    code,
    problem: asked.length === 0 ? '这个码下面的提问已经过了保存期限。' : null,
    asked: asked.map(({ id, text: q, asked_at }) => ({
      text: q,
      time: timeShort(asked_at),
      search: `/desk?${new URLSearchParams({ q: q.slice(0, LONGEST_QUESTION), channel: chosen })}`,
      register: `/desk/new?${new URLSearchParams({ q: q.slice(0, LONGEST_QUESTION), query: id })}`
    }))
  }
}

export const deskChannel = (channel: string) => (channel === 'phone' ? ('phone' as const) : ('desk' as const))

/** @throws {NotAllowed} for who has no desk */
export function zoneIdOf(actor: Actor): string {
  if (actor.zone === null) throw new NotAllowed(whoMay('register'), ROLE_NAMES[actor.role])
  return actor.zone
}

async function zoneOf(library: Library, { zone }: Actor): Promise<Item<Zone> | null> {
  return zone === null ? null : ((await library.all('zone')).get(zone) ?? null)
}

/**
 * What went wrong, for the person at the desk.
 * @throws what is no one's fault at a form
 */
export function forPeople(error: unknown): { message: string; status: number } {
  const { statusCode = 500, message } = error as FastifyError
  // A store that is busy, away or full says in Chinese that nothing was kept: the form stays on the screen.
  if (!(error instanceof Error) || !/[一-鿿]/.test(message)) throw error
  return { message, status: statusCode }
}

/** What was just registered, and what it can still be made. */
async function doneLine(parts: Parts, actor: Actor, number: string) {
  const ticket = await findOwn(parts.db, actor, readNumber(number) ?? number)
  if (ticket === null) return null
  const isSettled = ticket.state === 'ANSWERED_ON_SPOT' || ticket.state === 'GUIDED_ELSEWHERE'
  const units = await parts.library.all('unit')
  const unit = units.get(ticket.unit ?? ticket.guidedTo ?? '')?.content.name ?? null
  const ids = ticket.search.candidates.flatMap(({ key }) => (key.startsWith('qa/') ? [key.slice('qa/'.length)] : []))
  const instead: { id: string; title: string }[] = []
  for (const id of isSettled && mayOn(actor, 'answer', ticket) ? ids.slice(0, HITS) : []) {
    const item = id === ticket.entry?.id ? null : await parts.library.get('qa', id)
    if (item !== null && !item.retired) instead.push({ id, title: item.content.question })
  }
  const entry = ticket.entry === null ? null : await parts.library.get('qa', ticket.entry.id)
  return {
    number: ticket.number,
    state: [STATE_NAMES[ticket.state], entry?.content.question ?? unit].filter((part) => part !== null).join('：'),
    href: hrefOf(ticket.number),
    slip: `${hrefOf(ticket.number)}/slip`,
    contactSlip: ticket.guidedTo === null ? null : `${hrefOf(ticket.number)}/contact-slip`,
    version: String(ticket.version),
    instead
  }
}
