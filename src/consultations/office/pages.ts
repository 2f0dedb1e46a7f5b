import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { actorOn, requireStaff } from '../../accounts/guard.ts'
import { headOf } from '../../views/models.ts'
import { listPage, overview } from './board.ts'
import { SHOWN } from './figures.ts'

/** What the district office supervises: all units at a glance, and what is behind each figure (R39). */
export const officePages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app

  app.get(
    '/office',
    {
      onRequest: requireStaff('office', 'admin'),
      schema: {
        hide: true,
        querystring: z.object({
          show: z.enum(SHOWN).optional().catch(undefined),
          unit: z.string().max(80).optional().catch(undefined),
          zone: z.string().max(20).optional().catch(undefined),
          chain: z.enum(['real', 'sample']).optional().catch(undefined),
          page: z.coerce.number().int().min(1).max(100_000).catch(1)
        })
      }
    },
    async (request, reply) => {
      const actor = actorOn(request)
      if (actor.role === 'admin') {
        return reply.page('office', {
          head: await headOf(parts.library, { title: '系统管理' }),
          heading: '系统管理',
          instead: {
            text: '咨询由窗口、答复单位和政务公开办办理，系统管理员看不到咨询的内容和咨询人的联系方式。您可以管理账号，处理没有送达的通知。',
            links: [
              { text: '账号和设置', href: '/office/settings' },
              { text: '未送达的通知', href: '/office/notices' }
            ]
          },
          board: null
        })
      }
      const { show, unit, zone, page, chain } = request.query
      if (show === undefined) return reply.page('office', await overview(parts, actor, chain ?? null))
      const filter = { show, unit: unit ?? null, zone: zone ?? null }
      return reply.page('office', await listPage(parts, actor, chain ?? null, filter, page))
    }
  )
}
