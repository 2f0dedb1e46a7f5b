import { type NotOurs, notOurs } from '../matching/duty.ts'
import type { Match } from '../matching/match.ts'
import { type LikelyUnit, openRouter, type Router, type UnitText } from '../matching/routing.ts'
import type { Library } from '../content/library.ts'
import type { Segmenter } from '../text/segment.ts'
import type { UnitRef } from './ask.ts'

/** Whom to ask when the bank has no answer (R27, R29). */
export interface Guidance {
  unit: UnitRef
  reason: string
  phone: string | null
  address: string | null
  hours: string | null
  /** The likely units, the first among them; at most three. */
  likely: (UnitRef & { probability: number })[]
}

interface Needs {
  library: Library
  segmenter: Segmenter
}

const LIKELY = 3
/** Below this the first is a guess among many: the office is named, which passes the question on. */
const ENOUGH = 0.15

/** Units that may have to answer, likeliest first: the one named, then those whose matter it is. */
export async function likelyUnits(
  needs: Needs,
  { text, words }: { text: string; words: readonly string[] }
): Promise<LikelyUnit[]> {
  const units = await needs.library.all('unit')
  const named = [...units.values()].find(({ content: { name, aliases } }) =>
    [name, ...aliases].some((one) => one.length > 2 && text.includes(one))
  )
  const router = await routerOf(needs)
  const routed = router.likely({ text, words }, LIKELY)
  if (named === undefined) return routed
  const { id } = named.content
  return [{ unit: id, probability: 1 }, ...routed.filter(({ unit }) => unit !== id).slice(0, LIKELY - 1)]
}

/** The unit that most likely answers: the one named, else the one whose matter it is. */
export async function guide(needs: Needs, { question: { text, ...question }, words }: Match): Promise<Guidance | null> {
  const units = await needs.library.all('unit')
  if (units.size === 0) return null
  const nameOf = (id: string) => units.get(id)?.content.name ?? id
  const notOurOwn = notOurs({ ...question, text })
  const likely = await likelyUnits(needs, { text, words })
  const [first] = likely
  const isKnown = first !== undefined && first.probability >= ENOUGH
  const unit = isKnown ? units.get(first.unit)?.content : undefined
  const to = unit ?? [...units.values()].find(({ content }) => content.kind === '政府办')?.content
  if (to === undefined) return null
  const reason =
    notOurOwn !== null
      ? reasonOf(notOurOwn)
      : unit === undefined
        ? '问答库里没有把握的答案，请由区政府办公室转有关单位答复'
        : `这类事项一般由${to.name}负责`
  return {
    unit: { id: to.id, name: to.name },
    reason,
    phone: to.phone,
    address: to.address,
    hours: to.hours,
    likely: likely.map((one) => ({
      id: one.unit,
      name: nameOf(one.unit),
      probability: Math.round(one.probability * 1000) / 1000
    }))
  }
}

function reasonOf(notOurs: NotOurs): string {
  const ours = '和本区有关的部分可以问这个单位'
  switch (notOurs.kind) {
    case 'elsewhere':
      return `您问的可能是${notOurs.places}的规定，本区不能代答，请问当地的12345；${ours}`
    case 'other':
      return `这类事情一般不由区里决定，请问${notOurs.who}；${ours}`
    case 'no policy':
      return '这里只答复本区的政策和办事问题；确有要办的事，可以问这个单位'
  }
}

const routers = new WeakMap<object, { units: object; router: Promise<Router> }>()

/** Learnt from the content as it stands, when first asked for after a change. */
async function routerOf(needs: Needs): Promise<Router> {
  const questions = await needs.library.questions()
  const units = await needs.library.all('unit')
  const known = routers.get(questions)
  if (known !== undefined && known.units === units) return await known.router
  const router = routerTexts(needs).then(openRouter)
  routers.set(questions, { units, router })
  router.catch(() => routers.delete(questions))
  return await router
}

/** What is known of each unit: name, duties, the questions it owns, the documents it issued. */
export async function routerTexts({ library, segmenter }: Needs): Promise<UnitText[]> {
  const texts: { unit: string; text: string }[] = []
  for (const { content } of (await library.all('unit')).values()) {
    for (const text of [content.name, ...content.aliases, ...content.duties]) texts.push({ unit: content.id, text })
  }
  for (const { unit, question } of await library.questions()) texts.push({ unit, text: question })
  for (const { content } of (await library.documents()).values()) {
    for (const unit of content.issuers.slice(0, 1)) texts.push({ unit, text: content.title })
  }
  return texts.map(({ unit, text }) => ({ unit, ...segmenter.tokens(text) }))
}
