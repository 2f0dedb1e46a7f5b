import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { actorOn, requireAction } from '../accounts/guard.ts'
import { CONSULTATION_LEDGER } from './consultations.ts'
import { LedgerNotFound } from './errors.ts'
import { exportLedger, LedgerQuery, readFilters } from './ledger.ts'
import type { LedgerNeeds } from './records.ts'
import { CONTENT_TYPES, FORMATS } from './write.ts'

/** `GET /ledgers/consultations.{xlsx|csv|json}`: the ledger as a file, as much of it as the person has to do with. */
export const ledgerRoutes: FastifyPluginAsyncZod<Pick<LedgerNeeds, 'fieldKey' | 'calendar'>> = async (app, own) => {
  const { db, library, today } = app.parts
  const { name, title } = CONSULTATION_LEDGER

  for (const format of FORMATS) {
    app.get(
      `/ledgers/${name}.${format}`,
      {
        onRequest: requireAction('ledger'),
        exposeHeadRoute: false,
        schema: { summary: `${title}, as ${format}`, querystring: LedgerQuery }
      },
      async (request, reply) => {
        const actor = actorOn(request)
        const filters = await readFilters(library, request.query, actor)
        const file = await exportLedger(
          { db, library, ...own },
          { actor, filters, format, today: today() },
          {
            onBroken: (number, error) => request.log.warn({ err: error, number }, 'contact not opened'),
            // Whoever exports takes personal data away, masked or not: it is on record who and how much.
            onEnd: (rows, whole) =>
              request.log.info({ ledger: name, format, filters, rows, whole, staff: actor.username }, 'ledger exported')
          }
        )
        const fileName = `${name}-${today()}.${format}`
        const chinese = encodeURIComponent(`${title}${today()}.${format}`)
        return reply
          .type(CONTENT_TYPES[format])
          .header('content-disposition', `attachment; filename="${fileName}"; filename*=UTF-8''${chinese}`)
          .header('cache-control', 'no-store')
          .send(file)
      }
    )
  }

  app.get(
    '/ledgers/:file',
    {
      onRequest: requireAction('ledger'),
      schema: { hide: true, params: z.object({ file: z.string() }) }
    },
    async ({ params }) => {
      throw new LedgerNotFound(params.file, `${name}（${title}）`)
    }
  )
}
