import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { basisLines, qaAnswer, unitOf, versionLabel, warningOf } from '../bank/pages.ts'
import { LIFE_EVENTS } from '../content/kinds.ts'
import type { Library } from '../content/library.ts'
import { badge, contact, deskOf, errorPage, facts, headOf, type Links, linksOf } from '../views/models.ts'
import { dayLabel, excerpt, paragraphs } from '../views/text.ts'
import type { Choice, Pages } from '../views/views.ts'
import { ask, type Hit } from './ask.ts'
import { LONGEST_QUESTION } from './limits.ts'
import { HITS, problemWith } from './routes.ts'

const EXCERPT = 72
/** Questions of a topic on one page: four kiosk screens of targets. */
const LISTED = 30
/** … and of each topic where several are shown. */
const LISTED_EACH = 8

type Ask = Pages['ask']

/** The one page a question is asked and answered on; without a question it lists what can be asked. */
export const consultationPages: FastifyPluginAsyncZod = async (app) => {
  app.get(
    '/z/:zone/ask',
    {
      schema: {
        hide: true,
        params: z.object({ zone: z.string() }),
        querystring: z.object({
          q: z.string().optional(),
          topic: z.string().optional(),
          event: z.string().optional(),
          page: z.coerce.number().int().min(1).catch(1)
        })
      }
    },
    async ({ params, query: { q, topic, event, page } }, reply) => {
      const { library } = app.parts
      const zone = (await library.all('zone')).get(params.zone)
      if (zone === undefined)
        return reply.code(404).page('error', errorPage({ status: 404, detail: '没有这个专区，请重新选择。' }))
      const { id } = zone.content
      const links = linksOf(id)
      const question = (q ?? '').trim()
      const frame: Ask = {
        head: await headOf(library, { title: question === '' ? '自助查询' : question.slice(0, 60), zone }),
        form: { action: links.ask ?? '', question: question.slice(0, LONGEST_QUESTION) },
        heading: { lead: '您问的是', text: question },
        problem: null,
        degraded: false,
        answer: null,
        why: [],
        choices: [],
        escalation: null,
        consult: null,
        guidance: null,
        others: null,
        browse: null,
        topics: [],
        desk: await deskOf(library, zone)
      }
      if (q === undefined) {
        return reply.page('ask', { ...frame, ...(await browse(library, links, { topic, event, page })) })
      }
      const problem = problemWith(q)
      if (problem !== null) {
        return reply.code(problem.statusCode ?? 400).page('ask', {
          ...frame,
          heading: { lead: '', text: '自助查询' },
          problem: { title: question === '' ? '请先写下您的问题' : '请改一改您的问题', text: problem.message },
          topics: await topicLinks(library, links)
        })
      }
      const answer = await ask(app.parts, { question: q, zone: id, limit: HITS, live: false })
      const sample = frame.head.sample || answer.hits.some((hit) => hit.sample)
      return reply.page('ask', {
        ...frame,
        head: { ...frame.head, sample },
        degraded: answer.degraded,
        consult: `${links.home}/consult?${new URLSearchParams({ q: question, query: answer.queryId ?? '' })}`,
        guidance:
          answer.guidance === null
            ? null
            : {
                ...contact({ ...answer.guidance, name: answer.guidance.unit.name }),
                reason: `${answer.guidance.reason}。`
              },
        ...(await outcome(library, answer, links, app.parts.today())),
        desk:
          frame.desk === null || answer.decision !== 'escalate' ? frame.desk : { ...frame.desk, name: '请咨询台登记' }
      })
    }
  )
}

async function outcome(
  library: Library,
  { decision, hits }: Awaited<ReturnType<typeof ask>>,
  links: Links,
  today: string
): Promise<Partial<Ask>> {
  const [first, ...others] = hits
  if (decision === 'answer' && first !== undefined) {
    return {
      answer: await answerOf(library, first, links, today),
      why: first.why,
      others: others.length === 0 ? null : { title: '不是我要问的？', hits: others.map((hit) => choice(hit, links)) }
    }
  }
  if (decision === 'choose') return { choices: hits.map((hit) => choice(hit, links)) }
  return {
    escalation: {
      title: '这件事，还没有现成的答复',
      text: '没有把握的内容，我们不会随便答复您。您可以直接问下面的单位，也可以请咨询台登记，由政策制定单位在 5 个工作日内答复您。'
    },
    others: hits.length === 0 ? null : { title: '也许有关', hits: hits.map((hit) => choice(hit, links)) }
  }
}

async function answerOf(library: Library, hit: Hit, links: Links, today: string): Promise<NonNullable<Ask['answer']>> {
  if (hit.kind === 'qa') {
    const item = await library.get('qa', hit.id)
    // The record may have changed since the search: what is shown is the record.
    if (item !== null) return qaAnswer(library, item, links, today, item.version === hit.version ? hit.highlights : [])
  }
  const unit = hit.unit === null ? undefined : (await library.all('unit')).get(hit.unit.id)
  return {
    label: '文件条款',
    title: hit.title,
    href: links.document(hit.id, hit.passage?.anchor ?? null),
    warning: await warningOf(library, hit.validity, hit.basis, links),
    validity: badge(hit.validity),
    paragraphs: paragraphs(hit.text, hit.highlights),
    facts: [],
    materials: [],
    steps: [],
    basis: basisLines(hit.basis, links),
    unit: unit === undefined ? null : unitOf(unit),
    record: facts(['编号', hit.id], ['版本', versionLabel(hit.version)], ['更新日期', dayLabel(hit.updatedOn)])
  }
}

function choice(hit: Hit, links: Links): Choice {
  const detail = [
    hit.unit?.name ?? null,
    `${dayLabel(hit.updatedOn)}更新`,
    hit.validity === 'current' ? null : badge(hit.validity).text
  ]
  return {
    label: hit.kind === 'qa' ? '政策问答' : '文件条款',
    title: hit.kind === 'qa' || hit.passage?.clause == null ? hit.title : `${hit.title}　${hit.passage.clause}`,
    href: hit.kind === 'qa' ? links.qa(hit.id) : links.document(hit.id, hit.passage?.anchor ?? null),
    excerpt: excerpt(hit.text, hit.highlights, EXCERPT),
    detail: detail.filter((part) => part !== null).join('　')
  }
}

async function topicLinks(library: Library, links: Links) {
  return [...(await library.all('topic')).values()].map(({ content }) => ({
    text: content.name,
    href: links.topic(content.id)
  }))
}

interface Browsed {
  topic: string | undefined
  event: string | undefined
  page: number
}

/** Questions of one topic, or of the topics of a life event, for who would rather look than write (R8). */
async function browse(library: Library, links: Links, { topic, event, page }: Browsed): Promise<Partial<Ask>> {
  const topics = [...(await library.all('topic')).values()].map(({ content }) => content)
  const all = await library.questions()
  const of = (id: string) =>
    all.filter((head) => head.topic === id).map(({ id, question }) => ({ text: question, href: links.qa(id) }))
  const named = topics.find(({ id }) => id === topic)
  if (named !== undefined) {
    const questions = of(named.id)
    const last = Math.max(1, Math.ceil(questions.length / LISTED))
    const shown = Math.min(page, last)
    const at = (number: number) => (number < 1 || number > last ? null : `${links.topic(named.id)}&page=${number}`)
    return {
      heading: { lead: '', text: named.name },
      browse: {
        groups: [
          {
            title: `共 ${questions.length} 条`,
            links: questions.slice((shown - 1) * LISTED, shown * LISTED),
            more: null
          }
        ],
        pages:
          last === 1 ? null : { text: `第 ${shown} 页，共 ${last} 页`, previous: at(shown - 1), next: at(shown + 1) }
      },
      topics: await topicLinks(library, links)
    }
  }
  const chosen = LIFE_EVENTS.find((name) => name === event)
  if (chosen !== undefined) {
    const groups = topics
      .filter(({ lifeEvents }) => lifeEvents.includes(chosen))
      .map(({ id, name }) => {
        const questions = of(id)
        const more =
          questions.length <= LISTED_EACH ? null : { text: `看全部 ${questions.length} 条`, href: links.topic(id) }
        return { title: name, links: questions.slice(0, LISTED_EACH), more }
      })
    return {
      heading: { lead: '', text: chosen },
      browse: { groups, pages: null },
      topics: await topicLinks(library, links)
    }
  }
  return { heading: { lead: '', text: '自助查询' }, topics: await topicLinks(library, links) }
}
