import { fromBufferPromise } from 'yauzl'
import type { Fault } from './columns.ts'

/** Office files are a few hundred kilobytes; a whole district's bank as xlsx is under 10 MB. Larger is a mistake or an attack. */
export const MOST_FILE_BYTES = 200 * 1024 * 1024

/**
 * Unpacked size of one office file. exceljs holds about 12 bytes of memory for each byte of sheet (24 MB of XML, 20,000
 * entries: 290 MB), so 128 MB, about 100,000 entries, still fits Node's smallest default heap of 2 GB. More goes in as jsonl or csv.
 */
const MOST_UNPACKED_BYTES = 128 * 1024 * 1024

/**
 * Text of one document: a Word file's main part, a web page or Markdown. A 300-page volume is about 5 MB; parsers hold some
 * 30 times as much in memory.
 */
export const MOST_TEXT_BYTES = 20 * 1024 * 1024

/** A sheet of one repeated row packs about 20 to 1, zeros pack 1,032 to 1 (deflate's limit): between them lies no honest file. */
const MOST_RATIO = 200

/** Excel writes about ten parts and one for each sheet and picture. */
const MOST_ENTRIES = 10_000

/** exceljs makes an object for every merged cell; one mergeCell over the whole sheet names 17 thousand million. */
const MOST_MERGED_CELLS = 50_000

const OLE_SIGNATURE = 'd0cf11e0a1b11ae1'
const ENCRYPTED_PACKAGE = Buffer.from('EncryptedPackage', 'utf16le')
const ENCRYPTED_BIT = 1
const MERGE = /<(?:\w+:)?mergeCell\b[^>]*\bref="([A-Z]+)(\d+):([A-Z]+)(\d+)"/g

/**
 * Looks over an office file (xlsx, docx) before any library unpacks it.
 * Every part is unpacked once into nothing, because a central directory may lie about sizes.
 * @returns what makes it unusable, or null
 */
export async function faultOfArchive(bytes: Buffer, saveAs: string): Promise<Fault | null> {
  if (bytes.subarray(0, 8).toString('hex') === OLE_SIGNATURE) {
    return bytes.includes(ENCRYPTED_PACKAGE)
      ? {
          problem: '文件有密码保护（已加密），读不出内容',
          remedy: `请在 Office/WPS 里打开，取消“用密码进行加密”，另存为 ${saveAs} 后再导入。`
        }
      : {
          problem: '文件有密码保护，或者是改了后缀名的旧版格式',
          remedy: `请在 Office/WPS 里打开，去掉密码，另存为 ${saveAs} 后再导入。`
        }
  }
  try {
    return await faultOfZip(bytes, saveAs)
  } catch {
    return {
      problem: `文件已损坏，或者不是真正的 ${saveAs} 文件`,
      remedy: `请在 Office/WPS 里打开它，另存为 ${saveAs} 后再导入。`
    }
  }
}

async function faultOfZip(bytes: Buffer, saveAs: string): Promise<Fault | null> {
  const bomb = (what: string): Fault => ({
    problem: `文件解压后异常庞大（${what}），可能是“压缩炸弹”，已拒绝打开`,
    remedy: `请向提供者核实来源；确属正常数据的，请拆成几个 ${saveAs}，或改用 csv、jsonl。`
  })
  const zip = await fromBufferPromise(bytes)
  if (zip.entryCount > MOST_ENTRIES) return bomb(`内含 ${zip.entryCount} 个部件，上限 ${MOST_ENTRIES}`)
  const entries = []
  let unpacked = 0
  for await (const entry of zip.eachEntry()) {
    if ((entry.generalPurposeBitFlag & ENCRYPTED_BIT) !== 0) {
      return { problem: '文件内容已加密', remedy: `请去掉密码，另存为 ${saveAs} 后再导入。` }
    }
    if (/vbaProject\.bin$|\/macrosheets\//i.test(entry.fileName)) {
      return {
        problem: '文件里带有宏（VBA 程序）',
        remedy: `为安全起见不导入带宏的文件。请另存为不带宏的 ${saveAs} 后再导入。`
      }
    }
    if (
      entry.fileName.startsWith('word/') &&
      entry.fileName.endsWith('.xml') &&
      entry.uncompressedSize > MOST_TEXT_BYTES
    ) {
      return bomb(`正文有 ${megabytes(entry.uncompressedSize)}，上限 ${megabytes(MOST_TEXT_BYTES)}`)
    }
    unpacked += entry.uncompressedSize
    entries.push(entry)
  }
  if (unpacked > MOST_UNPACKED_BYTES) return bomb(`${megabytes(unpacked)}，上限 ${megabytes(MOST_UNPACKED_BYTES)}`)
  if (unpacked / bytes.length > MOST_RATIO) return bomb(`是原来的 ${Math.round(unpacked / bytes.length)} 倍`)
  for (const entry of entries) {
    // The stream fails as soon as a part grows beyond its stated size, so the sum above bounds the work.
    const stream = await zip.openReadStreamPromise(entry)
    const isXml = /\.(xml|rels|vml)$/i.test(entry.fileName)
    const chunks: Buffer[] = []
    for await (const chunk of stream) if (isXml) chunks.push(chunk as Buffer)
    if (!isXml) continue
    const xml = Buffer.concat(chunks).toString('latin1')
    if (/<!(DOCTYPE|ENTITY)/i.test(xml)) {
      return {
        problem: `文件内部（${entry.fileName}）声明了外部实体，正常的 Office 文件没有这种内容`,
        remedy: `请向提供者核实来源；确属正常文件的，请在 Office/WPS 里打开，另存为 ${saveAs} 后再导入。`
      }
    }
    if (entry.fileName.startsWith('xl/worksheets/') && mergedCells(xml) > MOST_MERGED_CELLS) {
      return { problem: `合并单元格过多（超过 ${MOST_MERGED_CELLS} 格）`, remedy: '请取消大片的合并单元格后再导入。' }
    }
  }
  return null
}

function mergedCells(xml: string): number {
  let cells = 0
  for (const [, left = 'A', top, right = 'A', bottom] of xml.matchAll(MERGE)) {
    cells += (Number(bottom) - Number(top) + 1) * (columnNumber(right) - columnNumber(left) + 1)
  }
  return cells
}

function columnNumber(letters: string): number {
  let number = 0
  for (const letter of letters) number = number * 26 + letter.charCodeAt(0) - 64
  return number
}

/** A size for people. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(bytes < 10 * 1024 * 1024 ? 1 : 0)} MB`
}
