import { basisLines } from '../../bank/pages.ts'
import { validityOn } from '../../content/validity.ts'
import { plainText } from '../../documents/passages.ts'
import type { Parts } from '../../parts.ts'
import { badge, linksOf } from '../../views/models.ts'
import type { Badge } from '../../views/views.ts'
import { ask, basisOf, worstOf } from '../ask.ts'
import { LONGEST_QUESTION } from '../limits.ts'
import type { Ticket, TicketBasis } from '../ticket.ts'
import { basisIn, basisValue, LONGEST_ANSWER, type Typed } from './form.ts'

/** A bank entry or a document's passage near the question. */
export interface Near {
  /** `qa/ID` or `document/ID#ANCHOR`. */
  key: string
  label: string
  title: string
  href: string
  validity: Badge
  paragraphs: string[]
  basis: string
  open: boolean
  /** Nothing is cited where it rests on nothing. */
  citable: boolean
}

/** Candidates beside a draft; each is read, not skimmed. */
const MOST_NEAR = 6

/** Puts a candidate's text or basis into what is being written; nothing is stored, and nothing typed is lost. */
export async function prefill(parts: Parts, typed: Typed): Promise<{ typed: Typed; info: string }> {
  const key = typed.copy === '' ? typed.use : typed.copy
  const found = await readKey(parts, key)
  if (found === null) return { typed, info: '这一条已经撤下，没有抄入。' }
  const cited = found.basis.filter(({ document }) => document !== null).map(basisValue)
  const basis = [...new Set([...typed.basis, ...cited])]
  if (typed.copy === '') return { typed: { ...typed, basis }, info: '已选为依据，还没有保存。' }
  const text = [typed.text.trimEnd(), found.text].filter((part) => part !== '').join('\n\n')
  return { typed: { ...typed, basis, text }, info: '已抄入草稿，依据也选好了。请改成对这件咨询的答复，再保存或送审。' }
}

export async function draftForm(
  { library, today }: Parts,
  ticket: Ticket,
  near: readonly Found[],
  typed: Typed | null
) {
  const stored = ticket.draft
  const standing = typed === null ? (stored?.basis ?? []) : basisIn(typed)
  const chosen = standing.filter(({ document }) => document !== null)
  const checked = new Set(chosen.map(basisValue))
  const offered = [...chosen, ...near.flatMap(({ cites }) => cites)]
  const options = new Map(offered.map((one) => [basisValue(one), one]))
  const documents = await library.documents()
  const lines = new Map<
    string,
    { title: string; href: string; clauses: { value: string; text: string; checked: boolean }[] }
  >()
  for (const [value, { document, clause }] of options) {
    const content = documents.get(document ?? '')?.content
    if (content === undefined) continue
    const validity = validityOn(content, today())
    const note = validity === 'current' ? '' : `（${badge(validity).text}）`
    const line = lines.get(content.id) ?? {
      title: `《${content.title}》${content.number ?? ''}${note}`,
      href: linksOf(null).document(content.id),
      clauses: []
    }
    lines.set(content.id, line)
    line.clauses.push({ value, text: clause ?? '全文', checked: checked.has(value) })
  }
  const text = typed?.text ?? stored?.text ?? ''
  return {
    text,
    longest: String(LONGEST_ANSWER),
    basis: [...lines.values()],
    titles:
      typed?.titles ??
      standing
        .filter(({ document }) => document === null)
        .map(({ title }) => title ?? '')
        .join('\n'),
    stored:
      typed === null || stored === null || stored.text === typed.text.replace(/\r\n?/g, '\n').trim()
        ? null
        : stored.text
  }
}

/** A candidate with what a draft takes from it. */
type Found = Near & { cites: TicketBasis[] }

/** What the search found when the consultation was registered, then what it finds now; each once. */
export async function nearTo(parts: Parts, ticket: Ticket): Promise<Found[]> {
  const answer = await ask(parts, {
    question: ticket.question.slice(0, LONGEST_QUESTION),
    zone: ticket.zone,
    limit: MOST_NEAR,
    live: true
  })
  const now = answer.hits.map(({ kind, id, passage }) =>
    passage === null ? `${kind}/${id}` : `${kind}/${id}#${passage.anchor}`
  )
  const keys = [...new Set([...ticket.search.candidates.map(({ key }) => key), ...now])]
  const found: Found[] = []
  for (const key of keys) {
    if (found.length >= MOST_NEAR) break
    const one = await readKey(parts, key)
    if (one === null) continue
    found.push({
      key,
      label: one.label,
      title: one.title,
      href: one.href,
      validity: one.validity,
      paragraphs: one.text.split('\n').filter((line) => line.trim() !== ''),
      basis: one.basisText,
      open: found.length === 0,
      citable: one.basis.length > 0,
      cites: one.basis
    })
  }
  return found
}

/** What a candidate's key stands for; null where it is no longer there. */
async function readKey({ library, today }: Parts, key: string) {
  const [, kind, id = '', anchor = null] = /^(qa|document)\/([^#]+)(?:#(.+))?$/.exec(key) ?? []
  const links = linksOf(null)
  if (kind === 'qa') {
    const item = await library.get('qa', id)
    if (item === null || item.retired) return null
    const { content } = item
    const basis = await basisOf(library, content.basis, today())
    const materials = content.materials.length === 0 ? '' : `\n需要带：${content.materials.join('、')}。`
    return {
      label: '政策问答',
      title: content.question,
      href: links.qa(id),
      validity: badge(worstOf(validityOn({ status: 'current', ...content }, today()), basis)),
      text: `${content.answer}${materials}`,
      basis: basis.map(({ document, clause }) => ({ document, title: null, clause })),
      basisText: basisLines(basis, links)
        .map(({ title, number, clauses }) => `${title}${number ?? ''} ${clauses.map((one) => one.text).join('、')}`)
        .join('；')
    }
  }
  if (kind !== 'document') return null
  const item = await library.get('document', id)
  if (item === null || item.retired) return null
  const passages = library.passages(item)
  const passage = passages.find((one) => one.anchor === anchor) ?? passages[0]
  const { content } = item
  const clause = passage?.clause ?? null
  const text = plainText(passage?.text ?? content.summary ?? content.title)
  return {
    label: '公开文件',
    title: `《${content.title}》 ${clause ?? ''}`,
    href: links.document(id, anchor),
    validity: badge(validityOn(content, today())),
    text,
    basis: [{ document: id, title: null, clause }],
    basisText: `《${content.title}》${content.number ?? ''} ${clause ?? ''}`
  }
}
