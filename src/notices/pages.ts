import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { actorOn, requireAction, requireStaff } from '../accounts/guard.ts'
import { HOME_OF } from '../accounts/pages.ts'
import { instantInChina } from '../calendar/day.ts'
import type { DeliveriesTable } from '../database/schema.ts'
import { NotFound } from '../errors.ts'
import type { Library } from '../content/library.ts'
import { headOf } from '../views/models.ts'
import { dayLabel } from '../views/text.ts'
import { bellOf, deadLetters, readBells, retryDelivery } from './bells.ts'
import { ticketUrl } from './dispatch.ts'
import { addresseeOf, NOTICE_NAMES } from './notices.ts'

declare module '../views/views.ts' {
  interface Pages {
    bell: {
      head: Head
      unread: boolean
      /** Id of the newest shown: what comes after it stays unread. */
      newest: string
      items: { href: string; text: string; at: string; unread: boolean }[]
    }
    notices: {
      head: Head
      total: string
      letters: {
        what: string
        number: string
        href: string
        to: string
        channel: string
        error: string
        at: string
        retry: string
      }[]
    }
  }
}

const CHANNELS: Readonly<Record<DeliveriesTable['channel'], string>> = { bell: '站内', mail: '邮件', webhook: '推送' }

/** What each member of staff was told, and, for the office and the administrator, what could not be sent. */
export const noticePages: FastifyPluginAsyncZod = async (app) => {
  const { db, library, now } = app.parts
  const preHandler = requireAction('notices')

  app.get('/bell', { preHandler: requireStaff(), schema: { hide: true } }, async (request, reply) => {
    const { id, role } = actorOn(request)
    const { unread, items } = await bellOf(db, id)
    return reply.page('bell', {
      head: await headOf(library, { title: '消息' }),
      unread: unread > 0,
      newest: String(items[0]?.id ?? 0),
      items: items.map(({ number, text, at, read }) => ({
        href: `${HOME_OF[role]}/${number}`,
        text,
        at: momentLabel(at),
        unread: !read
      }))
    })
  })

  app.post(
    '/bell/read',
    { preHandler: requireStaff(), schema: { hide: true, body: z.object({ upTo: z.coerce.number().int().min(0) }) } },
    async (request, reply) => {
      await readBells(db, actorOn(request).id, now(), request.body.upTo)
      return reply.redirect('/bell', 303)
    }
  )

  app.get('/office/notices', { preHandler, schema: { hide: true } }, async (_, reply) => {
    const letters = await deadLetters(db)
    return reply.page('notices', {
      head: await headOf(library, { title: '未送达的通知' }),
      total:
        letters.length === 0
          ? '所有通知都已送达，或者正在发送。'
          : `有 ${letters.length} 条通知没有送达，系统不再自动重发。`,
      letters: await Promise.all(
        letters.map(async ({ id, channel, kind, number, to, error, attempts, at }) => ({
          what: Object.hasOwn(NOTICE_NAMES, kind) ? NOTICE_NAMES[kind as keyof typeof NOTICE_NAMES] : kind,
          number,
          href: ticketUrl({ publicUrl: null }, number),
          to: await addresseeName(library, to),
          channel: CHANNELS[channel],
          error: `${error}（发了 ${attempts} 次）`,
          at: momentLabel(at),
          retry: `/office/notices/${id}/retry`
        }))
      )
    })
  })

  app.post(
    '/office/notices/:id/retry',
    { preHandler, schema: { hide: true, params: z.object({ id: z.coerce.number().int().positive() }) } },
    async ({ params }, reply) => {
      if (!(await retryDelivery(db, params.id, now()))) throw new NotFound('未送达的通知', String(params.id))
      return reply.redirect('/office/notices', 303)
    }
  )
}

/** A recipient for people; a name stays as it is. */
async function addresseeName(library: Library, to: string): Promise<string> {
  const addressee = addresseeOf(to)
  if (addressee === null) return to
  if (addressee.kind === 'citizen') return '咨询人'
  if (addressee.kind === 'office') return '政务公开办'
  if (addressee.kind === 'zone') return (await library.all('zone')).get(addressee.zone)?.content.name ?? addressee.zone
  const unit = (await library.all('unit')).get(addressee.unit)?.content.name ?? addressee.unit
  return `${unit}${addressee.role === 'liaison' ? '联络员' : '分管领导'}`
}

function momentLabel(instant: string): string {
  if (instant === '') return ''
  const local = instantInChina(instant)
  return `${dayLabel(local.slice(0, 10))} ${local.slice(11, 16)}`
}
