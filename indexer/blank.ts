import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DOCUMENT_CATEGORIES } from '../src/content/kinds.ts'
import type { RecordKind } from '../src/database/schema.ts'
import { COLUMNS, SAMPLE_TITLE } from './columns.ts'

/** Where each kind of record lies in a corpus folder. */
const FILES: Record<Exclude<RecordKind, 'document'>, string> = {
  district: 'district.csv',
  unit: 'units.csv',
  zone: 'zones.csv',
  topic: 'topics.csv',
  qa: 'qa/问答.csv',
  board: 'board.csv',
  word: 'dictionary.csv',
  synonym: 'synonyms.csv',
  place: 'places.csv'
}

/** Sheets that hold no records: near neighbours for the lint's reader, judged questions for the benches. */
const OTHERS: Record<string, readonly string[]> = {
  'neighbours.csv': ['甲', '乙', '差别'],
  'judged.csv': ['编号', '问题', '答案', '类型', '主题', '说明', '组']
}

/** A file to write is there already, perhaps filled in. */
export class BlankExists extends Error {
  constructor(file: string) {
    super(`${file} 已经存在，什么也没有写。请换一个新文件夹。`)
    this.name = 'BlankExists'
  }
}

/** A corpus folder with headers and nothing else, by path: derived from the schemas, so that the two cannot part. */
export function blankFiles(): Map<string, string> {
  const files = new Map<string, string>()
  for (const [kind, file] of Object.entries(FILES) as [keyof typeof FILES, string][]) {
    const titles = COLUMNS[kind].filter(({ field }) => kind !== 'district' || field !== 'id').map(({ title }) => title)
    const rows =
      kind === 'district'
        ? [['项目', '内容'], ...[...titles, SAMPLE_TITLE].map((title) => [title, title === SAMPLE_TITLE ? '否' : ''])]
        : [titles]
    files.set(file, sheet(rows))
  }
  for (const [file, titles] of Object.entries(OTHERS)) files.set(file, sheet([titles]))
  const keys = COLUMNS.document.filter(({ field }) => field !== 'body')
  const lines = keys.map(({ field, title, type }) => {
    if (field === 'category') return `${title}: ${DOCUMENT_CATEGORIES[0]}`
    if (field === 'status') return `${title}: 现行有效`
    return type === 'codes' ? `${title}: []` : `${title}:`
  })
  const body = '# 文件标题\n\n第一条 正文从这里开始，每条一段。'
  files.set('documents/空白文件.md', `---\n${lines.join('\n')}\n---\n\n${body}\n`)
  return files
}

/** With a byte order mark, by which Excel knows UTF-8; headers need no quotes. */
const sheet = (rows: readonly (readonly string[])[]) => `\ufeff${rows.map((row) => `${row.join(',')}\n`).join('')}`

/**
 * Writes the empty sheets into a folder.
 * @returns the files' paths below it
 * @throws {BlankExists} before anything is written
 */
export function writeBlank(folder: string): string[] {
  const files = blankFiles()
  for (const name of files.keys()) {
    const path = join(folder, name)
    if (existsSync(path)) throw new BlankExists(path)
  }
  for (const [name, text] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return [...files.keys()]
}
