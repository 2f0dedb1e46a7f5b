import type { Readable } from 'node:stream'
import * as z from 'zod'
import { type Actor, covers, ROLE_NAMES, scopeOf } from '../accounts/roles.ts'
import { STATES } from '../consultations/ticket.ts'
import { day, KIND_NAMES } from '../content/kinds.ts'
import type { Library } from '../content/library.ts'
import { fullName } from '../views/models.ts'
import { dayLabel } from '../views/text.ts'
import { CONSULTATION_COLUMNS, CONSULTATION_LEDGER, type Value } from './consultations.ts'
import { BadLedgerFilter, ForeignLedger } from './errors.ts'
import { chainFor, type Filters, type LedgerNeeds, openReader, readRows, type Selection } from './records.ts'
import { type Format, type Sheet, writeSheet } from './write.ts'

const text = z
  .string('每项只填一个值')
  .trim()
  .max(80, '太长了')
  .transform((given) => (given === '' ? null : given))
  .nullable()
  .default(null)

/** As forms and addresses send them: empty means all. */
export const LedgerQuery = z.object({
  from: text.meta({ description: 'First day of registration, YYYY-MM-DD' }),
  to: text.meta({ description: 'Last day of registration, YYYY-MM-DD' }),
  zone: text,
  unit: text,
  state: text,
  overdue: text.meta({ description: '1: late only; 0: in time only' })
})

/** Nothing else can be a record's code; PostgreSQL takes no NUL. */
const CODE = /^[\w.-]+$/
const DAY_FIELDS = { from: '开始日期', to: '截止日期' } as const

/**
 * Checks what is asked for: fields, and that it lies in the actor's scope.
 * @throws {BadLedgerFilter} naming the field in Chinese
 * @throws {ForeignLedger} for another's zone or unit
 */
export async function readFilters(
  library: Library,
  query: z.infer<typeof LedgerQuery>,
  actor: Actor
): Promise<Filters> {
  for (const [field, name] of Object.entries(DAY_FIELDS)) {
    const given = query[field as keyof typeof DAY_FIELDS]
    if (given === null) continue
    const problem = day.safeParse(given).error?.issues[0]?.message
    if (problem !== undefined) throw new BadLedgerFilter(`${name}（${field}）：${problem}。`)
  }
  const { from, to, zone, unit } = query
  if (from !== null && to !== null && from > to) {
    throw new BadLedgerFilter(`开始日期（from）${from} 晚于截止日期（to）${to}，请改好再试。`)
  }
  const state = STATES.find((known) => known === query.state) ?? null
  if (query.state !== null && state === null) {
    throw new BadLedgerFilter(`办理状态（state）：没有“${query.state}”，可以是 ${STATES.join('、')}。`)
  }
  if (query.overdue !== null && query.overdue !== '0' && query.overdue !== '1') {
    throw new BadLedgerFilter('是否逾期（overdue）：1 为只看逾期，0 为只看未逾期，不填为全部。')
  }
  for (const kind of ['zone', 'unit'] as const) {
    const id = query[kind]
    if (id === null || (CODE.test(id) && (await library.get(kind, id)) !== null)) continue
    throw new BadLedgerFilter(`${KIND_NAMES[kind]}（${kind}）：没有“${id}”，请改好再试。`)
  }
  const scope = scopeOf(actor)
  if (zone !== null && scope.kind === 'zone' && !covers(scope, { zone, unit: null })) {
    throw new ForeignLedger(`您只能看本专区（${scope.zone}）的台账。要看${zone}的，请找政务公开办。`)
  }
  if (unit !== null && scope.kind === 'unit' && !covers(scope, { zone: '', unit })) {
    throw new ForeignLedger(`您只能看本单位（${scope.units.join('、')}）的台账。要看${unit}的，请找政务公开办。`)
  }
  return { from, to, zone, unit, state, overdue: query.overdue === null ? null : query.overdue === '1' }
}

/** What a member of staff sees of the ledger. */
export async function selectionOf(
  { db }: Pick<LedgerNeeds, 'db'>,
  actor: Actor,
  filters: Filters,
  today: string
): Promise<Selection> {
  return { chain: await chainFor(db, actor.sample), scope: scopeOf(actor), filters, today }
}

/** Title and signature line of a ledger, as a paper one has them. */
export async function headingOf(
  library: Library,
  { chain, filters, today }: Selection,
  actor: Actor
): Promise<Pick<Sheet, 'title' | 'facts'>> {
  const district = (await library.district()).content.shortName
  const nameOf = async (kind: 'zone' | 'unit', id: string | null) =>
    id === null ? null : ((await library.get(kind, id))?.content.name ?? id)
  const scope = scopeOf(actor)
  const zone = await nameOf('zone', scope.kind === 'zone' ? scope.zone : filters.zone)
  const units = scope.kind === 'unit' ? await Promise.all(scope.units.map((id) => nameOf('unit', id))) : []
  const by =
    scope.kind === 'zone'
      ? zone
      : scope.kind === 'unit'
        ? units.join('、')
        : ((await nameOf('unit', actor.unit)) ?? `${district}${ROLE_NAMES.office}`)
  const { from, to } = filters
  const period =
    from === null && to === null ? '全部' : `${from === null ? '' : dayLabel(from)}至${dayLabel(to ?? today)}`
  return {
    title: `${fullName(zone ?? district)}${CONSULTATION_LEDGER.title}${chain === 'sample' ? '（示例数据）' : ''}`,
    facts: [
      { name: '填报单位', text: by ?? '' },
      { name: '填报人', text: actor.name },
      { name: '审核人', text: '' },
      { name: '日期', text: dayLabel(today) },
      { name: '咨询日期', text: period }
    ]
  }
}

/**
 * The ledger as a file.
 * @param notes told of contacts that cannot be opened, and at the end, reached or not, of how many rows went out
 */
export async function exportLedger(
  needs: LedgerNeeds,
  { actor, filters, format, today }: { actor: Actor; filters: Filters; format: Format; today: string },
  notes: { onBroken(number: string, error: unknown): void; onEnd(rows: number, whole: boolean): void }
): Promise<Readable> {
  const selection = await selectionOf(needs, actor, filters, today)
  const reader = await openReader(needs, today, notes.onBroken)
  async function* pages(): AsyncGenerator<Value[][]> {
    let written = 0
    let whole = false
    try {
      for await (const rows of readRows(needs, selection, reader)) {
        yield rows.map((row) => CONSULTATION_COLUMNS.map(({ value }) => value(row, reader.joins)))
        written += rows.length
      }
      whole = true
    } finally {
      notes.onEnd(written, whole)
    }
  }
  return writeSheet(format, {
    ...(await headingOf(needs.library, selection, actor)),
    columns: CONSULTATION_COLUMNS,
    filters: { ...filters },
    pages: pages()
  })
}
