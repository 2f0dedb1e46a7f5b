import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { ProblemBody, Unit, Zone } from '../api-types.ts'
import type { Item, Library } from '../content/library.ts'
import type * as kinds from '../content/kinds.ts'
import { NotFound } from '../errors.ts'
import { bigramsOf } from '../text/tokens.ts'
import { normalise } from '../text/normalise.ts'
import { AREAS_OF } from './areas.ts'

export const directoryRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    '/units',
    {
      schema: {
        summary: 'Units, or those whose duties fit what is asked, best first',
        querystring: z.object({ q: z.string().max(200).default('') }),
        response: { 200: z.array(Unit) }
      }
    },
    async ({ query: { q } }) => (await findUnits(app.parts.library, q)).map(unitBody)
  )

  app.get('/zones', { schema: { summary: 'All zones', response: { 200: z.array(Zone) } } }, async () => {
    const zones = [...(await app.parts.library.all('zone')).values()]
    return Promise.all(zones.map((zone) => zoneBody(app.parts.library, zone)))
  })

  app.get(
    '/zones/:zone',
    {
      schema: {
        summary: 'One zone with the areas its venue kind has',
        params: z.object({ zone: z.string().max(20) }),
        response: { 200: Zone, 404: ProblemBody }
      }
    },
    async ({ params }) => {
      const zone = (await app.parts.library.all('zone')).get(params.zone)
      if (zone === undefined) throw new NotFound('专区', params.zone)
      return zoneBody(app.parts.library, zone)
    }
  )
}

/** Units whose name or duties hold what is asked, by the share of its pairs of characters; all units when nothing is asked. */
async function findUnits(library: Library, asked: string): Promise<Item<kinds.Unit>[]> {
  const units = [...(await library.all('unit')).values()]
  const pairs = new Set(bigramsOf(normalise(asked)))
  if (pairs.size === 0) return units
  const scored = units.map((unit) => {
    const { name, aliases, duties } = unit.content
    const held = [name, ...aliases, ...duties].map((text) => {
      const own = new Set(bigramsOf(normalise(text)))
      return [...pairs].filter((pair) => own.has(pair)).length
    })
    return { unit, score: Math.max(...held) }
  })
  return scored
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ unit }) => unit)
}

function unitBody({ content, sample }: Item<kinds.Unit>): z.input<typeof Unit> {
  return { ...content, sample }
}

async function zoneBody(library: Library, { content, sample }: Item<kinds.Zone>): Promise<z.input<typeof Zone>> {
  const unit = (await library.all('unit')).get(content.unit)
  return {
    ...content,
    areas: [...AREAS_OF[content.venueKind]],
    unit: { id: content.unit, name: unit?.content.name ?? content.unit },
    sample
  }
}
