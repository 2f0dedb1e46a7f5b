import type { FastifyError } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { Answer, Suggestion, ProblemBody } from '../api-types.ts'
import { ask } from './ask.ts'
import { LONGEST_QUESTION } from './limits.ts'
import { EmptyQuestion, QuestionTooLong, UnknownZone } from './errors.ts'

const MOST_HITS = 20
/** Hits of an answer unless asked otherwise; the page shows as many. */
export const HITS = 5

const flag = z.enum(['0', '1']).transform((value) => value === '1')

export const consultationRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    '/answers',
    {
      schema: {
        summary: 'Answer a question, offer a choice, or name the unit that must answer',
        querystring: z.object({
          q: z.string().default(''),
          zone: z.string().max(20).optional(),
          limit: z.coerce.number().int().min(1).max(MOST_HITS).default(HITS),
          live: flag.default(false)
        }),
        response: { 200: Answer, 400: ProblemBody, 413: ProblemBody }
      }
    },
    async ({ query: { q, zone, limit, live } }) => {
      const problem = problemWith(q)
      if (problem !== null) throw problem
      if (zone !== undefined && !(await app.parts.library.all('zone')).has(zone)) throw new UnknownZone(zone)
      return ask(app.parts, { question: q, zone: zone ?? null, limit, live })
    }
  )

  app.get(
    '/suggestions',
    {
      schema: {
        summary: 'Questions of the bank that begin as typed: characters, full pinyin or initials',
        querystring: z.object({ q: z.string().max(100).default('') }),
        response: { 200: z.array(Suggestion) }
      }
    },
    async ({ query: { q } }) => app.parts.suggestions.find(q)
  )
}

/** What keeps a text from being a question: its length, or nothing but punctuation, blanks or signs; null when nothing does. */
export function problemWith(question: string): FastifyError | null {
  if (question.length > LONGEST_QUESTION) return new QuestionTooLong(String(LONGEST_QUESTION))
  if (!/[\p{L}\p{N}]/u.test(question.normalize('NFKC'))) return new EmptyQuestion()
  return null
}
