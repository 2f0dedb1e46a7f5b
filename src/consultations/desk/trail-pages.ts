import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { ProblemBody } from '../../api-types.ts'
import { instantInChina } from '../../calendar/day.ts'
import { deskOf, errorPage, headOf } from '../../views/models.ts'
import type { Contact as ContactBlock } from '../../views/views.ts'
import { timeShort } from '../shown.ts'
import { makeTrail, MOST_QUERIES, readQueries, TrailEmpty } from '../trails.ts'

declare module '../../views/views.ts' {
  interface Pages {
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

/** What was asked at a kiosk, handed to the desk by a code of six digits. */
export const trailPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const { library } = parts
  const hide = true

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
          until: timeShort(expiresAt),
          asked
        })
      } catch (error) {
        if (!(error instanceof TrailEmpty)) throw error
        return reply.code(422).page('trail', { ...frame, problem: error.message })
      }
    }
  )
}
