import { randomUUID } from 'node:crypto'
import type { FastifyError, FastifyReply } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import QRCode from 'qrcode'
import * as z from 'zod'
import type { Zone } from '../content/kinds.ts'
import type { Item } from '../content/library.ts'
import { errorPage, facts, headOf, linksOf } from '../views/models.ts'
import { dayLabel } from '../views/text.ts'
import { LONGEST_CONSULTATION, register } from './intake.ts'
import { isReopenable, rate } from './rating.ts'
import { ANSWER_WITHIN, type Ticket } from './ticket.ts'
import { byCode } from './ticket-routes.ts'
import { viewForCitizen } from './ticket-view.ts'

declare module '../views/views.ts' {
  interface Pages {
    consult: {
      head: Head
      action: string
      problem: string | null
      /** What is done with personal data, before it is asked for (PIPL 17). */
      notice: string[]
      /** Idempotency key of this form: sent twice, it registers once. */
      key: string
      queryId: string
      question: string
      name: string
      phone: string
      business: boolean
    }
    registered: { head: Head; number: string; promise: string; facts: Fact[]; qr: string }
    track: {
      head: Head
      problem: string | null
      number: string
      found: {
        number: string
        code: string
        stage: string
        detail: string
        facts: Fact[]
        /** The calendar that shows how the due date was counted. */
        why: string | null
        answer: string[]
        basis: { text: string; href: string | null }[]
        canRate: boolean
      } | null
    }
  }
}

const typed = (most: number) => z.string().max(most).catch('')
const Form = z.object({
  key: typed(200),
  queryId: typed(100),
  question: typed(LONGEST_CONSULTATION * 2),
  name: typed(200),
  phone: typed(100),
  audience: z.enum(['person', 'business']).catch('person')
})
type Form = z.infer<typeof Form>

/** What a citizen does without an account: leave a question, follow it, say whether it was solved. */
export const citizenPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const { library, config } = parts
  const hide = true
  const open = { everybody: true } as const
  const Place = z.object({ zone: z.string() })

  async function form(reply: FastifyReply, zone: Item<Zone>, given: Form, problem: string | null) {
    const unit = (await library.district()).content.shortName
    const { home } = linksOf(zone.content.id)
    return reply.page('consult', {
      head: await headOf(library, { title: '请有关单位答复我', zone }),
      action: `${home}/consult`,
      problem,
      notice: [
        `由${unit}政府办公室和答复您的单位使用，只用来答复这一件咨询；依法履行职责所需，不用于别处，不在网上公开。`,
        `收集称呼、电话和您写的内容。办结 ${Math.round(config.retentionDays / 365)} 年后删除。要查、要改、要删，请带登记编号和查询码到咨询台。`
      ],
      key: given.key,
      queryId: given.queryId,
      question: given.question,
      name: given.name,
      phone: given.phone,
      business: given.audience === 'business'
    })
  }

  app.get(
    '/z/:zone/consult',
    { schema: { hide, params: Place, querystring: z.object({ q: typed(LONGEST_CONSULTATION), query: typed(100) }) } },
    async ({ params, query }, reply) => {
      const zone = (await library.all('zone')).get(params.zone)
      if (zone === undefined)
        return reply.code(404).page('error', errorPage({ status: 404, detail: '没有这个专区，请重新选择。' }))
      const blank = { key: randomUUID(), queryId: query.query, question: query.q, name: '', phone: '' }
      return form(reply, zone, { ...blank, audience: 'person' }, null)
    }
  )

  app.post(
    '/z/:zone/consult',
    { config: open, schema: { hide, params: Place, body: Form } },
    async ({ params, body }, reply) => {
      const zone = (await library.all('zone')).get(params.zone)
      if (zone === undefined)
        return reply.code(404).page('error', errorPage({ status: 404, detail: '没有这个专区，请重新选择。' }))
      try {
        const { number, code, unit, dueOn, dueIsProvisional, trackUrl } = await register(parts, {
          key: body.key,
          question: body.question,
          queryId: body.queryId === '' ? null : body.queryId,
          zone: zone.content.id,
          channel: 'web',
          audience: body.audience,
          contact: { name: body.name, phone: body.phone },
          answeredWith: null,
          guidedTo: null,
          staff: null
        })
        const day =
          dueOn === null ? '' : `${dayLabel(dueOn)}${dueIsProvisional ? '（暂定，放假安排公布后再确认）' : ''}`
        return secret(reply).page('registered', {
          head: await headOf(library, { title: '已登记', zone }),
          number,
          promise: `最迟 ${day} 前，由政策制定单位按您留的电话答复您。`,
          facts: facts(
            ['登记编号', number],
            ['查询码', code],
            ['答复期限', day],
            ['可能答复的单位', unit?.name ?? null]
          ),
          qr: await qrOf(`${config.publicUrl ?? ''}${trackUrl}`)
        })
      } catch (error) {
        const { statusCode = 500, message } = error as FastifyError
        if (statusCode === 500) throw error
        return form(reply.code(statusCode), zone, body, message)
      }
    }
  )

  async function track(
    reply: FastifyReply,
    given: { number: string; code: string },
    problem: string | null,
    ticket: Ticket | null
  ) {
    const view = ticket === null ? null : await viewForCitizen(parts, ticket, (one) => isReopenable(parts, one))
    const documents = await library.documents()
    const due = view?.dueOn ?? null
    return secret(reply).page('track', {
      head: await headOf(library, { title: '查办理进度', sample: ticket?.chain === 'sample' }),
      problem,
      number: given.number,
      found:
        view === null || ticket === null
          ? null
          : {
              number: view.number,
              code: given.code,
              stage: view.stage,
              detail: view.detail,
              facts: facts(
                ['您问的是', view.question],
                ['答复单位', view.unit?.name ?? null],
                ['单位电话', view.unit?.phone ?? null],
                [
                  '最迟答复',
                  due === null
                    ? null
                    : `${dayLabel(due)}${view.dueIsProvisional ? `（暂定；最晚 ${dayLabel(view.latestOn ?? due)}）` : ''}`
                ],
                ['您的评价', view.rating === null ? null : view.rating.solved ? '解决了' : '没解决']
              ),
              why:
                due === null
                  ? null
                  : `/calendar?${new URLSearchParams({ from: ticket.assignedOn ?? ticket.registeredOn, workingDays: String(ANSWER_WITHIN) })}`,
              answer: view.answer?.text.split('\n').filter((line) => line.trim() !== '') ?? [],
              basis: (view.answer?.basis ?? []).map(({ document, title, clause }) => {
                const name = document === null ? (title ?? '') : (documents.get(document)?.content.title ?? document)
                return {
                  text: clause === null ? name : `${name}　${clause}`,
                  href: document === null ? null : linksOf(null).document(document, clause)
                }
              }),
              canRate: view.canRate
            }
    })
  }

  const Given = z.object({ number: typed(80), code: typed(40) })
  const look = async (reply: FastifyReply, given: z.infer<typeof Given>) => {
    try {
      return track(reply, given, null, await byCode(parts, given.number, given.code))
    } catch (error) {
      const { statusCode = 500, message } = error as FastifyError
      if (statusCode >= 500) throw error
      return track(reply.code(statusCode), given, message, null)
    }
  }

  // By the slip's QR code; typed by hand it is a form that posts, so that the code stays out of the address.
  app.get('/track', { schema: { hide, querystring: Given } }, async ({ query }, reply) =>
    query.number === '' ? track(reply, query, null, null) : look(reply, query)
  )

  app.post('/track', { config: open, schema: { hide, body: Given } }, async ({ body }, reply) => look(reply, body))

  app.post(
    '/track/rate',
    { config: open, schema: { hide, body: Given.extend({ solved: z.enum(['0', '1']) }) } },
    async ({ body }, reply) => {
      const ticket = await byCode(parts, body.number, body.code)
      try {
        return track(reply, body, null, await rate(parts, ticket.number, body.solved === '1'))
      } catch (error) {
        const { statusCode = 500, message } = error as FastifyError
        if (statusCode >= 500) throw error
        return track(reply.code(statusCode), body, message, ticket)
      }
    }
  )
}

/** Nothing of it is kept by a browser or told to another site. */
function secret(reply: FastifyReply): FastifyReply {
  return reply.header('referrer-policy', 'no-referrer')
}

async function qrOf(address: string): Promise<string> {
  const svg = await QRCode.toString(address, { type: 'svg', margin: 1 })
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`
}
