import { randomUUID } from 'node:crypto'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import QRCode from 'qrcode'
import * as z from 'zod'
import { actorOn, requireStaff } from '../accounts/guard.ts'
import { type Actor, may, mayOn, ROLE_NAMES, whoMay } from '../accounts/roles.ts'
import { NotAllowed } from '../accounts/errors.ts'
import { ProblemBody } from '../api-types.ts'
import { dayOf, instantInChina } from '../calendar/day.ts'
import type { Zone } from '../content/kinds.ts'
import type { Item, Library } from '../content/library.ts'
import type { Database } from '../database/open.ts'
import type { LabelsTable } from '../database/schema.ts'
import { NotFound } from '../errors.ts'
import { WORKING_HOURS } from '../notices/reminders.ts'
import { RUNG_NAMES, rungOf } from '../notices/rungs.ts'
import type { Parts } from '../parts.ts'
import { badge, contact as contactOf, deskOf, errorPage, facts, fullName, headOf, linksOf } from '../views/models.ts'
import { dayLabel } from '../views/text.ts'
import type { Badge, Contact as ContactBlock, Fact, Link } from '../views/views.ts'
import { qaAnswer, versionLabel } from '../bank/pages.ts'
import { act, type ActionRequest } from './act.ts'
import { ask, type Hit } from './ask.ts'
import { type Contact, readContact, readStored } from './contacts.ts'
import { BadAction, KeyReused, NotNow, Stale } from './errors.ts'
import { append, eventsOf } from './events.ts'
import { likelyUnits } from './guidance.ts'
import { dueOf, LONGEST_CONSULTATION, type Registered, register, trackPath } from './intake.ts'
import { labelQuery } from './labels.ts'
import { LONGEST_QUESTION } from './limits.ts'
import { maskPersonalData, withoutMarks } from './mask.ts'
import { readNumber } from './numbers.ts'
import { dropParked, type Half, listParked, park, readParked } from './parked.ts'
import { findOwn, findTicket, listTickets, openQuestions } from './records.ts'
import { HITS, problemWith } from './routes.ts'
import { similarTickets } from './similar.ts'
import {
  ANSWER_WITHIN,
  CHANNEL_NAMES,
  CONTACT_WAY_NAMES,
  type Due,
  type State,
  STATE_NAMES,
  type Ticket,
  type TicketEvent
} from './ticket.ts'
import { clockOf, viewTicket } from './ticket-view.ts'
import { makeTrail, MOST_QUERIES, readQueries, readTrail, TRAIL_MINUTES, TrailEmpty } from './trails.ts'

/** A bank entry as the desk reads it aloud. */
interface DeskHit {
  /** 1 to 5: its key. */
  place: string
  id: string
  title: string
  confidence: Badge
  paragraphs: string[]
  basis: string
  validity: Badge
  unit: string
  record: string
  href: string
}

/** A ticket, or what was parked, in a list. */
interface Line {
  href: string
  /** `late`, `soon` or empty: a class. */
  urgency: string
  top: string
  text: string
  badge: Badge | null
}

interface List {
  title: string
  total: string
  lines: Line[]
  nothing: string
  more: string | null
}

/** What was found for a question; hits may be registered, documents are for reading. */
interface Found {
  hits: DeskHit[]
  documents: (Link & { text: string; detail: string })[]
  /** Why nothing is offered, and whom to ask. */
  nothing: string | null
  sure: boolean
}

interface Option {
  value: string
  text: string
  selected: boolean
}

interface RegistrationForm {
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

declare module '../views/views.ts' {
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
    'desk-ticket': {
      head: Head
      number: string
      version: string
      state: Badge
      clock: Badge | null
      problem: string | null
      question: string
      facts: Fact[]
      contact: { name: string; phone: string; masked: boolean } | null
      canUnmask: boolean
      answer: { title: string; paragraphs: string[]; facts: Fact[] } | null
      history: { at: string; text: string }[]
      assign: { suggested: Option[]; units: Option[]; due: string } | null
      answers: { question: string; found: Found } | null
      guide: Option[] | null
      join: { number: string; question: string; detail: string }[] | null
      withdraw: boolean
      reopen: boolean
      reason: string
      slip: string | null
      contactSlip: string | null
      back: string
    }
    slip: {
      head: Head
      title: string
      zone: string
      number: string
      code: string | null
      qr: string | null
      question: string
      facts: Fact[]
      advice: string[]
      answer: { title: string; paragraphs: string[]; materials: string[]; basis: string[]; record: string } | null
      contact: Fact[]
      back: string
    }
    'contact-slip': {
      head: Head
      zone: string
      number: string
      question: string
      unit: ContactBlock
      materials: string[]
      entry: string | null
      verified: string
      contact: Fact[]
      back: string
    }
    trail: {
      head: Head
      problem: string | null
      code: string
      until: string
      asked: string[]
      desk: (ContactBlock & { text: string }) | null
      back: string
    }
  }
}

const LISTED = 20
const SIMILAR = 3
/** Open questions a new one is compared with, the newest: 300 compare in milliseconds (bench similar). */
const COMPARED = 300
const LONGEST_REASON = 1000
/** A form of 2,000 characters is 18 kB encoded; five times as much comes back with what was typed instead of a bare 413. */
const LARGEST_FORM = 256 * 1024

const WAITING: readonly State[] = ['REGISTERED', 'TO_ASSIGN', 'RETURNED', 'REOPENED']
const IN_HAND: readonly State[] = [
  'ASSIGNED',
  'ACCEPTED',
  'DRAFTING',
  'IN_REVIEW',
  'APPROVED',
  'CONTACTING',
  'JOINED',
  'REOPENED'
]

/** Read out before name and phone are asked for (PIPL Art. 17). */
const NOTICE =
  '请念给咨询人听：您的姓名和电话只用来答复这件咨询，只有咨询台和答复单位能看到，按规定期限保存后删除；您可以凭登记编号和查询码来查、改、删。'

const AUDIENCES = { person: '群众', business: '企业' } as const
const DESK_CHANNELS = ['desk', 'phone'] as const

const text = z.string().max(LARGEST_FORM).default('')
const channel = z.enum(DESK_CHANNELS).catch('desk')
const audience = z.enum(['person', 'business']).catch('person')

const FormBody = z.object({
  key: text,
  question: text,
  query: text,
  parked: text,
  name: text,
  phone: text,
  audience,
  channel,
  unit: text,
  otherUnit: text,
  /** `assign`, `later`, `guide`, `park`, or `join:NUMBER`. */
  step: text
})
type FormBody = z.infer<typeof FormBody>

/** The policy desk: one screen to search, answer, register and hand over, and one for each ticket (R24–R29). */
export const deskPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const { db, library } = parts
  const hide = true
  const staffOnly = requireStaff('clerk', 'office')

  // ── The screen ──────────────────────────────────────────────────────────

  interface Screen {
    question?: string
    channel?: (typeof DESK_CHANNELS)[number]
    done?: string
    trail?: string
    problem?: string | null
    form?: RegistrationForm | null
  }

  async function screen(actor: Actor, given: Screen) {
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
      trail: await trailOf(actor, given.trail ?? '', chosen),
      form,
      lists: await lists(parts, actor)
    }
  }

  async function trailOf(actor: Actor, code: string, chosen: string) {
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
        time: timeLabel(asked_at),
        search: `/desk?${new URLSearchParams({ q: q.slice(0, LONGEST_QUESTION), channel: chosen })}`,
        register: `/desk/new?${new URLSearchParams({ q: q.slice(0, LONGEST_QUESTION), query: id })}`
      }))
    }
  }

  app.get(
    '/desk',
    {
      onRequest: staffOnly,
      schema: {
        hide,
        querystring: z.object({
          q: z.string().max(LONGEST_CONSULTATION).catch(''),
          channel,
          done: z.string().max(80).optional(),
          trail: z.string().max(40).optional()
        })
      }
    },
    async (request, reply) => {
      const { q, channel: chosen, done, trail } = request.query
      return reply.page(
        'desk',
        await screen(actorOn(request), {
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
          channel,
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
        await screen(actor, { question: half.question, channel: deskChannel(half.channel), form })
      )
    }
  )

  // ── Answered with one key ───────────────────────────────────────────────

  app.post(
    '/desk/answer',
    {
      onRequest: requireStaff('clerk'),
      bodyLimit: LARGEST_FORM,
      schema: { hide, body: z.object({ key: text, question: text, query: text, entry: text, channel, audience }) }
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
        await labelTicket(request, registered.number, entry)
        return reply.redirect(doneAt(registered.number, chosen), 303)
      } catch (error) {
        return await again(request, reply, error, { question, channel: chosen })
      }
    }
  )

  async function again(request: FastifyRequest, reply: FastifyReply, error: unknown, given: Screen) {
    const { message, status } = forPeople(error)
    return reply.code(status).page('desk', await screen(actorOn(request), { ...given, problem: message }))
  }

  /** What the desk did says whether the bank was right; that it is not kept never undoes what was done. */
  async function labelTicket(request: FastifyRequest, number: string, entry: string | null): Promise<void> {
    try {
      const ticket = await findTicket(db, number)
      if (ticket === null || ticket.chain === 'sample') return
      await parts.queryLog.flush()
      const [label, other] = labelFor(ticket, entry)
      await parts.writer.write((trx) =>
        labelQuery(trx as unknown as Database, ticket.search.queryId, label, other, parts.now())
      )
    } catch (error) {
      request.log.warn({ err: error, number }, 'label not kept')
    }
  }

  // ── Registered for somebody who waits for an answer ─────────────────────

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
        const registered = await registerAs(actor, zone, body)
        if (body.parked !== '') await dropParked(parts, zone, body.parked)
        await labelTicket(request, registered.number, null)
        return reply.redirect(doneAt(registered.number, body.channel), 303)
      } catch (error) {
        const { message, status } = forPeople(error)
        const reused = error instanceof KeyReused
        const problem = reused ? '这张表刚才已经登记过一件了。如果这是另一件，核对后再按一次就另行登记。' : message
        const key = reused ? randomUUID() : body.key
        const form = await registrationForm(parts, { ...body, unit: unitIn(body), key, problem })
        return reply
          .code(status)
          .page('desk', await screen(actor, { question: body.question, channel: body.channel, form }))
      }
    }
  )

  async function registerAs(actor: Actor, zone: string, body: FormBody): Promise<Registered> {
    const { step } = body
    const unit = unitIn(body)
    const units = await library.all('unit')
    if ((step === 'assign' || step === 'guide') && !units.has(unit))
      throw new BadAction(`${step === 'guide' ? '引导单位' : '答复单位'}：请选一个单位，或者先“登记，稍后交办”。`)
    const isBare = body.name.trim() === '' && body.phone.trim() === ''
    // Who is sent elsewhere need not say who they are.
    const contact: Contact | null =
      step === 'guide' && isBare ? null : readContact({ name: body.name, phone: body.phone })
    const registered = await register(parts, {
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
    if (next === null) return registered
    const ticket = await findTicket(db, registered.number)
    // Sent twice, or joined by itself to one that asks the very same: it is where it belongs.
    if (ticket === null || ticket.state !== 'TO_ASSIGN') return registered
    await act(parts, actor, ticket.number, ticket.version, next).catch((error: unknown) => {
      // Registered it is; what could not be done is left on its page.
      if (!(error instanceof Stale || error instanceof NotNow || error instanceof BadAction)) throw error
    })
    return registered
  }

  app.post(
    '/desk/parked/:id/drop',
    { onRequest: requireStaff('clerk'), schema: { hide, params: z.object({ id: z.string().max(64) }) } },
    async (request, reply) => {
      await dropParked(parts, zoneIdOf(actorOn(request)), request.params.id)
      return reply.redirect('/desk', 303)
    }
  )

  // ── One ticket ──────────────────────────────────────────────────────────

  const Numbered = z.object({ number: z.string().max(80) })

  async function own(request: FastifyRequest): Promise<Ticket> {
    const { number } = request.params as { number: string }
    const ticket = await findOwn(db, actorOn(request), readNumber(number) ?? number)
    if (ticket === null) throw new NotFound('咨询', number)
    return ticket
  }

  app.get(
    '/desk/:number',
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
    '/desk/:number/:action',
    {
      onRequest: staffOnly,
      bodyLimit: LARGEST_FORM,
      schema: {
        hide,
        params: Numbered.extend({ action: z.enum(['assign', 'answer', 'guide', 'join', 'withdraw', 'reopen']) }),
        body: z.object({
          version: z.coerce.number().int().catch(0),
          unit: text,
          otherUnit: text,
          entry: text,
          number: text,
          reason: text,
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
        if (todo.action === 'answer') await labelTicket(request, made.number, todo.body.entry)
        if (todo.action === 'guide') await labelTicket(request, made.number, null)
      } catch (error) {
        if (!(error instanceof Stale && (await wasSent(db, actor, ticket.number, version, action)))) {
          const { message, status } = forPeople(error)
          const given = { problem: message, reason: request.body.reason }
          const fresh = await own(request)
          return reply.code(status).page('desk-ticket', await ticketPage(parts, actor, fresh, given))
        }
      }
      if (back === 'desk') return reply.redirect(doneAt(ticket.number, deskChannel(ticket.channel)), 303)
      return reply.redirect(`${hrefOf(ticket.number)}?said=${SAID[action]}`, 303)
    }
  )

  app.post(
    '/desk/:number/unmask',
    { onRequest: staffOnly, schema: { hide, params: Numbered, body: z.object({ reason: text }) } },
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

  // ── Slips ───────────────────────────────────────────────────────────────

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

  // ── A kiosk's trail ─────────────────────────────────────────────────────

  app.post(
    '/api/v1/trails',
    {
      config: { everybody: true },
      schema: {
        summary: 'Hand what was asked at a kiosk to the desk by a code of six digits',
        body: z.object({
          zone: z.string({ error: '请写专区编号' }).max(20),
          queries: z.array(z.string().max(64)).min(1, '请写提问的编号').max(MOST_QUERIES)
        }),
        response: {
          201: z.object({ code: z.string(), expiresAt: z.string() }),
          400: ProblemBody,
          422: ProblemBody,
          503: ProblemBody
        }
      }
    },
    async ({ body }, reply) => {
      const { code, expiresAt } = await makeTrail(parts, body.zone, body.queries, parts.now())
      return reply.code(201).send({ code, expiresAt: instantInChina(expiresAt) })
    }
  )

  app.get(
    '/z/:zone/trail',
    {
      schema: {
        hide,
        params: z.object({ zone: z.string().max(20) }),
        querystring: z.object({
          query: z
            .union([z.string(), z.array(z.string())])
            .transform((given) => [given].flat())
            .catch([])
        })
      }
    },
    async ({ params, query: { query } }, reply) => {
      const zone = (await library.all('zone')).get(params.zone)
      if (zone === undefined)
        return reply.code(404).page('error', errorPage({ status: 404, detail: '没有这个专区，请重新选择。' }))
      const frame = {
        head: await headOf(library, {
          title: '转给咨询台',
          zone,
          crumbs: [{ text: '自助查询', href: `/z/${zone.content.id}/ask` }]
        }),
        problem: null,
        code: '',
        until: '',
        asked: [],
        desk: await deskOf(library, zone),
        back: `/z/${zone.content.id}/ask`
      }
      try {
        const { code, expiresAt } = await makeTrail(parts, zone.content.id, query, parts.now())
        const asked = (await readQueries(parts, query)).map(({ text: q }) => q)
        return reply.page('trail', {
          ...frame,
          code: `${code.slice(0, 3)} ${code.slice(3)}`,
          until: timeLabel(expiresAt),
          asked
        })
      } catch (error) {
        if (!(error instanceof TrailEmpty)) throw error
        return reply.code(422).page('trail', { ...frame, problem: error.message })
      }
    }
  )
}

// ── Small things ──────────────────────────────────────────────────────────

const SAID = {
  assign: 'assigned',
  answer: 'answered',
  guide: 'guided',
  join: 'joined',
  withdraw: 'withdrawn',
  reopen: 'reopened'
} as const

type DeskAction = keyof typeof SAID

const EVENT_OF: Record<DeskAction, TicketEvent['type']> = {
  assign: 'assigned',
  answer: 'answered',
  guide: 'guided',
  join: 'joined',
  withdraw: 'withdrawn',
  reopen: 'reopened'
}

const EMPTY: Half = { question: '', name: '', phone: '', audience: 'person', channel: 'desk', unit: '', query: '' }

const BLANK: DeskHit = {
  place: '',
  id: '',
  title: '',
  confidence: { code: '', text: '' },
  paragraphs: [''],
  basis: '',
  validity: { code: '', text: '' },
  unit: '',
  record: '',
  href: ''
}

const NOTHING_FOUND: Found = { hits: [], documents: [], nothing: null, sure: false }

const hrefOf = (number: string) => `/desk/${encodeURIComponent(number)}`
const doneAt = (number: string, chosen: string) => `/desk?${new URLSearchParams({ done: number, channel: chosen })}`
const deskChannel = (channel: string) => (channel === 'phone' ? ('phone' as const) : ('desk' as const))

/** `11月24日 09:30`, China Standard Time. */
function timeLabel(instant: string): string {
  const [day = '', time = ''] = instantInChina(instant).split('T')
  return `${Number(day.slice(5, 7))}月${Number(day.slice(8))}日 ${time.slice(0, 5)}`
}

/** @throws {NotAllowed} for who has no desk */
function zoneIdOf(actor: Actor): string {
  if (actor.zone === null) throw new NotAllowed(whoMay('register'), ROLE_NAMES[actor.role])
  return actor.zone
}

async function zoneOf(library: Library, { zone }: Actor): Promise<Item<Zone> | null> {
  return zone === null ? null : ((await library.all('zone')).get(zone) ?? null)
}

const zoneFacts = (zone: Item<Zone> | null): Fact[] =>
  zone === null
    ? []
    : facts(['咨询台电话', zone.content.phone], ['地址', zone.content.address], ['时间', zone.content.hours])

const channelChoices = (chosen: string): Option[] =>
  DESK_CHANNELS.map((value) => ({ value, text: CHANNEL_NAMES[value], selected: value === chosen }))

const unitIn = ({ unit, otherUnit }: Pick<FormBody, 'unit' | 'otherUnit'>) => (otherUnit === '' ? unit : otherUnit)

function halfOf(body: FormBody): Half {
  const { question, name, phone, query } = body
  return { question, name, phone, query, audience: body.audience, channel: body.channel, unit: unitIn(body) }
}

/**
 * What went wrong, for the person at the desk.
 * @throws what is no one's fault at a form
 */
function forPeople(error: unknown): { message: string; status: number } {
  const { statusCode = 500, message } = error as FastifyError
  // A store that is busy, away or full says in Chinese that nothing was kept: the form stays on the screen.
  if (!(error instanceof Error) || !/[一-鿿]/.test(message)) throw error
  return { message, status: statusCode }
}

function todoOf(
  action: DeskAction,
  body: Record<'unit' | 'otherUnit' | 'entry' | 'number' | 'reason', string>
): ActionRequest {
  const reason = body.reason.trim()
  const unit = unitIn(body)
  switch (action) {
    case 'assign':
    case 'guide':
      if (unit === '') throw new BadAction(`${action === 'assign' ? '答复单位' : '引导单位'}：请选一个单位。`)
      return { action, body: { unit } }
    case 'answer':
      return { action, body: { entry: body.entry } }
    case 'join':
      return { action, body: { number: readNumber(body.number) ?? body.number.trim() } }
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

/** What registering with an entry, or without one, says of the search. */
function labelFor({ search }: Ticket, entry: string | null): [LabelsTable['label'], string | null] {
  if (entry === null) return ['wrong', null]
  const key = `qa/${entry}`
  return search.candidates[0]?.key === key ? ['right', null] : ['other', key]
}

// ── Search ────────────────────────────────────────────────────────────────

/** What the bank offers, nothing logged: the search a registration rests on is logged with it. */
async function find(parts: Parts, question: string, zone: string | null): Promise<Found> {
  if (question === '') return NOTHING_FOUND
  const problem = problemWith(question)
  if (problem !== null) return { ...NOTHING_FOUND, nothing: problem.message }
  const { decision, hits, guidance } = await ask(parts, { question, zone, limit: HITS, live: true })
  const entries = hits.filter(({ kind }) => kind === 'qa')
  return {
    hits: entries.map((hit, at) => deskHit(parts, hit, at)),
    documents: hits
      .filter(({ kind }) => kind === 'document')
      .map(({ id, title, text: passage, passage: at }) => ({
        text: `《${title}》${at?.clause ?? ''}`,
        href: `/documents/${encodeURIComponent(id)}${at === null ? '' : `?${new URLSearchParams({ at: at.anchor })}`}`,
        detail: passage.slice(0, 120)
      })),
    nothing:
      entries.length > 0
        ? null
        : guidance === null
          ? '问答库里没有可以直接登记的答复，请登记交办。'
          : `问答库里没有有把握的答复。${guidance.reason}。`,
    sure: decision === 'answer' && hits[0]?.kind === 'qa'
  }
}

function deskHit(parts: Parts, hit: Hit, at: number): DeskHit {
  const { answer, choose } = parts.thresholds()
  const confidence =
    hit.confidence >= answer
      ? { code: 'sure', text: '有把握' }
      : hit.confidence >= choose
        ? { code: 'maybe', text: '可能' }
        : { code: 'hardly', text: '不太像' }
  return {
    place: String(at + 1),
    id: hit.id,
    title: hit.title,
    confidence,
    paragraphs: hit.text.split('\n').filter((line) => line.trim() !== ''),
    basis: basisText(hit.basis),
    validity: badge(hit.validity),
    unit: hit.unit?.name ?? '',
    record: `${hit.id}，${versionLabel(hit.version)}，${dayLabel(hit.updatedOn)}更新`,
    href: `/qa/${encodeURIComponent(hit.id)}`
  }
}

/** Documents cited, each once, with its clauses. */
function basisText(basis: Hit['basis']): string {
  const cited = new Map<string, string[]>()
  for (const { title, number, clause } of basis) {
    const name = `《${title}》${number === null ? '' : `（${number}）`}`
    cited.set(name, [...(cited.get(name) ?? []), ...(clause === null ? [] : [clause])])
  }
  return [...cited].map(([name, clauses]) => `${name}${clauses.join('、')}`).join('；')
}

// ── Registration form ─────────────────────────────────────────────────────

type FormGiven = Half & { key: string; parked: string; otherUnit: string; problem: string | null }

async function registrationForm(parts: Parts, given: FormGiven): Promise<RegistrationForm> {
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
async function unitChoices(
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

function dueText({ dueOn, latestOn, provisional }: Due): string {
  const term = `今天交办，答复单位最迟 ${dayLabel(dueOn)} 答复咨询人（${ANSWER_WITHIN} 个工作日）`
  return provisional ? `${term}。放假安排还没有公布，公布后可能顺延，最晚到 ${dayLabel(latestOn)}。` : `${term}。`
}

async function similarTo(
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
  return similarTickets(parts, masked, open, SIMILAR).flatMap(({ number }) => {
    const one = open.find((candidate) => candidate.number === number)
    if (one === undefined) return []
    const unit = one.unit === null ? null : (units.get(one.unit)?.content.name ?? one.unit)
    const detail = unit === null ? STATE_NAMES[one.state] : `${STATE_NAMES[one.state]}，${unit}`
    return [{ number, question: one.question, detail }]
  })
}

// ── Lists ─────────────────────────────────────────────────────────────────

async function lists(parts: Parts, actor: Actor): Promise<List[]> {
  const { db, calendar, library } = parts
  const today = parts.today()
  const [waiting, inHand, units] = [
    await listTickets(db, actor, { states: WAITING, open: true }, { order: 'oldest', limit: LISTED, offset: 0 }),
    await listTickets(db, actor, { states: IN_HAND, open: true }, { order: 'urgency', limit: LISTED, offset: 0 }),
    await library.all('unit')
  ]
  // A reopened one that went back to its unit waits there, not here.
  const toAssign = waiting.tickets.filter(({ unit }) => unit === null)
  const inUnits = inHand.tickets.filter(({ unit, state }) => unit !== null || state !== 'REOPENED')
  const closes = calendar().isWorkingDay(today) && minutesUntil(await closingTime(db), parts.now()) <= ALARM_MINUTES
  const parked = actor.zone === null ? [] : await listParked(parts, actor.zone)
  const names = await namesOf(
    db,
    parked.map(({ staff }) => staff),
    'id'
  )
  return [
    {
      title: '待交办',
      total: String(waiting.total - (waiting.tickets.length - toAssign.length)),
      nothing: '没有等着交办的。',
      more: waiting.total > LISTED ? `还有 ${waiting.total - LISTED} 件，办完上面的就会出现。` : null,
      lines: toAssign.map((ticket) => {
        const since = ticket.returns.at(-1)?.at ?? ticket.registeredAt
        const isOld = dayOf(since) < today
        return {
          ...lineOf(ticket),
          urgency: isOld || closes ? 'late' : '',
          top: `${CHANNEL_NAMES[ticket.channel]}　${timeLabel(since)}`,
          badge:
            ticket.state !== 'TO_ASSIGN'
              ? { code: 'late', text: STATE_NAMES[ticket.state] }
              : isOld
                ? { code: 'late', text: '隔日未交办' }
                : closes
                  ? { code: 'late', text: '下班前交办' }
                  : null
        }
      })
    },
    {
      title: '暂存',
      total: String(parked.length),
      nothing: '没有暂存的登记。',
      more: null,
      lines: parked.map(({ id, staff, createdAt, half }) => ({
        href: `/desk/new?${new URLSearchParams({ parked: id })}`,
        urgency: dayOf(createdAt) < today ? 'late' : 'soon',
        top: `${names.get(staff) ?? ''}　${timeLabel(createdAt)}`,
        text: maskPersonalData(half.question).slice(0, 80) || '（还没写问题）',
        badge: null
      }))
    },
    {
      title: '在办',
      total: String(inHand.total - (inHand.tickets.length - inUnits.length)),
      nothing: '没有在办的。',
      more: inHand.total > LISTED ? `只列最急的 ${LISTED} 件，其余在台账里。` : null,
      lines: inUnits.map((ticket) => {
        const late = clockBadge(parts, ticket)
        const due = ticket.due === null ? '' : `${dayLabel(ticket.due.dueOn).slice(5)}到期`
        return {
          ...lineOf(ticket),
          urgency: late?.code ?? '',
          top: [units.get(ticket.unit ?? '')?.content.name ?? '', STATE_NAMES[ticket.state], due].join('　'),
          badge: late
        }
      })
    }
  ]
}

const lineOf = ({ number, question }: Ticket) => ({ href: hrefOf(number), text: question.slice(0, 120) })

function clockBadge({ calendar, today }: Parts, ticket: Ticket): Badge | null {
  const { overdue, dueToday, dueSoon } = clockOf(ticket, calendar(), today())
  if (overdue) return { code: 'late', text: '超期' }
  if (dueToday) return { code: 'soon', text: '今天到期' }
  return dueSoon ? { code: 'soon', text: '快到期' } : null
}

/** What waits is red from an hour before closing (domain model 2.5). */
const ALARM_MINUTES = 60
const Hours = z.object({ until: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/) })

/** `HH:MM`: as the office has set it, else the sample zones'. */
async function closingTime(db: Database): Promise<string> {
  const row = await db.selectFrom('settings').select('value').where('name', '=', 'working-hours').executeTakeFirst()
  const read = Hours.safeParse(row === undefined ? null : JSON.parse(row.value))
  return read.success ? read.data.until : WORKING_HOURS.until
}

function minutesUntil(time: string, now: Date): number {
  const minutes = (clock: string) => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3, 5))
  return minutes(time) - minutes(instantInChina(now).slice(11, 16))
}

async function namesOf(db: Database, who: readonly string[], by: 'id' | 'username'): Promise<Map<string, string>> {
  const wanted = [...new Set(who)]
  if (wanted.length === 0) return new Map()
  const rows = await db.selectFrom('staff').select(['id', 'username', 'name']).where(by, 'in', wanted).execute()
  return new Map(rows.map((row) => [row[by], row.name]))
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

// ── One ticket's page ─────────────────────────────────────────────────────

interface TicketGiven {
  problem?: string | null
  reason?: string
  /** Searched for on the page; else the question itself. */
  search?: string
  /** Shown once, after a reason was given. */
  plain?: Contact | null
  question?: string | null
}

async function ticketPage(parts: Parts, actor: Actor, ticket: Ticket, given: TicketGiven) {
  const { library, calendar, today } = parts
  const view = await viewTicket(parts, actor, ticket)
  const may = (action: (typeof view.actions)[number]) => view.actions.includes(action)
  const zone = (await library.all('zone')).get(ticket.zone) ?? null
  const plain = given.plain ?? null
  const contact = plain ?? view.contact
  const choices = may('assign') || may('guide') ? await unitChoices(parts, ticket.question, '') : null
  const search = given.search ?? ticket.question.slice(0, LONGEST_QUESTION)
  const entry = ticket.entry === null ? null : await library.get('qa', ticket.entry.id)
  const canAnswer = may('answer')
  const isClerk = actor.zone !== null
  return {
    head: await headOf(library, { title: `咨询 ${ticket.number}`, zone, sample: ticket.chain === 'sample' }),
    number: ticket.number,
    version: String(ticket.version),
    state: { code: view.answeredAt === null ? 'state' : 'done', text: view.stateName },
    clock: clockBadge(parts, ticket),
    problem: given.problem ?? null,
    question: given.question ?? view.question,
    facts: facts(
      ['登记', `${timeLabel(ticket.registeredAt)}　${CHANNEL_NAMES[ticket.channel]}　${AUDIENCES[ticket.audience]}`],
      ['答复单位', view.unit?.name ?? null],
      ['协办单位', view.coUnits.map(({ name }) => name).join('、')],
      ['引导到', view.guidedTo?.name ?? null],
      ['答复期限', ticket.due === null ? null : dueLine(ticket.due)],
      ['并入', view.head],
      ['并来', view.joined.join('、')]
    ),
    contact: contact === null ? null : { ...contact, masked: plain === null },
    canUnmask: plain === null && contact !== null && mayOn(actor, 'unmask', ticket),
    answer:
      entry !== null
        ? {
            title: entry.content.question,
            paragraphs: entry.content.answer.split('\n'),
            facts: facts(['编号', entry.content.id], ['版本', versionLabel(ticket.entry?.version ?? entry.version)])
          }
        : ticket.draft !== null && ticket.answeredAt !== null
          ? { title: '答复', paragraphs: ticket.draft.text.split('\n'), facts: [] }
          : null,
    history: await history(parts, ticket),
    assign:
      may('assign') && choices !== null ? { ...choices, due: assignDue(ticket, dueOf(calendar(), today())) } : null,
    answers: canAnswer ? { question: search, found: await find(parts, search, ticket.zone) } : null,
    guide:
      may('guide') && choices !== null
        ? [...choices.suggested, ...choices.units.filter(notIn(choices.suggested))]
        : null,
    join: may('join') ? await similarTo(parts, ticket.question, ticket) : null,
    withdraw: may('withdraw'),
    reopen: may('reopen'),
    reason: given.reason ?? '',
    slip: isClerk ? `${hrefOf(ticket.number)}/slip` : null,
    contactSlip: (ticket.guidedTo ?? ticket.unit) === null ? null : `${hrefOf(ticket.number)}/contact-slip`,
    back: isClerk ? '/desk' : '/office'
  }
}

const notIn = (some: readonly Option[]) => (one: Option) => !some.some(({ value }) => value === one.value)

const dueLine = ({ dueOn, latestOn, provisional }: Due) =>
  provisional ? `${dayLabel(dueOn)}（放假安排公布后可能顺延，最晚 ${dayLabel(latestOn)}）` : dayLabel(dueOn)

/** A returned one keeps the citizen's date (domain model 2.2, rule 2). */
const assignDue = (ticket: Ticket, due: Due) =>
  ticket.returns.length > 0 && ticket.due !== null ? `退回重新交办，期限不变：${dueLine(ticket.due)}。` : dueText(due)

/** What happened, in plain Chinese, newest last. */
async function history({ db, library }: Parts, { number }: Ticket): Promise<{ at: string; text: string }[]> {
  const events = await eventsOf(db, number)
  const units = await library.all('unit')
  const unitName = (id: string | null) => (id === null ? '' : (units.get(id)?.content.name ?? id))
  const names = await namesOf(
    db,
    events.map(({ actor }) => actor),
    'username'
  )
  return events.map((event) => {
    const who =
      event.role === 'citizen' ? '咨询人' : event.role === 'system' ? '系统' : (names.get(event.actor) ?? event.actor)
    return { at: timeLabel(event.at), text: `${who}${sentence(event, unitName)}` }
  })
}

function sentence(event: TicketEvent, unitName: (id: string | null) => string): string {
  switch (event.type) {
    case 'registered':
      return `登记（${CHANNEL_NAMES[event.data.channel]}）`
    case 'answered':
      return `用问答库 ${event.data.entry}（${versionLabel(event.data.version)}）答复`
    case 'guided':
      return `引导到${unitName(event.data.unit)}`
    case 'assigned':
      return `${event.data.designated ? '指定交办' : '交办'}给${unitName(event.data.unit)}，期限 ${dayLabel(event.data.due.dueOn)}`
    case 'accepted':
      return '签收'
    case 'returned':
      return `退回：${event.data.reason}${event.data.proposed === null ? '' : `；建议${unitName(event.data.proposed)}`}${event.data.toOffice ? '；第二次退回，由区政府办公室指定' : ''}`
    case 'drafted':
      return event.data.submitted ? '写好答复，送审' : '拟写答复'
    case 'approved':
      return event.data.self ? '审核通过（自拟自审）' : '审核通过'
    case 'revised':
      return `退改：${event.data.reason}`
    case 'contacted':
      return `${CONTACT_WAY_NAMES[event.data.by]}联系咨询人：${event.data.outcome === 'told' ? '已答复' : '没有联系上'}${event.data.note === '' ? '' : `（${event.data.note}）`}`
    case 'joined':
      return `并入 ${event.data.head}${event.data.automatic ? '（问题相同）' : ''}`
    case 'separated':
      return `重新单独办理：${event.data.reason}`
    case 'followed':
      return event.data.unit === null ? '随主件退回' : `随主件转到${unitName(event.data.unit)}`
    case 'gained':
      return `并来 ${event.data.number}`
    case 'withdrawn':
      return `撤回：${event.data.reason}`
    case 'rated':
      return event.data.solved ? '评价：解决了' : '评价：没解决'
    case 'reopened':
      return `重新办理：${event.data.reason}；新期限 ${dayLabel(event.data.due.dueOn)}`
    case 'closed':
      return event.data.reason === 'solved' ? '办结（咨询人说解决了）' : '办结（期满）'
    case 'archived':
      return '归档'
    case 'recounted':
      return `重算期限到 ${dayLabel(event.data.due.dueOn)}：${event.data.reason}`
    case 'bank':
      return { proposed: '建议入库', taken: '已入库', declined: `不入库：${event.data.reason ?? ''}` }[event.data.state]
    case 'unmasked':
      return `查看联系方式：${event.data.reason}`
    case 'reminded':
      return `发出提醒：${reminderName(event.data.kind)}`
    case 'contactChanged':
      return '更正了联系方式'
  }
}

// ── Slips ─────────────────────────────────────────────────────────────────

async function slipOf(parts: Parts, request: FastifyRequest, ticket: Ticket) {
  const { library, db, fieldKey, config, today } = parts
  const actor = actorOn(request)
  const zone = (await library.all('zone')).get(ticket.zone) ?? null
  // The code opens the citizen's view: the desk hands it over, nobody else needs it.
  const stored = actor.zone === ticket.zone ? await readStored(db, fieldKey, ticket.number) : null
  const code = stored === null || stored.code === '' ? null : stored.code
  const origin = config.publicUrl ?? `${request.protocol}://${request.host}`
  const svg =
    code === null ? null : await QRCode.toString(`${origin.replace(/\/$/, '')}${trackPath(ticket.number, code)}`, QR)
  const units = await library.all('unit')
  const unit = units.get(ticket.unit ?? ticket.guidedTo ?? '')?.content ?? null
  const item = ticket.entry === null ? null : await library.get('qa', ticket.entry.id)
  const told = item === null ? null : await qaAnswer(library, item, linksOf(ticket.zone), today())
  const isSettled = ticket.due === null
  return {
    head: await headOf(library, { title: `登记回单 ${ticket.number}`, zone, sample: ticket.chain === 'sample' }),
    title: item !== null ? '政策咨询答复单' : '政策咨询登记回单',
    zone: zone === null ? '' : fullName(zone.content.name),
    number: ticket.number,
    code,
    qr: svg === null ? null : `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`,
    question: ticket.question,
    facts: facts(
      ['登记时间', timeLabel(ticket.registeredAt)],
      ['办理情况', STATE_NAMES[ticket.state]],
      [ticket.guidedTo === null ? '答复单位' : '请联系', unit?.name ?? (isSettled ? null : '咨询台正在确定')],
      ['单位电话', unit?.phone ?? null],
      ['答复期限', ticket.due === null ? null : dueLine(ticket.due)]
    ),
    advice: isSettled
      ? ['回去以后还有不清楚的，带这张单子来，或者打下面的电话。']
      : [
          '答复单位会按您留的电话联系您，请留意来电。',
          '想知道办到哪一步：扫二维码，或者打开查询页输入编号和查询码。',
          '查询码请收好，别人拿到也能看到您的咨询。'
        ],
    answer:
      item === null || told === null
        ? null
        : {
            title: told.title,
            paragraphs: told.paragraphs.map((parts) => parts.map((part) => part.text).join('')),
            materials: told.materials,
            basis: told.basis.map(({ title, number, clauses }) =>
              [title, number, clauses.map((clause) => clause.text).join('、')].filter((part) => part).join(' ')
            ),
            record: `${item.content.id}　${versionLabel(item.version)}　${dayLabel(item.changedOn)}更新　${told.validity.text}${
              item.version === ticket.entry?.version
                ? ''
                : `（登记时是${versionLabel(ticket.entry?.version ?? 0)}，以上是现行内容）`
            }`
          },
    contact: zoneFacts(zone),
    back: hrefOf(ticket.number)
  }
}

/** Quiet zone of one module: paper around it is white anyway. Level M stands a crease. */
const QR = { type: 'svg', margin: 1, errorCorrectionLevel: 'M' } as const

/** The entry of the unit the search came nearest to, for the papers to bring; null where nothing came near. */
async function entryFor(library: Library, { search, entry }: Ticket, unit: string) {
  const keys = [entry?.id, ...search.candidates.map(({ key }) => /^qa\/(.+)$/.exec(key)?.[1])]
  if (search.decision === 'escalate' && entry === null) return null
  for (const id of keys) {
    const item = id === undefined ? null : await library.get('qa', id)
    if (item !== null && !item.retired && item.content.unit === unit) return item
  }
  return null
}

function reminderName(kind: string): string {
  const rung = rungOf(kind)
  return rung === null ? kind : RUNG_NAMES[rung]
}
