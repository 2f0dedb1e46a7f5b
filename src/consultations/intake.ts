import { createHash } from 'node:crypto'
import type { FieldKey } from '../accounts/field-key.ts'
import type { Actor } from '../accounts/roles.ts'
import type { Calendar } from '../calendar/calendar.ts'
import type { Zone } from '../content/kinds.ts'
import type { Item, Library } from '../content/library.ts'
import type { Database } from '../database/open.ts'
import type { GroupCommit } from '../database/group-commit.ts'
import type { Chain, QueriesTable, Schema } from '../database/schema.ts'
import { AREAS_OF } from '../directory/areas.ts'
import type { Transaction } from 'kysely'
import { ask, type AskNeeds, type Evidence } from './ask.ts'
import { type Contact, readContact, sealContact } from './contacts.ts'
import {
  BadAction,
  ConsultationNotFound,
  EmptyQuestion,
  KeyMissing,
  KeyReused,
  NothingToSettle,
  QuestionTooLong,
  UnknownZone
} from './errors.ts'
import { append, CITIZEN, type Doer } from './events.ts'
import { likelyUnits } from './guidance.ts'
import { LONGEST_QUESTION } from './limits.ts'
import { maskPersonalData, withoutMarks } from './mask.ts'
import { newCode, nextNumber } from './numbers.ts'
import type { QueryLog } from './query-log.ts'
import { normalOf } from './similar.ts'
import { ANSWER_WITHIN, type Channel, type Due, type Search, type Ticket } from './ticket.ts'

/** Longest question a ticket takes (public contract); the bank is asked with its beginning. */
export const LONGEST_CONSULTATION = 2000

export interface IntakeNeeds extends AskNeeds {
  db: Database
  writer: GroupCommit
  fieldKey: FieldKey
  library: Library
  calendar: () => Calendar
  queryLog: QueryLog
}

/** What is asked for: a ticket for a citizen who leaves a contact, or what a clerk settled at the desk. */
export interface Intent {
  key: string | undefined
  question: string
  queryId: string | null
  zone: string
  channel: Channel
  audience: Ticket['audience']
  contact: Contact | null
  /** Bank entry the clerk answered with. */
  answeredWith: string | null
  guidedTo: string | null
  /** Null for a citizen. */
  staff: Actor | null
  /** Sample consultations are laid down by the program itself. */
  chain?: Chain
}

/** What the citizen keeps. */
export interface Registered {
  number: string
  code: string
  state: Ticket['state']
  unit: { id: string; name: string } | null
  dueOn: string | null
  dueIsProvisional: boolean
  trackUrl: string
}

/**
 * Registers a consultation (R24–R27): the search first, then number, event, projection, contact, notices and the key's answer
 * in one transaction, acknowledged when it is on the disk. The same key again gives the same answer and registers nothing.
 * @throws {KeyReused} the key stands for another request
 */
export async function register(needs: IntakeNeeds, intent: Intent): Promise<Registered> {
  const { library, writer, fieldKey } = needs
  const key = checkedKey(intent)
  const question = checkedQuestion(intent.question)
  const contact = intent.contact === null ? null : readContact(intent.contact)
  const zone = await deskZone(library, intent.zone)
  const request = hashOf(
    JSON.stringify([
      question,
      intent.zone,
      intent.channel,
      intent.audience,
      contact,
      intent.answeredWith,
      intent.guidedTo
    ])
  )
  const known = await answered(needs.db, fieldKey, key, request)
  if (known !== null) return known

  const settled = await checkSettled(library, intent)
  const masked = maskPersonalData(question)
  const search = await searched(needs, masked, zone, intent.queryId)
  const units = await library.all('unit')
  const [likely] = await likelyUnits(
    { library, segmenter: needs.segmenter },
    needs.segmenter.tokens(withoutMarks(masked))
  )
  const suggestedUnit = likely === undefined || !units.has(likely.unit) ? null : likely.unit
  const topic = await topicOf(library, search)
  const chain: Chain = intent.chain ?? 'real'
  const by: Doer = intent.staff === null ? CITIZEN : { actor: intent.staff.username, role: intent.staff.role }
  const normal = normalOf(masked)
  const now = needs.now()
  const at = now.toISOString()
  const today = needs.today()
  const due = dueOf(needs.calendar(), needs.calendar().nextWorkingDay(today))

  return await writer.write(async (trx) => {
    const stored = await answered(trx, fieldKey, key, request)
    if (stored !== null) return stored
    const number = await nextNumber(trx, chain, zone.content.id, today)
    const code = newCode()
    let ticket = await append(
      trx,
      { chain, number, ticket: null, normal },
      {
        type: 'registered',
        by,
        at,
        data: {
          zone: zone.content.id,
          channel: intent.channel,
          audience: intent.audience,
          question: masked,
          topic,
          search,
          hasContact: contact !== null,
          suggestedUnit,
          due,
          day: today
        }
      }
    )
    if (settled?.kind === 'answered') {
      const { entry, version } = settled
      ticket = await append(
        trx,
        { chain, number, ticket },
        { type: 'answered', by, at, data: { entry, version, day: today } }
      )
    } else if (settled?.kind === 'guided') {
      ticket = await append(
        trx,
        { chain, number, ticket },
        { type: 'guided', by, at, data: { unit: settled.unit, day: today } }
      )
    } else {
      const head = await sameQuestion(trx, chain, normal, number)
      if (head !== null) {
        ticket = await append(
          trx,
          { chain, number, ticket },
          {
            type: 'joined',
            by: { actor: 'system', role: 'system' },
            at,
            data: { head: head.number, unit: head.unit, automatic: true }
          }
        )
        await append(
          trx,
          { chain, number: head.number, ticket: head },
          { type: 'gained', by: { actor: 'system', role: 'system' }, at, data: { number } }
        )
      }
    }
    await trx
      .insertInto('contacts')
      .values(sealContact(fieldKey, number, { contact, question: masked === question ? null : question, code }))
      .execute()
    const unit = units.get(ticket.unit ?? ticket.guidedTo ?? suggestedUnit ?? '')?.content
    const body: Registered = {
      number,
      code,
      state: ticket.state,
      unit: unit === undefined ? null : { id: unit.id, name: unit.name },
      dueOn: ticket.due?.dueOn ?? null,
      dueIsProvisional: ticket.due?.provisional ?? false,
      trackUrl: trackPath(number, code)
    }
    await trx
      .insertInto('intents')
      .values({
        hash: hashOf(key),
        request,
        number,
        body: fieldKey.seal(JSON.stringify(body), `intent/${hashOf(key)}`),
        created_at: at
      })
      .execute()
    return body
  })
}

/** Where a citizen follows a consultation; the code rides in the address of the slip's QR code only. */
export function trackPath(number: string, code: string): string {
  return `/track?${new URLSearchParams({ number, code })}`
}

/** The last day to answer, counted from the day of 交办 (R28). */
export function dueOf(calendar: Calendar, from: string): Due {
  const { dueOn, latestOn, provisional } = calendar.due(from, ANSWER_WITHIN)
  return { dueOn, latestOn, provisional }
}

const KEY = /^[\x21-\x7e]{8,200}$/

/** Keys of different people never meet. */
function checkedKey({ key, staff }: Intent): string {
  if (key === undefined || !KEY.test(key)) throw new KeyMissing()
  return `${staff?.id ?? ''}:${key}`
}

const UNSTORABLE = /[\0\p{Surrogate}]/gu

function checkedQuestion(typed: string): string {
  const question = typed.replace(UNSTORABLE, '').trim()
  if (question.length > LONGEST_CONSULTATION) throw new QuestionTooLong(String(LONGEST_CONSULTATION))
  if (!/[\p{L}\p{N}]/u.test(question.normalize('NFKC'))) throw new EmptyQuestion()
  return question
}

/** The zone whose desk takes it: its own, or the nearest that has one (AL and CV have none). */
async function deskZone(library: Library, id: string): Promise<Item<Zone>> {
  const zones = await library.all('zone')
  const zone = zones.get(id)
  if (zone === undefined) throw new UnknownZone(id)
  return deskZoneOf(zone, [...zones.values()]) ?? zone
}

/** The zone itself where it has a consultation desk; else one of the same unit, else the first that has one. */
export function deskZoneOf(zone: Item<Zone>, zones: readonly Item<Zone>[]): Item<Zone> | null {
  const hasDesk = ({ content }: Item<Zone>) => AREAS_OF[content.venueKind].includes('consultation')
  if (hasDesk(zone)) return zone
  const desks = zones.filter(hasDesk)
  return desks.find(({ content }) => content.unit === zone.content.unit) ?? desks[0] ?? null
}

async function answered(
  db: Database | Transaction<Schema>,
  fieldKey: FieldKey,
  key: string,
  request: string
): Promise<Registered | null> {
  const hash = hashOf(key)
  const row = await db.selectFrom('intents').selectAll().where('hash', '=', hash).executeTakeFirst()
  if (row === undefined) return null
  if (row.request !== request) throw new KeyReused()
  return JSON.parse(fieldKey.open(row.body, `intent/${hash}`)) as Registered
}

type Settled = { kind: 'answered'; entry: string; version: number } | { kind: 'guided'; unit: string }

async function checkSettled(library: Library, { answeredWith, guidedTo, contact }: Intent): Promise<Settled | null> {
  if (answeredWith !== null && guidedTo !== null) throw new NothingToSettle('答复编号和引导单位只能填一个。')
  if (answeredWith !== null) return { kind: 'answered', ...(await bankEntry(library, answeredWith)) }
  if (guidedTo !== null) {
    if (!(await library.all('unit')).has(guidedTo))
      throw new NothingToSettle(`没有编号为 ${guidedTo} 的单位，可能已撤销。请在单位名单里另选一个。`)
    return { kind: 'guided', unit: guidedTo }
  }
  if (contact === null) throw new BadAction('请留下姓名和电话，答复时要用；或者写明当场用哪一条答复、引导到哪个单位。')
  return null
}

/** An entry of the bank that may be told: it is there, and nobody has withdrawn it. */
export async function bankEntry(library: Library, id: string): Promise<{ entry: string; version: number }> {
  const item = await library.get('qa', id)
  if (item === null) throw new NothingToSettle(`问答库里没有编号为 ${id} 的问答。请从检索结果里选一条。`)
  if (item.retired) throw new NothingToSettle(`问答 ${id} 已经撤下，不能再用来答复。请另选一条，或者交办。`)
  return { entry: id, version: item.version }
}

/** What the bank gave: as it was logged when the citizen asked, else asked now (R26: no consultation without a search). */
async function searched(needs: IntakeNeeds, masked: string, zone: Item<Zone>, queryId: string | null): Promise<Search> {
  const logged = queryId === null ? null : await loggedQuery(needs, queryId)
  if (logged !== null && logged.text === masked.slice(0, LONGEST_QUESTION)) return searchOf(logged)
  const rows: QueriesTable[] = []
  const queryLog = {
    add: (row: QueriesTable) => {
      rows.push(row)
      needs.queryLog.add(row)
    }
  }
  await ask(
    { ...needs, queryLog },
    { question: masked.slice(0, LONGEST_QUESTION), zone: zone.content.id, limit: 5, live: false }
  )
  const [row] = rows
  if (row === undefined) throw new ConsultationNotFound()
  return searchOf(row)
}

async function loggedQuery({ db, queryLog }: IntakeNeeds, id: string): Promise<QueriesTable | null> {
  const waiting = queryLog.waiting(id)
  if (waiting !== undefined) return waiting
  return (await db.selectFrom('queries').selectAll().where('id', '=', id).executeTakeFirst()) ?? null
}

function searchOf({ id, decision, confidence, evidence }: QueriesTable): Search {
  const { candidates } = JSON.parse(evidence) as Evidence
  return {
    queryId: id,
    decision,
    confidence,
    candidates: candidates.map(({ key, version, confidence: own }) => ({ key, version, confidence: own }))
  }
}

async function topicOf(library: Library, { candidates, decision }: Search): Promise<string | null> {
  const [first] = candidates
  if (first === undefined || decision === 'escalate') return null
  const [kind, id = ''] = (first.key.split('#')[0] as string).split('/')
  const item = await library.get(kind === 'qa' ? 'qa' : 'document', id)
  return item?.content.topic ?? null
}

/** An open ticket that asks the very same: the only case joined without anybody's look. */
async function sameQuestion(
  trx: Transaction<Schema>,
  chain: Chain,
  normal: string,
  number: string
): Promise<Ticket | null> {
  if (normal === '') return null
  const row = await trx
    .selectFrom('consultations')
    .select('ticket')
    .where('normal', '=', normal)
    .where('open', '=', 1)
    .where('chain', '=', chain)
    .where('number', '!=', number)
    .where('state', '!=', 'JOINED')
    .orderBy('registered_at')
    .limit(1)
    .executeTakeFirst()
  return row === undefined ? null : (JSON.parse(row.ticket) as Ticket)
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')
