import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import Excel from 'exceljs'
import type { Test } from 'tap'
import { type LoadOptions, loadFiles } from '../../indexer/load.ts'
import type { Report } from '../../indexer/report.ts'
import { type Database, migrate, openDatabase } from '../../src/database/open.ts'

type Files = Record<string, string | Buffer>

/** A folder of the given files, removed with the test. */
export function folderOf(t: Test, files: Files): string {
  const folder = t.testdir({})
  addFiles(folder, files)
  return folder
}

export function addFiles(folder: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
}

/** An empty database in memory, closed with the test. */
export async function emptyDatabase(t: Test): Promise<Database> {
  const db = await openDatabase({ kind: 'sqlite', file: ':memory:' })
  t.teardown(() => db.destroy())
  await migrate(db)
  return db
}

export function load(db: Database, path: string | string[], options: Partial<LoadOptions> = {}): Promise<Report> {
  return loadFiles(db, [path].flat(), { by: 'test', at: '2026-11-23T00:00:00.000Z', ...options })
}

/** Everything stored that a load could have changed, for comparing before and after. */
export async function storedIn(db: Database) {
  const records = await db.selectFrom('records').selectAll().orderBy('kind').orderBy('id').execute()
  const revisions = await db.selectFrom('revisions').selectAll().orderBy('sequence').execute()
  const entries = await db.selectFrom('entries').select('key').orderBy('key').execute()
  return { records, revisions, entries }
}

/** The content of a record as it stands. */
export async function contentOf(db: Database, kind: string, id: string): Promise<Record<string, unknown>> {
  const row = await db
    .selectFrom('records')
    .innerJoin('revisions', 'revisions.sequence', 'records.sequence')
    .select('revisions.content')
    .where('records.kind', '=', kind as 'qa')
    .where('records.id', '=', id)
    .executeTakeFirstOrThrow()
  return JSON.parse(row.content)
}

export const csv = (...rows: string[][]) =>
  rows.map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(',')).join('\r\n')

export const UNITS = csv(
  ['编号', '名称', '简称', '类别'],
  ['zfb', '区政府办公室', '', '政府办'],
  ['ybj', '区医保局', '医保局', '部门']
)
export const TOPICS = csv(['编号', '名称', '人生事件'], ['yibao', '医疗保险', '医保'])
export const QA_HEADER = [
  '编号',
  '问题',
  '其他问法',
  '答复',
  '依据',
  '责任单位',
  '面向',
  '主题',
  '生效日期',
  '失效日期'
]
export const QA_ROW = [
  'yb-001',
  '医保怎么转移',
  '医保转到江北\n医保转移',
  '到任一服务点办理。',
  '',
  'ybj',
  '群众',
  'yibao',
  '2024-01-01',
  ''
]

/** A sound little collection; other files are added to it or put in place of its own. */
export function collection(files: Files = {}): Files {
  return { 'units.csv': UNITS, 'topics.csv': TOPICS, 'qa/yibao.csv': csv(QA_HEADER, QA_ROW), ...files }
}

/** A row of the Q&A sheet with some cells replaced. */
export function qaRow(cells: Record<string, string>): string[] {
  return QA_HEADER.map((header, at) => cells[header] ?? (QA_ROW[at] as string))
}

export async function xlsx(sheets: Record<string, (sheet: Excel.Worksheet) => void>): Promise<Buffer> {
  const workbook = new Excel.Workbook()
  for (const [name, fill] of Object.entries(sheets)) fill(workbook.addWorksheet(name))
  return Buffer.from(await workbook.xlsx.writeBuffer())
}

interface Part {
  name: string
  data: Buffer | string
  /** Size the archive states, when it lies. */
  stated?: number
}

/** A zip archive, as plain as the format allows. */
export function zip(parts: Part[]): Buffer {
  const files: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, data, stated } of parts) {
    const bytes = Buffer.from(data)
    const packed = deflateRawSync(bytes, { level: 9 })
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(0x800, 2)
    fields.writeUInt16LE(8, 4)
    fields.writeUInt32LE(crc32(bytes), 10)
    fields.writeUInt32LE(packed.length, 14)
    fields.writeUInt32LE(stated ?? bytes.length, 18)
    fields.writeUInt16LE(Buffer.byteLength(name), 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), packed])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(offset, 10)
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), fields, rest, Buffer.from(name)]))
    files.push(local)
    offset += local.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(parts.length, 4)
  end.writeUInt16LE(parts.length, 6)
  end.writeUInt32LE(central.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...files, central, Buffer.from('PK\x05\x06'), end])
}

const DOCUMENT_TYPE = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml'
const RELATION = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument'

/** A Word document with this body, in WordprocessingML. */
export function docx(body: string, more: Part[] = []): Buffer {
  const xml = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
  return zip([
    {
      name: '[Content_Types].xml',
      data: `${xml}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="${DOCUMENT_TYPE}"/></Types>`
    },
    {
      name: '_rels/.rels',
      data: `${xml}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="${RELATION}" Target="word/document.xml"/></Relationships>`
    },
    {
      name: 'word/document.xml',
      data: `${xml}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>${body}</w:body></w:document>`
    },
    ...more
  ])
}

export const paragraph = (text: string, style?: string) =>
  `<w:p>${style === undefined ? '' : `<w:pPr><w:pStyle w:val="${style}"/></w:pPr>`}<w:r><w:t>${text}</w:t></w:r></w:p>`

/** A PDF with these lines on each page, as Word writes it: glyph numbers with a ToUnicode map. No lines = a scan. */
export function pdf(pages: string[][]): Buffer {
  const characters = [...new Set(pages.flat().join(''))]
  const hex = (number: number) => number.toString(16).padStart(4, '0')
  const glyphs = (line: string) => [...line].map((character) => hex(characters.indexOf(character) + 1)).join('')
  const map = characters.map((character, at) => `<${hex(at + 1)}> <${hex(character.charCodeAt(0))}>`)
  const stream = (text: string) => `<< /Length ${Buffer.byteLength(text)} >>\nstream\n${text}\nendstream`
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Kids [${pages.map((_, at) => `${7 + at * 2} 0 R`).join(' ')}] /Count ${pages.length} >>`,
    '<< /Type /Font /Subtype /Type0 /BaseFont /SimSun /Encoding /Identity-H /DescendantFonts [4 0 R] /ToUnicode 6 0 R >>',
    '<< /Type /Font /Subtype /CIDFontType2 /BaseFont /SimSun /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor 5 0 R /DW 1000 >>',
    '<< /Type /FontDescriptor /FontName /SimSun /Flags 4 /FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 900 /Descent -200 /CapHeight 800 /StemV 80 >>',
    stream(
      `/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def 1 begincodespacerange <0000> <ffff> endcodespacerange ${map.length} beginbfchar\n${map.join('\n')}\nendbfchar endcmap end end`
    ),
    ...pages.flatMap((lines, at) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents ${8 + at * 2} 0 R >>`,
      stream(lines.map((line, row) => `BT /F1 12 Tf 60 ${780 - row * 20} Td <${glyphs(line)}> Tj ET`).join('\n'))
    ])
  ]
  let file = '%PDF-1.5\n'
  const offsets: number[] = []
  for (const [at, object] of objects.entries()) {
    offsets.push(Buffer.byteLength(file))
    file += `${at + 1} 0 obj\n${object}\nendobj\n`
  }
  const start = Buffer.byteLength(file)
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('')}`
  return Buffer.from(`${file}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${start}\n%%EOF\n`)
}
