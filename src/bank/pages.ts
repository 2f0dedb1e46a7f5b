import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { type Basis, basisOf, type Hit, worstOf } from '../consultations/ask.ts'
import type { Qa, Unit } from '../content/kinds.ts'
import type { Item, Library } from '../content/library.ts'
import { isInForce, VALIDITY_NAMES, type Validity, validityOn } from '../content/validity.ts'
import { badge, contact, deskOf, errorPage, facts, headOf, type Links, linksOf, zoneOf } from '../views/models.ts'
import { dayLabel, paragraphs } from '../views/text.ts'
import type * as page from '../views/views.ts'

/** One entry of the bank at its own address, which a printed answer carries. */
export const bankPages: FastifyPluginAsyncZod = async (app) => {
  app.get(
    '/qa/:id',
    {
      schema: {
        hide: true,
        params: z.object({ id: z.string() }),
        querystring: z.object({ zone: z.string().optional() })
      }
    },
    async ({ params, query }, reply) => {
      const { library, today } = app.parts
      const item = await library.get('qa', params.id)
      if (item === null)
        return reply.code(404).page('error', errorPage({ status: 404, detail: '没有这条问答，可能是编号写错了。' }))
      const zone = await zoneOf(library, query.zone)
      const links = linksOf(zone?.content.id ?? null)
      return reply.page('qa', {
        head: await headOf(library, { title: item.content.question, zone, sample: item.sample }),
        form: links.ask === null ? null : { action: links.ask, question: '' },
        answer: await qaAnswer(library, item, links, today()),
        desk: await deskOf(library, zone)
      })
    }
  )
}

/**
 * A Q&A entry as it is told to a citizen.
 * @param highlights where the answer meets the question, in the version that was searched
 */
export async function qaAnswer(
  library: Library,
  item: Item<Qa>,
  links: Links,
  today: string,
  highlights: Hit['highlights'] = []
): Promise<page.Answer> {
  const { content, version, changedOn, hash, retired } = item
  const basis = await basisOf(library, content.basis, today)
  const own = validityOn({ status: 'current', ...content }, today)
  const validity = worstOf(own, basis)
  const unit = (await library.all('unit')).get(content.unit)
  return {
    label: '政策问答',
    title: content.question,
    href: links.qa(content.id),
    warning: retired
      ? { text: '这条答复已经撤下，不再使用。请重新提问，或向责任单位询问。', links: [] }
      : await warningOf(library, validity, basis, links),
    validity: badge(retired ? 'repealed' : validity),
    paragraphs: paragraphs(content.answer, highlights),
    facts: facts(['费用', content.fee], ['办理时限', content.duration], ['办理地点', content.place]),
    materials: content.materials,
    steps: content.steps,
    basis: basisLines(basis, links),
    unit: unit === undefined ? null : unitOf(unit),
    record: facts(
      ['编号', content.id],
      ['版本', versionLabel(version)],
      ['更新日期', dayLabel(changedOn)],
      ['生效日期', content.effectiveOn === null ? null : dayLabel(content.effectiveOn)],
      ['失效日期', content.expiresOn === null ? null : dayLabel(content.expiresOn)],
      ['校验码', hash.slice(0, 8)]
    )
  }
}

/** What to say of an answer that is not, or not yet, the rule of the day. */
export async function warningOf(
  library: Library,
  validity: Validity,
  basis: readonly Pick<Basis, 'document' | 'validity'>[],
  links: Links
): Promise<page.Warning | null> {
  if (isInForce(validity)) return null
  if (validity === 'pending') return { text: '这条答复还没有到生效日期，现在不能照此办理。', links: [] }
  const documents = await library.documents()
  const dead = basis
    .filter(({ validity }) => !isInForce(validity))
    .map(({ document }) => documents.get(document)?.content.successor)
  const successors = [...new Set(dead)].flatMap((id) => {
    const head = id == null ? undefined : documents.get(id)?.content
    return head === undefined ? [] : [{ text: `《${head.title}》`, href: links.document(head.id) }]
  })
  const text = `这条答复的依据${VALIDITY_NAMES[validity]}，不能再照此办理。`
  return { text: successors.length === 0 ? text : `${text}现在的规定请看：`, links: successors }
}

/** Documents cited, each once, with its clauses in the order they are cited. */
export function basisLines(basis: readonly Basis[], links: Links): page.Basis[] {
  const lines = new Map<string, page.Basis>()
  for (const { document, number, title, clause, validity } of basis) {
    const line = lines.get(document) ?? {
      title: `《${title}》`,
      number,
      href: links.document(document),
      clauses: [],
      validity: validity === 'current' ? null : badge(validity)
    }
    lines.set(document, line)
    if (clause !== null) line.clauses.push({ text: clause, href: links.document(document, clause) })
  }
  return [...lines.values()]
}

export function unitOf({ content }: Item<Unit>): page.Contact {
  return contact(content)
}

export function versionLabel(version: number): string {
  return `第 ${version} 版`
}
