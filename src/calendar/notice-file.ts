import { parse } from 'csv-parse/sync'
import * as z from 'zod'
import { isDay } from './day.ts'
import { nationalTitle } from './seed.ts'
import type { NamedDay, Notice } from './working-days.ts'
import { statutoryDays } from './working-days.ts'

/** What is wrong with a file of holidays, and the way out. */
export interface NoticeProblem {
  /** As Excel numbers it; of JSON the place in `days`, from 1; null where it is the file as a whole. */
  row: number | null
  field: string | null
  value: string | null
  problem: string
  remedy: string
}

export type ReadNotice =
  | { kind: 'refused'; problems: NoticeProblem[] }
  | { kind: 'read'; notice: Notice; warnings: string[] }

/** As the service prints a problem. */
export function noticeProblemLine({ row, field, value, problem, remedy }: NoticeProblem): string {
  const place = [row === null ? '' : `第 ${row} 行`, field === null ? '' : `「${field}」`].join('')
  return `${place}${place === '' ? '' : '：'}${problem}${value === null ? '' : `（写的是“${value}”）`}。${remedy}`
}

/**
 * Reads a file of one notice: JSON as holiday-cn publishes it (`{year, papers, days: [{name, date, isOffDay}]}`), or CSV with the columns 日期, 名称,
 * 安排 (放假 or 上班), 文号 and, of a national notice, 年份.
 */
export function readNotice(text: string): ReadNotice {
  const whole = text.replace(/^\ufeff/, '').trim()
  if (whole === '') return refused('文件是空的', '请确认选对了文件。')
  if (/[\0\ufffd]/.test(whole)) {
    return refused('不是文本文件，或者编码无法识别', '请在 Excel/WPS 里另存为“CSV UTF-8（逗号分隔）”后再导入。')
  }
  return whole.startsWith('{') ? readJson(whole) : readCsv(whole)
}

function refused(problem: string, remedy: string, place: Partial<NoticeProblem> = {}): ReadNotice {
  return { kind: 'refused', problems: [{ row: null, field: null, value: null, problem, remedy, ...place }] }
}

interface Row {
  row: number
  /** As written, with the name of the field each stands in. */
  date: { text: string; field: string }
  name: { text: string; field: string }
  works: { text: string; field: string; value: boolean | null }
}

const Published = z.object({
  year: z.unknown(),
  papers: z.unknown(),
  days: z.array(z.looseObject({ name: z.unknown(), date: z.unknown(), isOffDay: z.unknown() }))
})

function readJson(text: string): ReadNotice {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    return refused('JSON 写得不完整，读不出来', '请重新下载或重新导出这个文件。')
  }
  const file = Published.safeParse(content)
  if (!file.success) {
    return refused(
      'JSON 里没有 days 列表，或者里面有一项不是日期安排',
      '应为 {year, papers, days: [{name, date, isOffDay}]}；也可以改用 CSV。',
      { field: 'days' }
    )
  }
  const { year, papers, days } = file.data
  const written = (value: unknown) =>
    value === undefined || value === null ? '' : typeof value === 'string' ? value.trim() : JSON.stringify(value)
  return check(
    days.map(({ name, date, isOffDay }, at) => ({
      row: at + 1,
      date: { text: written(date), field: 'date' },
      name: { text: written(name), field: 'name' },
      works: {
        text: written(isOffDay),
        field: 'isOffDay',
        value: typeof isOffDay === 'boolean' ? !isOffDay : null
      }
    })),
    {
      year: { text: written(year), field: 'year', row: null },
      source: {
        text: Array.isArray(papers) ? papers.filter((paper) => typeof paper === 'string').join(' ') : '',
        field: 'papers',
        row: null
      },
      national: true
    }
  )
}

const COLUMNS = {
  date: ['日期', 'date'],
  name: ['名称', '节日', '事由', 'name'],
  works: ['安排', '上班或放假', '类型'],
  year: ['年份', '年度', 'year'],
  source: ['文号', '通知文号', '命令文号']
} as const
type Field = keyof typeof COLUMNS
const FIELDS = Object.keys(COLUMNS) as Field[]

const WORKED: readonly string[] = ['上班', '补班', '班', '调休上班']
const OFF: readonly string[] = ['放假', '休息', '休', '停止办公']

function readCsv(text: string): ReadNotice {
  let table: string[][]
  try {
    table = parse(text, { delimiter: [',', '\t', ';', '，'], relax_column_count: true, trim: true })
  } catch {
    return refused('引号没有成对，分不清各列', '最稳妥是在 Excel/WPS 里另存为 CSV 再导入。')
  }
  const [headers = [], ...lines] = table
  const places = new Map<Field, number>()
  for (const field of FIELDS) {
    const at = headers.findIndex((header) => (COLUMNS[field] as readonly string[]).includes(header))
    if (at >= 0) places.set(field, at)
  }
  const missing = (['date', 'name', 'works', 'source'] as const).filter((field) => !places.has(field))
  if (missing.length > 0) {
    const names = missing.map((field) => COLUMNS[field][0])
    return refused(
      `第一行表头里没有「${names.join('」「')}」`,
      '请在第一行写上表头：日期、名称、安排、文号；国家的放假通知还要有年份。显示为乱码时，请另存为“CSV UTF-8”。',
      { row: 1, field: names[0] as string }
    )
  }
  const filled = lines
    .map((cells, at) => ({ row: at + 2, cells }))
    .filter(({ cells }) => cells.some((cell) => cell !== ''))
  const cell = (cells: readonly string[], field: Field) => {
    const at = places.get(field)
    return { text: at === undefined ? '' : (cells[at] ?? ''), field: COLUMNS[field][0] }
  }
  const problems: NoticeProblem[] = []
  // One file is one notice: year and number stand in its first row, and may be left out below.
  const only = (field: 'year' | 'source') => {
    const [first] = filled
    const { text, field: name } = first === undefined ? cell([], field) : cell(first.cells, field)
    for (const { row, cells } of filled.slice(1)) {
      const other = cell(cells, field).text
      if (other !== '' && other !== text) {
        problems.push({
          row,
          field: name,
          value: other,
          problem: `和第 ${first?.row} 行的“${text}”不同`,
          remedy: '一个文件只写一份通知，请分成几个文件导入。'
        })
      }
    }
    return { text, field: name, row: first?.row ?? null }
  }
  const [year, source] = [only('year'), only('source')]
  return check(
    filled.map(({ row, cells }) => {
      const works = cell(cells, 'works')
      const value = WORKED.includes(works.text) ? true : OFF.includes(works.text) ? false : null
      return { row, date: cell(cells, 'date'), name: cell(cells, 'name'), works: { ...works, value } }
    }),
    { year, source, national: year.text !== '' },
    problems
  )
}

interface Heading {
  text: string
  field: string
  row: number | null
}

/** Years a notice may be of: the first the service counts in, and as far ahead as a slip of the finger is not. */
const YEARS = { first: 2020, last: 2100 }

function check(
  rows: readonly Row[],
  heading: { year: Heading; source: Heading; national: boolean },
  problems: NoticeProblem[] = []
): ReadNotice {
  const complain = (
    { row, field, text }: { row: number | null; field: string; text: string },
    problem: string,
    remedy: string
  ) => problems.push({ row, field, value: text === '' ? null : text.slice(0, 40), problem, remedy })
  const { national } = heading
  const year = /^\d{4}$/.test(heading.year.text) ? Number(heading.year.text) : null
  if (national && (year === null || year < YEARS.first || year > YEARS.last)) {
    complain(heading.year, '年份不对', `请写四位数的年份，从 ${YEARS.first} 起，例如 2027。`)
  }
  const source = heading.source.text.normalize('NFKC').replace(/\s+/g, national ? ' ' : '')
  if (source === '') {
    if (national) {
      complain(
        heading.source,
        '没有写通知的文号或网址，可能当年的放假通知还没有发布',
        '请等国务院办公厅发布通知后，再连同文号或网址一起导入。'
      )
    } else complain(heading.source, '没有写文号', '本地的临时安排必须写明命令或通知的文号；国家的放假通知请写上年份。')
  } else if (!national && !/\d+号$/.test(source)) {
    complain(heading.source, '不像文号', '请照文件原样写，例如 示例府办〔2026〕1号；国家的放假通知请写上年份。')
  }
  if (rows.length === 0) problems.push({ ...NOTHING })
  const days = new Map<string, NamedDay & { row: number }>()
  for (const { row, date, name, works } of rows) {
    const at = { row, ...date }
    if (!isDay(date.text)) {
      complain(at, date.text === '' ? '没有写日期' : '没有这一天', '请写成 2027-01-01 这样。')
      continue
    }
    const own = Number(date.text.slice(0, 4))
    if (national && year !== null && own !== year && !(own === year - 1 && date.text.slice(5, 7) === '12')) {
      complain(at, `不在${year}年`, `${year}年的通知只能写${year}年的日期，和前一年12月的日期。`)
    } else if (own < YEARS.first || own > YEARS.last) {
      complain(at, '年份不对', `请写 ${YEARS.first} 年以后的日期。`)
    }
    const twice = days.get(date.text)
    if (twice !== undefined) complain(at, `和第 ${twice.row} 行是同一天`, '一天只写一行，请删去多余的一行。')
    if (name.text === '') complain({ row, ...name }, '没有写名称', '请写节日或事由，例如 春节。')
    if (works.value === null) {
      const remedy = works.field === 'isOffDay' ? '请写 true（放假）或 false（上班）。' : '请写 放假 或 上班。'
      complain({ row, ...works }, works.text === '' ? '没有写放假还是上班' : '看不出是放假还是上班', remedy)
      continue
    }
    days.set(date.text, { date: date.text, works: works.value, name: name.text.slice(0, 40), row })
  }
  if (problems.length > 0) return { kind: 'refused', problems }
  const named = [...days.values()]
    .sort((a, b) => (a.date < b.date ? -1 : 1))
    .map(({ date, works, name }) => ({ date, works, name }))
  if (!national) {
    const number = source.replace(/[([【]/g, '〔').replace(/[)\]】]/g, '〕')
    const notice = {
      id: number,
      kind: 'local',
      year: null,
      title: `本地安排（${number}）`,
      source: number,
      days: named
    }
    return { kind: 'read', notice: notice as Notice, warnings: [] }
  }
  const of = year as number
  return {
    kind: 'read',
    notice: { id: String(of), kind: 'national', year: of, title: nationalTitle(of), source, days: named },
    warnings: statutoryDays(of)
      .filter(({ date }) => days.get(date)?.works !== false)
      .map(({ date, name }) => `没有写明 ${date}（${name}）放假，请对照通知核对。`)
  }
}

const NOTHING: NoticeProblem = {
  row: null,
  field: null,
  value: null,
  problem: '里面一天也没有，可能当年的放假通知还没有发布',
  remedy: '请确认选对了文件。'
}
