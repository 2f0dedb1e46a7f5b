import { randomUUID } from 'node:crypto'
import createError from '@fastify/error'
import type { Transaction } from 'kysely'
import { NotAllowed } from '../accounts/errors.ts'
import type { FieldKey } from '../accounts/field-key.ts'
import { type Actor, covers, mayOn, ROLE_NAMES, scopeOf, whoMay } from '../accounts/roles.ts'
import { readStored } from '../consultations/contacts.ts'
import { NotNow, Stale } from '../consultations/errors.ts'
import { append } from '../consultations/events.ts'
import { hasPersonalData, maskPersonalData, maskPrivateNumbers, withoutMarks } from '../consultations/mask.ts'
import { chainsOf, findTicket } from '../consultations/records.ts'
import { normalOf } from '../consultations/similar.ts'
import { type State, STATE_NAMES, type Ticket } from '../consultations/ticket.ts'
import { KINDS, fieldTitle, type Qa } from '../content/kinds.ts'
import type { Library } from '../content/library.ts'
import { compare, storeWithin } from '../content/store.ts'
import type { Database } from '../database/open.ts'
import type { ProposalsTable, Schema } from '../database/schema.ts'
import type { GroupCommit } from '../database/group-commit.ts'
import { NotFound } from '../errors.ts'

/** A draft entry that may not go into the bank; names the field and the way out. */
export const BadEntry = createError<[string]>('BAD_ENTRY', '%s', 422)

interface Needs {
  db: Database
  library: Library
  writer: GroupCommit
  fieldKey: FieldKey
  now: () => Date
}

export type Reader = Database | Transaction<Schema>

/** States in which the citizen has been told, or could not be: the answer is final for now. */
const SETTLED: readonly State[] = ['ANSWERED', 'UNREACHED', 'CLOSED', 'ARCHIVED']
/** States in which the citizen knows an answer already. */
const TOLD: readonly State[] = ['ANSWERED_ON_SPOT', 'ANSWERED', 'CLOSED', 'ARCHIVED', 'WITHDRAWN']

/** Longest question and number of wordings of an entry (src/content/kinds.ts). */
const LONGEST_QUESTION = 200
const MOST_VARIANTS = 50
/** Told at once when an answer comes into the bank; more of one question would have been joined by then. */
const MOST_ASKERS = 1000

/** The proposal that waits for the leader; null when none does. */
export async function waitingProposal(db: Reader, number: string): Promise<ProposalsTable | null> {
  return (
    (await db
      .selectFrom('proposals')
      .selectAll()
      .where('number', '=', number)
      .where('state', '=', 'draft')
      .executeTakeFirst()) ?? null
  )
}

/** Whether an answer to this ticket may be offered to the bank now. */
export function isSettled({ state, draft, head }: Pick<Ticket, 'state' | 'draft' | 'head'>): boolean {
  return SETTLED.includes(state) && draft !== null && head === null
}

/**
 * The entry an answered ticket offers: its question and the wordings of those who asked the same, without personal data,
 * the answer and its basis. An answer given again changes the entry the first one made.
 */
export async function offeredEntry({ db, library }: Pick<Needs, 'db' | 'library'>, ticket: Ticket): Promise<Qa> {
  const asked = await questionsLike(db, ticket)
  const made = await library.get('qa', ticket.number)
  const documents = await library.documents()
  const basis = (ticket.draft?.basis ?? []).flatMap(({ document, clause }) =>
    document !== null && documents.has(document) ? [{ document, clause }] : []
  )
  const standing = made !== null && !made.retired ? made.content : null
  const [question = '', ...others] = distinct([...(standing === null ? [] : [standing.question]), ...asked])
  return {
    ...(standing ?? EMPTY),
    id: ticket.number,
    question,
    variants: distinct([question, ...(standing?.variants ?? []), ...others])
      .slice(1)
      .filter((wording) => wording.length <= LONGEST_QUESTION)
      .slice(0, MOST_VARIANTS),
    answer: maskPrivateNumbers(ticket.draft?.text ?? standing?.answer ?? ''),
    basis,
    unit: ticket.unit ?? '',
    audience: standing?.audience ?? [ticket.audience === 'business' ? '企业' : '群众'],
    topic: standing?.topic ?? ticket.topic
  }
}

const EMPTY: Qa = {
  id: '',
  question: '',
  variants: [],
  answer: '',
  materials: [],
  steps: [],
  fee: null,
  place: null,
  duration: null,
  basis: [],
  unit: '',
  audience: ['群众'],
  topic: null,
  effectiveOn: null,
  expiresOn: null,
  reviewBy: null
}

/** Wordings of one matter, the ticket's own first. */
async function questionsLike(db: Reader, ticket: Ticket): Promise<string[]> {
  const joined = ticket.joined.length === 0 ? [] : await questionsOf(db, ticket.joined)
  return [ticket.question, ...joined].map((question) =>
    withoutMarks(maskPersonalData(question)).replace(/\s+/g, ' ').trim()
  )
}

async function questionsOf(db: Reader, numbers: readonly string[]): Promise<string[]> {
  const rows = await db
    .selectFrom('consultations')
    .select('ticket')
    .where('number', 'in', [...numbers])
    .orderBy('number')
    .execute()
  return rows.map(({ ticket }) => (JSON.parse(ticket) as Ticket).question)
}

/** Wordings that differ in more than signs and politeness, the first of each. */
function distinct(wordings: readonly string[]): string[] {
  const seen = new Set<string>()
  return wordings.filter((wording) => {
    const normal = normalOf(wording)
    if (normal === '' || seen.has(normal)) return false
    seen.add(normal)
    return true
  })
}

/**
 * Proposes an entry to the unit's leader; a second proposal takes the first one's place.
 * @throws {BadEntry | NotFound | NotAllowed | NotNow | Stale}
 */
export async function propose(needs: Needs, actor: Actor, number: string, version: number, entry: Qa): Promise<Ticket> {
  const content = await checkEntry(needs, number, entry)
  return await needs.writer.write(async (trx) => {
    const ticket = await ownTicket(trx, actor, 'bank-propose', number, version)
    await trx.deleteFrom('proposals').where('number', '=', number).where('state', '=', 'draft').execute()
    await trx
      .insertInto('proposals')
      .values(rowOf(needs, actor, ticket, content, 'draft'))
      .execute()
    return await record(needs, trx, actor, ticket, { state: 'proposed', entry: content.id, reason: null, askers: [] })
  })
}

/**
 * Takes an entry into the bank, as the leader leaves it: entry, proposal, event and what earlier askers are told, all or
 * nothing. Searchable when the change feed has been followed (R4: within 2 s).
 * @param standing the entry's version the leader saw; null where there was none
 * @throws {BadEntry | NotFound | NotAllowed | NotNow | Stale | ChangedMeanwhile}
 */
export async function take(
  needs: Needs,
  actor: Actor,
  number: string,
  version: number,
  entry: Qa,
  standing: number | null
): Promise<Ticket> {
  const content = await checkEntry(needs, number, entry)
  const now = await needs.library.get('qa', content.id)
  if ((now?.version ?? null) !== standing)
    throw new BadEntry(`这条问答刚刚被别人改过，现在是第 ${now?.version ?? 0} 版。请看清楚再定。`)
  const at = needs.now().toISOString()
  return await needs.writer.write(async (trx) => {
    const ticket = await ownTicket(trx, actor, 'bank-approve', number, version)
    const incoming = [{ kind: 'qa' as const, content, source: `answers/${number}`, sample: ticket.chain === 'sample' }]
    const differences = await compare(trx, incoming, [])
    await storeWithin(trx, { incoming, differences, by: actor.username, at })
    await decide(needs, trx, actor, ticket, 'approved', null, content)
    const askers = await toldNothing(trx, ticket, content)
    return await record(needs, trx, actor, ticket, { state: 'taken', entry: content.id, reason: null, askers })
  })
}

/**
 * Leaves an answer out of the bank, and says why.
 * @throws {BadEntry | NotFound | NotAllowed | NotNow | Stale}
 */
export async function decline(
  needs: Needs,
  actor: Actor,
  number: string,
  version: number,
  given: string
): Promise<Ticket> {
  const reason = maskPersonalData(given).trim()
  if (reason === '') throw new BadEntry('不入库的理由：请写明，比如“只对这一家适用”。')
  return await needs.writer.write(async (trx) => {
    const ticket = await ownTicket(trx, actor, 'bank-approve', number, version)
    if (ticket.bank?.state === 'taken') throw new NotNow('这份答复已经入库。要撤下，请到问答库撤下那一条。')
    await decide(needs, trx, actor, ticket, 'declined', reason, null)
    return await record(needs, trx, actor, ticket, { state: 'declined', entry: null, reason, askers: [] })
  })
}

async function ownTicket(
  trx: Transaction<Schema>,
  actor: Actor,
  action: 'bank-propose' | 'bank-approve',
  number: string,
  version: number
): Promise<Ticket> {
  const ticket = await findTicket(trx, number)
  if (ticket === null || !chainsOf(actor).includes(ticket.chain) || !covers(scopeOf(actor), ticket))
    throw new NotFound('咨询', number)
  if (!mayOn(actor, action, ticket)) throw new NotAllowed(whoMay(action), ROLE_NAMES[actor.role])
  if (ticket.version !== version) throw new Stale(STATE_NAMES[ticket.state], String(ticket.version))
  if (!isSettled(ticket))
    throw new NotNow(
      ticket.head === null
        ? `这件咨询现在是“${STATE_NAMES[ticket.state]}”，答复告知咨询人以后才能入库。`
        : `这件咨询并入了 ${ticket.head}，请在那一件里办入库。`
    )
  return ticket
}

async function decide(
  needs: Needs,
  trx: Transaction<Schema>,
  actor: Actor,
  ticket: Ticket,
  state: 'approved' | 'declined',
  reason: string | null,
  content: Qa | null
): Promise<void> {
  const waiting = await waitingProposal(trx, ticket.number)
  const decision = { state, reason, decided_at: needs.now().toISOString(), decided_by: actor.username }
  if (waiting !== null) {
    const changed = content === null ? {} : { content: JSON.stringify(content) }
    await trx
      .updateTable('proposals')
      .set({ ...decision, ...changed })
      .where('id', '=', waiting.id)
      .execute()
  } else if (content !== null) {
    const row = rowOf(needs, actor, ticket, content, state)
    await trx
      .insertInto('proposals')
      .values({ ...row, ...decision })
      .execute()
  }
}

function rowOf(
  { now }: Needs,
  actor: Actor,
  { number, unit }: Ticket,
  content: Qa,
  state: ProposalsTable['state']
): ProposalsTable {
  return {
    id: randomUUID(),
    number,
    unit: unit ?? '',
    state,
    content: JSON.stringify(content),
    made_at: now().toISOString(),
    made_by: actor.username,
    decided_at: null,
    decided_by: null,
    reason: null
  }
}

/** Consultations that asked the same, to the letter or by joining, and whose citizens have been told no answer yet. */
async function toldNothing(trx: Transaction<Schema>, ticket: Ticket, { question, variants }: Qa): Promise<string[]> {
  const normals = [question, ...variants].map(normalOf).filter((normal) => normal !== '')
  const rows = await trx
    .selectFrom('consultations')
    .select('ticket')
    .where('chain', '=', ticket.chain)
    .where('number', '!=', ticket.number)
    .where((e) => e.or([e('normal', 'in', normals), e('head', '=', ticket.number)]))
    .where('state', 'not in', TOLD)
    .orderBy('number')
    .limit(MOST_ASKERS)
    .execute()
  return rows.map(({ ticket }) => JSON.parse(ticket) as Ticket).flatMap((one) => (one.hasContact ? [one.number] : []))
}

async function record(
  { now }: Needs,
  trx: Transaction<Schema>,
  { username, role }: Actor,
  ticket: Ticket,
  data: { state: 'proposed' | 'taken' | 'declined'; entry: string | null; reason: string | null; askers: string[] }
): Promise<Ticket> {
  const { chain, number } = ticket
  const by = { actor: username, role }
  return await append(trx, { chain, number, ticket }, { type: 'bank', data, by, at: now().toISOString() })
}

const NAMED_TEXTS = ['question', 'variants', 'answer', 'materials', 'steps', 'fee', 'place', 'duration'] as const

/** An entry that may stand in the bank: whole, with a basis, about nobody, and asked only once. */
async function checkEntry({ db, library, fieldKey }: Needs, number: string, entry: Qa): Promise<Qa> {
  const parsed = KINDS.qa.safeParse({ ...entry, id: number })
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new BadEntry(`${fieldTitle('qa', String(issue?.path[0] ?? ''))}：${issueText(issue)}`)
  }
  const content = parsed.data
  if (content.basis.length === 0)
    throw new BadEntry('依据：请至少选一份本区公开的文件；库里还没有的文件，请政务公开办先收进来，再入库。')
  const documents = await library.documents()
  for (const { document } of content.basis)
    if (!documents.has(document)) throw new BadEntry(`依据：库里没有编号为 ${document} 的文件，请另选。`)
  if (!(await library.all('unit')).has(content.unit))
    throw new BadEntry(`责任单位：没有编号为 ${content.unit} 的单位，可能已撤销。`)
  if (content.topic !== null && !(await library.all('topic')).has(content.topic))
    throw new BadEntry(`主题：没有编号为 ${content.topic} 的主题，请另选。`)
  await mustNameNobody(db, fieldKey, number, content)
  const normal = normalOf(content.question)
  if (normal === '') throw new BadEntry('问题：没有文字，请写成群众会问的一句话。')
  const same = (await library.questions()).find(({ id, question }) => id !== number && normalOf(question) === normal)
  if (same !== undefined)
    throw new BadEntry(
      `问题：问答库里已有同一个问题（${same.id}）。请核对那一条的答复；要改它，请政务公开办在问答库改。`
    )
  return content
}

function issueText(issue: { code?: string; message: string; maximum?: unknown } | undefined): string {
  if (issue?.code === 'too_big') return `太长了，请缩短到 ${String(issue.maximum)} 以内。`
  return /[一-鿿]/.test(issue?.message ?? '') ? `${issue?.message}。` : '填写得不对，请重写。'
}

/** A bank entry is read by everybody (R41): no phone, no number of a document, not the consultant's name. */
async function mustNameNobody(db: Reader, fieldKey: FieldKey, number: string, content: Qa): Promise<void> {
  const name = (await readStored(db as Database, fieldKey, number))?.contact?.name ?? null
  for (const field of NAMED_TEXTS) {
    const texts = [content[field]].flat().filter((text) => text !== null)
    for (const text of texts) {
      const title = fieldTitle('qa', field)
      // An office's own phone belongs in an answer; mobile, identity and card numbers never do.
      const masking = field === 'question' || field === 'variants' ? maskPersonalData : maskPrivateNumbers
      if (hasPersonalData(text, masking))
        throw new BadEntry(`${title}：里面有个人的电话、证件号或邮箱。问答库人人可看，请改写掉。`)
      if (name !== null && name.length > 1 && text.includes(name))
        throw new BadEntry(`${title}：里面有咨询人的姓名。问答库人人可看，请改写掉。`)
    }
  }
}
