import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, relative, resolve } from 'node:path'
import { MOST_FILE_BYTES, MOST_TEXT_BYTES, megabytes } from './archive.ts'
import { type Draft, FILE_FIELD } from './columns.ts'
import { readDocument } from './documents.ts'
import type { Findings } from './report.ts'
import { decodeText, readCsv, readJsonLines, readWorkbook } from './sheets.ts'

/** A file to read and the name records remember it by. */
export interface SourceFile {
  path: string
  /** Its folder's name and its path below it (`corpus/qa/yibao.csv`), however it was reached: whole folder, part of it or alone. */
  source: string
  /** Whether the collection says of itself that it is sample data; null where it says nothing. */
  sample: boolean | null
}

const SHEETS = new Set(['.xlsx', '.csv', '.jsonl'])
const DOCUMENTS = new Set(['.md', '.docx', '.html', '.htm', '.pdf'])
const TEXTS = new Set(['.md', '.html', '.htm'])
const OUTDATED: Record<string, string> = {
  '.xls': '.xlsx',
  '.et': '.xlsx',
  '.doc': '.docx',
  '.wps': '.docx',
  '.ofd': '.pdf 或 .docx'
}
const MACROS: Record<string, string> = {
  '.xlsm': '.xlsx',
  '.xlsb': '.xlsx',
  '.xltm': '.xlsx',
  '.docm': '.docx',
  '.dotm': '.docx'
}

/** What lies in a corpus folder and is no record: judged questions and near neighbours are read by benches and tests. */
const NO_RECORDS = /^(?:judged\.csv|neighbours\.csv|sources\.md|readme.*\.md|空白文件\.md)$/i
/** Empty sheets for a district to copy and fill (indexer/blank.ts). */
const BLANK_FOLDER = 'blank'
/** Hidden files and the lock files of open Office documents. */
const IGNORED = /^(?:\.|~\$)/
const CATALOGUE = /^文件目录\.(?:xlsx|csv)$/
/** Marks the top of a collection; a part of it loaded alone keeps its names and its sample mark. */
const COLLECTION_MARK = 'district.csv'
/** How far above a path the top of its collection may lie. */
const MOST_LEVELS_UP = 4

/** Files under the paths, and the folders read whole as prefixes of `source`: what came from there and is gone is retired. */
export function findFiles(paths: readonly string[], findings: Findings): { files: SourceFile[]; folders: string[] } {
  const files = new Map<string, SourceFile>()
  const folders: string[] = []
  for (const given of paths) {
    const path = resolve(given)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined || !(stat.isFile() || stat.isDirectory())) {
      findings.unreadable({ file: given, problem: '找不到这个文件或文件夹', remedy: '请检查路径。' })
      continue
    }
    const top = topOf(stat.isDirectory() ? path : dirname(path))
    const sample = saysSample(top)
    const sourceOf = (file: string) => join(basename(top), relative(top, file)).replaceAll('\\', '/').normalize('NFC')
    const add = (file: string) => files.set(file, { path: file, source: sourceOf(file), sample })
    if (stat.isFile()) {
      if (isReadable(path, sourceOf(path), findings, true)) add(path)
      continue
    }
    folders.push(`${sourceOf(path)}/`)
    const before = files.size
    for (const file of walk(path, sourceOf, findings)) if (isReadable(file, sourceOf(file), findings, false)) add(file)
    if (files.size === before)
      findings.unreadable({
        file: given,
        problem: '文件夹里没有可以导入的文件',
        remedy: '可导入 xlsx、csv、jsonl、md、docx、html、pdf。'
      })
  }
  return { files: [...files.values()], folders }
}

function topOf(folder: string): string {
  let top = folder
  for (let level = 0; level <= MOST_LEVELS_UP; level++) {
    if (existsSync(join(top, COLLECTION_MARK))) return top
    top = dirname(top)
  }
  return folder
}

function saysSample(top: string): boolean | null {
  const mark = join(top, COLLECTION_MARK)
  if (!existsSync(mark)) return null
  const [, said] = /^["\s]*示例数据["\s]*,["\s]*(是|否)/m.exec(decodeText(readFileSync(mark))) ?? []
  return said === undefined ? null : said === '是'
}

function* walk(folder: string, sourceOf: (file: string) => string, findings: Findings): Iterable<string> {
  const items = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const item of items) {
    const path = join(folder, item.name)
    if (IGNORED.test(item.name) || (item.isDirectory() && item.name === BLANK_FOLDER)) continue
    if (item.isDirectory()) yield* walk(path, sourceOf, findings)
    else if (item.isFile()) yield path
    else
      findings.warn({ file: sourceOf(path), problem: '是链接或特殊文件，没有读入', remedy: '请把文件本身放进文件夹。' })
  }
}

function isReadable(path: string, source: string, findings: Findings, named: boolean): boolean {
  const name = basename(path)
  const extension = extname(path).toLowerCase()
  if (NO_RECORDS.test(name) && !named) return false
  const macros = MACROS[extension]
  const newer = OUTDATED[extension]
  const unreadable = (problem: string, remedy: string) => {
    findings.unreadable({ file: source, problem, remedy })
    return false
  }
  if (macros !== undefined)
    return unreadable('文件可以带宏（VBA 程序），不能导入', `请另存为不带宏的 ${macros} 后再导入。`)
  if (newer !== undefined) return unreadable(`不能直接读 ${extension} 格式`, `请打开后另存为 ${newer} 再导入。`)
  if (!SHEETS.has(extension) && !DOCUMENTS.has(extension)) {
    const remedy = '可导入 xlsx、csv、jsonl、md、docx、html、pdf。'
    if (named) return unreadable(`不能读 ${extension === '' ? '没有后缀名的文件' : `${extension} 格式`}`, remedy)
    findings.warn({ file: source, problem: '不是可以导入的格式，已跳过', remedy })
    return false
  }
  const { size } = statSync(path)
  const most = TEXTS.has(extension) ? MOST_TEXT_BYTES : MOST_FILE_BYTES
  if (size > most) {
    return unreadable(
      `文件有 ${megabytes(size)}，超过上限 ${megabytes(most)}`,
      '请确认选对了文件；确属正常数据的，请拆成几个文件，图片请删去。'
    )
  }
  if (size === 0) return unreadable('文件是空的', '请确认选对了文件。')
  return true
}

/** Reads every file into drafts; what cannot be read is among the findings. */
export async function readFiles(
  files: readonly SourceFile[],
  findings: Findings,
  onFile?: (done: number, total: number) => void
): Promise<Draft[]> {
  const drafts: Draft[] = []
  const catalogues = new Map<string, Draft>()
  let done = 0
  const sheets = files.filter(({ path }) => SHEETS.has(extname(path).toLowerCase()))
  for (const file of sheets) {
    for (const draft of await readSheet(file, findings)) {
      const name = draft.kind === 'document' ? String(draft.cells[FILE_FIELD]?.value ?? '').trim() : ''
      if (name === '') drafts.push(draft)
      else catalogues.set(`${dirname(file.path)}/${name.normalize('NFC')}`, draft)
    }
    onFile?.(++done, files.length)
  }
  const documents = files.filter(({ path }) => !SHEETS.has(extname(path).toLowerCase()))
  const loneFolders = new Set(documents.map(({ path }) => dirname(path)))
  for (const folder of loneFolders) await readCatalogueBeside(folder, files, catalogues, findings)
  const listed = new Set<string>()
  for (const { path, source } of documents) {
    const key = `${dirname(path)}/${basename(path).normalize('NFC')}`
    listed.add(key)
    const draft = await readDocument(source, readFileSync(path), catalogues.get(key) ?? null, findings)
    if (draft !== null) drafts.push(draft)
    onFile?.(++done, files.length)
  }
  const wanted = new Set(sheets.map(({ source }) => source))
  for (const [key, { source, sheet, row, cells }] of catalogues) {
    if (listed.has(key) || !wanted.has(source)) continue
    const { value, column } = cells[FILE_FIELD] as { value: unknown; column: string }
    findings.refuse({
      file: source,
      sheet,
      row,
      column,
      value: String(value),
      problem: '目录里的这个文件没有读到',
      remedy: '请把文件放在目录旁边，文件名（含后缀）写得一模一样，并导入整个文件夹。'
    })
  }
  return drafts
}

async function readSheet({ path, source }: Pick<SourceFile, 'path' | 'source'>, findings: Findings): Promise<Draft[]> {
  const bytes = readFileSync(path)
  const extension = extname(path).toLowerCase()
  if (extension === '.xlsx') return await readWorkbook(source, bytes, findings)
  return extension === '.csv' ? readCsv(source, bytes, findings) : readJsonLines(source, bytes, findings)
}

/** A document loaded alone still has its catalogue in the same folder; rows about other files do not matter then. */
async function readCatalogueBeside(
  folder: string,
  files: readonly SourceFile[],
  catalogues: Map<string, Draft>,
  findings: Findings
): Promise<void> {
  const beside = readdirSync(folder).filter((name) => CATALOGUE.test(name))
  for (const name of beside) {
    const path = join(folder, name)
    if (files.some((file) => file.path === path) || !lstatSync(path).isFile()) continue
    for (const draft of await readSheet({ path, source: name }, findings)) {
      const file = String(draft.cells[FILE_FIELD]?.value ?? '').trim()
      if (file !== '') catalogues.set(`${folder}/${file.normalize('NFC')}`, draft)
    }
  }
}
