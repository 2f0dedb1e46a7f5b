import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { Document, ProblemBody } from '../api-types.ts'
import { validityOn } from '../content/validity.ts'
import { NotFound } from '../errors.ts'
import { plainText } from './passages.ts'

export const documentRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    '/documents/:id',
    {
      schema: {
        summary: 'One disclosure document whole, passage by passage',
        params: z.object({ id: z.string().max(80) }),
        response: { 200: Document, 404: ProblemBody }
      }
    },
    async ({ params }) => {
      const { library } = app.parts
      const item = await library.get('document', params.id)
      if (item === null) throw new NotFound('文件', params.id)
      const { content, version, changedOn, retired, sample, hash } = item
      const units = await library.all('unit')
      return {
        ...content,
        issuers: content.issuers.map((id) => ({ id, name: units.get(id)?.content.name ?? id })),
        validity: validityOn(content, app.parts.today()),
        passages: library
          .passages(item)
          .map(({ anchor, heading, clause, text }) => ({ anchor, heading, clause, text: plainText(text) })),
        version,
        updatedOn: changedOn,
        retired,
        sample,
        hash
      }
    }
  )
}
