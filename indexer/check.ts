import type * as z from 'zod'
import { type ContentOf, KINDS } from '../src/content/kinds.ts'
import type { Incoming } from '../src/content/store.ts'
import type { Database } from '../src/database/open.ts'
import { RECORD_KINDS, type RecordKind } from '../src/database/schema.ts'
import { cutPassages } from '../src/documents/passages.ts'
import { normalise } from '../src/text/normalise.ts'
import { type Cell, COLUMNS, type Column, type Draft, type Fault, kindName, SAMPLE_FIELD } from './columns.ts'
import { markupIn, withoutMarkup } from './documents.ts'
import { type Findings, placeOf } from './report.ts'

/** What the database knows of its records, without their contents. */
export interface Head {
  kind: RecordKind
  id: string
  source: string
  sample: 0 | 1
}

interface Options {
  /** Files read whole. */
  sources: ReadonlySet<string>
  /** What each file's collection says of being sample data. */
  sampleSources: ReadonlyMap<string, boolean | null>
  skipBadRows: boolean
}

interface Checked {
  draft: Draft
  content: ContentOf[RecordKind]
}

const keyOf = (kind: RecordKind, id: string) => `${kind}/${id}`

/**
 * Checks every draft against its schema and against all other records, incoming and stored; collects all that is wrong.
 * With `skipBadRows` what remains is sound by itself: a row that needs a refused row is refused too.
 */
export async function checkDrafts(
  db: Database,
  drafts: readonly Draft[],
  heads: readonly Head[],
  options: Options,
  findings: Findings
): Promise<{ incoming: Incoming[]; refusedSources: Set<string> }> {
  const names = await nameIndex(db, drafts)
  const refusedSources = new Set<string>()
  const claimed = new Set<string>()
  let records: Checked[] = []
  for (const draft of drafts) {
    const { content, id } = checkDraft(draft, names, findings)
    if (id !== null) claimed.add(keyOf(draft.kind, id))
    if (content === null) refusedSources.add(draft.source)
    else records.push({ draft, content })
  }
  for (;;) {
    const incomingKeys = new Set(records.map(({ draft, content }) => keyOf(draft.kind, content.id)))
    const staying = heads.filter(({ kind, id, source }) => {
      return incomingKeys.has(keyOf(kind, id)) || !options.sources.has(source) || refusedSources.has(source)
    })
    const known = new Set([...staying.map(({ kind, id }) => keyOf(kind, id)), ...incomingKeys])
    // A refused row still counts as there: its own problem is named, those that follow from it would only confuse.
    if (!options.skipBadRows) for (const key of claimed) known.add(key)
    const refused = new Set([
      ...duplicates(records, findings),
      ...(await sameQuestions(db, records, staying, incomingKeys, findings)),
      ...brokenReferences(records, known, findings),
      ...(await misplacedBoards(db, records, findings))
    ])
    for (const { draft } of refused) refusedSources.add(draft.source)
    if (refused.size > 0 && options.skipBadRows) {
      records = records.filter((record) => !refused.has(record))
      continue
    }
    await orphans(db, heads, staying, incomingKeys, refusedSources, findings)
    break
  }
  await clauses(db, records, findings)
  const samples = new Map(heads.map(({ kind, id, sample }) => [keyOf(kind, id), sample === 1]))
  const incoming = records.map(({ draft, content }): Incoming => {
    const stated = draft.cells[SAMPLE_FIELD]
    // What replaces a sample record is the district's own, once its collection says so.
    const inherited = options.sampleSources.get(draft.source) ?? samples.get(keyOf(draft.kind, content.id)) === true
    const sample = stated === undefined || isEmpty(stated.value) ? inherited : booleanOf(stated.value) === true
    return { kind: draft.kind, content, source: draft.source, sample }
  })
  return { incoming, refusedSources }
}

// ── One record by itself ──────────────────────────────────────────────────

function checkDraft(
  draft: Draft,
  names: NameIndex,
  findings: Findings
): { content: ContentOf[RecordKind] | null; id: string | null } {
  const object: Record<string, unknown> = {}
  const faulty = new Set<string>()
  const refuse = (cell: Cell | null, column: string, value: unknown, fault: Fault) =>
    findings.refuse({
      file: cell?.from?.file ?? draft.source,
      sheet: cell?.from === undefined ? draft.sheet : cell.from.sheet,
      row: cell?.row ?? draft.row,
      column: cell?.column ?? column,
      value: shorten(value),
      ...fault
    })
  const sample = draft.cells[SAMPLE_FIELD]
  if (sample !== undefined && !isEmpty(sample.value) && booleanOf(sample.value) === null) {
    faulty.add(SAMPLE_FIELD)
    refuse(sample, '', sample.value, { problem: '只能填是或否', remedy: '请填 是 或 否。' })
  }
  for (const column of COLUMNS[draft.kind]) {
    const cell = draft.cells[column.field] ?? null
    const isBlank = cell === null || isEmpty(cell.value)
    const value = isBlank && cell?.fault === undefined ? (draft.defaults[column.field] ?? null) : cell?.value
    const fault = cell?.fault ?? faultOfText(column, cell)
    if (fault !== null && cell !== null) {
      faulty.add(column.field)
      const line = 'line' in fault && cell.spansLines === true ? (fault.line as number) : 0
      refuse({ ...cell, row: cell.row + line }, '', cell.value, { problem: fault.problem, remedy: fault.remedy })
    }
    const read = readValue(draft.kind, column, value, names)
    object[column.field] = read
    if (draft.kind === 'document' && column.field === 'status' && cell !== null) {
      const missing = missingDate(cell.value, draft)
      if (missing !== null) {
        faulty.add(column.field)
        refuse(cell, '', cell.value, missing)
      }
    }
  }
  const id = typeof object.id === 'string' && object.id !== '' ? object.id : null
  const parsed = KINDS[draft.kind].safeParse(object)
  if (parsed.success) {
    const content = parsed.data as ContentOf[RecordKind]
    const term = content as { effectiveOn?: string | null; expiresOn?: string | null }
    if (term.effectiveOn != null && term.expiresOn != null && term.expiresOn <= term.effectiveOn) {
      faulty.add('expiresOn')
      refuse(draft.cells.expiresOn ?? null, '失效日期', term.expiresOn, {
        problem: `失效日期不晚于生效日期（${term.effectiveOn}）`,
        remedy: '请核对两个日期；失效日期是不再有效的第一天。'
      })
    }
    return { content: faulty.size === 0 ? content : null, id }
  }
  const told = new Set<string>()
  for (const issue of parsed.error.issues) {
    const field = String(issue.path[0])
    const column = COLUMNS[draft.kind].find((one) => one.field === field)
    // One finding a cell: the first says what to do, the rest follow from it.
    if (column === undefined || faulty.has(field) || told.has(field)) continue
    told.add(field)
    refuse(
      draft.cells[field] ?? null,
      column.title,
      valueAt(object[field], issue.path.slice(1)),
      faultOf(column, issue, object[field])
    )
  }
  return { content: null, id }
}

/** Characters that show the text was read in the wrong encoding, and HTML where there must be none. */
function faultOfText(column: Column, cell: Cell | null): (Fault & { line?: number }) | null {
  if (cell === null || (typeof cell.value !== 'string' && !Array.isArray(cell.value))) return null
  const text =
    typeof cell.value === 'string' ? cell.value : cell.value.filter((item) => typeof item === 'string').join('\n')
  const bad = text.indexOf('\ufffd')
  if (bad >= 0) {
    return {
      line: text.slice(0, bad).split('\n').length - 1,
      problem: `有无法识别的字符（「${text.slice(Math.max(0, bad - 6), bad + 7).replace(/\s/g, ' ')}」），文件的编码不对或内容已损坏`,
      remedy: '请改正这一格；整份文件都是乱码时，请在 Excel/WPS 里另存为“CSV UTF-8”或 .xlsx。'
    }
  }
  const crowded = column.type === 'basis' ? text.split('\n').findIndex((line) => SECOND_BASIS.test(line)) : -1
  if (crowded >= 0) {
    return { line: crowded, problem: '一行里写了两条依据', remedy: '请每行只写一条：文件编号 第几条。' }
  }
  const markup = markupIn(text, column.field === 'body')
  if (markup === null) return null
  return {
    line: markup.line,
    problem: `含有网页代码「${markup.tag}」`,
    remedy: column.field === 'body' ? '正文用 Markdown 书写，请删去这段代码。' : '请只写文字，删去尖括号里的代码。'
  }
}

/** 失效 and 待生效 follow from dates, so that a rule dies on its day without anyone touching it; then the date must be there. */
function missingDate(status: unknown, draft: Draft): Fault | null {
  const text = String(status ?? '').trim()
  const needs = /^已?失效$/.test(text) ? 'expiresOn' : /^(待|尚未)生效$/.test(text) ? 'effectiveOn' : null
  if (needs === null || !isEmpty(draft.cells[needs]?.value)) return null
  const title = needs === 'expiresOn' ? '失效日期' : '生效日期'
  return { problem: `有效性是「${text}」，但没有${title}`, remedy: `请填写${title}，有效性由日期推出。` }
}

type Issue = z.core.$ZodIssue

function faultOf(column: Column, issue: Issue, value: unknown): Fault {
  const isItem = issue.path.length > 1
  const which = isItem && Array.isArray(value) && value.length > 1 ? `第 ${Number(issue.path[1]) + 1} 项` : ''
  if (column.type === 'status')
    return { problem: '不是可选的有效性', remedy: '请从 现行有效、已修改、废止、失效、待生效 中选一个。' }
  if (column.type === 'boolean') return { problem: '只能填是或否', remedy: '请填 是 或 否。' }
  if (column.options !== null && issue.code === 'invalid_value') {
    return isEmpty(value)
      ? { problem: `${column.title}不能为空`, remedy: `请从 ${column.options.join('、')} 中选一个。` }
      : { problem: `${which}不在可选范围内`, remedy: `请从 ${column.options.join('、')} 中选。` }
  }
  if (isEmpty(value) || issue.code === 'invalid_type') {
    return {
      problem: `${column.title}不能为空`,
      remedy: `请填写${column.title}${column.options === null ? '' : `（${column.options.join('、')}）`}。`
    }
  }
  if (issue.code === 'too_big') {
    const length = typeof value === 'string' ? `，现在 ${value.length} 个` : ''
    return isItem || typeof value === 'string'
      ? { problem: `${which}太长：最多 ${issue.maximum} 个字符${length}`, remedy: '请缩短。' }
      : { problem: `太多：最多 ${issue.maximum} 项`, remedy: '请删减。' }
  }
  if (issue.code === 'too_small') return { problem: `${which}不能为空`, remedy: `请填写${column.title}。` }
  if (column.type === 'day') return { problem: '不是一个存在的日期', remedy: '请写成 2026-11-23 这样。' }
  if (column.type === 'basis')
    return {
      problem: `${which === '' ? '依据' : which}的写法有误`,
      remedy: '每行写一条：文件编号 第几条，例如 zc-2024-012 第十二条。'
    }
  if (issue.code === 'invalid_format' && issue.format === 'url') {
    return { problem: '不是网址', remedy: '请写完整网址，以 https:// 或 http:// 开头；没有就留空。' }
  }
  if (column.refersTo !== null) {
    return {
      problem: `${which}不是${kindName(column.refersTo)}的编号${NAMED.has(column.refersTo) ? '或名称' : ''}`,
      remedy: `请填${kindName(column.refersTo)}的编号${NAMED.has(column.refersTo) ? '或全称' : ''}。`
    }
  }
  return { problem: issue.message, remedy: `请改正${column.title}。` }
}

/** Kinds that may be named as well as coded. */
const NAMED = new Set<RecordKind>(['unit', 'topic'])

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  const [first] = path
  const item = Array.isArray(value) && typeof first === 'number' ? value[first] : value
  return typeof item === 'object' && item !== null && !Array.isArray(item) ? Object.values(item).join(' ') : item
}

function shorten(value: unknown): string | null {
  if (isEmpty(value)) return null
  const text = (Array.isArray(value) ? value.join('；') : String(value)).replace(/\s+/g, ' ')
  return text.length > 40 ? `${text.slice(0, 40)}…` : text
}

const isEmpty = (value: unknown) =>
  value === null ||
  value === undefined ||
  (typeof value === 'string' && value.trim() === '') ||
  (Array.isArray(value) && value.length === 0)

// ── From a cell to a value ────────────────────────────────────────────────

const CODES_SEPARATOR = /[\n；;、，,]+/
/** Not the comma, which stands inside names and keywords. */
const SHORT_SEPARATOR = /[\n；;]+/

function readValue(kind: RecordKind, column: Column, value: unknown, names: NameIndex): unknown {
  switch (column.type) {
    case 'text': {
      const text = textOf(value)
      const body = kind === 'document' && column.field === 'body' ? withoutMarkup(text).trim() : text
      return body === '' && !column.mandatory ? null : column.options === null ? body : body.normalize('NFKC')
    }
    case 'code': {
      const code = textOf(value).normalize('NFKC').trim()
      if (code === '') return column.mandatory ? '' : null
      return column.refersTo === null ? code : names.codeOf(column.refersTo, code)
    }
    case 'day':
      return isEmpty(value) ? null : dayOf(value)
    case 'boolean':
      return isEmpty(value) ? false : (booleanOf(value) ?? value)
    case 'status':
      return isEmpty(value) ? 'current' : (STATUSES[textOf(value)] ?? value)
    case 'codes': {
      const separator = column.options === null && column.refersTo === null ? SHORT_SEPARATOR : CODES_SEPARATOR
      const items = itemsOf(value, separator)
      const { refersTo } = column
      return refersTo === null ? items : items.map((item) => names.codeOf(refersTo, item))
    }
    case 'lines':
      return itemsOf(value, /\n+/)
    case 'basis':
      return Array.isArray(value) && value.some((item) => typeof item === 'object')
        ? value.map(basisObject)
        : itemsOf(value, /\n+/).map(basisOf)
  }
}

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f\u200b\u2060\ufeff]/g

function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'boolean') return value ? '是' : '否'
  if (typeof value === 'object') return JSON.stringify(value)
  return String(value).replace(/\r\n?/g, '\n').replace(CONTROL, '').trim()
}

/** Items are one line each: a break inside one could not be told from the next item when the sheet is edited. */
function itemsOf(value: unknown, separator: RegExp): string[] {
  const items = Array.isArray(value) ? value.map(textOf) : textOf(value).split(separator)
  return items.map((item) => item.replace(/\s*\n\s*/g, ' ').trim()).filter((item) => item !== '')
}

const STATUSES: Record<string, string> = {
  current: 'current',
  amended: 'amended',
  repealed: 'repealed',
  现行有效: 'current',
  有效: 'current',
  已修改: 'amended',
  废止: 'repealed',
  已废止: 'repealed',
  失效: 'current',
  已失效: 'current',
  待生效: 'current',
  尚未生效: 'current'
}

function booleanOf(value: unknown): boolean | null {
  const text = textOf(value).toLowerCase()
  if (['是', 'true', '1', '√', '有'].includes(text)) return true
  return ['否', 'false', '0', '×', '无'].includes(text) ? false : null
}

/** Days as clerks and Excel write them: 2026-3-1, 2026/3/1, 2026.3.1, 2026年3月1日, or Excel's day number. */
function dayOf(value: unknown): unknown {
  // 20000 and 80000 are 1954 and 2119: outside lies no date of a policy, but a year typed alone.
  if (typeof value === 'number' && value > 20_000 && value < 80_000) {
    return new Date((Math.floor(value) - 25_569) * 86_400_000).toISOString().slice(0, 10)
  }
  const text = textOf(value).normalize('NFKC')
  const [, year, month, day] = /^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T ]0{1,2}:00.*)?$/.exec(text) ?? []
  return year === undefined ? text : `${year}-${month?.padStart(2, '0')}-${day?.padStart(2, '0')}`
}

/** A second document in one line would be lost in the first one's clause. */
const SECOND_BASIS = /[；;，,、\s][A-Za-z][A-Za-z0-9]*-[A-Za-z0-9.-]+(?:\s|$)/

function basisOf(line: string): { document: string; clause: string | null } {
  const [, document = '', clause = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? []
  return { document: document.normalize('NFKC'), clause: clause === '' ? null : clause }
}

function basisObject(item: unknown): unknown {
  if (typeof item === 'string') return basisOf(item)
  const { document = '', clause = null } = item as { document?: unknown; clause?: unknown }
  return { document, clause }
}

async function storedContents(
  db: Database,
  kinds: readonly RecordKind[],
  id?: string
): Promise<{ kind: RecordKind; id: string; content: string }[]> {
  const rows = db
    .selectFrom('records')
    .innerJoin('revisions', 'revisions.sequence', 'records.sequence')
    .select(['records.kind', 'records.id', 'revisions.content'])
    .where('records.kind', 'in', kinds)
    .where('records.retired', '=', 0)
  return await (id === undefined ? rows : rows.where('records.id', '=', id)).execute()
}

// ── Names for codes ───────────────────────────────────────────────────────

interface NameIndex {
  /** The code a name stands for; what is no known name stays as it is. */
  codeOf(kind: RecordKind, text: string): string
}

/** Units and topics by name and abbreviation: clerks write 区医保局, not ybj. A name of two records stands for neither. */
async function nameIndex(db: Database, drafts: readonly Draft[]): Promise<NameIndex> {
  const kinds = ['unit', 'topic'] as const
  const stored = await storedContents(db, kinds)
  const codes = new Map<string, string | null>()
  const ids = new Set<string>()
  const add = (kind: RecordKind, id: string, given: readonly string[]) => {
    ids.add(keyOf(kind, id))
    for (const name of given) {
      const key = keyOf(kind, name)
      codes.set(key, codes.has(key) && codes.get(key) !== id ? null : id)
    }
  }
  const incoming = new Set<string>()
  for (const { kind, cells } of drafts) {
    if (kind !== 'unit' && kind !== 'topic') continue
    const id = textOf(cells.id?.value).normalize('NFKC')
    incoming.add(keyOf(kind, id))
    add(kind, id, [textOf(cells.name?.value), ...itemsOf(cells.aliases?.value, SHORT_SEPARATOR)])
  }
  for (const { kind, id, content } of stored) {
    if (incoming.has(keyOf(kind, id))) continue
    const { name, aliases = [] } = JSON.parse(content) as { name: string; aliases?: string[] }
    add(kind, id, [name, ...aliases])
  }
  return {
    codeOf: (kind, text) => (ids.has(keyOf(kind, text)) ? text : (codes.get(keyOf(kind, text)) ?? text))
  }
}

// ── Records among each other ──────────────────────────────────────────────

/** Where a field of a draft stands, for a person. */
export function placeOfDraft(
  draft: Draft,
  field: string
): { file: string; sheet: string | null; row: number; column: string } {
  const cell = draft.cells[field]
  const column = cell?.column ?? COLUMNS[draft.kind].find((one) => one.field === field)?.title ?? field
  const { file, sheet } = cell?.from ?? { file: draft.source, sheet: draft.sheet }
  return { file, sheet, row: cell?.row ?? draft.row, column }
}

const rowOf = (draft: Draft, field: string) => placeOf({ ...placeOfDraft(draft, field), column: null })

/** Both rows are refused: nobody but the clerk knows which is right. */
function duplicates(records: readonly Checked[], findings: Findings): Checked[] {
  const first = new Map<string, Checked>()
  const refused: Checked[] = []
  for (const record of records) {
    const { draft, content } = record
    const key = keyOf(draft.kind, content.id)
    const other = first.get(key)
    if (other === undefined) {
      first.set(key, record)
      continue
    }
    refused.push(other, record)
    const named = COLUMNS[draft.kind].find(({ field }) => field === 'id')?.title ?? '编号'
    findings.refuse({
      ...placeOfDraft(draft, 'id'),
      value: content.id,
      problem: `${kindName(draft.kind)}的${named}重复：${rowOf(other.draft, 'id')} 已经用了「${content.id}」`,
      remedy: `请给其中一个换一个${named}，或者删去重复的。`
    })
  }
  return refused
}

async function sameQuestions(
  db: Database,
  records: readonly Checked[],
  staying: readonly Head[],
  incomingKeys: ReadonlySet<string>,
  findings: Findings
): Promise<Checked[]> {
  const first = new Map<string, { id: string; answer: string; place: string; record: Checked | null }>()
  const entries = records.filter(({ draft }) => draft.kind === 'qa')
  if (entries.length === 0) return []
  const others = new Map(
    staying
      .filter(({ kind, id }) => kind === 'qa' && !incomingKeys.has(keyOf(kind, id)))
      .map(({ id, source }) => [id, source])
  )
  if (others.size > 0) {
    for (const { id, content } of await storedContents(db, ['qa'])) {
      const source = others.get(id)
      if (source === undefined) continue
      const { question, answer } = JSON.parse(content) as ContentOf['qa']
      first.set(normalise(question), { id, answer, place: `库里的 ${id}（来自 ${source}）`, record: null })
    }
  }
  const refused: Checked[] = []
  for (const record of entries) {
    const { draft } = record
    const { id, question, answer } = record.content as ContentOf['qa']
    const key = normalise(question)
    const other = first.get(key)
    if (other === undefined || other.id === id) {
      first.set(key, { id, answer, place: rowOf(draft, 'question'), record })
      continue
    }
    refused.push(record)
    if (other.record !== null) refused.push(other.record)
    const same = other.answer.trim() === answer.trim()
    findings.refuse({
      ...placeOfDraft(draft, 'question'),
      value: shorten(question),
      problem: `与${other.place} 是同一个问题，${same ? '答复也相同（重复）' : '但答复不同'}`,
      remedy: same
        ? '请删去其中一行；不同的问法写进「其他问法」。'
        : '请核实哪个答复正确，合并成一行；确是两件事的，请把问题写得能够区分。'
    })
  }
  return refused
}

/** Every code a record refers to, with the field it stands in. */
function* referencesOf(
  kind: RecordKind,
  content: ContentOf[RecordKind]
): Iterable<{ column: Column; to: RecordKind; id: string }> {
  const values = content as unknown as Record<string, unknown>
  for (const column of COLUMNS[kind]) {
    const { field, refersTo, type } = column
    if (type === 'basis') {
      for (const { document } of values[field] as ContentOf['qa']['basis'])
        yield { column, to: 'document', id: document }
    } else if (refersTo !== null) {
      const ids = Array.isArray(values[field]) ? (values[field] as string[]) : [values[field] as string | null]
      for (const id of ids) if (id !== null) yield { column, to: refersTo, id }
    }
  }
}

function brokenReferences(records: readonly Checked[], known: ReadonlySet<string>, findings: Findings): Checked[] {
  const refused: Checked[] = []
  for (const record of records) {
    const { draft, content } = record
    for (const { column, to, id } of referencesOf(draft.kind, content)) {
      const isItself = to === draft.kind && id === content.id
      if (known.has(keyOf(to, id)) && !isItself) continue
      refused.push(record)
      const name = kindName(to)
      findings.refuse({
        ...placeOfDraft(draft, column.field),
        value: id,
        problem: isItself ? `${column.title}不能是它自己` : `${column.title}里的${name}「${id}」不存在`,
        remedy: isItself
          ? '请填别的编号或留空。'
          : `请核对${name}的编号${to === 'document' ? '' : NAMED.has(to) ? '或全称' : ''}；确实没有这个${name}时，请先在${name}${to === 'document' ? '里' : '表里'}加上。`
      })
    }
  }
  return refused
}

/** Only a community has a notice board (R2, R30): elsewhere nobody would see what is posted. */
async function misplacedBoards(db: Database, records: readonly Checked[], findings: Findings): Promise<Checked[]> {
  const posted = records.filter(({ draft }) => draft.kind === 'board')
  if (posted.length === 0) return []
  const kinds = new Map<string, string>()
  for (const { id, content } of await storedContents(db, ['zone'])) {
    kinds.set(id, (JSON.parse(content) as ContentOf['zone']).venueKind)
  }
  for (const { draft, content } of records) {
    if (draft.kind === 'zone') kinds.set(content.id, (content as ContentOf['zone']).venueKind)
  }
  const refused = posted.filter(({ content }) => {
    const kind = kinds.get((content as ContentOf['board']).zone)
    return kind !== undefined && kind !== 'CV'
  })
  for (const { draft, content } of refused) {
    findings.refuse({
      ...placeOfDraft(draft, 'zone'),
      value: (content as ContentOf['board']).zone,
      problem: '这个专区不是社区（村），没有公示栏',
      remedy: '请填社区（村）专区的编号，场所类别是 CV 的。'
    })
  }
  return refused
}

const REFERRED_TO = new Set<RecordKind>(['unit', 'zone', 'topic', 'document'])

/** What is about to be retired while stored records of other files still refer to it. */
async function orphans(
  db: Database,
  heads: readonly Head[],
  staying: readonly Head[],
  incomingKeys: ReadonlySet<string>,
  refusedSources: ReadonlySet<string>,
  findings: Findings
): Promise<void> {
  const stays = new Set(staying.map(({ kind, id }) => keyOf(kind, id)))
  const retiring = new Map(
    heads.filter(({ kind, id }) => !stays.has(keyOf(kind, id))).map((head) => [keyOf(head.kind, head.id), head])
  )
  if (![...retiring.values()].some(({ kind }) => REFERRED_TO.has(kind))) return
  const referring = RECORD_KINDS.filter((kind) =>
    COLUMNS[kind].some(({ refersTo, type }) => refersTo !== null || type === 'basis')
  )
  const rows = await storedContents(db, referring)
  const users = new Map<string, string[]>()
  for (const { kind, id, content } of rows) {
    const key = keyOf(kind, id)
    if (!stays.has(key) || incomingKeys.has(key)) continue
    for (const reference of referencesOf(kind, JSON.parse(content))) {
      const target = keyOf(reference.to, reference.id)
      if (retiring.has(target)) users.set(target, [...(users.get(target) ?? []), `${kindName(kind)} ${id}`])
    }
  }
  for (const [target, by] of users) {
    const { kind, id, source } = retiring.get(target) as Head
    if (refusedSources.has(source)) continue
    findings.refuse({
      file: source,
      value: id,
      problem: `文件里已没有${kindName(kind)}「${id}」，但库里还有 ${by.length} 条内容在用它（${by.slice(0, 5).join('、')}${by.length > 5 ? ' 等' : ''}）`,
      remedy: `请把${kindName(kind)}「${id}」加回来，或者连同改好的这些内容一起导入。`
    })
  }
}

/** Warns of a basis whose clause is not in the cited document. */
async function clauses(db: Database, records: readonly Checked[], findings: Findings): Promise<void> {
  const incoming = new Map(
    records
      .filter(({ draft }) => draft.kind === 'document')
      .map(({ content }) => [content.id, content as ContentOf['document']])
  )
  const known = new Map<string, { clauses: Set<string>; text: string }>()
  const passagesOf = async (id: string) => {
    const before = known.get(id)
    if (before !== undefined) return before
    const [stored] = incoming.has(id) ? [] : await storedContents(db, ['document'], id)
    const document = stored === undefined ? incoming.get(id) : (JSON.parse(stored.content) as ContentOf['document'])
    const passages = cutPassages(document?.body ?? '')
    const found = {
      clauses: new Set(passages.flatMap(({ clause }) => (clause === null ? [] : [normalise(clause)]))),
      text: normalise(passages.map(({ heading, text }) => `${heading}\n${text}`).join('\n')).replace(/\s/g, '')
    }
    known.set(id, found)
    return found
  }
  for (const { draft, content } of records) {
    if (draft.kind !== 'qa') continue
    for (const { document, clause } of (content as ContentOf['qa']).basis) {
      if (clause === null) continue
      const passages = await passagesOf(document)
      const wanted = normalise(clause)
      const article = /^第[^条]+条(?:之\d+|之[一二三四五六七八九十])?/.exec(wanted)?.[0]
      if (article === undefined ? passages.text.includes(wanted.replace(/\s/g, '')) : passages.clauses.has(article))
        continue
      findings.warn({
        ...placeOfDraft(draft, 'basis'),
        value: `${document} ${clause}`,
        problem: `依据的文件 ${document} 里找不到「${clause}」`,
        remedy: '请核对条款号；标题式的依据要与文件里的标题写得一样。'
      })
    }
  }
}
