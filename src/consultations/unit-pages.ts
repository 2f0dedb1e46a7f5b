import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { addStandIn, removeStandIn } from '../accounts/actors.ts'
import { BadAccount, NotAllowed } from '../accounts/errors.ts'
import { actorOn, requireStaff } from '../accounts/guard.ts'
import { type Actor, actsAs, may, ROLE_NAMES, scopeOf } from '../accounts/roles.ts'
import { listStaff } from '../accounts/staff.ts'
import type { Calendar } from '../calendar/calendar.ts'
import { instantInChina, isDay } from '../calendar/day.ts'
import { basisLines } from '../bank/pages.ts'
import { validityOn } from '../content/validity.ts'
import { plainText } from '../documents/passages.ts'
import { type CallStep, callScript } from '../notices/notices.ts'
import { RUNG_NAMES, rungOf } from '../notices/rungs.ts'
import type { Parts } from '../parts.ts'
import { badge, errorPage, facts, headOf, linksOf } from '../views/models.ts'
import { dayLabel } from '../views/text.ts'
import type { Badge } from '../views/views.ts'
import { act, type ActionRequest, actionsFor } from './act.ts'
import { ask, basisOf, worstOf } from './ask.ts'
import { BadAction, NotNow, Stale } from './errors.ts'
import { eventsOf } from './events.ts'
import { LONGEST_QUESTION } from './limits.ts'
import { type LinkHolder, readLink } from './links.ts'
import { readNumber } from './numbers.ts'
import { countStates, findOwn, findTicket, listTickets, openQuestions } from './records.ts'
import { similarTickets } from './similar.ts'
import {
  ANSWER_WITHIN,
  ATTEMPTS_BEFORE_UNREACHED,
  CHANNEL_NAMES,
  CONTACT_WAY_NAMES,
  CONTACT_WAYS,
  DAYS_BEFORE_UNREACHED,
  type Due,
  isOverdue,
  OPEN,
  REOPEN_WITHIN,
  STATE_NAMES,
  type State,
  STATES,
  type Ticket,
  type TicketBasis,
  type TicketEvent
} from './ticket.ts'
import { viewTicket } from './ticket-view.ts'

interface Line {
  href: string
  /** `late`, `soon` or empty: a class. */
  urgency: string
  number: string
  place: string
  question: string
  state: Badge
  clock: Badge | null
  /** What the person is to do; null where somebody else is to. */
  todo: string | null
}

interface Option {
  value: string
  text: string
  selected: boolean
}

/** A bank entry or a document's passage near the question. */
interface Near {
  /** `qa/ID` or `document/ID#ANCHOR`. */
  key: string
  label: string
  title: string
  href: string
  validity: Badge
  paragraphs: string[]
  basis: string
  open: boolean
  /** Nothing is cited where it rests on nothing. */
  citable: boolean
}

/** One consultant to be told, with a contact proof of their own. */
interface ContactForm {
  number: string
  version: string
  title: string
  name: string
  /** Null where none was left. */
  phone: string | null
  state: string
  attempts: string[]
  script: CallStep[]
  outcomes: Option[]
  ways: Option[]
  at: string
  note: string
}

/** A row of the printed form: one wide cell, or two. */
interface SlipRow {
  cells: { name: string; text: string; wide: boolean }[]
}

declare module '../views/views.ts' {
  interface Pages {
    unit: {
      head: Head
      heading: string
      acting: string[]
      counts: { text: string; count: string; href: string; current: boolean }[]
      sections: { title: string; groups: { title: string; lines: Line[] }[] }[]
      nothing: string | null
      more: string | null
      pages: Pager | null
      standIn: boolean
    }
    'unit-ticket': {
      head: Head
      /** Where the forms are sent: `/unit/NUMBER` or `/t/TOKEN`. */
      path: string
      back: string | null
      /** For who holds a link: as whom, and until when. */
      holder: string | null
      number: string
      version: string
      state: Badge
      clock: Badge | null
      problem: string | null
      info: string | null
      /** What was typed and has no field any more. */
      lost: string | null
      question: string
      facts: Fact[]
      due: { text: string; why: string; href: string | null } | null
      waiting: string | null
      accept: boolean
      consultant: { name: string; phone: string | null } | null
      earlier: { title: string; text: string }[]
      revised: string | null
      draft: {
        text: string
        longest: string
        basis: { title: string; href: string; clauses: { value: string; text: string; checked: boolean }[] }[]
        titles: string
        /** What is stored, where it is another text than the one typed. */
        stored: string | null
      } | null
      answer: { title: string; text: string; basis: { text: string; href: string | null }[]; by: string } | null
      approve: { button: string; note: string | null } | null
      revise: { reason: string } | null
      giveBack: { reason: string; units: Option[] } | null
      contacts: ContactForm[]
      next: { title: string; steps: string[] } | null
      bank: { text: string; href: string | null; link: string } | null
      near: Near[]
      similar: { number: string; question: string; detail: string; href: string | null }[]
      history: { at: string; text: string }[]
      slip: { title: string; district: string; rows: SlipRow[] }
    }
    'unit-stand-in': {
      head: Head
      problem: string | null
      people: { absent: Option[]; staff: Option[] }
      from: string
      until: string
      /** Too few people to stand in for one another. */
      alone: boolean
      standIns: { id: string; text: string; days: string; now: boolean }[]
    }
  }
}

/** Most open tickets shown at once; the most urgent (a unit has some tens). */
const MOST_LISTED = 200
const PAGE = 50
/** Candidates beside a draft; each is read, not skimmed. */
const MOST_NEAR = 6
const SIMILAR = 3
/** Open questions a ticket is compared with, the newest: 300 compare in milliseconds (bench similar). */
const COMPARED = 300
/** As the API takes (src/consultations/ticket-routes.ts). */
const LONGEST_ANSWER = 20_000
const LONGEST_REASON = 1000
const LONGEST_TITLE = 300
const MOST_BASIS = 20
/** 20,000 characters are 180 kB as a form sends them. */
const LARGEST_FORM = 256 * 1024

const ACTIONS = ['accept', 'return', 'draft', 'approve', 'revise', 'contact', 'join'] as const
type UnitAction = (typeof ACTIONS)[number]

const typedText = z.string().catch('')
const Typed = z.object({
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
type Typed = z.infer<typeof Typed>

/** How somebody works on a ticket: signed in, or by a link to this one alone. */
interface Access {
  actor: Actor
  path: string
  link: LinkHolder | null
}

/** What goes back into the page that was sent. */
interface Sent {
  action: UnitAction
  typed: Typed
  problem: string | null
  info: string | null
}

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

  // ── Who stands in for whom ──────────────────────────────────────────────

  const leaderOnly = requireStaff('leader')

  app.get('/unit/stand-in', { onRequest: leaderOnly, schema: { hide } }, async (request, reply) =>
    reply.page('unit-stand-in', await standInPage(parts, actorOn(request), null, null))
  )

  const StandIn = z.object({ absent: typedText, staff: typedText, from: typedText, until: typedText })

  app.post('/unit/stand-in', { onRequest: leaderOnly, schema: { hide, body: StandIn } }, async (request, reply) => {
    const actor = actorOn(request)
    const { body } = request
    try {
      const known = new Set((await unitPeople(parts, actor)).map(({ username }) => username))
      if (!known.has(body.absent) || !known.has(body.staff))
        throw new BadAccount('请选本单位的两个人：谁不在，由谁代办。')
      if (!isDay(body.from) || !isDay(body.until)) throw new BadAccount('日期：请选从哪天到哪天。')
      if (body.until < parts.today()) throw new BadAccount('日期：最后一天已经过去，请另选。')
      await addStandIn(db, { ...body, by: actor.username, now: parts.now() })
    } catch (error) {
      if (!(error instanceof BadAccount)) throw error
      return reply.code(400).page('unit-stand-in', await standInPage(parts, actor, error.message, body))
    }
    return reply.redirect('/unit/stand-in?said=saved', 303)
  })

  app.post(
    '/unit/stand-in/end',
    { onRequest: leaderOnly, schema: { hide, body: z.object({ id: typedText }) } },
    async (request, reply) => {
      const own = await standInsOf(parts, await unitPeople(parts, actorOn(request)))
      // One of another unit, or one ended a moment ago: nothing is left to do.
      if (own.some(({ id }) => id === request.body.id)) await removeStandIn(db, request.body.id)
      return reply.redirect('/unit/stand-in?said=saved', 303)
    }
  )

  // ── One ticket by a signed link ─────────────────────────────────────────

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

function isRefusal(error: unknown): error is InstanceType<typeof Stale> {
  return [Stale, NotNow, BadAction, NotAllowed].some((refusal) => error instanceof refusal)
}

const numberIn = (typed: string) => readNumber(typed) ?? typed

function saidAfter(action: UnitAction, { submit, outcome }: Typed): string {
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

// ── What a form says ──────────────────────────────────────────────────────

/** For the unit that is competent: the person does not know either. */
const NOT_KNOWN = 'unknown'

/**
 * A form as an action.
 * @throws {BadAction} naming the field and what to do
 */
function requestOf(action: UnitAction, typed: Typed): ActionRequest {
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

const basisValue = ({ document, clause }: TicketBasis) => `${document} ${clause ?? ''}`.trim()

/** Documents ticked, `ID CLAUSE` each, and those named in words, one a line. */
function basisIn({ basis, titles }: Pick<Typed, 'basis' | 'titles'>): TicketBasis[] {
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

/** Puts a candidate's text or basis into what is being written; nothing is stored, and nothing typed is lost. */
async function prefill(parts: Parts, typed: Typed): Promise<{ typed: Typed; info: string }> {
  const key = typed.copy === '' ? typed.use : typed.copy
  const found = await readKey(parts, key)
  if (found === null) return { typed, info: '这一条已经撤下，没有抄入。' }
  const cited = found.basis.filter(({ document }) => document !== null).map(basisValue)
  const basis = [...new Set([...typed.basis, ...cited])]
  if (typed.copy === '') return { typed: { ...typed, basis }, info: '已选为依据，还没有保存。' }
  const text = [typed.text.trimEnd(), found.text].filter((part) => part !== '').join('\n\n')
  return { typed: { ...typed, basis, text }, info: '已抄入草稿，依据也选好了。请改成对这件咨询的答复，再保存或送审。' }
}

// ── The list ──────────────────────────────────────────────────────────────

interface Shown {
  state: State | null
  overdue: boolean
  closed: boolean
  page: number
}

async function listPage(parts: Parts, actor: Actor, { state, overdue, closed, page }: Shown) {
  const { db, library, calendar } = parts
  const today = parts.today()
  const units = await library.all('unit')
  const nameOf = (id: string) => units.get(id)?.content.name ?? id
  const scope = scopeOf(actor)
  const own = scope.kind === 'unit' ? scope.units : []
  const counted = await countStates(db, actor, today)
  const filter = closed
    ? { states: STATES.filter((one) => !OPEN.has(one)) }
    : { open: true, ...(state === null ? {} : { states: [state] }), ...(overdue ? { overdueOn: today } : {}) }
  const { tickets, total } = await listTickets(db, actor, filter, {
    order: closed ? 'newest' : 'urgency',
    limit: closed ? PAGE : MOST_LISTED,
    offset: closed ? (page - 1) * PAGE : 0
  })
  const zones = await library.all('zone')
  const heads = await headsOf(parts, tickets)
  const lines = tickets.map((ticket) => {
    const clock = clockBadge(calendar(), today, ticket)
    const place = zones.get(ticket.zone)?.content.name ?? ticket.zone
    return {
      urgency: urgencyOf(calendar(), today, ticket),
      line: {
        href: `/unit/${ticket.number}`,
        urgency: clock?.code ?? '',
        number: ticket.number,
        place: own.length > 1 && ticket.unit !== null ? `${place}　${nameOf(ticket.unit)}` : place,
        question: ticket.question,
        state: { code: OPEN.has(ticket.state) ? 'state' : 'done', text: STATE_NAMES[ticket.state] },
        clock,
        todo: todoOf(actor, ticket, heads.get(ticket.head ?? '') ?? null, today)
      }
    }
  })
  const grouped = (some: typeof lines) =>
    URGENCIES.map(({ code, title }) => ({
      title,
      lines: some.filter(({ urgency }) => urgency === code).map(({ line }) => line)
    })).filter((group) => group.lines.length > 0)
  const mine = lines.filter(({ line }) => line.todo !== null)
  const others = lines.filter(({ line }) => line.todo === null)
  const sections = closed
    ? [{ title: '已办的', groups: [{ title: '', lines: lines.map(({ line }) => line) }] }]
    : [
        { title: `等您办的（${mine.length}）`, groups: grouped(mine) },
        { title: `正在办、等别人的（${others.length}）`, groups: grouped(others) }
      ]
  const allOpen = [...counted.states.values()].reduce((sum, count) => sum + count, 0)
  const isAll = state === null && !overdue && !closed
  const chip = (text: string, count: number | null, query: string, current: boolean) => ({
    text,
    count: count === null ? '' : String(count),
    href: `/unit${query}`,
    current
  })
  const pageHref = (to: number) => `/unit?closed=1&page=${to}`
  return {
    head: await headOf(library, { title: '待办', sample: tickets.some(({ chain }) => chain === 'sample') }),
    heading: own.length === 0 ? '待办' : `${own.map(nameOf).join('、')}的待办`,
    acting: actor.roles.flatMap(({ standsInFor, role, unit }) =>
      standsInFor === null ? [] : [`您今天代办${nameOf(unit)}${ROLE_NAMES[role]}的工作。`]
    ),
    counts: [
      chip('全部在办', allOpen, '', isAll),
      ...(counted.overdue > 0 ? [chip('已超期', counted.overdue, '?overdue=1', overdue)] : []),
      ...STATES.filter((one) => (counted.states.get(one) ?? 0) > 0).map((one) =>
        chip(STATE_NAMES[one], counted.states.get(one) ?? 0, `?state=${one}`, state === one)
      ),
      chip('已办的', null, '?closed=1', closed)
    ],
    sections: sections.filter(({ groups }) => groups.some((group) => group.lines.length > 0)),
    nothing: lines.length > 0 ? null : nothingText(isAll, closed),
    more:
      !closed && total > tickets.length
        ? `这里是最急的 ${tickets.length} 件，共 ${total} 件。办完再看，或按状态筛选。`
        : null,
    pages:
      closed && total > PAGE
        ? {
            text: `第 ${page} 页，共 ${Math.ceil(total / PAGE)} 页`,
            previous: page > 1 ? pageHref(page - 1) : null,
            next: page * PAGE < total ? pageHref(page + 1) : null
          }
        : null,
    standIn: actor.roles.some(({ role }) => role === 'leader')
  }
}

function nothingText(isAll: boolean, closed: boolean): string {
  if (closed) return '还没有办完的咨询。'
  return isAll
    ? '现在没有要办的咨询，辛苦了。有新的交办，会发通知给您，也会出现在这里。'
    : '没有这样的咨询。看“全部在办”。'
}

const URGENCIES = [
  { code: 'late', title: '已超期' },
  { code: 'today', title: '今天到期' },
  { code: 'next', title: '下一个工作日到期' },
  { code: 'later', title: '还有时间' }
] as const

function urgencyOf(calendar: Calendar, today: string, { due, state }: Ticket): (typeof URGENCIES)[number]['code'] {
  if (due === null || !OPEN.has(state) || due.dueOn > today) {
    const isNext = due !== null && OPEN.has(state) && calendar.workingDaysBetween(today, due.dueOn) <= 1
    return isNext ? 'next' : 'later'
  }
  return due.dueOn === today ? 'today' : 'late'
}

/** How long there is left, in working days and plain words; null where nothing is owed any more. */
function clockBadge(calendar: Calendar, today: string, ticket: Ticket): Badge | null {
  const { due, state } = ticket
  if (due === null || !OPEN.has(state)) return null
  if (due.dueOn === today) return { code: 'soon', text: '今天到期' }
  if (due.dueOn < today) {
    const over = calendar.workingDaysBetween(due.dueOn, today)
    return { code: 'late', text: over === 0 ? '已超期' : `已超 ${over} 个工作日` }
  }
  const left = calendar.workingDaysBetween(today, due.dueOn)
  return { code: left <= 1 ? 'soon' : '', text: `还剩 ${left} 个工作日` }
}

const LIAISON_TODO: Partial<Record<State, string>> = {
  ASSIGNED: '请签收',
  REOPENED: '请签收，再答复一次',
  ACCEPTED: '请拟写答复',
  DRAFTING: '请拟写答复，送审',
  APPROVED: '请联系咨询人',
  CONTACTING: '请再联系咨询人'
}

/** What waits for this person, in a few words; null where it waits for somebody else. */
function todoOf(actor: Actor, ticket: Ticket, head: Ticket | null, today: string): string | null {
  const { unit, state } = ticket
  if (unit === null) return null
  if (actionsFor(actor, ticket).includes('approve')) return '请审核'
  if (actsAs(actor, 'liaison', unit)) {
    const todo = state === 'JOINED' ? (isTellable(head) ? '请一并告知咨询人' : null) : (LIAISON_TODO[state] ?? null)
    if (todo !== null) return todo
  }
  return actsAs(actor, 'leader', unit) && isOverdue(ticket, today) ? '已超期，请过问' : null
}

/** Whether one that is joined to it may be told. */
const isTellable = (head: Ticket | null) => head !== null && head.approvedAt !== null

async function headsOf({ db }: Parts, tickets: readonly Ticket[]): Promise<Map<string, Ticket>> {
  const known = new Map(tickets.map((ticket) => [ticket.number, ticket]))
  for (const { head } of tickets) {
    if (head === null || known.has(head)) continue
    const found = await findTicket(db, head)
    if (found !== null) known.set(head, found)
  }
  return known
}

// ── One ticket ────────────────────────────────────────────────────────────

async function ticketPage(parts: Parts, { actor, path, link }: Access, ticket: Ticket, sent: Sent | null) {
  const { db, library, calendar } = parts
  const today = parts.today()
  const view = await viewTicket(parts, actor, ticket)
  const units = await library.all('unit')
  const unitName = (id: string | null) => (id === null ? '' : (units.get(id)?.content.name ?? id))
  const zoneName = (await library.all('zone')).get(ticket.zone)?.content.name ?? ticket.zone
  const events = await eventsOf(db, ticket.number)
  const personName = await namesOf(parts, unitName)
  const head = ticket.head === null ? null : await findTicket(db, ticket.head)
  const can = (action: UnitAction) => view.actions.includes(action)
  const of = (action: UnitAction) => (sent?.action === action ? sent.typed : null)
  const near = OPEN.has(ticket.state) ? await nearTo(parts, ticket) : []
  const draft = can('draft') ? await draftForm(parts, ticket, near, of('draft')) : null
  const revise = can('revise') ? { reason: of('revise')?.reason ?? '' } : null
  const giveBack = can('return') ? giveBackForm(units, ticket, of('return')) : null
  const contacts = await contactForms(parts, actor, ticket, head, of('contact'))
  const answer = draft === null ? await answerShown(parts, ticket, head, personName) : null
  const approvesOwn = ticket.unit !== null && actor.approvesOwn.includes(ticket.unit)
  const isOwn = ticket.draft?.by === actor.username
  const { contact } = view
  const asked = facts(
    ['登记时间', timeLabel(ticket.registeredAt)],
    ['专区', zoneName],
    ['咨询方式', CHANNEL_NAMES[ticket.channel]],
    ['咨询人', ticket.audience === 'business' ? '企业' : '群众'],
    ['答复单位', unitName(ticket.unit)],
    ['协办单位', ticket.coUnits.map(unitName).join('、')],
    ['并入', ticket.head],
    ['并入本件', ticket.joined.join('、')]
  )
  return {
    head: await headOf(library, { title: `咨询 ${ticket.number}`, sample: view.sample }),
    path,
    back: link === null ? '/unit' : null,
    holder:
      link === null
        ? null
        : `您凭链接办理这一件，身份是${unitName(link.unit)}${ROLE_NAMES[link.role]}。链接有效到 ${timeLabel(link.expiresAt)}，请不要转发。`,
    number: ticket.number,
    version: String(ticket.version),
    state: { code: OPEN.has(ticket.state) ? 'state' : 'done', text: STATE_NAMES[ticket.state] },
    clock: clockBadge(calendar(), today, ticket),
    problem: sent?.problem ?? null,
    info: sent?.info ?? null,
    lost: lostText(sent, {
      draft: draft !== null,
      revise: revise !== null,
      return: giveBack !== null,
      contact: contacts
    }),
    question: view.question,
    facts: asked,
    due: ticket.due === null ? null : dueShown(calendar(), events, ticket.due),
    waiting: waitingText(actor, ticket, head),
    accept: can('accept'),
    consultant: contact === null ? null : { name: contact.name, phone: contact.phone },
    earlier: ticket.earlier.map(({ answer: text, reason }, at) => ({
      title: `第 ${at + 1} 次答复，咨询人说没有解决：${reason}`,
      text: text ?? '（用问答库答复）'
    })),
    revised: revisedText(ticket, personName),
    draft,
    answer,
    approve: can('approve')
      ? {
          button: approvesOwn && isOwn ? '自拟自审，审核通过' : '审核通过',
          note:
            approvesOwn && isOwn
              ? '本单位只有一个人，区政府办公室已开通自拟自审：这份答复是您自己写的，也由您审核，会如实记录。'
              : null
        }
      : null,
    revise,
    giveBack,
    contacts,
    next: nextSteps(ticket),
    bank: link === null ? bankBox(actor, ticket) : null,
    near,
    similar: can('join') ? await similarTo(parts, actor, ticket, link === null) : [],
    history: events.map((event) => ({
      at: timeLabel(event.at),
      text: `${personName(event.actor)}${eventText(event, unitName)}`
    })),
    slip: await slipOf(parts, { ticket, question: view.question, contact, zoneName, unitName, personName, answer })
  }
}

/** `2026-11-24T02:05:00Z` → 2026年11月24日 10:05. */
function timeLabel(instant: string): string {
  const local = instantInChina(instant)
  return `${dayLabel(local.slice(0, 10))} ${local.slice(11, 16)}`
}

/** Members of staff by their name, who came by a link by unit and role. */
async function namesOf({ db }: Parts, unitName: (id: string) => string): Promise<(username: string) => string> {
  const names = new Map((await listStaff(db)).map(({ username, name }) => [username, name]))
  return (username) => {
    const [, unit, role] = /^链接:(.+):(liaison|leader)$/.exec(username) ?? []
    if (unit !== undefined) return `${unitName(unit)}${ROLE_NAMES[role as LinkHolder['role']]}（链接）`
    if (username === 'citizen') return '咨询人'
    return username === 'system' ? '系统' : (names.get(username) ?? username)
  }
}

/** The last day and how it was counted, from what happened: a returned ticket keeps its first unit's date. */
function dueShown(calendar: Calendar, events: readonly TicketEvent[], due: Due) {
  const { dueOn, latestOn, provisional } = due
  const text = provisional ? `${dayLabel(dueOn)}（暂定，最晚 ${dayLabel(latestOn)}）` : dayLabel(dueOn)
  const recounted = events.findLast(({ type }) => type === 'recounted')
  const starts = events.flatMap((event) => {
    switch (event.type) {
      case 'assigned':
        return [{ day: event.data.day, text: `${dayLabel(event.data.day)}交办` }]
      case 'registered':
      case 'reopened': {
        const day = calendar.nextWorkingDay(event.data.day)
        const what = event.type === 'reopened' ? '咨询人说没有解决' : '登记'
        const from = day === event.data.day ? '' : `，从${dayLabel(day)}起算`
        return [{ day, text: `${dayLabel(event.data.day)}${what}${from}` }]
      }
      default:
        return []
    }
  })
  const start = starts.findLast(({ day }) => calendar.due(day, ANSWER_WITHIN).dueOn === dueOn)
  const later = provisional ? '下一年的放假安排公布后可能顺延。' : ''
  if (start === undefined) {
    const why = recounted?.type === 'recounted' ? recounted.data.reason : '期限另有安排'
    return { text, why: `${why}。${later}`, href: null }
  }
  const why = `${start.text}，当天不算，第 ${ANSWER_WITHIN} 个工作日到期。${later}`
  return { text, why, href: `/calendar?from=${start.day}&workingDays=${ANSWER_WITHIN}` }
}

/** Whom it waits for, where that is not this person. */
function waitingText(actor: Actor, ticket: Ticket, head: Ticket | null): string | null {
  const { state, unit } = ticket
  const isLiaison = unit !== null && actsAs(actor, 'liaison', unit)
  const isLeader = unit !== null && actsAs(actor, 'leader', unit)
  switch (state) {
    case 'IN_REVIEW':
      if (!isLeader) return '已经送审，等分管领导审核。'
      return actionsFor(actor, ticket).includes('approve')
        ? null
        : '这份答复是您自己写的，要由另一个人审核。本单位只有一个人的，请区政府办公室开通“自拟自审”。'
    case 'JOINED':
      return isTellable(head)
        ? null
        : `有人问过同样的事，并入 ${ticket.head} 一起办。那件的答复审核通过后，在这里告知这位咨询人。`
    case 'ASSIGNED':
    case 'REOPENED':
    case 'ACCEPTED':
    case 'DRAFTING':
      return isLiaison ? null : '等联络员拟写答复。联络员不在的，您也可以写；写了就要由别人审核。'
    case 'APPROVED':
    case 'CONTACTING':
      return isLiaison ? null : '等联络员联系咨询人。'
    default:
      return null
  }
}

function revisedText({ state, revisions, draft }: Ticket, personName: (username: string) => string): string | null {
  const last = revisions.at(-1)
  if (state !== 'DRAFTING' || last === undefined || (draft !== null && draft.at > last.at)) return null
  return `${personName(last.by)}退改（${timeLabel(last.at)}）：${last.reason}`
}

/** Words that would be gone with the page: the form they stood in is no longer offered. */
function lostText(
  sent: Sent | null,
  shown: { draft: boolean; revise: boolean; return: boolean; contact: readonly ContactForm[] }
): string | null {
  if (sent === null) return null
  const { action, typed } = sent
  const consultant = typed.consultant
  const isShown =
    action === 'contact'
      ? shown.contact.some(({ number }) => consultant === '' || number === consultant)
      : action === 'draft' || action === 'revise' || action === 'return'
        ? shown[action]
        : true
  if (isShown) return null
  const text =
    action === 'draft' ? [typed.text, typed.titles].join('\n') : action === 'contact' ? typed.note : typed.reason
  return text.trim() === '' ? null : text.trim()
}

// ── Drafting ──────────────────────────────────────────────────────────────

async function draftForm({ library, today }: Parts, ticket: Ticket, near: readonly Found[], typed: Typed | null) {
  const stored = ticket.draft
  const standing = typed === null ? (stored?.basis ?? []) : basisIn(typed)
  const chosen = standing.filter(({ document }) => document !== null)
  const checked = new Set(chosen.map(basisValue))
  const offered = [...chosen, ...near.flatMap(({ cites }) => cites)]
  const options = new Map(offered.map((one) => [basisValue(one), one]))
  const documents = await library.documents()
  const lines = new Map<
    string,
    { title: string; href: string; clauses: { value: string; text: string; checked: boolean }[] }
  >()
  for (const [value, { document, clause }] of options) {
    const content = documents.get(document ?? '')?.content
    if (content === undefined) continue
    const validity = validityOn(content, today())
    const note = validity === 'current' ? '' : `（${badge(validity).text}）`
    const line = lines.get(content.id) ?? {
      title: `《${content.title}》${content.number ?? ''}${note}`,
      href: linksOf(null).document(content.id),
      clauses: []
    }
    lines.set(content.id, line)
    line.clauses.push({ value, text: clause ?? '全文', checked: checked.has(value) })
  }
  const text = typed?.text ?? stored?.text ?? ''
  return {
    text,
    longest: String(LONGEST_ANSWER),
    basis: [...lines.values()],
    titles:
      typed?.titles ??
      standing
        .filter(({ document }) => document === null)
        .map(({ title }) => title ?? '')
        .join('\n'),
    stored:
      typed === null || stored === null || stored.text === typed.text.replace(/\r\n?/g, '\n').trim()
        ? null
        : stored.text
  }
}

/** A candidate with what a draft takes from it. */
type Found = Near & { cites: TicketBasis[] }

/** What the search found when the consultation was registered, then what it finds now; each once. */
async function nearTo(parts: Parts, ticket: Ticket): Promise<Found[]> {
  const answer = await ask(parts, {
    question: ticket.question.slice(0, LONGEST_QUESTION),
    zone: ticket.zone,
    limit: MOST_NEAR,
    live: true
  })
  const now = answer.hits.map(({ kind, id, passage }) =>
    passage === null ? `${kind}/${id}` : `${kind}/${id}#${passage.anchor}`
  )
  const keys = [...new Set([...ticket.search.candidates.map(({ key }) => key), ...now])]
  const found: Found[] = []
  for (const key of keys) {
    if (found.length >= MOST_NEAR) break
    const one = await readKey(parts, key)
    if (one === null) continue
    found.push({
      key,
      label: one.label,
      title: one.title,
      href: one.href,
      validity: one.validity,
      paragraphs: one.text.split('\n').filter((line) => line.trim() !== ''),
      basis: one.basisText,
      open: found.length === 0,
      citable: one.basis.length > 0,
      cites: one.basis
    })
  }
  return found
}

/** What a candidate's key stands for; null where it is no longer there. */
async function readKey({ library, today }: Parts, key: string) {
  const [, kind, id = '', anchor = null] = /^(qa|document)\/([^#]+)(?:#(.+))?$/.exec(key) ?? []
  const links = linksOf(null)
  if (kind === 'qa') {
    const item = await library.get('qa', id)
    if (item === null || item.retired) return null
    const { content } = item
    const basis = await basisOf(library, content.basis, today())
    const materials = content.materials.length === 0 ? '' : `\n需要带：${content.materials.join('、')}。`
    return {
      label: '政策问答',
      title: content.question,
      href: links.qa(id),
      validity: badge(worstOf(validityOn({ status: 'current', ...content }, today()), basis)),
      text: `${content.answer}${materials}`,
      basis: basis.map(({ document, clause }) => ({ document, title: null, clause })),
      basisText: basisLines(basis, links)
        .map(({ title, number, clauses }) => `${title}${number ?? ''} ${clauses.map((one) => one.text).join('、')}`)
        .join('；')
    }
  }
  if (kind !== 'document') return null
  const item = await library.get('document', id)
  if (item === null || item.retired) return null
  const passages = library.passages(item)
  const passage = passages.find((one) => one.anchor === anchor) ?? passages[0]
  const { content } = item
  const clause = passage?.clause ?? null
  const text = plainText(passage?.text ?? content.summary ?? content.title)
  return {
    label: '公开文件',
    title: `《${content.title}》 ${clause ?? ''}`,
    href: links.document(id, anchor),
    validity: badge(validityOn(content, today())),
    text,
    basis: [{ document: id, title: null, clause }],
    basisText: `《${content.title}》${content.number ?? ''} ${clause ?? ''}`
  }
}

/** The answer as it stands, to be read and not written; of one that is joined its head's. */
async function answerShown(
  { library }: Parts,
  ticket: Ticket,
  head: Ticket | null,
  personName: (username: string) => string
) {
  const draft = ticket.draft ?? (isTellable(head) ? (head?.draft ?? null) : null)
  if (draft === null) return null
  const documents = await library.documents()
  const { document: hrefOf } = linksOf(null)
  return {
    title: ticket.approvedAt === null && !isTellable(head) ? '拟好的答复' : '审核通过的答复',
    text: draft.text,
    basis: draft.basis.map(({ document, title, clause }) => {
      const content = documents.get(document ?? '')?.content
      return content === undefined
        ? { text: `${title ?? document ?? ''}${clause ?? ''}`, href: null }
        : { text: `《${content.title}》${content.number ?? ''} ${clause ?? ''}`, href: hrefOf(content.id, clause) }
    }),
    by: `${personName(draft.by)}　${timeLabel(draft.at)}`
  }
}

function giveBackForm(
  units: ReadonlyMap<string, { content: { id: string; name: string } }>,
  ticket: Ticket,
  typed: Typed | null
) {
  const option = (value: string, text: string) => ({ value, text, selected: typed?.unit === value })
  return {
    reason: typed?.reason ?? '',
    units: [
      option('', '请选择'),
      ...[...units.values()]
        .filter(({ content }) => content.id !== ticket.unit)
        .map(({ content }) => option(content.id, content.name)),
      option(NOT_KNOWN, '不清楚，请咨询台判断')
    ]
  }
}

async function similarTo(parts: Parts, actor: Actor, ticket: Ticket, hasAccount: boolean) {
  const scope = scopeOf(actor)
  const own = (await openQuestions(parts.db, ticket.chain, COMPARED)).filter(
    ({ number, unit }) =>
      number !== ticket.number && unit !== null && scope.kind === 'unit' && scope.units.includes(unit)
  )
  const byNumber = new Map(own.map((one) => [one.number, one]))
  return similarTickets(parts, ticket.question, own, SIMILAR).map(({ number, probability }) => {
    const { question, state } = byNumber.get(number) as (typeof own)[number]
    return {
      number,
      question,
      detail: `${STATE_NAMES[state]}　${probability >= 0.8 ? '很可能是同一件事' : '可能是同一件事'}`,
      href: hasAccount ? `/unit/${number}` : null
    }
  })
}

// ── Telling the consultant ────────────────────────────────────────────────

/** A form for each consultant who may be told now: the ticket's own, and those joined to it (domain model 2.2, rule 6). */
async function contactForms(
  parts: Parts,
  actor: Actor,
  ticket: Ticket,
  head: Ticket | null,
  typed: Typed | null
): Promise<ContactForm[]> {
  const forms: ContactForm[] = []
  const mayTell = (one: Ticket) => actionsFor(actor, one).includes('contact')
  if (mayTell(ticket) && (ticket.state !== 'JOINED' || isTellable(head))) {
    forms.push(await contactForm(parts, actor, ticket, ticket.draft ?? head?.draft ?? null, '联系咨询人', typed))
  }
  if (!isTellable(ticket)) return forms
  for (const number of ticket.joined) {
    const joined = await findTicket(parts.db, number)
    if (joined === null || joined.state !== 'JOINED' || !mayTell(joined)) continue
    forms.push(await contactForm(parts, actor, joined, ticket.draft, `一并告知：${number}`, typed))
  }
  return forms
}

async function contactForm(
  parts: Parts,
  actor: Actor,
  ticket: Ticket,
  draft: Ticket['draft'],
  title: string,
  typed: Typed | null
): Promise<ContactForm> {
  const { contact, unit } = await viewTicket(parts, actor, ticket)
  const own = typed !== null && (typed.consultant === '' || typed.consultant === ticket.number) ? typed : null
  const failed = ticket.attempts.filter(({ outcome }) => outcome === 'unreached').length
  return {
    number: ticket.number,
    version: String(ticket.version),
    title,
    name: contact?.name ?? '没有留姓名',
    phone: contact?.phone ?? null,
    state:
      ticket.state === 'UNREACHED'
        ? '已按“无法联系”处理；后来联系上了，仍然可以登记。'
        : failed === 0
          ? ''
          : `已有 ${failed} 次没有联系上。满 ${ATTEMPTS_BEFORE_UNREACHED} 次、分在 ${DAYS_BEFORE_UNREACHED} 天，才算无法联系。`,
    attempts: ticket.attempts.map(
      ({ at, outcome, by, note }) =>
        `${timeLabel(at)}　${CONTACT_WAY_NAMES[by]}　${outcome === 'told' ? '已告知' : '没有联系上'}${note === '' ? '' : `　${note}`}`
    ),
    script: callScript({ ...ticket, draft }, unit?.name ?? ''),
    outcomes: [
      { value: 'told', text: '已告知', selected: own?.outcome === 'told' },
      { value: 'unreached', text: '没有联系上', selected: own?.outcome === 'unreached' }
    ],
    ways: CONTACT_WAYS.map((way) => ({
      value: way,
      text: CONTACT_WAY_NAMES[way],
      selected: (own?.by ?? 'phone') === way
    })),
    at: own?.at ?? instantInChina(parts.now()).slice(0, 16),
    note: own?.note ?? ''
  }
}

function nextSteps(ticket: Ticket): { title: string; steps: string[] } | null {
  switch (ticket.state) {
    case 'ANSWERED':
      return {
        title: '接下来',
        steps: [
          '咨询人会收到通知，凭登记编号和查询码看到答复，可以评价“解决了”或“没解决”。',
          `说“没解决”的，${REOPEN_WITHIN} 个工作日内会重新办理，期限重新计算，还由本单位答复。`,
          '说“解决了”或者期满没有意见的，自动办结，不用再操作。'
        ]
      }
    case 'UNREACHED':
      return {
        title: '接下来',
        steps: [
          '多次联系不上，答复已放在查询页，咨询人凭登记编号和查询码能看到。',
          '咨询人后来打电话来问的，请答复，并在这里登记“已告知”。'
        ]
      }
    default:
      return null
  }
}

const TOLD: readonly State[] = ['ANSWERED', 'UNREACHED', 'CLOSED']

function bankBox(
  actor: Actor,
  { number, state, bank }: Ticket
): { text: string; href: string | null; link: string } | null {
  if (!may(actor, 'bank-propose') && !may(actor, 'bank-approve')) return null
  if (!TOLD.includes(state)) return null
  const href = `/unit/${number}/bank`
  switch (bank?.state) {
    case undefined:
      return {
        text: '以后还会有人问同样的事。把这份答复收进政策问答库，下一位当场就能得到答复。',
        href,
        link: '建议入库'
      }
    case 'proposed':
      return { text: '已建议入库，等分管领导审核。', href, link: '看入库建议' }
    case 'taken':
      return {
        text: `已收进政策问答库：${bank?.entry ?? ''}。`,
        href: bank?.entry == null ? null : linksOf(null).qa(bank.entry),
        link: '看这条问答'
      }
    case 'declined':
      return { text: `没有入库：${bank?.reason ?? ''}`, href: null, link: '' }
  }
}

// ── What happened ─────────────────────────────────────────────────────────

function eventText(event: TicketEvent, unitName: (id: string | null) => string): string {
  switch (event.type) {
    case 'registered':
      return `登记（${CHANNEL_NAMES[event.data.channel]}）`
    case 'answered':
      return `用问答库 ${event.data.entry} 答复`
    case 'guided':
      return `引导到${unitName(event.data.unit)}`
    case 'assigned':
      return `${event.data.designated ? '指定交办' : '交办'}给${unitName(event.data.unit)}，期限 ${dayLabel(event.data.due.dueOn)}`
    case 'accepted':
      return '签收'
    case 'returned': {
      const proposed = event.data.proposed === null ? '' : `；建议由${unitName(event.data.proposed)}答复`
      return `退回：${event.data.reason}${proposed}`
    }
    case 'drafted':
      return event.data.submitted ? '写好答复，送审' : '保存草稿'
    case 'approved':
      return event.data.self ? '审核通过（自拟自审）' : '审核通过'
    case 'revised':
      return `退改：${event.data.reason}`
    case 'contacted': {
      const note = event.data.note === '' ? '' : `（${event.data.note}）`
      const way = CONTACT_WAY_NAMES[event.data.by]
      return event.data.outcome === 'told' ? `${way}告知了咨询人${note}` : `${way}没有联系上咨询人${note}`
    }
    case 'joined':
      return `并入 ${event.data.head}${event.data.automatic ? '（问的完全相同）' : ''}`
    case 'separated':
      return `改为单独办理：${event.data.reason}`
    case 'followed':
      return event.data.unit === null ? '随主件退回' : `随主件转到${unitName(event.data.unit)}`
    case 'gained':
      return `把 ${event.data.number} 并进来`
    case 'withdrawn':
      return `撤回：${event.data.reason}`
    case 'rated':
      return event.data.solved ? '评价：解决了' : '评价：没解决'
    case 'reopened':
      return `重新办理：${event.data.reason}，新期限 ${dayLabel(event.data.due.dueOn)}`
    case 'closed':
      return event.data.reason === 'solved' ? '办结（咨询人说解决了）' : '办结（期满没有意见）'
    case 'archived':
      return '归档'
    case 'recounted':
      return `重新计算期限，到 ${dayLabel(event.data.due.dueOn)}：${event.data.reason}`
    case 'bank':
      switch (event.data.state) {
        case 'proposed':
          return '建议入库'
        case 'taken':
          return `收进问答库${event.data.entry === null ? '' : `（${event.data.entry}）`}`
        case 'declined':
          return `不入库：${event.data.reason ?? ''}`
      }
      break
    case 'unmasked':
      return `查看联系方式：${event.data.reason}`
    case 'reminded': {
      const rung = rungOf(event.data.kind)
      return `提醒${rung === null ? '' : `：${RUNG_NAMES[rung]}`}`
    }
    case 'contactChanged':
      return '更正了联系方式'
  }
}

// ── On paper ──────────────────────────────────────────────────────────────

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
async function slipOf({ library }: Parts, given: SlipParts) {
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

// ── Stand-ins ─────────────────────────────────────────────────────────────

interface Person {
  id: string
  username: string
  name: string
  role: 'liaison' | 'leader'
}

/** Liaisons and leaders in use of the units this person leads. */
async function unitPeople({ db }: Parts, actor: Actor): Promise<Person[]> {
  const led = new Set(actor.roles.filter(({ role }) => role === 'leader').map(({ unit }) => unit))
  return (await listStaff(db)).flatMap(({ id, username, name, role, unit, disabled_at }) =>
    unit !== null && led.has(unit) && disabled_at === null && (role === 'liaison' || role === 'leader')
      ? [{ id, username, name, role }]
      : []
  )
}

async function standInsOf({ db, today }: Parts, people: readonly Person[]) {
  if (people.length === 0) return []
  return await db
    .selectFrom('stand_ins')
    .select(['id', 'absent', 'staff', 'from_on', 'until_on'])
    .where(
      'absent',
      'in',
      people.map(({ id }) => id)
    )
    .where('until_on', '>=', today())
    .orderBy('from_on')
    .orderBy('made_at')
    .execute()
}

async function standInPage(
  parts: Parts,
  actor: Actor,
  problem: string | null,
  typed: { absent: string; staff: string; from: string; until: string } | null
) {
  const people = await unitPeople(parts, actor)
  const names = new Map((await listStaff(parts.db)).map(({ id, name }) => [id, name]))
  const labels = new Map(people.map(({ id, name, role }) => [id, `${name}（${ROLE_NAMES[role]}）`]))
  const options = (chosen: string) => [
    { value: '', text: '请选择', selected: chosen === '' },
    ...people.map(({ id, username }) => ({
      value: username,
      text: labels.get(id) ?? username,
      selected: chosen === username
    }))
  ]
  const today = parts.today()
  return {
    head: await headOf(parts.library, { title: '请人代办' }),
    problem,
    people: { absent: options(typed?.absent ?? ''), staff: options(typed?.staff ?? '') },
    from: typed?.from ?? today,
    until: typed?.until ?? today,
    alone: people.length < 2,
    standIns: (await standInsOf(parts, people)).map(({ id, absent, staff, from_on: from, until_on: until }) => ({
      id,
      text: `${labels.get(staff) ?? names.get(staff) ?? ''} 代办 ${labels.get(absent) ?? ''} 的工作`,
      days: from === until ? dayLabel(from) : `${dayLabel(from)} 至 ${dayLabel(until)}`,
      now: from <= today
    }))
  }
}

// ── Links ─────────────────────────────────────────────────────────────────

interface LinkProblem {
  heading: string
  text: string
  advice: readonly string[]
}

const LINK_STATUS = { expired: 410, forged: 403, gone: 404 } as const

const LINK_PROBLEMS: Readonly<Record<keyof typeof LINK_STATUS, LinkProblem>> = {
  expired: {
    heading: '链接已经过期',
    text: '这条办理链接过了有效期，不能再用。',
    advice: ['还要办这件咨询的，请打电话给区政务公开办，重新发一条链接。', '有账号的，请登录后在“待办”里办理。']
  },
  forged: {
    heading: '链接不完整或者不对',
    text: '这条办理链接打不开，多半是复制时少了几个字符。',
    advice: ['请回到通知里，直接点开原来的链接，不要手抄。', '还是打不开的，请打电话给区政务公开办重新发送。']
  },
  gone: {
    heading: '这件咨询已经不在您单位',
    text: '它已经退回、改派给别的单位，或者由咨询台办理了，您不用再办。',
    advice: ['认为应由您单位答复的，请打电话给区政务公开办。']
  }
}

const RETURNED: LinkProblem = {
  heading: '已退回',
  text: '这件咨询已退回，由咨询台另行交办。您不用再办，可以关掉这一页。',
  advice: []
}

type Opened = { kind: 'open'; access: Access; ticket: Ticket } | { kind: keyof typeof LINK_STATUS }

const TOKEN = /^[\w-]+\.[\w-]+$/

/** The one ticket a link opens, for the unit it was made for while that is competent. */
async function openLink(parts: Parts, token: string): Promise<Opened> {
  if (!TOKEN.test(token)) return { kind: 'forged' }
  const holder = readLink(parts.secret, token, parts.now())
  if (holder === null) {
    // Signed by us, but for another day.
    return { kind: readLink(parts.secret, token, new Date(0)) === null ? 'forged' : 'expired' }
  }
  const { number, unit, role } = holder
  const ticket = await findTicket(parts.db, number)
  if (ticket === null || ticket.unit !== unit) return { kind: 'gone' }
  const units = await parts.library.all('unit')
  const actor: Actor = {
    id: 'link',
    // One name for each role: who drafts by a link and who approves by another are two.
    username: `链接:${unit}:${role}`,
    name: `${units.get(unit)?.content.name ?? unit}${ROLE_NAMES[role]}（链接）`,
    role,
    zone: null,
    unit,
    sample: ticket.chain === 'sample',
    roles: [{ unit, role, standsInFor: null }],
    approvesOwn: []
  }
  return { kind: 'open', access: { actor, path: `/t/${token}`, link: holder }, ticket }
}
