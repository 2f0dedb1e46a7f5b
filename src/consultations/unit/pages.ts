import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { actorOn, requireStaff } from '../../accounts/guard.ts'
import { errorPage, headOf } from '../../views/models.ts'
import { act } from '../act.ts'
import { LARGEST_FORM } from '../limits.ts'
import { findOwn } from '../records.ts'
import { STATES, type Ticket } from '../ticket.ts'
import { prefill } from './draft.ts'
import { type Access, ACTIONS, isRefusal, numberIn, requestOf, saidAfter, Typed, type UnitAction } from './form.ts'
import { LINK_PROBLEMS, LINK_STATUS, type LinkProblem, openLink, RETURNED } from './link.ts'
import { listPage } from './list.ts'
import { ticketPage } from './ticket-page.ts'

/** The liaison's and the leader's pages, and one ticket by a signed link for who has no account (R28, R37). */
export const unitPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const { db, library } = parts
  const hide = true
  const unitStaff = requireStaff('liaison', 'leader')
  const ByNumber = z.object({ number: z.string().max(80) })
  const ByAction = z.object({ action: z.enum(ACTIONS) })

  app.get(
    '/unit',
    {
      onRequest: unitStaff,
      schema: {
        hide,
        querystring: z.object({
          state: z.enum(STATES).optional().catch(undefined),
          overdue: z.string().optional().catch(undefined),
          closed: z.string().optional().catch(undefined),
          page: z.coerce.number().int().min(1).max(100_000).catch(1)
        })
      }
    },
    async (request, reply) => {
      const { state, overdue, closed, page } = request.query
      return reply.page(
        'unit',
        await listPage(parts, actorOn(request), {
          state: state ?? null,
          overdue: overdue === '1',
          closed: closed === '1',
          page
        })
      )
    }
  )

  app.get('/unit/:number', { onRequest: unitStaff, schema: { hide, params: ByNumber } }, async (request, reply) => {
    const access = signedIn(request, request.params.number)
    const ticket = await findOwn(db, access.actor, numberIn(request.params.number))
    if (ticket === null) return notThere(reply)
    return reply.page('unit-ticket', await ticketPage(parts, access, ticket, null))
  })

  app.post(
    '/unit/:number/:action',
    {
      onRequest: unitStaff,
      bodyLimit: LARGEST_FORM,
      schema: { hide, params: ByNumber.extend(ByAction.shape), body: Typed }
    },
    async (request, reply) => {
      const { number, action } = request.params
      const access = signedIn(request, number)
      const ticket = await findOwn(db, access.actor, numberIn(number))
      if (ticket === null) return notThere(reply)
      return await doIt(reply, access, ticket, action, request.body)
    }
  )

  const linkPages: FastifyPluginAsyncZod = async (links) => {
    links.addHook('onRequest', async (request) => {
      // Who holds the link acts for the unit, whoever has signed in on this device.
      request.staff = null
      request.csrf = null
    })
    // The address is the key: it is kept nowhere, told to nobody and in no search engine.
    links.addHook('onSend', async (_, reply) => {
      reply.header('cache-control', 'no-store')
      reply.header('referrer-policy', 'no-referrer')
      reply.header('x-robots-tag', 'noindex, nofollow')
    })
    const ByToken = z.object({ token: z.string() })

    links.get(
      '/t/:token',
      { schema: { hide, params: ByToken, querystring: z.object({ said: z.string().optional().catch(undefined) }) } },
      async (request, reply) => {
        const opened = await openLink(parts, request.params.token)
        if (opened.kind === 'gone' && request.query.said === 'returned') return linkPage(reply, 200, RETURNED)
        if (opened.kind !== 'open') return linkPage(reply, LINK_STATUS[opened.kind], LINK_PROBLEMS[opened.kind])
        return reply.page('unit-ticket', await ticketPage(parts, opened.access, opened.ticket, null))
      }
    )

    links.post(
      '/t/:token/:action',
      {
        // There is no session and no cookie that a foreign page could use: the token in the address is the proof.
        config: { everybody: true },
        bodyLimit: LARGEST_FORM,
        schema: { hide, params: ByToken.extend(ByAction.shape), body: Typed }
      },
      async (request, reply) => {
        const opened = await openLink(parts, request.params.token)
        if (opened.kind !== 'open') return linkPage(reply, LINK_STATUS[opened.kind], LINK_PROBLEMS[opened.kind])
        return await doIt(reply, opened.access, opened.ticket, request.params.action, request.body)
      }
    )
  }
  await app.register(linkPages)

  /** Does what a form asks for, and leads on; what is refused comes back on the page with all that was typed. */
  async function doIt(reply: FastifyReply, access: Access, ticket: Ticket, action: UnitAction, typed: Typed) {
    if (action === 'draft' && (typed.use !== '' || typed.copy !== '')) {
      const prefilled = await prefill(parts, typed)
      return reply.page('unit-ticket', await ticketPage(parts, access, ticket, { action, ...prefilled, problem: null }))
    }
    const number =
      typed.consultant !== '' && ticket.joined.includes(typed.consultant) ? typed.consultant : ticket.number
    try {
      await act(parts, access.actor, number, typed.version, requestOf(action, typed))
    } catch (error) {
      if (!isRefusal(error)) throw error
      const now = await findOwn(db, access.actor, ticket.number)
      if (now === null) {
        return access.link === null ? notThere(reply) : linkPage(reply, LINK_STATUS.gone, LINK_PROBLEMS.gone)
      }
      reply.code(error.statusCode ?? 422)
      const sent = { action, typed, problem: error.message, info: null }
      return reply.page('unit-ticket', await ticketPage(parts, access, now, sent))
    }
    const said = saidAfter(action, typed)
    const to = action === 'return' && access.link === null ? '/unit' : access.path
    return reply.redirect(`${to}?said=${said}`, 303)
  }

  function signedIn(request: FastifyRequest, number: string): Access {
    return { actor: actorOn(request), path: `/unit/${encodeURIComponent(numberIn(number))}`, link: null }
  }

  async function notThere(reply: FastifyReply) {
    const text = '没有这件咨询，或者它已经不在您单位（退回、改派了）。请回到待办看看。'
    const page = errorPage({ status: 404, detail: text })
    const head = await headOf(library, { title: '没有找到这件咨询' })
    return reply
      .code(404)
      .page('error', { ...page, head, heading: head.title, links: [{ text: '回到待办', href: '/unit' }] })
  }

  async function linkPage(reply: FastifyReply, status: number, { heading, text, advice }: LinkProblem) {
    const head = await headOf(library, { title: heading })
    return reply.code(status).page('error', { head, heading, text, advice: [...advice], areas: [], links: [] })
  }
}
