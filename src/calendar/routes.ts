import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { ProblemBody } from '../api-types.ts'
import { isDay } from './day.ts'

/** A working year: longer terms are counted in months and years (民法典 Art. 202). */
export const LONGEST_TERM = 260

const DAY = '请写起算的日期，像 2026-11-24 这样'
const TERM = `请写几个工作日，从 1 到 ${LONGEST_TERM} 的整数`

export const calendarRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    '/calendar/due',
    {
      schema: {
        summary: 'When a term of working days ends, with the days counted; a range while a year has no notice yet',
        querystring: z.object({
          from: z.string({ error: DAY }).refine(isDay, DAY),
          workingDays: z.coerce.number({ error: TERM }).int(TERM).min(1, TERM).max(LONGEST_TERM, TERM)
        }),
        response: {
          200: z.object({
            dueOn: z.string(),
            latestOn: z.string(),
            provisional: z.boolean(),
            days: z.array(z.object({ date: z.string(), counts: z.boolean(), note: z.string() }))
          }),
          400: ProblemBody
        }
      }
    },
    async ({ query: { from, workingDays } }) => app.parts.calendar().due(from, workingDays)
  )
}
