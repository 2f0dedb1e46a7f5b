import { userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { readConfig } from '../src/config.ts'
import { type Database, migrate, openDatabase } from '../src/database/open.ts'
import type { Report } from './report.ts'

/** The project's own corpus, wherever the command is run from. */
const CORPUS = fileURLToPath(new URL('../corpus', import.meta.url))

interface Options {
  dryRun?: true
  json?: true
  skipBadRows?: true
  ifEmpty?: true
  lint?: true
  export?: string
  blank?: string
}

function commandLine(args: readonly string[]): { paths: string[]; options: Options } {
  const program = new Command('npm run index --')
    .description('把问答、文件、单位、专区等内容从文件导入数据库；先检查，全部无误才存入。')
    .argument('[路径...]', '文件或文件夹（默认是项目里的 corpus）')
    .option('--dry-run', '只列出会有哪些改动，不存入')
    .option('--json', '最后一行输出 JSON 报告，其余信息写到标准错误')
    .option('--skip-bad-rows', '跳过有问题的行，其余照常存入（退出码仍为 1）')
    .option('--lint', '不导入，只查内容上的毛病：搜不到、互相矛盾、没有依据、依据失效、条款不存在、过期、重复')
    .option('--if-empty', '数据库里已有内容时什么也不做')
    .option('--export <文件.xlsx>', '把现有问答、单位、主题导出成可以编辑的表格', xlsxName)
    .option('--blank <文件夹>', '写出一套空白表，供填写')
    .helpOption('-h, --help', '显示用法')
    .addHelpText('after', '\n退出码：0 全部存入；1 有行被拒绝；2 有文件或设置不可用。')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse([...args])
  const given = program.processedArgs[0] as string[]
  return { paths: given.length > 0 ? given : [CORPUS], options: program.opts<Options>() }
}

function xlsxName(value: string): string {
  if (!value.toLowerCase().endsWith('.xlsx')) throw new InvalidArgumentError('文件名要以 .xlsx 结尾。')
  return value
}

/**
 * Loads the project's corpus into an empty database, as the first step of a start; with anything in it, returns at once.
 * @public scripts/start.mjs calls it
 */
export async function loadIfEmpty(environment: NodeJS.ProcessEnv): Promise<void> {
  const exitCode = await run([CORPUS], { ifEmpty: true }, environment)
  if (exitCode !== 0)
    throw new Error('corpus/ 没有导入，服务未启动；原因见上。 The corpus was refused, see above; not started.')
}

async function run(paths: readonly string[], options: Options, environment: NodeJS.ProcessEnv): Promise<number> {
  // With --json, standard output holds the report and nothing else.
  const say = (text: string) => (options.json === true ? process.stderr : process.stdout).write(`${text}\n`)
  let db: Database | null = null
  try {
    if (options.blank !== undefined) {
      const { writeBlank } = await import('./blank.ts')
      const files = writeBlank(options.blank)
      say(`已在 ${options.blank} 写出 ${files.length} 个空白文件。怎么填见 corpus/README.zh.md。`)
      return 0
    }
    if (options.lint === true) return await check(paths, options, environment, say)
    db = await openDatabase(readConfig(environment).database)
    await migrate(db)
    if (options.export !== undefined) {
      const { exportBank } = await import('./export.ts')
      const entries = await exportBank(db, options.export)
      say(`已导出 ${entries} 条问答到 ${options.export}。改好后用 npm run index -- ${options.export} 导入。`)
      return 0
    }
    if (options.ifEmpty === true && (await holdsRecords(db))) {
      return 0
    }
    return await load(db, paths, options, say)
  } catch (error) {
    say(`${process.stderr.isTTY ? '\n' : ''}${explained(error)}`)
    return 2
  } finally {
    await db?.destroy()
  }
}

async function check(
  paths: readonly string[],
  options: Options,
  environment: NodeJS.ProcessEnv,
  say: (text: string) => void
): Promise<number> {
  const [{ lintFiles }, { printedProblems }] = await Promise.all([import('./lint.ts'), import('./report.ts')])
  const problems = await lintFiles(paths, environment)
  say(problems.length === 0 ? '没有发现毛病。' : printedProblems(problems).join('\n'))
  if (options.json === true) process.stdout.write(`${JSON.stringify({ problems })}\n`)
  return problems.length === 0 ? 0 : 1
}

async function holdsRecords(db: Database): Promise<boolean> {
  return (await db.selectFrom('records').select('id').limit(1).executeTakeFirst()) !== undefined
}

async function load(
  db: Database,
  paths: readonly string[],
  options: Options,
  say: (text: string) => void
): Promise<number> {
  // Only here, so that --if-empty answers at once: the segmenter and the readers take half a second to load.
  const [{ loadFiles }, { printed }] = await Promise.all([import('./load.ts'), import('./report.ts')])
  const report: Report = await loadFiles(db, paths, {
    dryRun: options.dryRun === true,
    skipBadRows: options.skipBadRows === true,
    by: `indexer:${userName()}`,
    at: new Date().toISOString(),
    onProgress: progress(say)
  })
  const colour = options.json === true ? process.stderr.isTTY === true : process.stdout.isTTY === true
  say(printed(report, { colour: colour && process.env.NO_COLOR === undefined, dryRun: options.dryRun === true }))
  if (options.json === true) process.stdout.write(`${JSON.stringify(report)}\n`)
  return report.exitCode
}

/** A container may run as a user without a name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}

const STAGES = { read: '读取文件', store: '切分并存入' }
const BAR_WIDTH = 24
/** Between two drawings of the bar; faster only flickers. */
const REDRAW_MS = 80
/** Between two plain lines of one stage. */
const LINE_MS = 5000

function progress(say: (text: string) => void) {
  const isTerminal = process.stderr.isTTY === true
  let last = 0
  let current = ''
  return (stage: keyof typeof STAGES, done: number, total: number): void => {
    const now = performance.now()
    const ends = done === total
    if (!ends && stage === current && now - last < (isTerminal ? REDRAW_MS : LINE_MS)) return
    const first = stage !== current
    current = stage
    last = now
    if (isTerminal) {
      const filled = Math.round((done / Math.max(total, 1)) * BAR_WIDTH)
      process.stderr.write(
        `\r${STAGES[stage]} [${'█'.repeat(filled)}${'·'.repeat(BAR_WIDTH - filled)}] ${done}/${total}${ends ? '\u001b[K\n' : ''}`
      )
    } else if (ends || !first) say(`${STAGES[stage]}：${done}/${total}`)
  }
}

/** What went wrong with the run as a whole, for the person at the terminal. */
function explained(error: unknown): string {
  const { code = '', message, name } = error as { code?: string; message: string; name: string }
  if (['SQLITE_FULL', 'ENOSPC', '53100'].includes(code))
    return '磁盘空间不足：已全部撤回，什么也没有存入。请清出空间后重新导入。'
  if (code.startsWith('SQLITE_BUSY') || code === 'SQLITE_LOCKED')
    return '数据库正被别的程序占用：什么也没有存入。请稍后再试。'
  if (['DatabaseTooNew', 'BadConfig', 'ExportExists', 'BlankExists', 'ChangedMeanwhile'].includes(name)) return message
  return `出错了，已全部撤回，什么也没有存入：${message}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { paths, options } = commandLine(process.argv)
  process.exitCode = await run(paths, options, process.env)
}
