import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { NotAllowed } from '../accounts/errors.ts'
import { actorOn, requireAction } from '../accounts/guard.ts'
import { type Actor, mayOn } from '../accounts/roles.ts'
import { instantInChina } from '../calendar/day.ts'
import { ask } from '../consultations/ask.ts'
import { NotNow, Stale } from '../consultations/errors.ts'
import { LONGEST_QUESTION } from '../consultations/limits.ts'
import { readNumber } from '../consultations/numbers.ts'
import { findOwn } from '../consultations/records.ts'
import { STATE_NAMES, type Ticket } from '../consultations/ticket.ts'
import type { Qa } from '../content/kinds.ts'
import { ChangedMeanwhile } from '../content/store.ts'
import type { Parts } from '../parts.ts'
import { errorPage, headOf, linksOf } from '../views/models.ts'
import { dayLabel } from '../views/text.ts'
import { BadEntry, decline, isSettled, offeredEntry, propose, take, waitingProposal } from './proposals.ts'

declare module '../views/views.ts' {
  interface Pages {
    'unit-bank': {
      head: Head
      number: string
      /** Where the forms are sent. */
      path: string
      back: string
      version: string
      problem: string | null
      /** Where the matter stands: proposed by whom, taken, declined. */
      standing: string | null
      taken: Link | null
      form: {
        /** Version of the entry this would change; empty for a new one. */
        entryVersion: string
        question: string
        variants: string
        answer: string
        materials: string
        fee: string
        duration: string
        place: string
        basis: { value: string; text: string; href: string; checked: boolean }[]
        titles: string
        topics: { value: string; text: string; selected: boolean }[]
        /** What the consultant was told, to compare with. */
        told: string
        submit: string
        action: string
      } | null
      decline: { reason: string } | null
      near: { title: string; href: string; detail: string }[]
    }
  }
}

const text = z.string().catch('')
const Typed = z.object({
  version: z.coerce.number().int().catch(0),
  entryVersion: text,
  question: text,
  variants: text,
  answer: text,
  materials: text,
  fee: text,
  duration: text,
  place: text,
  topic: text,
  titles: text,
  reason: text,
  basis: z
    .union([z.array(z.string()), z.string().transform((one) => [one])])
    .catch([])
    .default([])
})
type Typed = z.infer<typeof Typed>

const ACTIONS = ['propose', 'take', 'decline'] as const
type BankAction = (typeof ACTIONS)[number]
const SAID: Record<BankAction, string> = { propose: 'proposed', take: 'taken', decline: 'declined' }

/** Entries shown beside the draft: one that says the same already is among the first. */
const NEAR = 4
/** 20,000 characters are 180 kB as a form sends them, and 50 wordings 90. */
const LARGEST_FORM = 512 * 1024

/** An answered ticket into the bank: the liaison proposes, the leader takes it in or says why not (R28). */
export const proposalPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const { db } = parts
  const onRequest = requireAction('bank-propose')
  const hide = true
  const ByNumber = z.object({ number: z.string().max(80) })

  app.get('/unit/:number/bank', { onRequest, schema: { hide, params: ByNumber } }, async (request, reply) => {
    const actor = actorOn(request)
    const ticket = await findOwn(db, actor, readNumber(request.params.number) ?? '')
    if (ticket === null) return notThere(reply)
    return reply.page('unit-bank', await bankPage(parts, actor, ticket, null, null))
  })

  app.post(
    '/unit/:number/bank/:action',
    {
      onRequest,
      bodyLimit: LARGEST_FORM,
      schema: { hide, params: ByNumber.extend({ action: z.enum(ACTIONS) }), body: Typed }
    },
    async (request, reply) => {
      const actor = actorOn(request)
      const { action } = request.params
      const number = readNumber(request.params.number) ?? ''
      const ticket = await findOwn(db, actor, number)
      if (ticket === null) return notThere(reply)
      const typed = request.body
      try {
        if (action === 'decline') await decline(parts, actor, number, typed.version, typed.reason)
        else {
          const entry = await entryTyped(parts, ticket, typed)
          if (action === 'propose') await propose(parts, actor, number, typed.version, entry)
          else {
            const standing = typed.entryVersion === '' ? null : Number(typed.entryVersion)
            await take(parts, actor, number, typed.version, entry, standing)
            // Searchable before the page says so.
            await parts.follow()
          }
        }
      } catch (error) {
        const problem = problemOf(error)
        if (problem === null) throw error
        const now = (await findOwn(db, actor, number)) ?? ticket
        reply.code(problem.status)
        return reply.page('unit-bank', await bankPage(parts, actor, now, typed, problem.message))
      }
      return reply.redirect(`/unit/${number}?said=${SAID[action]}`, 303)
    }
  )

  async function notThere(reply: FastifyReply) {
    const detail = '没有这件咨询，或者它已经不在您单位。请回到待办看看。'
    return reply.code(404).page('error', errorPage({ status: 404, detail }))
  }
}

function problemOf(error: unknown): { message: string; status: number } | null {
  if (error instanceof ChangedMeanwhile)
    return { message: '问答库里这一条刚刚被别人改过，没有存入。请看清楚再按一次。', status: 409 }
  const known = [BadEntry, NotNow, Stale, NotAllowed].some((refusal) => error instanceof refusal)
  if (!known) return null
  const { message, statusCode } = error as InstanceType<typeof BadEntry>
  return { message, status: statusCode ?? 422 }
}

const lines = (typed: string) =>
  typed
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
const orNull = (typed: string) => (typed.trim() === '' ? null : typed.trim())
const basisValue = ({ document, clause }: Qa['basis'][number]) => `${document} ${clause ?? ''}`.trim()

/**
 * What a form says, over what stands.
 * @throws {BadEntry} for a document the bank does not hold
 */
async function entryTyped(parts: Parts, ticket: Ticket, typed: Typed): Promise<Qa> {
  const base = await entryOf(parts, ticket)
  const ticked = typed.basis.map((value) => {
    const [document = '', ...clause] = value.trim().split(' ')
    return { document, clause: clause.length === 0 ? null : clause.join(' ') }
  })
  return {
    ...base,
    question: typed.question.replace(/\s+/g, ' ').trim(),
    variants: lines(typed.variants),
    answer: typed.answer.replace(/\r\n?/g, '\n').trim(),
    materials: lines(typed.materials),
    fee: orNull(typed.fee),
    duration: orNull(typed.duration),
    place: orNull(typed.place),
    topic: orNull(typed.topic),
    basis: [...ticked, ...(await basisNamed(parts, lines(typed.titles)))]
  }
}

/** Documents named by title, number or code, one a line, with the clause after them. */
async function basisNamed({ library }: Parts, names: readonly string[]): Promise<Qa['basis']> {
  const documents = [...(await library.documents()).values()].map(({ content }) => content)
  return names.map((name) => {
    const [, quoted = null, after = ''] = /^《(.+?)》(.*)$/.exec(name) ?? []
    const [, first = name, rest = ''] = /^(\S+)\s*(.*)$/.exec(name) ?? []
    const wanted = quoted ?? first
    const found = documents.find(({ id, title, number }) => [id, title, number].includes(wanted))
    if (found === undefined)
      throw new BadEntry(
        `依据：库里没有“${wanted}”。请照文件库里的标题或文号写；库里确实没有的，请政务公开办先收进来。`
      )
    const clause = (quoted === null ? rest : after).replace(found.number ?? '', '').trim()
    return { document: found.id, clause: clause === '' ? null : clause }
  })
}

/** The entry as proposed, else as the ticket offers it. */
async function entryOf(parts: Parts, ticket: Ticket): Promise<Qa> {
  const waiting = await waitingProposal(parts.db, ticket.number)
  return waiting === null ? await offeredEntry(parts, ticket) : (JSON.parse(waiting.content) as Qa)
}

async function bankPage(parts: Parts, actor: Actor, ticket: Ticket, typed: Typed | null, problem: string | null) {
  const { db, library } = parts
  const { number } = ticket
  const links = linksOf(null)
  const waiting = await waitingProposal(db, number)
  const isOpen = isSettled(ticket) && ticket.bank?.state !== 'taken'
  const isLeader = mayOn(actor, 'bank-approve', ticket)
  return {
    head: await headOf(library, { title: `答复入库 ${number}`, sample: ticket.chain === 'sample' }),
    number,
    path: `/unit/${number}/bank`,
    back: `/unit/${number}`,
    version: String(ticket.version),
    problem,
    standing: await standingText(parts, ticket, waiting?.made_by ?? null, waiting?.made_at ?? null),
    taken:
      ticket.bank?.state === 'taken' && ticket.bank.entry !== null
        ? { text: '看这条问答', href: links.qa(ticket.bank.entry) }
        : null,
    form: isOpen ? await formOf(parts, ticket, typed, isLeader) : null,
    decline: isOpen && isLeader ? { reason: typed?.reason ?? '' } : null,
    near: isOpen ? await nearEntries(parts, ticket) : []
  }
}

async function standingText(
  { db }: Parts,
  ticket: Ticket,
  by: string | null,
  at: string | null
): Promise<string | null> {
  if (ticket.head !== null) return `这件咨询并入了 ${ticket.head}，请在那一件里办入库。`
  if (!isSettled(ticket)) return `这件咨询现在是“${STATE_NAMES[ticket.state]}”，答复告知咨询人以后才能入库。`
  if (ticket.bank?.state === 'taken') return '这份答复已经收进政策问答库，检索马上可以查到。'
  if (by !== null && at !== null) {
    const person = await db.selectFrom('staff').select('name').where('username', '=', by).executeTakeFirst()
    const local = instantInChina(at)
    return `${person?.name ?? by}于${dayLabel(local.slice(0, 10))} ${local.slice(11, 16)} 建议入库，等分管领导审核。`
  }
  return ticket.bank?.state === 'declined' ? `上次没有入库：${ticket.bank.reason ?? ''}` : null
}

async function formOf(parts: Parts, ticket: Ticket, typed: Typed | null, isLeader: boolean) {
  const { library } = parts
  const entry = await entryOf(parts, ticket)
  const standing = await library.get('qa', entry.id)
  const documents = await library.documents()
  const offered = new Map(
    [...entry.basis, ...(await offeredEntry(parts, ticket)).basis].map((one) => [basisValue(one), one])
  )
  const checked = new Set(typed === null ? entry.basis.map(basisValue) : typed.basis)
  const topic = typed?.topic ?? entry.topic ?? ''
  const unnamed = (ticket.draft?.basis ?? []).flatMap(({ document, title }) => (document === null ? [title ?? ''] : []))
  return {
    entryVersion: typed?.entryVersion ?? String(standing?.version ?? ''),
    question: typed?.question ?? entry.question,
    variants: typed?.variants ?? entry.variants.join('\n'),
    answer: typed?.answer ?? entry.answer,
    materials: typed?.materials ?? entry.materials.join('\n'),
    fee: typed?.fee ?? entry.fee ?? '',
    duration: typed?.duration ?? entry.duration ?? '',
    place: typed?.place ?? entry.place ?? '',
    basis: [...offered].flatMap(([value, { document, clause }]) => {
      const content = documents.get(document)?.content
      if (content === undefined) return []
      const name = `《${content.title}》${content.number ?? ''} ${clause ?? '全文'}`
      return [{ value, text: name, href: linksOf(null).document(document, clause), checked: checked.has(value) }]
    }),
    titles: typed?.titles ?? unnamed.join('\n'),
    topics: [
      { value: '', text: '不分主题', selected: topic === '' },
      ...[...(await library.all('topic')).values()].map(({ content }) => ({
        value: content.id,
        text: content.name,
        selected: content.id === topic
      }))
    ],
    told: ticket.draft?.text ?? '',
    submit: isLeader ? '审核通过，收进问答库' : '送分管领导审核',
    action: isLeader ? 'take' : 'propose'
  }
}

/** Entries that may say the same already. */
async function nearEntries(parts: Parts, ticket: Ticket) {
  const { hits } = await ask(parts, {
    question: ticket.question.slice(0, LONGEST_QUESTION),
    zone: ticket.zone,
    limit: NEAR,
    live: true
  })
  return hits
    .filter(({ kind, id }) => kind === 'qa' && id !== ticket.number)
    .map(({ id, title, unit }) => ({ title, href: linksOf(null).qa(id), detail: unit?.name ?? '' }))
}
