import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { versionLabel } from '../bank/pages.ts'
import { DOCUMENT_CATEGORIES, type Document } from '../content/kinds.ts'
import type { DocumentHead, Item, Library } from '../content/library.ts'
import { isInForce, VALIDITY_NAMES, type Validity, validityOn } from '../content/validity.ts'
import { AREA_NAMES, AREAS_OF } from '../directory/areas.ts'
import { passageHtml } from '../views/markdown.ts'
import { badge, errorPage, facts, headOf, type Links, linksOf, missingInZone, zoneOf } from '../views/models.ts'
import { dayLabel } from '../views/text.ts'
import type { Link, Pages, TextBlock, Warning } from '../views/views.ts'
import { type ChapterPage, chapterPages, findPassage } from './chapter-pages.ts'

const LISTED = 20

const text = z.string().optional().catch(undefined)

/** A document with its passages, and the reading area's list of documents (R10, R12). */
export const documentPages: FastifyPluginAsyncZod = async (app) => {
  const { library } = app.parts

  app.get(
    '/documents/:id',
    {
      schema: {
        hide: true,
        params: z.object({ id: z.string() }),
        querystring: z.object({
          zone: text,
          chapter: z.coerce.number().int().min(1).catch(1),
          /** `1`: the whole text on one page, for print. */
          all: text,
          /** Anchor or clause to open at. */
          at: text
        })
      }
    },
    async ({ params, query }, reply) => {
      const item = await library.get('document', params.id)
      if (item === null)
        return reply.code(404).page('error', errorPage({ status: 404, detail: '没有这份文件，可能是编号写错了。' }))
      const zone = await zoneOf(library, query.zone)
      const { content } = item
      const links = linksOf(zone?.content.id ?? null)
      const here = links.document(content.id)
      const at = (parameters: string) => `${here}${here.includes('?') ? '&' : '?'}${parameters}`
      const pages = chapterPages(library.passages(item))
      if (query.at !== undefined) {
        const found = findPassage(pages, query.at)
        if (found === null) return reply.redirect(here, 302)
        const address = pages.length <= 1 ? here : at(`chapter=${found.page + 1}`)
        return reply.redirect(`${address}#${found.passage.anchor}`, 302)
      }
      const whole = query.all === '1' || pages.length <= 1
      const shown = Math.min(query.chapter, Math.max(pages.length, 1))
      const today = app.parts.today()
      const validity = item.retired ? 'repealed' : validityOn(content, today)
      const chapter = (number: number): Link | null => {
        const page = pages[number - 1]
        return page === undefined ? null : { text: page.title, href: at(`chapter=${number}`) }
      }
      return reply.page('document', {
        head: await headOf(library, {
          title: content.title,
          zone,
          sample: item.sample,
          crumbs:
            links.read === null || zone === null || !AREAS_OF[zone.content.venueKind].includes('reading')
              ? []
              : [{ text: AREA_NAMES.reading, href: links.read }]
        }),
        title: content.title,
        number: content.number,
        warning: await warningOf(library, item, validity, links),
        validity: badge(validity),
        facts: await metadata(library, content),
        metadataOpen: whole || shown === 1,
        summary: content.summary,
        interpretation: content.interpretation,
        chapters:
          pages.length <= 1
            ? []
            : pages.map(({ title }, index) => ({
                text: title,
                href: at(`chapter=${index + 1}`),
                current: !whole && index + 1 === shown
              })),
        chapter: whole
          ? null
          : {
              text: `第 ${shown} 部分，共 ${pages.length} 部分`,
              previous: chapter(shown - 1),
              next: chapter(shown + 1)
            },
        whole: whole ? null : at('all=1'),
        blocks: blocks(whole ? pages : pages.slice(shown - 1, shown)),
        record: facts(
          ['编号', content.id],
          ['版本', versionLabel(item.version)],
          ['更新日期', dayLabel(item.changedOn)],
          ['校验码', item.hash.slice(0, 8)]
        )
      })
    }
  )

  app.get(
    '/z/:zone/read',
    {
      schema: {
        hide: true,
        params: z.object({ zone: z.string() }),
        querystring: z.object({
          category: text,
          topic: text,
          year: text,
          validity: text,
          page: z.coerce.number().int().min(1).catch(1)
        })
      }
    },
    async ({ params, query }, reply) => {
      const zone = (await library.all('zone')).get(params.zone)
      if (zone === undefined)
        return reply.code(404).page('error', errorPage({ status: 404, detail: '没有这个专区，请重新选择。' }))
      if (!AREAS_OF[zone.content.venueKind].includes('reading')) {
        const heading = `本专区没有${AREA_NAMES.reading}`
        return reply.code(404).page('error', await missingInZone(library, zone, heading, '本专区有下面这些。'))
      }
      return reply.page('read', {
        ...(await readingList(library, linksOf(zone.content.id), query, app.parts.today())),
        head: await headOf(library, { title: AREA_NAMES.reading, zone })
      })
    }
  )
}

async function warningOf(
  library: Library,
  { content, retired }: Item<Document>,
  validity: Validity,
  links: Links
): Promise<Warning | null> {
  if (retired) return { text: '这份文件已经撤下，不再作为办事依据。', links: [] }
  if (validity === 'current') return null
  const documents = await library.documents()
  const others = [...new Set([content.successor, content.changedBy])].flatMap((id) => {
    const head = id === null ? undefined : documents.get(id)?.content
    return head === undefined ? [] : [{ text: `《${head.title}》`, href: links.document(head.id) }]
  })
  const words: Record<Exclude<Validity, 'current'>, string> = {
    amended: '这份文件有的内容已经修改。',
    repealed: '这份文件已经废止，不能再照此办理。',
    expired: '这份文件已经失效，不能再照此办理。',
    pending: `这份文件${content.effectiveOn === null ? '' : `从${dayLabel(content.effectiveOn)}起`}才生效。`
  }
  const lead = isInForce(validity) ? '修改依据请看：' : '现在的规定请看：'
  return {
    text: others.length === 0 ? words[validity] : `${words[validity]}${lead}`,
    links: validity === 'pending' ? [] : others
  }
}

async function issuerNames(library: Library, { issuers, issuerName }: DocumentHead): Promise<string> {
  const units = await library.all('unit')
  return [...issuers.map((id) => units.get(id)?.content.name ?? id), ...(issuerName === null ? [] : [issuerName])].join(
    '、'
  )
}

async function metadata(library: Library, content: DocumentHead) {
  const topic = content.topic === null ? undefined : (await library.all('topic')).get(content.topic)
  const on = (date: string | null) => (date === null ? null : dayLabel(date))
  return facts(
    ['索引号', content.indexNumber],
    ['发文字号', content.number],
    ['发布机构', await issuerNames(library, content)],
    ['类别', content.category],
    ['主题', topic?.content.name ?? null],
    ['体裁', content.genre],
    ['成文日期', on(content.writtenOn)],
    ['发布日期', on(content.publishedOn)],
    ['生效日期', on(content.effectiveOn)],
    ['失效日期', on(content.expiresOn)],
    ['公开方式', content.disclosure],
    ['公开层级', content.level],
    ['关键词', content.keywords.join('、')]
  )
}

/** Headings as they change, and each passage at its anchor. */
function blocks(pages: readonly ChapterPage[]): TextBlock[] {
  const found: TextBlock[] = []
  let above: readonly string[] = []
  for (const { passages } of pages) {
    for (const { anchor, heading, clause, text } of passages) {
      const headings = heading === '' ? [] : heading.split(' › ')
      const same = headings.findIndex((words, level) => words !== above[level])
      for (const [level, words] of headings.entries()) {
        if (same === -1 || level < same) continue
        found.push({
          anchor: null,
          heading: { level2: level === 0, centred: /^第.+[编章节]/.test(words), text: words },
          html: null
        })
      }
      above = headings
      found.push({ anchor, heading: null, html: passageHtml(text, clause, clause ?? headings.at(-1) ?? anchor) })
    }
  }
  return found
}

interface Filter {
  category?: string | undefined
  topic?: string | undefined
  year?: string | undefined
  validity?: string | undefined
  page: number
}

async function readingList(
  library: Library,
  links: Links,
  filter: Filter,
  today: string
): Promise<Omit<Pages['read'], 'head'>> {
  const documents = [...(await library.documents()).values()].map(({ content }) => ({
    content,
    day: content.publishedOn ?? content.writtenOn,
    validity: validityOn(content, today)
  }))
  const narrowed = documents.filter(
    ({ content, day, validity }) =>
      (filter.topic === undefined || filter.topic === '' || content.topic === filter.topic) &&
      (filter.year === undefined || filter.year === '' || day?.startsWith(`${filter.year}-`) === true) &&
      (filter.validity === undefined || filter.validity === '' || validity === filter.validity)
  )
  const category = DOCUMENT_CATEGORIES.find((name) => name === filter.category)
  const listed = narrowed
    .filter(({ content }) => category === undefined || content.category === category)
    .sort((a, b) => (b.day ?? '').localeCompare(a.day ?? '') || a.content.id.localeCompare(b.content.id))
  const last = Math.max(1, Math.ceil(listed.length / LISTED))
  const shown = Math.min(filter.page, last)
  const address = (changes: Record<string, string | undefined>) => {
    const { category, topic, year, validity } = filter
    const kept = Object.entries({ category, topic, year, validity, ...changes }).filter(
      ([, value]) => value !== undefined && value !== ''
    )
    return kept.length === 0 ? (links.read ?? '/') : `${links.read}?${new URLSearchParams(kept as [string, string][])}`
  }
  const page = (number: number) => (number < 1 || number > last ? null : address({ page: String(number) }))
  const topics = await library.all('topic')
  const used = new Set(documents.map(({ content }) => content.topic))
  const years = [...new Set(documents.flatMap(({ day }) => (day === null ? [] : [day.slice(0, 4)])))].sort().reverse()
  const select = (
    name: 'topic' | 'year' | 'validity',
    label: string,
    options: readonly (readonly [string, string])[]
  ) => ({
    name,
    label,
    options: [['', '不限'] as const, ...options].map(([value, text]) => ({
      value,
      text,
      selected: value === (filter[name] ?? '')
    }))
  })
  return {
    categories: [
      {
        text: '全部',
        href: address({ category: undefined }),
        count: String(narrowed.length),
        current: category === undefined
      },
      ...DOCUMENT_CATEGORIES.map((name) => ({
        text: name,
        href: address({ category: name }),
        count: String(narrowed.filter(({ content }) => content.category === name).length),
        current: name === category
      }))
    ],
    form: {
      action: links.read ?? '/',
      category: category ?? '',
      selects: [
        select(
          'topic',
          '主题',
          [...topics.values()]
            .filter(({ content }) => used.has(content.id))
            .map(({ content }) => [content.id, content.name] as const)
        ),
        select(
          'year',
          '年份',
          years.map((year) => [year, `${year}年`] as const)
        ),
        select('validity', '有效性', Object.entries(VALIDITY_NAMES))
      ],
      filtered: listed.length !== documents.length,
      reset: links.read ?? '/'
    },
    total: listed.length === 0 ? '没有符合条件的资料。' : `共 ${listed.length} 份`,
    documents: await Promise.all(
      listed.slice((shown - 1) * LISTED, shown * LISTED).map(async ({ content, day, validity }) => ({
        title: content.title,
        href: links.document(content.id),
        detail: [content.number, await issuerNames(library, content), day === null ? null : dayLabel(day)]
          .filter((part) => part !== null && part !== '')
          .join('　'),
        summary: content.summary,
        validity: badge(validity)
      }))
    ),
    pages:
      last === 1 ? null : { text: `第 ${shown} 页，共 ${last} 页`, previous: page(shown - 1), next: page(shown + 1) }
  }
}
