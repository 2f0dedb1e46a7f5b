import type { Item, Library } from '../content/library.ts'
import type { ContentOf, Unit } from '../content/kinds.ts'
import { isInForce, type Validity, validityOn } from '../content/validity.ts'
import { plainText } from '../documents/passages.ts'
import { MODEL_VERSION, THRESHOLDS } from '../matching/confidence.ts'
import { decide, type Decision } from '../matching/decide.ts'
import { highlight, type Range } from '../matching/highlight.ts'
import { type Candidate, type Match, match, type MatchNeeds } from '../matching/match.ts'
import { maskPersonalData, withoutMarks } from './mask.ts'
import { QueryLog } from './query-log.ts'

export interface UnitRef {
  id: string
  name: string
}

export interface Basis {
  document: string
  number: string | null
  title: string
  clause: string | null
  validity: Validity
}

export interface Hit {
  id: string
  kind: 'qa' | 'document'
  title: string
  text: string
  highlights: Range[]
  unit: UnitRef | null
  version: number
  updatedOn: string
  validity: Validity
  basis: Basis[]
  confidence: number
  why: string[]
  passage: { anchor: string; clause: string | null } | null
  /** Sample data: said wherever the hit is shown. */
  sample: boolean
  /** The document that replaces what is no longer in force, when there is one. */
  successor: { document: string; title: string } | null
}

export interface Guidance {
  unit: UnitRef
  reason: string
  phone: string | null
  address: string | null
  hours: string | null
}

export interface Answer {
  queryId: string | null
  decision: Decision
  confidence: number
  hits: Hit[]
  guidance: Guidance | null
  degraded: boolean
  tookMs: number
}

export interface AskNeeds extends MatchNeeds {
  library: Library
  queryLog: Pick<QueryLog, 'add'>
  now: () => Date
  today: () => string
}

export interface AskOptions {
  question: string
  zone: string | null
  /** Most hits returned. */
  limit: number
  /** As one types: the same answer, nothing logged. */
  live: boolean
}

/** Answers from the bank and the disclosure documents when sure, offers a choice when not, else names the unit that must answer (R26–R29). */
export async function ask(needs: AskNeeds, { question, zone, limit, live }: AskOptions): Promise<Answer> {
  const started = performance.now()
  // A phone number must not weigh in an answer, and the logged question must give the same answer when asked again.
  const masked = maskPersonalData(question)
  const found = await match(needs, withoutMarks(masked))
  const today = needs.today()
  const hits: { hit: Hit; candidate: Candidate }[] = []
  for (const candidate of found.candidates.slice(0, Math.max(limit, 2))) {
    const hit = await lookUp(needs.library, candidate, found, today)
    if (hit !== null) hits.push({ hit, candidate })
  }
  const { decision, offered } = decide(
    hits.map(({ hit, candidate }) => ({
      kind: hit.kind,
      confidence: hit.confidence,
      validity: hit.validity,
      placeConflict: candidate.features.placeConflict === 1
    }))
  )
  const shown = hits.slice(
    0,
    decision === 'choose' ? Math.min(offered, Math.max(limit, 2)) : decision === 'escalate' ? 0 : limit
  )
  const answer: Answer = {
    queryId: live ? null : QueryLog.newId(),
    decision,
    confidence: hits[0]?.hit.confidence ?? 0,
    hits: shown.map(({ hit }) => hit),
    guidance: decision === 'escalate' ? await guide(needs.library, found) : null,
    degraded: false,
    tookMs: 0
  }
  answer.tookMs = Math.round((performance.now() - started) * 100) / 100
  if (answer.queryId !== null) {
    needs.queryLog.add({
      id: answer.queryId,
      asked_at: needs.now().toISOString(),
      zone,
      text: masked,
      decision,
      confidence: answer.confidence,
      evidence: evidence(hits),
      degraded: 0,
      took_ms: answer.tookMs
    })
  }
  return answer
}

/** What a decision rested on, for `admin explain` (R26: every consultation stores the search, the candidates and the score). */
export interface Evidence {
  model: string
  thresholds: typeof THRESHOLDS
  candidates: { key: string; version: number; score: number; confidence: number; features: Candidate['features'] }[]
}

function evidence(hits: readonly { hit: Hit; candidate: Candidate }[]): string {
  const stored: Evidence = {
    model: MODEL_VERSION,
    thresholds: THRESHOLDS,
    candidates: hits.slice(0, 5).map(({ hit, candidate }) => ({
      key: candidate.hit.key,
      version: hit.version,
      score: round(candidate.score),
      confidence: round(candidate.confidence),
      features: Object.fromEntries(
        Object.entries(candidate.features).map(([name, value]) => [name, round(value)])
      ) as unknown as Candidate['features']
    }))
  }
  return JSON.stringify(stored)
}

const round = (value: number) => Math.round(value * 1000) / 1000

async function lookUp(library: Library, candidate: Candidate, found: Match, today: string): Promise<Hit | null> {
  const { kind, id, anchor } = candidate.hit
  const item = await library.get(kind, id)
  if (item === null || item.retired) return null
  if (kind === 'qa') return await qaHit(library, item as Item<ContentOf['qa']>, candidate, found, today)
  return await documentHit(library, item as Item<ContentOf['document']>, anchor, candidate, found, today)
}

async function qaHit(
  library: Library,
  { content, version, changedOn, sample }: Item<ContentOf['qa']>,
  candidate: Candidate,
  found: Match,
  today: string
): Promise<Hit> {
  const basis = await basisOf(library, content.basis, today)
  const dead = basis.find(({ validity }) => !isInForce(validity))
  return {
    id: content.id,
    kind: 'qa',
    title: content.question,
    text: content.answer,
    highlights: highlight(content.answer, found.words),
    unit: await unitRef(library, content.unit),
    version,
    updatedOn: changedOn,
    validity: worstOf(validityOn({ status: 'current', ...content }, today), basis),
    basis,
    confidence: candidate.confidence,
    why: why(candidate, content.question, found),
    passage: null,
    sample,
    successor: dead === undefined ? null : await successorOf(library, dead.document)
  }
}

async function documentHit(
  library: Library,
  item: Item<ContentOf['document']>,
  anchor: string | null,
  candidate: Candidate,
  found: Match,
  today: string
): Promise<Hit | null> {
  const { content, version, changedOn, sample } = item
  const passage = library.passages(item).find((passage) => passage.anchor === anchor)
  if (passage === undefined) return null
  const text = plainText(passage.text)
  const validity = validityOn(content, today)
  const { clause } = passage
  return {
    id: content.id,
    kind: 'document',
    title: content.title,
    text,
    highlights: highlight(text, found.words),
    unit: content.issuers[0] === undefined ? null : await unitRef(library, content.issuers[0]),
    version,
    updatedOn: changedOn,
    validity,
    basis: [{ document: content.id, number: content.number, title: content.title, clause, validity }],
    confidence: candidate.confidence,
    why: why(candidate, content.title, found),
    passage: { anchor: passage.anchor, clause },
    sample,
    successor: content.successor === null ? null : await successorOf(library, content.id)
  }
}

/** The documents an entry rests on, as they stand today; one the bank does not hold is left out. */
export async function basisOf(library: Library, basis: ContentOf['qa']['basis'], today: string): Promise<Basis[]> {
  if (basis.length === 0) return []
  const documents = await library.documents()
  return basis.flatMap(({ document, clause }) => {
    const head = documents.get(document)?.content
    if (head === undefined) return []
    return [{ document, number: head.number, title: head.title, clause, validity: validityOn(head, today) }]
  })
}

async function successorOf(library: Library, document: string): Promise<Hit['successor']> {
  const documents = await library.documents()
  const successor = documents.get(document)?.content.successor ?? null
  const head = successor === null ? undefined : documents.get(successor)?.content
  return head === undefined ? null : { document: head.id, title: head.title }
}

/** An entry is as dead as the worst of what it rests on. */
export function worstOf(own: Validity, basis: readonly Basis[]): Validity {
  if (!isInForce(own)) return own
  return basis.find(({ validity }) => !isInForce(validity))?.validity ?? own
}

async function unitRef(library: Library, id: string): Promise<UnitRef | null> {
  const unit = (await library.all('unit')).get(id)
  return unit === undefined ? null : { id, name: unit.content.name }
}

function why({ features }: Candidate, title: string, found: Match): string[] {
  const shared = [...new Set(found.words)].filter((word) => word.length > 1 && title.includes(word))
  const reasons: string[] = []
  if (shared.length > 0)
    reasons.push(
      `都说到${shared
        .slice(0, 4)
        .map((word) => `「${word}」`)
        .join('')}`
    )
  reasons.push(`您问的内容，这里说到了约${Math.round(features.coverage * 100)}%`)
  if (features.placeConflict === 1) reasons.push('您问的地方和这里说的地方可能不同')
  if (features.yearConflict === 1) reasons.push('您问的年份这里没有提到')
  return reasons
}

/** How many of the nearest candidates speak for a unit. */
const VOTERS = 10

/** The unit that most likely answers: by its duties in the question's own words, else by who owns the nearest entries. */
async function guide(library: Library, found: Match): Promise<Guidance | null> {
  const units = await library.all('unit')
  if (units.size === 0) return null
  const elsewhere = found.question.elsewhere ? found.question.places.map(({ name }) => name).join('、') : null
  const owner = byDuty(units, found) ?? (await byNearest(library, found))
  const unit = owner === null ? undefined : units.get(owner)?.content
  const fallback = [...units.values()].find(({ content }) => content.kind === '政府办')?.content
  const to = unit ?? fallback
  if (to === undefined) return null
  const reason =
    elsewhere !== null
      ? `您问的可能是${elsewhere}的规定，本区不能代答；和本区有关的部分可以问这个单位`
      : unit === undefined
        ? '问答库里没有把握的答案，请由区政府办公室转有关单位答复'
        : `这类事项一般由${to.name}负责`
  return { unit: { id: to.id, name: to.name }, reason, phone: to.phone, address: to.address, hours: to.hours }
}

/** A duty speaks for its unit when it shares at least two of the question's words, or one that is as long as two. */
const ENOUGH_SHARED = 4

function byDuty(units: ReadonlyMap<string, Item<Unit>>, { text, words }: Match): string | null {
  const asked = [...new Set(words)].filter((word) => word.length > 1)
  let best: string | null = null
  let most = ENOUGH_SHARED - 1
  for (const { content } of units.values()) {
    if ([content.name, ...content.aliases].some((name) => name.length > 2 && text.includes(name))) return content.id
    for (const duty of content.duties) {
      let shared = 0
      for (const word of asked) if (duty.includes(word)) shared += word.length
      if (shared > most) {
        most = shared
        best = content.id
      }
    }
  }
  return best
}

async function byNearest(library: Library, { candidates }: Match): Promise<string | null> {
  const votes = new Map<string, number>()
  for (const { hit, confidence } of candidates.slice(0, VOTERS)) {
    const item = await library.get(hit.kind, hit.id)
    if (item === null) continue
    const content = item.content as ContentOf['qa'] | ContentOf['document']
    const unit = 'unit' in content ? content.unit : content.issuers[0]
    if (unit !== undefined) votes.set(unit, (votes.get(unit) ?? 0) + confidence)
  }
  const [best] = [...votes].sort((a, b) => b[1] - a[1])
  return best?.[0] ?? null
}
