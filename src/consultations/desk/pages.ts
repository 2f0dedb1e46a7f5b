import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { actorOn, requireStaff } from '../../accounts/guard.ts'
import type { Actor } from '../../accounts/roles.ts'
import type { Parts } from '../../parts.ts'
import { act, type ActionRequest } from '../act.ts'
import { type Contact, readContact } from '../contacts.ts'
import { BadAction, KeyReused, NotNow, Stale } from '../errors.ts'
import { LONGEST_CONSULTATION, register } from '../intake.ts'
import { LARGEST_FORM } from '../limits.ts'
import { dropParked, park, readParked } from '../parked.ts'
import { findTicket } from '../records.ts'
import { ACTION_NAMES } from '../ticket.ts'
import { EMPTY, FormBody, halfOf, registrationForm, typedAudience, typedChannel, typedText, unitIn } from './form.ts'
import { labelTicket } from './labels.ts'
import { deskChannel, forPeople, type Screen, screenOf, zoneIdOf } from './screen.ts'

/** The policy desk: one screen to search, answer, register and hand over, and one for each ticket (R24–R29). */
export const deskPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const hide = true
  const staffOnly = requireStaff('clerk', 'office')

  app.get(
    '/desk',
    {
      onRequest: staffOnly,
      schema: {
        hide,
        querystring: z.object({
          q: z.string().max(LONGEST_CONSULTATION).catch(''),
          channel: typedChannel,
          done: z.string().max(80).optional(),
          trail: z.string().max(40).optional()
        })
      }
    },
    async (request, reply) => {
      const { q, channel: chosen, done, trail } = request.query
      return reply.page(
        'desk',
        await screenOf(parts, actorOn(request), {
          question: q,
          channel: chosen,
          ...(done === undefined ? {} : { done }),
          ...(trail === undefined ? {} : { trail })
        })
      )
    }
  )

  app.get(
    '/desk/new',
    {
      onRequest: requireStaff('clerk'),
      schema: {
        hide,
        querystring: z.object({
          q: z.string().max(LONGEST_CONSULTATION).catch(''),
          query: z.string().max(64).catch(''),
          channel: typedChannel,
          parked: z.string().max(64).catch('')
        })
      }
    },
    async (request, reply) => {
      const actor = actorOn(request)
      const { q, query, channel: chosen, parked } = request.query
      const left = parked === '' ? null : await readParked(parts, zoneIdOf(actor), parked)
      const half = left?.half ?? { ...EMPTY, question: q.trim(), query, channel: chosen }
      const problem = parked !== '' && left === null ? '这份暂存已经被别人接着办了，请看左边的列表。' : null
      // Taken up twice by one person it is registered once.
      const key = left === null ? randomUUID() : `parked-${left.id}`
      const form = await registrationForm(parts, { ...half, key, parked: left?.id ?? '', otherUnit: '', problem })
      return reply.page(
        'desk',
        await screenOf(parts, actor, { question: half.question, channel: deskChannel(half.channel), form })
      )
    }
  )

  app.post(
    '/desk/answer',
    {
      onRequest: requireStaff('clerk'),
      bodyLimit: LARGEST_FORM,
      schema: {
        hide,
        body: z.object({
          key: typedText,
          question: typedText,
          query: typedText,
          entry: typedText,
          channel: typedChannel,
          audience: typedAudience
        })
      }
    },
    async (request, reply) => {
      const actor = actorOn(request)
      const { key, question, query, entry, channel: chosen, audience: who } = request.body
      try {
        const registered = await register(parts, {
          key,
          question,
          queryId: query === '' ? null : query,
          zone: zoneIdOf(actor),
          channel: chosen,
          audience: who,
          contact: null,
          answeredWith: entry,
          guidedTo: null,
          staff: actor
        })
        await labelTicket(parts, request, registered.number, entry)
        return reply.redirect(doneAt(registered.number, chosen), 303)
      } catch (error) {
        return await again(request, reply, error, { question, channel: chosen })
      }
    }
  )

  async function again(request: FastifyRequest, reply: FastifyReply, error: unknown, given: Screen) {
    const { message, status } = forPeople(error)
    return reply.code(status).page('desk', await screenOf(parts, actorOn(request), { ...given, problem: message }))
  }

  app.post(
    '/desk/register',
    { onRequest: requireStaff('clerk'), bodyLimit: LARGEST_FORM, schema: { hide, body: FormBody } },
    async (request, reply) => {
      const actor = actorOn(request)
      const { body } = request
      const zone = zoneIdOf(actor)
      try {
        if (body.step === 'park') {
          await park(parts, { key: body.key, zone, staff: actor.id, half: halfOf(body), now: parts.now() })
          return reply.redirect('/desk?said=parked', 303)
        }
        const { number, problem } = await registerAs(parts, actor, zone, body)
        if (body.parked !== '') await dropParked(parts, zone, body.parked)
        await labelTicket(parts, request, number, null)
        if (problem !== null) {
          const shown = { done: number, channel: body.channel, problem }
          return reply.code(409).page('desk', await screenOf(parts, actor, shown))
        }
        return reply.redirect(doneAt(number, body.channel), 303)
      } catch (error) {
        const { message, status } = forPeople(error)
        const reused = error instanceof KeyReused
        const problem = reused ? '这张表刚才已经登记过一件了。如果这是另一件，核对后再按一次就另行登记。' : message
        const key = reused ? randomUUID() : body.key
        const form = await registrationForm(parts, { ...body, unit: unitIn(body), key, problem })
        return reply
          .code(status)
          .page('desk', await screenOf(parts, actor, { question: body.question, channel: body.channel, form }))
      }
    }
  )

  app.post(
    '/desk/parked/:id/drop',
    { onRequest: requireStaff('clerk'), schema: { hide, params: z.object({ id: z.string().max(64) }) } },
    async (request, reply) => {
      await dropParked(parts, zoneIdOf(actorOn(request)), request.params.id)
      return reply.redirect('/desk', 303)
    }
  )
}

/**
 * Registers what the form says, and does its step; `problem` says in Chinese which step was refused after that.
 * @throws {BadAction} naming the field
 */
async function registerAs(
  parts: Parts,
  actor: Actor,
  zone: string,
  body: FormBody
): Promise<{ number: string; problem: string | null }> {
  const { step } = body
  const unit = unitIn(body)
  const units = await parts.library.all('unit')
  if ((step === 'assign' || step === 'guide') && !units.has(unit))
    throw new BadAction(`${step === 'guide' ? '引导单位' : '答复单位'}：请选一个单位，或者先“登记，稍后交办”。`)
  const isBare = body.name.trim() === '' && body.phone.trim() === ''
  // Who is sent elsewhere need not say who they are.
  const contact: Contact | null =
    step === 'guide' && isBare ? null : readContact({ name: body.name, phone: body.phone })
  const { number } = await register(parts, {
    key: body.key,
    question: body.question,
    queryId: body.query === '' ? null : body.query,
    zone,
    channel: body.channel,
    audience: body.audience,
    contact,
    answeredWith: null,
    guidedTo: step === 'guide' ? unit : null,
    staff: actor
  })
  const next: ActionRequest | null =
    step === 'assign'
      ? { action: 'assign', body: { unit } }
      : step.startsWith('join:')
        ? { action: 'join', body: { number: step.slice('join:'.length) } }
        : null
  if (next === null) return { number, problem: null }
  const ticket = await findTicket(parts.db, number)
  // Sent twice, or joined by itself to one that asks the very same: it is where it belongs.
  if (ticket === null || ticket.state !== 'TO_ASSIGN') return { number, problem: null }
  try {
    await act(parts, actor, ticket.number, ticket.version, next)
    return { number, problem: null }
  } catch (error) {
    // Registered it is; what could not be done is said, and left to be done on its page.
    if (!(error instanceof Stale || error instanceof NotNow || error instanceof BadAction)) throw error
    return { number, problem: `咨询 ${number} 已经登记，但没有${ACTION_NAMES[next.action]}：${error.message}` }
  }
}

export const doneAt = (number: string, chosen: string) =>
  `/desk?${new URLSearchParams({ done: number, channel: chosen })}`
