import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { versionLabel } from '../bank/pages.ts'
import { BOARD_CATEGORIES, BOARD_PERIODS, type Board } from '../content/kinds.ts'
import { AREA_NAMES, AREAS_OF } from '../directory/areas.ts'
import { passageHtml } from '../views/markdown.ts'
import { errorPage, facts, headOf, missingInZone } from '../views/models.ts'
import { dayLabel } from '../views/text.ts'

/** A community's notice board: the eight categories of R31 in the plan's order, an empty one said to be empty. */
export const boardPages: FastifyPluginAsyncZod = async (app) => {
  const { library } = app.parts

  app.get(
    '/z/:zone/board',
    { schema: { hide: true, params: z.object({ zone: z.string() }) } },
    async ({ params }, reply) => {
      const zone = (await library.all('zone')).get(params.zone)
      if (zone === undefined)
        return reply.code(404).page('error', errorPage({ status: 404, detail: '没有这个专区，请重新选择。' }))
      if (!AREAS_OF[zone.content.venueKind].includes('board')) {
        const heading = `本专区没有${AREA_NAMES.board}`
        return reply.code(404).page('error', await missingInZone(library, zone, heading, '本专区有下面这些。'))
      }
      const today = app.parts.today()
      const own = [...(await library.all('board')).values()].filter(({ content }) => content.zone === params.zone)
      return reply.page('board', {
        head: await headOf(library, { title: AREA_NAMES.board, zone, sample: own.some(({ sample }) => sample) }),
        categories: BOARD_CATEGORIES.map((name, at) => ({
          anchor: `c${at + 1}`,
          name,
          items: own
            .filter(({ content }) => content.category === name)
            .map(({ content, version, hash }) => ({
              title: content.title,
              html: passageHtml(content.body, null, content.title),
              late: isLate(content, today),
              record: facts(
                ['更新日期', dayLabel(content.updatedOn)],
                ['更新周期', content.period],
                ['版本', `${versionLabel(version)} ${hash.slice(0, 8)}`]
              )
            }))
        }))
      })
    }
  )
}

/** Whether an item should have been renewed by now (R30: 及时更新). */
export function isLate({ period, updatedOn }: Pick<Board, 'period' | 'updatedOn'>, today: string): boolean {
  const days = BOARD_PERIODS[period]
  return days !== null && (Date.parse(today) - Date.parse(updatedOn)) / 86_400_000 > days
}
