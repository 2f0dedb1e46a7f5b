import type { FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { NotSignedIn } from '../accounts/errors.ts'
import { actorOn, requireAction } from '../accounts/guard.ts'
import { may, whoMay, ROLE_NAMES, TICKET_ACTIONS } from '../accounts/roles.ts'
import { NotAllowed } from '../accounts/errors.ts'
import { ProblemBody } from '../api-types.ts'
import { instantInChina } from '../calendar/day.ts'
import { day } from '../content/kinds.ts'
import { NotFound } from '../errors.ts'
import type { Parts } from '../parts.ts'
import { act, type ActionRequest } from './act.ts'
import { readStored } from './contacts.ts'
import { ConsultationNotFound, NoticeUnseen } from './errors.ts'
import { eventsOf } from './events.ts'
import { LONGEST_CONSULTATION, register } from './intake.ts'
import { LONGEST_REASON } from './limits.ts'
import { readCode, readNumber } from './numbers.ts'
import { isReopenable, rate } from './rating.ts'
import { findOwn, findTicket, listTickets } from './records.ts'
import { CHANNELS, CONTACT_WAYS, STATES, type Ticket } from './ticket.ts'
import { viewForCitizen, viewTicket } from './ticket-view.ts'

const MOST_LISTED = 200
const LISTED = 50
/** Text a unit writes; longer ones are documents. */
const LONGEST_ANSWER = 20_000

const Registered = z.object({
  number: z.string(),
  code: z.string(),
  state: z.enum(STATES),
  unit: z.object({ id: z.string(), name: z.string() }).nullable(),
  dueOn: z.string().nullable(),
  dueIsProvisional: z.boolean(),
  trackUrl: z.string()
})

const UnitName = z.object({ id: z.string(), name: z.string() }).nullable()
const BasisBody = z.object({
  document: z.string().nullable(),
  title: z.string().nullable(),
  clause: z.string().nullable()
})

const TicketBody = z.object({
  number: z.string(),
  version: z.number().int(),
  state: z.enum(STATES),
  stateName: z.string(),
  zone: z.string(),
  channel: z.string(),
  audience: z.string(),
  question: z.string(),
  topic: z.string().nullable(),
  registeredAt: z.string(),
  registeredBy: z.string(),
  unit: UnitName,
  suggestedUnit: UnitName,
  coUnits: z.array(z.object({ id: z.string(), name: z.string() })),
  contact: z.object({ name: z.string(), phone: z.string() }).nullable(),
  assignedAt: z.string().nullable(),
  acceptedAt: z.string().nullable(),
  dueOn: z.string().nullable(),
  latestOn: z.string().nullable(),
  dueIsProvisional: z.boolean(),
  promisedOn: z.string(),
  overdue: z.boolean(),
  dueToday: z.boolean(),
  dueSoon: z.boolean(),
  answeredLate: z.boolean(),
  search: z.object({
    queryId: z.string(),
    decision: z.enum(['answer', 'choose', 'escalate']),
    confidence: z.number(),
    candidates: z.array(z.object({ key: z.string(), version: z.number().int(), confidence: z.number() }))
  }),
  entry: z.string().nullable(),
  guidedTo: UnitName,
  draft: z.object({ text: z.string(), basis: z.array(BasisBody), by: z.string(), at: z.string() }).nullable(),
  revisions: z.array(z.object({ at: z.string(), by: z.string(), reason: z.string() })),
  approvedAt: z.string().nullable(),
  approvedBy: z.string().nullable(),
  answeredAt: z.string().nullable(),
  attempts: z.array(
    z.object({
      at: z.string(),
      outcome: z.enum(['told', 'unreached']),
      by: z.string(),
      note: z.string(),
      who: z.string()
    })
  ),
  returns: z.array(
    z.object({
      at: z.string(),
      unit: z.string(),
      by: z.string(),
      reason: z.string(),
      proposed: z.string().nullable()
    })
  ),
  head: z.string().nullable(),
  joined: z.array(z.string()),
  rating: z.object({ at: z.string(), solved: z.boolean() }).nullable(),
  round: z.number().int(),
  bank: z
    .object({
      state: z.enum(['proposed', 'taken', 'declined']),
      entry: z.string().nullable(),
      reason: z.string().nullable()
    })
    .nullable(),
  sample: z.boolean(),
  actions: z.array(z.enum(TICKET_ACTIONS))
})

const CitizenBody = z.object({
  number: z.string(),
  state: z.enum(STATES),
  stage: z.string(),
  detail: z.string(),
  question: z.string(),
  registeredAt: z.string(),
  unit: z.object({ id: z.string(), name: z.string(), phone: z.string().nullable() }).nullable(),
  dueOn: z.string().nullable(),
  latestOn: z.string().nullable(),
  dueIsProvisional: z.boolean(),
  answer: z
    .object({ text: z.string(), basis: z.array(BasisBody), entry: z.string().nullable(), answeredAt: z.string() })
    .nullable(),
  rating: z.object({ solved: z.boolean() }).nullable(),
  canRate: z.boolean()
})

const reason = z
  .string({ error: '请写明原因' })
  .trim()
  .min(1, '请写明原因')
  .max(LONGEST_REASON, `不超过${LONGEST_REASON}个字`)
const unitId = z.string({ error: '请写单位编号' }).trim().min(1, '请选单位')
const version = z.number({ error: '请带上看到的版本号' }).int()

/** A document by its code, or one that is named in words; as answers show a basis, so it may be sent back. */
const Cited = z
  .union([
    z.string().transform((document) => ({ document, title: null, clause: null })),
    z.object({
      document: z.string().nullable().default(null),
      title: z.string().max(300).nullable().default(null),
      clause: z.string().max(100).nullable().default(null)
    })
  ])
  .transform(({ document, title, clause }) => ({ document, title: document === null ? title : null, clause }))

/** What each action's request holds beside the version. */
export const ACTION_BODIES = {
  assign: z.object({ unit: unitId, coUnits: z.array(unitId).max(10).default([]) }),
  accept: z.object({}),
  return: z.object({ reason, unit: z.string().trim().min(1).nullable().default(null) }),
  draft: z.object({
    text: z.string().max(LONGEST_ANSWER, `答复不超过${LONGEST_ANSWER}个字`),
    basis: z.array(Cited).max(20).default([]),
    submit: z.boolean().default(false)
  }),
  approve: z.object({}),
  revise: z.object({ reason }),
  contact: z.object({
    outcome: z.enum(['told', 'unreached'], { error: '请写 told（已告知）或 unreached（没有联系上）' }),
    by: z.enum(CONTACT_WAYS, { error: '请写 phone、sms、mail 或 visit' }),
    at: z.string({ error: '请写联系时间' }),
    note: z.string().max(LONGEST_REASON).default('')
  }),
  answer: z.object({ entry: z.string().trim().min(1, '请写问答编号') }),
  guide: z.object({ unit: unitId }),
  join: z.object({ number: z.string().trim().min(1, '请写并入的登记编号') }),
  withdraw: z.object({ reason }),
  reopen: z.object({ reason })
} as const

/** Consultations as citizens and staff reach them by program. */
export const ticketRoutes: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app

  app.post(
    '/consultations',
    {
      config: { everybody: true },
      schema: {
        summary: 'Register a consultation; the same Idempotency-Key again gives the same answer',
        headers: z.object({ 'idempotency-key': z.string().optional() }).loose(),
        body: z.object({
          question: z
            .string({ error: '请写要问的事' })
            .max(LONGEST_CONSULTATION * 5, `问题太长了，请缩短到${LONGEST_CONSULTATION}个字以内`),
          queryId: z.string().max(100).nullish(),
          zone: z.string({ error: '请写专区编号' }).max(20),
          channel: z.enum(CHANNELS, { error: '请写 desk、kiosk、phone 或 web' }),
          audience: z.enum(['person', 'business'], { error: '请写 person 或 business' }).default('person'),
          contact: z
            .object({ name: z.string({ error: '请写姓名' }).max(200), phone: z.string({ error: '请写电话' }).max(60) })
            .nullish(),
          noticeSeen: z.boolean().optional(),
          answeredWith: z.string().max(100).nullish(),
          guidedTo: z.string().max(100).nullish()
        }),
        response: {
          201: Registered,
          400: ProblemBody,
          401: ProblemBody,
          403: ProblemBody,
          413: ProblemBody,
          422: ProblemBody
        }
      }
    },
    async (request, reply) => {
      const { body, headers, staff } = request
      const settles = body.answeredWith != null || body.guidedTo != null
      if (settles) {
        if (staff === null) throw new NotSignedIn()
        if (!may(staff, 'register')) throw new NotAllowed(whoMay('register'), ROLE_NAMES[staff.role])
      }
      const registrar = staff !== null && may(staff, 'register') ? staff : null
      // A clerk registers at the own desk only (R17's rule, applied here: zone staff act for their zone).
      const zone = registrar?.zone ?? body.zone
      if (!settles && registrar === null && body.noticeSeen !== true) throw new NoticeUnseen()
      const registered = await register(parts, {
        key: headers['idempotency-key'],
        question: body.question,
        queryId: body.queryId ?? null,
        zone,
        channel: body.channel,
        audience: body.audience,
        contact: body.contact ?? null,
        answeredWith: body.answeredWith ?? null,
        guidedTo: body.guidedTo ?? null,
        staff: registrar
      })
      return reply.code(201).send(registered)
    }
  )

  app.get(
    '/consultations/:number',
    {
      schema: {
        summary: 'What a citizen sees, by number and code',
        params: z.object({ number: z.string().max(80) }),
        querystring: z.object({ code: z.string().max(40).default('') }),
        response: { 200: CitizenBody, 404: ProblemBody }
      }
    },
    async ({ params, query }) => {
      const ticket = await byCode(parts, params.number, query.code)
      return viewForCitizen(parts, ticket, (one) => isReopenable(parts, one))
    }
  )

  app.post(
    '/consultations/:number/rating',
    {
      config: { everybody: true },
      schema: {
        summary: 'Solved or not; not solved within ten working days reopens it',
        params: z.object({ number: z.string().max(80) }),
        body: z.object({ code: z.string().max(40), solved: z.boolean({ error: '请写 true 或 false' }) }),
        response: { 200: CitizenBody, 404: ProblemBody, 409: ProblemBody }
      }
    },
    async ({ params, body }) => {
      const ticket = await byCode(parts, params.number, body.code)
      const rated = await rate(parts, ticket.number, body.solved)
      return viewForCitizen(parts, rated, (one) => isReopenable(parts, one))
    }
  )

  app.get(
    '/tickets',
    {
      preHandler: requireAction('view'),
      schema: {
        summary: 'Tickets one has to do with, the most urgent first',
        querystring: z.object({
          state: z.string().max(300).optional(),
          unit: z.string().max(80).optional(),
          zone: z.string().max(20).optional(),
          overdue: z.enum(['0', '1', 'true', 'false']).optional(),
          from: day.optional(),
          to: day.optional(),
          limit: z.coerce.number().int().min(1).max(MOST_LISTED).default(LISTED),
          next: z.coerce.number().int().min(0).default(0)
        }),
        response: {
          200: z.object({ tickets: z.array(TicketBody), total: z.number().int(), next: z.number().int().nullable() }),
          400: ProblemBody,
          401: ProblemBody,
          403: ProblemBody
        }
      }
    },
    async (request) => {
      const actor = actorOn(request)
      const { state, unit, zone, overdue, from, to, limit, next } = request.query
      const states = state?.split(',').map((one) => z.enum(STATES, { error: `没有“${one}”这个状态` }).parse(one.trim()))
      const { tickets, total } = await listTickets(
        parts.db,
        actor,
        {
          ...(states === undefined ? {} : { states }),
          ...(unit === undefined ? {} : { unit }),
          ...(zone === undefined ? {} : { zone }),
          ...(overdue === '1' || overdue === 'true' ? { overdueOn: parts.today() } : {}),
          ...(from === undefined ? {} : { from }),
          ...(to === undefined ? {} : { to })
        },
        { order: 'urgency', limit, offset: next }
      )
      const views = await Promise.all(tickets.map((ticket) => viewTicket(parts, actor, ticket)))
      return { tickets: views, total, next: next + tickets.length < total ? next + tickets.length : null }
    }
  )

  const Numbered = z.object({ number: z.string().max(80) })

  app.get(
    '/tickets/:number',
    {
      preHandler: requireAction('view'),
      schema: {
        summary: 'One ticket',
        params: Numbered,
        response: { 200: TicketBody, 401: ProblemBody, 403: ProblemBody, 404: ProblemBody }
      }
    },
    async (request) => viewTicket(parts, actorOn(request), await ownTicket(parts, request))
  )

  app.get(
    '/tickets/:number/events',
    {
      preHandler: requireAction('view'),
      schema: {
        summary: 'What happened to a ticket, in order',
        params: Numbered,
        response: {
          200: z.array(
            z.object({
              version: z.number().int(),
              at: z.string(),
              actor: z.string(),
              role: z.string(),
              type: z.string(),
              data: z.record(z.string(), z.unknown())
            })
          ),
          401: ProblemBody,
          403: ProblemBody,
          404: ProblemBody
        }
      }
    },
    async (request) => {
      const { number } = await ownTicket(parts, request)
      return (await eventsOf(parts.db, number)).map(({ version: step, at, actor, role, type, data }) => ({
        version: step,
        at: instantInChina(at),
        actor,
        role,
        type,
        data: data as Record<string, unknown>
      }))
    }
  )

  for (const action of TICKET_ACTIONS) {
    app.post(
      `/tickets/:number/${action}`,
      {
        preHandler: requireAction('view'),
        schema: {
          summary: `Do to a ticket: ${action}`,
          params: Numbered,
          body: z.object({ version }).and(ACTION_BODIES[action]),
          response: {
            200: TicketBody,
            401: ProblemBody,
            403: ProblemBody,
            404: ProblemBody,
            409: ProblemBody,
            422: ProblemBody
          }
        }
      },
      async (request) => {
        const actor = actorOn(request)
        const { version: seen, ...body } = request.body as { version: number }
        const number = readNumber(request.params.number) ?? request.params.number
        const ticket = await act(parts, actor, number, seen, { action, body } as unknown as ActionRequest)
        return viewTicket(parts, actor, ticket)
      }
    )
  }
}

/** The ticket of the address, in the person's own scope. */
async function ownTicket(parts: Parts, request: FastifyRequest): Promise<Ticket> {
  const { number } = request.params as { number: string }
  const ticket = await findOwn(parts.db, actorOn(request), readNumber(number) ?? number)
  if (ticket === null) throw new NotFound('咨询', number)
  return ticket
}

/** A number that is nobody's, looked up and compared all the same, so that wrong ones take the time of right ones. */
const NOBODY = 'ZX-NOBODY-00000000-0000-0'

/**
 * The consultation of a number and its code.
 * @throws {ConsultationNotFound} whatever was wrong
 */
export async function byCode(
  { db, fieldKey }: Pick<Parts, 'db' | 'fieldKey'>,
  number: string,
  code: string
): Promise<Ticket> {
  const known = readNumber(number) ?? NOBODY
  const [ticket, stored] = [await findTicket(db, known), await readStored(db, fieldKey, known)]
  const wanted = Buffer.from((stored?.code ?? '').padEnd(CODE_BYTES, '\0').slice(0, CODE_BYTES))
  const given = Buffer.alloc(CODE_BYTES)
  given.write(readCode(code).slice(0, CODE_BYTES))
  const same = timingSafeEqual(wanted, given)
  if (!same || ticket === null || stored === null || stored.code === '') throw new ConsultationNotFound()
  return ticket
}

const CODE_BYTES = 16
