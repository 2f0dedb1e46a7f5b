import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { LIFE_EVENTS, type Topic, VENUE_KINDS, type Zone } from '../content/kinds.ts'
import type { Item, QuestionHead } from '../content/library.ts'
import { areasOf, errorPage, facts, headOf, linksOf, missingInZone } from '../views/models.ts'
import type { Fact, Link } from '../views/views.ts'
import { AREA_NAMES, AREAS_OF, type Area, VENUE_KIND_NAMES } from './areas.ts'

/** Entrances every zone shows (R5). A terminal in the room may not leave this site: words, not links. */
const ENTRANCES: readonly Fact[] = [
  { name: '区政府网公开目录', text: '区政府网站“政府信息公开”栏目，按目录查各单位的文件。' },
  { name: '公开专栏', text: '区政府网站上的专题，如财政预决算、征地补偿、义务教育。' },
  { name: '渝快办', text: '手机应用或网站，网上申请办事、查进度。' },
  { name: '电子便民地图', text: '查办事大厅、街镇服务中心在哪里、几点开门。' }
]

/** Addresses under a zone that stand for an area; `suggest` is served where applications are. */
const PATHS: Record<string, { area: Area; name: string }> = {
  read: { area: 'reading', name: AREA_NAMES.reading },
  apply: { area: 'application', name: AREA_NAMES.application },
  suggest: { area: 'application', name: '意见建议' }
}

const EXAMPLES = 3
/** A question that fits a button on a phone. */
const SHORT = 16

/** Zones, a zone's home, and what a zone has not. */
export const directoryPages: FastifyPluginAsyncZod = async (app) => {
  const { library } = app.parts

  app.get('/', { schema: { hide: true } }, async (_request, reply) => {
    const district = await library.district()
    const zones = [...(await library.all('zone')).values()]
    const groups = VENUE_KINDS.map((kind) => ({
      name: VENUE_KIND_NAMES[kind],
      zones: zones
        .filter(({ content }) => content.venueKind === kind)
        .map(({ content: { id, name, address, hours } }) => ({
          name,
          href: linksOf(id).home,
          facts: facts(['地址', address], ['开放时间', hours])
        }))
    }))
    const head = await headOf(library, { title: '', sample: zones.some(({ sample }) => sample) })
    return reply.page('zones', {
      head: { ...head, title: head.site },
      district: district.content.shortName,
      groups: groups.filter((group) => group.zones.length > 0)
    })
  })

  app.get('/z/:zone', { schema: { hide: true, params: z.object({ zone: z.string() }) } }, async ({ params }, reply) => {
    const zone = (await library.all('zone')).get(params.zone)
    if (zone === undefined)
      return reply.code(404).page('error', errorPage({ status: 404, detail: '没有这个专区，请重新选择。' }))
    const links = linksOf(zone.content.id)
    const topics = [...(await library.all('topic')).values()].map(({ content }) => content)
    const questions = await library.questions()
    const counts = new Map<string, number>()
    for (const { topic } of questions) if (topic !== null) counts.set(topic, (counts.get(topic) ?? 0) + 1)
    const unit = (await library.all('unit')).get(zone.content.unit)
    const head = await headOf(library, { title: '', zone })
    const { location, address, hours, phone } = zone.content
    return reply.page('zone', {
      head: { ...head, title: head.site },
      form: { action: links.ask ?? '/', question: '' },
      examples: examples(zone, topics, questions).map(
        ({ question }): Link => ({ text: question, href: `${links.ask}?${new URLSearchParams({ q: question })}` })
      ),
      areas: areasOf(zone),
      lifeEvents: LIFE_EVENTS.filter((event) =>
        topics.some(({ id, lifeEvents }) => lifeEvents.includes(event) && counts.has(id))
      ).map((event) => ({ text: event, href: links.lifeEvent(event) })),
      topics: topics
        .filter(({ id }) => counts.has(id))
        .map(({ id, name }) => ({ text: name, href: links.topic(id), count: `${counts.get(id)} 条` })),
      entrances: [...ENTRANCES],
      facts: facts(
        ['位置', location],
        ['地址', address],
        ['开放时间', hours],
        ['电话', phone],
        ['承办单位', unit?.content.name ?? null]
      )
    })
  })

  app.get(
    '/z/:zone/:path',
    { schema: { hide: true, params: z.object({ zone: z.string(), path: z.string() }) } },
    async ({ params }, reply) => {
      const zone = (await library.all('zone')).get(params.zone)
      if (zone === undefined)
        return reply.code(404).page('error', errorPage({ status: 404, detail: '没有这个专区，请重新选择。' }))
      const path = PATHS[params.path]
      const page =
        path === undefined
          ? await missingInZone(library, zone, '没有您要的页面', '地址可能写错了。本专区有下面这些。')
          : AREAS_OF[zone.content.venueKind].includes(path.area)
            ? await missingInZone(
                library,
                zone,
                `${path.name}还不能在这里办`,
                '请到专区窗口办理，工作人员会帮您。时间和电话见下面。'
              )
            : await missingInZone(
                library,
                zone,
                `本专区没有${path.name}`,
                '本专区有下面这些。其他事项请到政务服务场所或街镇公共服务中心的专区办理。'
              )
      return reply.code(404).page('error', page)
    }
  )
}

/** What could be asked here: questions the zone's own unit answers, then one of each topic. */
function examples(
  { content }: Item<Zone>,
  topics: readonly Topic[],
  questions: readonly QuestionHead[]
): QuestionHead[] {
  const short = questions.filter(({ question }) => question.length <= SHORT)
  const own = short.filter(({ unit }) => unit === content.unit).slice(0, EXAMPLES)
  const others = topics.flatMap(
    ({ id }) => short.find(({ topic, unit }) => topic === id && unit !== content.unit) ?? []
  )
  return [...own, ...others].slice(0, EXAMPLES)
}
