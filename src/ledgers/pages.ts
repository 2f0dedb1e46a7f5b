import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { actorOn, requireAction } from '../accounts/guard.ts'
import { type Scope, scopeOf } from '../accounts/roles.ts'
import { STATE_NAMES, STATES } from '../consultations/ticket.ts'
import type { Library } from '../content/library.ts'
import { headOf } from '../views/models.ts'
import { excerpt } from '../views/text.ts'
import type { Link, Select } from '../views/views.ts'
import { CONSULTATION_COLUMNS, CONSULTATION_LEDGER } from './consultations.ts'
import { headingOf, LedgerQuery, readFilters, selectionOf } from './ledger.ts'
import { type Filters, type LedgerNeeds, openReader, readScreen, sumsOf } from './records.ts'
import { shownValue } from './write.ts'

declare module '../views/views.ts' {
  interface Pages {
    ledger: {
      head: Head
      heading: string
      facts: Fact[]
      form: { action: string; days: { name: string; label: string; value: string }[]; selects: Select[]; reset: string }
      /** What is wrong with the filters; then there are no rows. */
      problem: string | null
      total: string
      exports: Link[]
      columns: { title: string; wide: boolean }[]
      rows: { late: boolean; cells: { text: string; wide: boolean }[] }[]
      pages: Pager | null
    }
  }
}

const ROWS = 50
/** Far enough for a million rows. */
const MOST_PAGES = 20_000
/** Characters of a cell on the screen; the files have the whole. */
const SHOWN = 120
/** Columns at least as wide as this hold running text. */
const WIDE = 14

/** `/ledger`: the ledger on a screen, with filters, page by page; prints on A4 landscape. */
export const ledgerPages: FastifyPluginAsyncZod<Pick<LedgerNeeds, 'fieldKey' | 'calendar'>> = async (app, own) => {
  const { db, library, today } = app.parts
  const needs = { db, library, ...own }

  app.get(
    '/ledger',
    {
      onRequest: requireAction('ledger'),
      schema: {
        hide: true,
        querystring: LedgerQuery.extend({ page: z.coerce.number().int().min(1).max(MOST_PAGES).catch(1) })
      }
    },
    async (request, reply) => {
      const actor = actorOn(request)
      const { page, ...query } = request.query
      // Without any filter this month's: what a clerk fills in and hands over.
      const shown = request.url.includes('?') ? query : { ...query, from: `${today().slice(0, 7)}-01` }
      let filters: Filters
      let problem: string | null = null
      try {
        filters = await readFilters(library, shown, actor)
      } catch (error) {
        if ((error as { statusCode?: number }).statusCode !== 400) throw error
        problem = (error as Error).message
        filters = { from: null, to: null, zone: null, unit: null, state: null, overdue: null }
      }
      const selection = await selectionOf(needs, actor, filters, today())
      const sums = problem === null ? await sumsOf(db, selection) : null
      const reader = await openReader(needs, today(), (number, error) =>
        request.log.warn({ err: error, number }, 'contact not opened')
      )
      const rows =
        sums === null ? [] : await readScreen(needs, selection, reader, { offset: (page - 1) * ROWS, limit: ROWS })
      request.log.info(
        { ledger: CONSULTATION_LEDGER.name, format: 'page', filters, rows: rows.length, staff: actor.username },
        'ledger shown'
      )
      const parameters = new URLSearchParams(
        Object.entries(shown).flatMap(([name, value]): [string, string][] => (value === null ? [] : [[name, value]]))
      )
      const pageHref = (at: number) => `/ledger?${new URLSearchParams([...parameters, ['page', String(at)]])}`
      const last = Math.max(1, Math.ceil((sums?.total ?? 0) / ROWS))
      const { title, facts } = await headingOf(library, selection, actor)
      return reply.code(problem === null ? 200 : 400).page('ledger', {
        head: await headOf(library, { title: CONSULTATION_LEDGER.title, sample: selection.chain === 'sample' }),
        heading: title,
        facts: [...facts],
        form: {
          action: '/ledger',
          days: [
            { name: 'from', label: '开始日期', value: shown.from ?? '' },
            { name: 'to', label: '截止日期', value: shown.to ?? '' }
          ],
          selects: await selectsOf(library, scopeOf(actor), shown),
          reset: '/ledger'
        },
        problem,
        total:
          sums === null
            ? ''
            : `共 ${sums.total} 件：即时答复 ${sums.onTheSpot}，交办后已答复 ${sums.answered}，在办 ${sums.open}（其中已逾期 ${sums.overdue}）。`,
        exports: problem === null ? exportsOf(parameters) : [],
        columns: CONSULTATION_COLUMNS.map(({ title: name, width }) => ({ title: name, wide: width >= WIDE })),
        rows: rows.map((row) => {
          const cells = CONSULTATION_COLUMNS.map((column) => ({
            text: excerpt(String(shownValue(column, column.value(row, reader.joins))), [], SHOWN)
              .map(({ text }) => text)
              .join(''),
            wide: column.width >= WIDE
          }))
          return { cells, late: cells[LATE_AT]?.text === '是' }
        }),
        pages:
          last === 1
            ? null
            : {
                text: `第 ${page} 页，共 ${last} 页`,
                previous: page > 1 ? pageHref(Math.min(page - 1, last)) : null,
                next: page < last ? pageHref(page + 1) : null
              }
      })
    }
  )
}

const LATE_AT = CONSULTATION_COLUMNS.findIndex(({ key }) => key === 'overdue')

function exportsOf(parameters: URLSearchParams): Link[] {
  return (['xlsx', 'csv'] as const).map((format) => ({
    text: `导出 ${format === 'xlsx' ? 'Excel' : 'CSV'}`,
    href: `/api/v1/ledgers/${CONSULTATION_LEDGER.name}.${format}?${parameters}`
  }))
}

async function selectsOf(
  library: Library,
  scope: Scope,
  shown: Record<'zone' | 'unit' | 'state' | 'overdue', string | null>
): Promise<Select[]> {
  const all = async (kind: 'zone' | 'unit') =>
    [...(await library.all(kind)).values()].map(({ content: { id, name } }) => ({ value: id, text: name }))
  const zones = await all('zone')
  const units = await all('unit')
  const choices = [
    {
      name: 'zone',
      label: '专区',
      options: scope.kind === 'zone' ? zones.filter(({ value }) => value === scope.zone) : zones
    },
    {
      name: 'unit',
      label: '交办单位',
      options: scope.kind === 'unit' ? units.filter(({ value }) => scope.units.includes(value)) : units
    },
    { name: 'state', label: '办理状态', options: STATES.map((state) => ({ value: state, text: STATE_NAMES[state] })) },
    {
      name: 'overdue',
      label: '是否逾期',
      options: [
        { value: '1', text: '逾期' },
        { value: '0', text: '未逾期' }
      ]
    }
  ] as const
  return choices.map(({ name, label, options }) => ({
    name,
    label,
    options: [{ value: '', text: '全部' }, ...options].map((option) => ({
      ...option,
      selected: option.value === (shown[name] ?? '')
    }))
  }))
}
