import { versionLabel } from '../../bank/pages.ts'
import type { Parts } from '../../parts.ts'
import { badge } from '../../views/models.ts'
import { dayLabel } from '../../views/text.ts'
import type { Badge, Link } from '../../views/views.ts'
import { ask, type Hit } from '../ask.ts'
import { HITS, problemWith } from '../routes.ts'

/** A bank entry as the desk reads it aloud. */
export interface DeskHit {
  /** 1 to 5: its key. */
  place: string
  id: string
  title: string
  confidence: Badge
  paragraphs: string[]
  basis: string
  validity: Badge
  unit: string
  record: string
  href: string
}

/** What was found for a question; hits may be registered, documents are for reading. */
export interface Found {
  hits: DeskHit[]
  documents: (Link & { text: string; detail: string })[]
  /** Why nothing is offered, and whom to ask. */
  nothing: string | null
  sure: boolean
}

export const BLANK: DeskHit = {
  place: '',
  id: '',
  title: '',
  confidence: { code: '', text: '' },
  paragraphs: [''],
  basis: '',
  validity: { code: '', text: '' },
  unit: '',
  record: '',
  href: ''
}

export const NOTHING_FOUND: Found = { hits: [], documents: [], nothing: null, sure: false }

/** What the bank offers, nothing logged: the search a registration rests on is logged with it. */
export async function find(parts: Parts, question: string, zone: string | null): Promise<Found> {
  if (question === '') return NOTHING_FOUND
  const problem = problemWith(question)
  if (problem !== null) return { ...NOTHING_FOUND, nothing: problem.message }
  const { decision, hits, guidance } = await ask(parts, { question, zone, limit: HITS, live: true })
  const entries = hits.filter(({ kind }) => kind === 'qa')
  return {
    hits: entries.map((hit, at) => deskHit(parts, hit, at)),
    documents: hits
      .filter(({ kind }) => kind === 'document')
      .map(({ id, title, text: passage, passage: at }) => ({
        text: `《${title}》${at?.clause ?? ''}`,
        href: `/documents/${encodeURIComponent(id)}${at === null ? '' : `?${new URLSearchParams({ at: at.anchor })}`}`,
        detail: passage.slice(0, 120)
      })),
    nothing:
      entries.length > 0
        ? null
        : guidance === null
          ? '问答库里没有可以直接登记的答复，请登记交办。'
          : `问答库里没有有把握的答复。${guidance.reason}。`,
    sure: decision === 'answer' && hits[0]?.kind === 'qa'
  }
}

function deskHit(parts: Parts, hit: Hit, at: number): DeskHit {
  const { answer, choose } = parts.thresholds()
  const confidence =
    hit.confidence >= answer
      ? { code: 'sure', text: '有把握' }
      : hit.confidence >= choose
        ? { code: 'maybe', text: '可能' }
        : { code: 'hardly', text: '不太像' }
  return {
    place: String(at + 1),
    id: hit.id,
    title: hit.title,
    confidence,
    paragraphs: hit.text.split('\n').filter((line) => line.trim() !== ''),
    basis: basisText(hit.basis),
    validity: badge(hit.validity),
    unit: hit.unit?.name ?? '',
    record: `${hit.id}，${versionLabel(hit.version)}，${dayLabel(hit.updatedOn)}更新`,
    href: `/qa/${encodeURIComponent(hit.id)}`
  }
}

/** Documents cited, each once, with its clauses. */
function basisText(basis: Hit['basis']): string {
  const cited = new Map<string, string[]>()
  for (const { title, number, clause } of basis) {
    const name = `《${title}》${number === null ? '' : `（${number}）`}`
    cited.set(name, [...(cited.get(name) ?? []), ...(clause === null ? [] : [clause])])
  }
  return [...cited].map(([name, clauses]) => `${name}${clauses.join('、')}`).join('；')
}
