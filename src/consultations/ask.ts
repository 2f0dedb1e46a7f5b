import type { Item, Library } from '../content/library.ts'
import type { ContentOf, Unit } from '../content/kinds.ts'
import { isInForce, type Validity, validityOn } from '../content/validity.ts'
import { type Passage, plainText } from '../documents/passages.ts'
import { MODEL_VERSION, THRESHOLDS, type Thresholds } from '../matching/confidence.ts'
import { decide, type Decision, isWithheld, type Judged } from '../matching/decide.ts'
import { AT, FEATURE_NAMES } from '../matching/features.ts'
import { notOurs } from '../matching/duty.ts'
import { answerSentence, highlight, type Range } from '../matching/highlight.ts'
import { type Candidate, type Match, match, type MatchNeeds } from '../matching/match.ts'
import { fold } from '../text/normalise.ts'
import { type Guidance, guide } from './guidance.ts'
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
  /** Those staff's confirmations have set, else the shipped ones. */
  thresholds?: () => Thresholds
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
  const sources = await sourcesOf(needs.library)
  const known: Known[] = []
  for (const candidate of found.candidates.slice(0, Math.max(limit, 2))) {
    const one = await lookUp(needs.library, candidate, sources, today)
    if (one !== null) known.push(one)
  }
  const thresholds = needs.thresholds?.() ?? THRESHOLDS
  const decided = decide(known, thresholds)
  const { offered } = decided
  // Who asks for a poem is not helped by a choice of what shares a word with it.
  const isChoiceIdle = decided.decision === 'choose' && notOurs(found.question)?.kind === 'no policy'
  const decision = isChoiceIdle ? 'escalate' : decided.decision
  const most = decision === 'choose' ? Math.min(offered, Math.max(limit, 2)) : decision === 'escalate' ? 0 : limit
  const answer: Answer = {
    queryId: live ? null : QueryLog.newId(),
    decision,
    confidence: known[0]?.confidence ?? 0,
    hits: heirsFirst(known.slice(0, most), sources).map((one) => hitOf(one, sources, found)),
    guidance: decision === 'escalate' ? await guide(needs, found) : null,
    degraded: found.degraded,
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
      evidence: evidence(known, thresholds, found.isSemantic),
      degraded: found.degraded ? 1 : 0,
      took_ms: answer.tookMs
    })
  }
  return answer
}

/** What a decision rested on, for `admin explain` (R26: every consultation stores the search, the candidates and the score). */
export interface Evidence {
  model: string
  thresholds: Thresholds
  /** Nearness in meaning took part: other weights, other confidence. */
  semantic: boolean
  /** The first was no instant answer however sure: not in force, past its review, or another place's. */
  withheld: boolean
  candidates: {
    key: string
    version: number
    score: number
    confidence: number
    /** By name; those that are 0 left out. */
    features: Partial<Record<string, number>>
  }[]
}

function evidence(known: readonly Known[], thresholds: Thresholds, semantic: boolean): string {
  const stored: Evidence = {
    model: MODEL_VERSION,
    thresholds,
    semantic,
    withheld: known[0] !== undefined && isWithheld(known[0]),
    candidates: known.slice(0, 5).map(({ candidate, item }) => ({
      key: candidate.hit.key,
      version: item.version,
      score: round(candidate.score),
      confidence: round(candidate.confidence),
      features: Object.fromEntries(
        FEATURE_NAMES.map((name, at) => [name, round(candidate.features[at] as number)] as const).filter(
          ([, value]) => value !== 0
        )
      )
    }))
  }
  return JSON.stringify(stored)
}

const round = (value: number) => Math.round(value * 1000) / 1000

/** What every hit is joined with, taken once a question. */
interface Sources {
  documents: Awaited<ReturnType<Library['documents']>>
  units: ReadonlyMap<string, Item<Unit>>
}

async function sourcesOf(library: Library): Promise<Sources> {
  return { documents: await library.documents(), units: await library.all('unit') }
}

/** A candidate whose record was found, with what the decision needs. */
type Known = Judged & { candidate: Candidate; basis: Basis[] } & (
    | { item: Item<ContentOf['qa']>; passage: null }
    | { item: Item<ContentOf['document']>; passage: Passage }
  )

async function lookUp(library: Library, candidate: Candidate, sources: Sources, today: string): Promise<Known | null> {
  const { kind, id, anchor } = candidate.hit
  const { confidence } = candidate
  const placeConflict = candidate.features[AT.placeConflict] === 1
  if (kind === 'qa') {
    const item = await library.get('qa', id)
    if (item === null || item.retired) return null
    const basis = basisIn(sources.documents, item.content.basis, today)
    const validity = worstOf(validityOn({ status: 'current', ...item.content }, today), basis)
    const isOverdue = item.content.reviewBy !== null && item.content.reviewBy <= today
    return { kind, candidate, item, passage: null, basis, validity, confidence, isOverdue, placeConflict }
  }
  const item = await library.get('document', id)
  if (item === null || item.retired) return null
  const passage = library.passages(item).find((one) => one.anchor === anchor)
  if (passage === undefined) return null
  const { number, title } = item.content
  const validity = validityOn(item.content, today)
  const basis = [{ document: id, number, title, clause: passage.clause, validity }]
  return { kind, candidate, item, passage, basis, validity, confidence, isOverdue: false, placeConflict }
}

/** When the nearest rests on a rule that is no longer in force, what rests on the rule that replaced it is shown before it. */
function heirsFirst(known: readonly Known[], { documents }: Sources): readonly Known[] {
  const dead = known[0]?.basis.filter(({ validity }) => validity === 'repealed' || validity === 'expired') ?? []
  const successors = new Set(dead.map(({ document }) => documents.get(document)?.content.successor))
  const isHeir = ({ basis, validity }: Known) =>
    isInForce(validity) && basis.some(({ document }) => successors.has(document))
  return [...known.filter(isHeir), ...known.filter((one) => !isHeir(one))]
}

function hitOf(known: Known, { documents, units }: Sources, found: Match): Hit {
  const { candidate, basis, validity, confidence } = known
  const { version, changedOn: updatedOn, sample } = known.item
  const unitRef = (id: string | undefined): UnitRef | null => {
    const unit = id === undefined ? undefined : units.get(id)
    return unit === undefined ? null : { id: unit.content.id, name: unit.content.name }
  }
  const shared = { id: known.item.content.id, version, updatedOn, validity, basis, confidence, sample }
  if (known.passage === null) {
    const { content } = known.item
    const dead = basis.find((one) => !isInForce(one.validity))
    return {
      ...shared,
      kind: 'qa',
      title: content.question,
      text: content.answer,
      highlights: highlight(content.answer, found.words, foldedOnce(known.item, content.answer)),
      unit: unitRef(content.unit),
      why: why(candidate, content.question, found),
      passage: null,
      successor: dead === undefined ? null : successorIn(documents, dead.document)
    }
  }
  const { content } = known.item
  const { anchor, clause } = known.passage
  const text = plainText(known.passage.text)
  return {
    ...shared,
    kind: 'document',
    title: content.title,
    text,
    highlights: answerSentence(text, found.question.text) ?? highlight(text, found.words),
    unit: unitRef(content.issuers[0]),
    why: why(candidate, content.title, found),
    passage: { anchor, clause },
    successor: successorIn(documents, content.id)
  }
}

const folded = new WeakMap<object, string>()

/** An entry's answer is folded once, however often it is shown. */
function foldedOnce(item: object, text: string): string {
  const known = folded.get(item) ?? fold(text)
  folded.set(item, known)
  return known
}

/** The documents an entry rests on, as they stand today; one the bank does not hold is left out. */
export async function basisOf(library: Library, basis: ContentOf['qa']['basis'], today: string): Promise<Basis[]> {
  return basisIn(await library.documents(), basis, today)
}

function basisIn(documents: Sources['documents'], basis: ContentOf['qa']['basis'], today: string): Basis[] {
  return basis.flatMap(({ document, clause }) => {
    const head = documents.get(document)?.content
    if (head === undefined) return []
    return [{ document, number: head.number, title: head.title, clause, validity: validityOn(head, today) }]
  })
}

function successorIn(documents: Sources['documents'], document: string): Hit['successor'] {
  const successor = documents.get(document)?.content.successor ?? null
  const head = successor === null ? undefined : documents.get(successor)?.content
  return head === undefined ? null : { document: head.id, title: head.title }
}

/** An entry is as dead as the worst of what it rests on. */
export function worstOf(own: Validity, basis: readonly Basis[]): Validity {
  if (!isInForce(own)) return own
  return basis.find(({ validity }) => !isInForce(validity))?.validity ?? own
}

/** Nearness in meaning from which it is worth telling (e5: unrelated texts stand at 0.75–0.82). */
const NEAR_IN_MEANING = 0.9

function why({ features }: Candidate, title: string, found: Match): string[] {
  const shared = [...new Set(found.words)].filter((word) => word.length > 1 && title.includes(word))
  const reasons: string[] = []
  const at = (name: keyof typeof AT) => features[AT[name]] as number
  if (shared.length > 0)
    reasons.push(
      `都说到${shared
        .slice(0, 4)
        .map((word) => `「${word}」`)
        .join('')}`
    )
  reasons.push(`您问的内容，这里说到了约${Math.round(at('covCharsQa') * 100)}%`)
  if (at('aspectAgree') === 1) reasons.push('问的是同一个方面')
  if (at('meaningQ') >= NEAR_IN_MEANING) reasons.push('和库里的问法意思相近')
  if (at('documentNumber') === 1) reasons.push('您写的文号就是这份文件')
  if (at('placeConflict') === 1) reasons.push('您问的地方和这里说的地方可能不同')
  if (at('yearConflict') === 1) reasons.push('您问的年份这里没有提到')
  if (at('aspectConflict') === 1 || at('aspectMissing') === 1) reasons.push('您问的方面这里可能没有写')
  return reasons
}
