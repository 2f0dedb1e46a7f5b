import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { ProblemBody, Qa } from '../api-types.ts'
import { basisOf, worstOf } from '../consultations/ask.ts'
import { validityOn } from '../content/validity.ts'
import { NotFound } from '../errors.ts'

const AUDIENCE = { 群众: 'person', 企业: 'business' } as const

export const bankRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    '/qa/:id',
    {
      schema: {
        summary: 'One entry of the Q&A bank; a withdrawn one says so by `retired`',
        params: z.object({ id: z.string().max(80) }),
        response: { 200: Qa, 404: ProblemBody }
      }
    },
    async ({ params }) => {
      const { library } = app.parts
      const item = await library.get('qa', params.id)
      if (item === null) throw new NotFound('问答', params.id)
      const { content, version, changedOn, retired, sample, hash } = item
      const today = app.parts.today()
      const unit = (await library.all('unit')).get(content.unit)
      const basis = await basisOf(library, content.basis, today)
      return {
        ...content,
        audience: content.audience.map((audience) => AUDIENCE[audience]),
        basis,
        unit: unit === undefined ? null : { id: content.unit, name: unit.content.name },
        validity: worstOf(validityOn({ status: 'current', ...content }, today), basis),
        version,
        updatedOn: changedOn,
        retired,
        sample,
        hash
      }
    }
  )
}
