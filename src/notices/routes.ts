import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { actorOn, requireStaff } from '../accounts/guard.ts'
import { instantInChina } from '../calendar/day.ts'
import { bellOf, readBells } from './bells.ts'
import { ticketUrl } from './dispatch.ts'

const Bell = z.object({
  unread: z.int(),
  items: z.array(
    z.object({
      id: z.int(),
      number: z.string(),
      text: z.string(),
      url: z.string(),
      at: z.string(),
      read: z.boolean()
    })
  )
})

/** The bell of whoever is signed in. */
export const noticeRoutes: FastifyPluginAsyncZod = async (app) => {
  const { db, now } = app.parts
  const bell = async (staff: string) => {
    const { unread, items } = await bellOf(db, staff)
    return {
      unread,
      items: items.map((item) => ({
        ...item,
        url: ticketUrl({ publicUrl: null }, item.number),
        at: instantInChina(item.at)
      }))
    }
  }

  app.get('/bell', { preHandler: requireStaff(), schema: { response: { 200: Bell } } }, async (request, reply) => {
    reply.header('cache-control', 'no-store')
    return await bell(actorOn(request).id)
  })

  app.post(
    '/bell/read',
    {
      preHandler: requireStaff(),
      schema: { body: z.object({ upTo: z.int().optional() }).nullish(), response: { 200: Bell } }
    },
    async (request) => {
      const { id } = actorOn(request)
      await readBells(db, id, now(), request.body?.upTo ?? null)
      return await bell(id)
    }
  )
}
