import type { FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { NotAllowed } from '../../accounts/errors.ts'
import { actorOn, requireStaff } from '../../accounts/guard.ts'
import { type Actor, mayOn, ROLE_NAMES, whoMay } from '../../accounts/roles.ts'
import type { Database } from '../../database/open.ts'
import { NotFound } from '../../errors.ts'
import { contact as contactOf, errorPage, fullName, headOf } from '../../views/models.ts'
import { dayLabel } from '../../views/text.ts'
import { act, type ActionRequest } from '../act.ts'
import { readStored } from '../contacts.ts'
import { BadAction, Stale } from '../errors.ts'
import { append, eventsOf } from '../events.ts'
import { LARGEST_FORM, LONGEST_QUESTION, LONGEST_REASON } from '../limits.ts'
import { readNumber } from '../numbers.ts'
import { findOwn, findTicket } from '../records.ts'
import type { Ticket, TicketEvent } from '../ticket.ts'
import { typedText, unitIn } from './form.ts'
import { labelTicket } from './labels.ts'
import { hrefOf } from './lists.ts'
import { doneAt } from './pages.ts'
import { deskChannel, forPeople } from './screen.ts'
import { entryFor, slipOf, zoneFacts } from './slips.ts'
import { pathOf, ticketPage } from './ticket-page.ts'

/** The desk's pages, and the same for the office, which sees all zones (R39). */
const PLACES = [
  ['/desk', requireStaff('clerk', 'office')],
  ['/office', requireStaff('office')]
] as const

/** One consultation at the desk, and what is printed for the citizen (R24–R29). */
export const deskTicketPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const { db, library } = parts
  const hide = true
  const Numbered = z.object({ number: z.string().max(80) })

  async function own(request: FastifyRequest): Promise<Ticket> {
    const { number } = request.params as { number: string }
    const ticket = await findOwn(db, actorOn(request), readNumber(number) ?? number)
    if (ticket === null) throw new NotFound('咨询', number)
    return ticket
  }

  for (const [place, staffOnly] of PLACES) {
    app.get(
      `${place}/:number`,
      {
        onRequest: staffOnly,
        schema: { hide, params: Numbered, querystring: z.object({ q: z.string().max(LONGEST_QUESTION).optional() }) }
      },
      async (request, reply) => {
        const { q } = request.query
        const given = q === undefined ? {} : { search: q }
        return reply.page('desk-ticket', await ticketPage(parts, actorOn(request), await own(request), given))
      }
    )

    app.post(
      `${place}/:number/:action`,
      {
        onRequest: staffOnly,
        bodyLimit: LARGEST_FORM,
        schema: {
          hide,
          params: Numbered.extend({ action: z.enum(DESK_ACTIONS) }),
          body: z.object({
            version: z.coerce.number().int().catch(0),
            unit: typedText,
            otherUnit: typedText,
            coUnit: typedText,
            entry: typedText,
            number: typedText,
            reason: typedText,
            back: z.enum(['desk', '']).catch('')
          })
        }
      },
      async (request, reply) => {
        const actor = actorOn(request)
        const ticket = await own(request)
        const { action } = request.params
        const { version, back } = request.body
        try {
          const todo = todoOf(action, request.body)
          const made = await act(parts, actor, ticket.number, version, todo)
          if (todo.action === 'answer') await labelTicket(parts, request, made.number, todo.body.entry)
          if (todo.action === 'guide') await labelTicket(parts, request, made.number, null)
        } catch (error) {
          if (!(error instanceof Stale && (await wasSent(db, actor, ticket.number, version, action)))) {
            const { message, status } = forPeople(error)
            const given = { problem: message, reason: request.body.reason }
            const fresh = await own(request)
            return reply.code(status).page('desk-ticket', await ticketPage(parts, actor, fresh, given))
          }
        }
        if (back === 'desk') return reply.redirect(doneAt(ticket.number, deskChannel(ticket.channel)), 303)
        return reply.redirect(`${pathOf(actor, ticket.number)}?said=${SAID[action]}`, 303)
      }
    )

    app.post(
      `${place}/:number/unmask`,
      { onRequest: staffOnly, schema: { hide, params: Numbered, body: z.object({ reason: typedText }) } },
      async (request, reply) => {
        const actor = actorOn(request)
        const ticket = await own(request)
        const reason = request.body.reason.trim()
        if (!mayOn(actor, 'unmask', ticket)) throw new NotAllowed(whoMay('unmask'), ROLE_NAMES[actor.role])
        if (reason === '' || reason.length > LONGEST_REASON) {
          const problem = `查看原因：请写明为什么要看（不超过${LONGEST_REASON}个字），这一步会留下记录。`
          return reply.code(422).page('desk-ticket', await ticketPage(parts, actor, ticket, { problem, reason }))
        }
        const seen = await parts.writer.write(async (trx) => {
          const { number, chain } = ticket
          return await append(
            trx,
            { chain, number, ticket: (await findTicket(trx, number)) ?? ticket },
            {
              type: 'unmasked',
              data: { reason },
              by: { actor: actor.username, role: actor.role },
              at: parts.now().toISOString()
            }
          )
        })
        const stored = await readStored(db, parts.fieldKey, ticket.number)
        const plain = stored?.contact ?? null
        const question = stored?.question ?? null
        return reply.page('desk-ticket', await ticketPage(parts, actor, seen, { plain, question }))
      }
    )
  }

  const staffOnly = PLACES[0][1]

  app.get('/desk/:number/slip', { onRequest: staffOnly, schema: { hide, params: Numbered } }, async (request, reply) =>
    reply.page('slip', await slipOf(parts, request, await own(request)))
  )

  app.get(
    '/desk/:number/contact-slip',
    { onRequest: staffOnly, schema: { hide, params: Numbered } },
    async (request, reply) => {
      const ticket = await own(request)
      const item = (await library.all('unit')).get(ticket.guidedTo ?? ticket.unit ?? '')
      if (item === undefined) {
        const detail = '这件咨询还没有引导到哪个单位，也没有交办，没有联系单可打。'
        return reply.code(404).page('error', errorPage({ status: 404, detail }))
      }
      const { verifiedOn } = item.content
      const entry = await entryFor(library, ticket, item.content.id)
      const zone = (await library.all('zone')).get(ticket.zone) ?? null
      return reply.page('contact-slip', {
        head: await headOf(library, { title: '联系单', zone, sample: ticket.chain === 'sample' || item.sample }),
        zone: zone === null ? '' : fullName(zone.content.name),
        number: ticket.number,
        question: ticket.question,
        unit: contactOf(item.content),
        materials: entry?.content.materials ?? [],
        entry: entry === null ? null : entry.content.question,
        verified:
          verifiedOn === null
            ? '联系方式尚未核实，出门前请先打电话确认。'
            : `联系方式核实日期：${dayLabel(verifiedOn)}`,
        contact: zoneFacts(zone),
        back: hrefOf(ticket.number)
      })
    }
  )
}

const DESK_ACTIONS = ['assign', 'answer', 'guide', 'join', 'revise', 'withdraw', 'reopen'] as const

type DeskAction = (typeof DESK_ACTIONS)[number]

const SAID = {
  assign: 'assigned',
  answer: 'answered',
  guide: 'guided',
  join: 'joined',
  revise: 'revised',
  withdraw: 'withdrawn',
  reopen: 'reopened'
} as const satisfies Record<DeskAction, string>

const EVENT_OF: Record<DeskAction, TicketEvent['type']> = {
  assign: 'assigned',
  answer: 'answered',
  guide: 'guided',
  join: 'joined',
  revise: 'revised',
  withdraw: 'withdrawn',
  reopen: 'reopened'
}

function todoOf(
  action: DeskAction,
  body: Record<'unit' | 'otherUnit' | 'coUnit' | 'entry' | 'number' | 'reason', string>
): ActionRequest {
  const reason = body.reason.trim()
  const unit = unitIn(body)
  switch (action) {
    case 'assign':
      if (unit === '') throw new BadAction('答复单位：请选一个单位。')
      return { action, body: { unit, coUnits: body.coUnit === '' || body.coUnit === unit ? [] : [body.coUnit] } }
    case 'guide':
      if (unit === '') throw new BadAction('引导单位：请选一个单位。')
      return { action, body: { unit } }
    case 'answer':
      return { action, body: { entry: body.entry } }
    case 'join':
      return { action, body: { number: readNumber(body.number) ?? body.number.trim() } }
    case 'revise':
    case 'withdraw':
    case 'reopen':
      if (reason === '') throw new BadAction('原因：请写明原因，这一步会留下记录。')
      if (reason.length > LONGEST_REASON) throw new BadAction(`原因：太长了，请缩短到${LONGEST_REASON}个字以内。`)
      return { action, body: { reason } }
  }
}

/** Whether the very same step of the same person is what made it stale: a double click, not somebody else. */
async function wasSent(
  db: Database,
  actor: Actor,
  number: string,
  version: number,
  action: DeskAction
): Promise<boolean> {
  const events = await eventsOf(db, number)
  return events.some(
    (event) => event.version === version + 1 && event.actor === actor.username && event.type === EVENT_OF[action]
  )
}
