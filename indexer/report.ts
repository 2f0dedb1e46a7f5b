import { diffChars, diffLines } from 'diff'
import type { Difference, FieldChange } from '../src/content/store.ts'
import { RECORD_KINDS } from '../src/database/schema.ts'
import { kindName } from './columns.ts'

/** One thing a person must look at: where it stands, what it is, what to do. */
export interface Problem {
  file: string
  sheet: string | null
  /** As Excel numbers it; in text files the line. */
  row: number | null
  /** Header and letter. */
  column: string | null
  value: string | null
  problem: string
  remedy: string
}

/** A problem with whatever parts of its place are known. */
export type Finding = Partial<Problem> & { file: string; problem: string; remedy: string }

/** Collects everything found, so that a clerk mends a file once and not once a problem. */
export class Findings {
  /** Files or sheets that could not be read at all. */
  readonly unread: Problem[] = []
  /** Rows that were read and refused. */
  readonly refused: Problem[] = []
  readonly warnings: Problem[] = []

  unreadable(finding: Finding): void {
    this.unread.push(complete(finding))
  }

  refuse(finding: Finding): void {
    this.refused.push(complete(finding))
  }

  warn(finding: Finding): void {
    this.warnings.push(complete(finding))
  }

  hasAny(file: string): boolean {
    return [...this.unread, ...this.refused].some((problem) => problem.file === file)
  }
}

function complete(finding: Finding): Problem {
  return { sheet: null, row: null, column: null, value: null, ...finding }
}

/** What one run found and did; `--json` prints it. */
export interface Report {
  files: string[]
  records: Record<Difference['change'], number>
  /** All but the unchanged ones. */
  differences: Difference[]
  problems: Problem[]
  warnings: Problem[]
  /** The database holds what the files say (always false for a dry run). */
  stored: boolean
  /** Last number of the change feed after storing; null when nothing was written. */
  sequence: number | null
  tookMs: number
  /** 0 all in, 1 rows refused, 2 unusable input. */
  exitCode: 0 | 1 | 2
}

/** Problems printed at most; the count says how many more there are, `--json` holds all. */
const MOST_PRINTED = 50
/** Longest text shown in one line of a difference. */
const EXCERPT = 60

interface Style {
  colour: boolean
  dryRun: boolean
}

/** The report for people, in Chinese. */
export function printed(report: Report, { colour, dryRun }: Style): string {
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  const lines: string[] = []
  const list = (title: string, code: number, problems: readonly Problem[]) => {
    if (problems.length === 0) return
    lines.push(paint(code, `${title} ${problems.length} 处：`))
    for (const problem of problems.slice(0, MOST_PRINTED)) lines.push(...problemLines(problem))
    if (problems.length > MOST_PRINTED)
      lines.push(`  ……还有 ${problems.length - MOST_PRINTED} 处（加 --json 可看全部）`)
    lines.push('')
  }
  list('提醒', 33, report.warnings)
  list('问题', 31, report.problems)
  if (dryRun) {
    const shown = report.differences.slice(0, MOST_PRINTED)
    for (const difference of shown) lines.push(...differenceLines(difference, paint))
    if (report.differences.length > shown.length)
      lines.push(`  ……还有 ${report.differences.length - shown.length} 条（加 --json 可看全部）`)
  }
  const { records } = report
  const kinds = RECORD_KINDS.map(
    (kind) => [kindName(kind), report.differences.filter((d) => d.kind === kind).length] as const
  )
  const byKind = kinds
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} ${count}`)
    .join('、')
  lines.push(
    `共 ${report.files.length} 个文件：新增 ${records.new}，修改 ${records.changed}，不变 ${records.unchanged}，撤下 ${records.retired}` +
      `${byKind === '' ? '' : `（有变动的：${byKind}）`}，用时 ${(report.tookMs / 1000).toFixed(1)} 秒。`
  )
  if (dryRun) lines.push('这是试运行，什么也没有存入。')
  else if (!report.stored) {
    const skip = report.exitCode === 1 ? '；或者加 --skip-bad-rows 跳过有问题的行' : ''
    lines.push(paint(31, `什么也没有存入。请按上面的提示改好后重新导入${skip}。`))
  } else if (report.problems.length > 0)
    lines.push(paint(33, `已存入，跳过了 ${report.problems.length} 处有问题的内容。`))
  else
    lines.push(
      paint(32, records.new + records.changed + records.retired === 0 ? '内容与库里一致，无需改动。' : '已全部存入。')
    )
  return lines.join('\n')
}

/** Problems for people, without a limit: a clerk works through the list. */
export function printedProblems(problems: readonly Problem[]): string[] {
  return [`发现 ${problems.length} 处：`, ...problems.flatMap(problemLines)]
}

/** Where a problem stands, for people. */
export function placeOf({ file, sheet, row, column }: Pick<Problem, 'file' | 'sheet' | 'row' | 'column'>): string {
  return [file, sheet === null ? '' : `表「${sheet}」`, row === null ? '' : `第 ${row} 行`, column ?? '']
    .filter((part) => part !== '')
    .join(' ')
}

function problemLines(problem: Problem): string[] {
  const value = problem.value === null || problem.value === '' ? '' : `（现在是「${problem.value}」）`
  return [`  ${placeOf(problem)}：${problem.problem}${value}`, `      → ${problem.remedy}`]
}

type Paint = (code: number, text: string) => string

const SIGNS = { new: '＋ 新增', changed: '～ 修改', retired: '－ 撤下', unchanged: '＝ 不变' } as const

function differenceLines({ kind, id, change, fields }: Difference, paint: Paint): string[] {
  return [`${SIGNS[change]} ${kindName(kind)} ${id}`, ...fields.flatMap((field) => fieldLines(field, paint))]
}

/** One changed field: short texts whole, long ones only around what changed, lists item by item. */
export function fieldLines({ title, before, after }: FieldChange, paint: Paint = (_, text) => text): string[] {
  const removed = (text: string) => paint(31, `[-${text}-]`)
  const added = (text: string) => paint(32, `{+${text}+}`)
  if (Array.isArray(before) || Array.isArray(after)) {
    const [old, now] = [before, after].map((list) => (Array.isArray(list) ? list.map(shown) : []))
    const gone = (old as string[]).filter((item) => !(now as string[]).includes(item))
    const come = (now as string[]).filter((item) => !(old as string[]).includes(item))
    const parts = [...gone.map(removed), ...come.map(added)]
    return [`    ${title}：${parts.length > 0 ? parts.join(' ') : '次序改变'}`]
  }
  const [old, now] = [shown(before), shown(after)]
  if (old === '' || now === '') return [`    ${title}：${old === '' ? added(excerpt(now)) : removed(excerpt(old))}`]
  // Comparing by characters costs the product of the lengths: long texts are first cut down to the lines that differ.
  const long = old.length + now.length > 4000
  const parts = long ? diffLines(old, now) : diffChars(old, now)
  const text = parts.map((part, at) => {
    if (part.added) return added(excerpt(part.value))
    if (part.removed) return removed(excerpt(part.value))
    return context(part.value, at === 0, at === parts.length - 1)
  })
  return [`    ${title}：${text.join('').replaceAll('\n', '⏎')}`]
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'boolean') return value ? '是' : '否'
  if (typeof value === 'object')
    return Object.values(value)
      .filter((part) => part !== null)
      .join(' ')
  return String(value)
}

function excerpt(text: string): string {
  return text.length <= EXCERPT * 2 ? text : `${text.slice(0, EXCERPT)}…（${text.length} 字）…${text.slice(-10)}`
}

/** Unchanged text between two changes: its ends only. */
function context(text: string, first: boolean, last: boolean): string {
  const keep = 12
  if (text.length <= keep * 2 + 2) return text
  return `${first ? '' : text.slice(0, keep)}…${last ? '' : text.slice(-keep)}`
}
