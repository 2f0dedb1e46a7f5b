import * as z from 'zod'
import type { RecordKind } from '../database/schema.ts'

const DAY = /^\d{4}-\d{2}-\d{2}$/
/** A day that exists, `YYYY-MM-DD`, China Standard Time. */
export const day = z.string().refine((text) => {
  if (!DAY.test(text)) return false
  const date = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}, '日期应写成 2026-11-23 这样，并且确有这一天')

/** PostgreSQL stores neither NUL nor half a character. */
const UNSTORABLE = /[\0\p{Surrogate}]/gu
const text = z
  .string()
  .overwrite((given) => given.replace(UNSTORABLE, ''))
  .trim()
const required = text.min(1, '不能为空')
const lines = z.array(required)
/** A record's own code: what links, numbers and addresses carry. */
const code = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/, '编号只能用字母、数字、点、横线和下划线，最长 80 个字符')

export const VENUE_KINDS = ['SC', 'TC', 'AL', 'CV'] as const
export const UNIT_KINDS = ['政府办', '部门', '街镇', '中心', '群团', '其他'] as const
export const DOCUMENT_CATEGORIES = [
  '政策文件',
  '政策汇编',
  '工作报告',
  '制度汇编',
  '公开指南',
  '标准目录',
  '办事指南'
] as const
export const AUDIENCES = ['群众', '企业'] as const
export const LIFE_EVENTS = [
  '生育',
  '入学',
  '就业',
  '社保',
  '医保',
  '住房',
  '婚姻',
  '养老',
  '开店',
  '退役',
  '丧葬',
  '残疾'
] as const
export const DOCUMENT_STATUSES = ['current', 'amended', 'repealed'] as const
/** What a community must post (R31), in the plan's order. */
export const BOARD_CATEGORIES = [
  '职责制度和办事程序',
  '人员职责分工',
  '工作开展情况',
  '低保和社会救助',
  '居民会议评议情况',
  '书记主任工作电话',
  '居民工作建议',
  '居民会议决定实施情况'
] as const
/** How often a posted item is renewed, with the days after which it counts as out of date; null = when it changes. */
export const BOARD_PERIODS = { 长期: null, 每年: 366, 每半年: 184, 每季度: 92, 每月: 31 } as const
export const PLACE_LEVELS = ['省', '市', '区县', '街道', '镇', '乡', '社区', '村', '地片'] as const

const District = z.strictObject({
  id: z.literal('district'),
  name: required.meta({ title: '名称' }),
  shortName: required.meta({ title: '简称' }),
  parent: text.nullable().meta({ title: '上级' }),
  areaCode: text.nullable().meta({ title: '区号' }),
  hotline: text.nullable().meta({ title: '热线' }),
  note: text.nullable().meta({ title: '说明' })
})

const Unit = z.strictObject({
  id: code.meta({ title: '编号' }),
  name: required.max(60).meta({ title: '名称' }),
  aliases: lines.meta({ title: '简称' }),
  kind: z.enum(UNIT_KINDS).meta({ title: '类别' }),
  parent: code.nullable().meta({ title: '上级单位' }),
  duties: lines.meta({ title: '职责' }),
  phone: text.nullable().meta({ title: '电话' }),
  address: text.nullable().meta({ title: '地址' }),
  hours: text.nullable().meta({ title: '办公时间' }),
  fax: text.nullable().meta({ title: '传真' }),
  website: z
    .url({ protocol: /^https?$/ })
    .nullable()
    .meta({ title: '网址' }),
  /** The 公开指南 that names the unit's own channel (R18, R23). */
  guide: code.nullable().meta({ title: '公开指南' }),
  acceptsApplications: z.boolean().meta({ title: '受理依申请公开' }),
  reviewBody: text.nullable().meta({ title: '复议机关' }),
  leader: text.nullable().meta({ title: '分管领导' }),
  liaison: text.nullable().meta({ title: '联络员' }),
  verifiedOn: day.nullable().meta({ title: '核实日期' })
})

const ZONE_CODE = /^[A-Z0-9]{2,12}$/

const Zone = z.strictObject({
  id: z.string().regex(ZONE_CODE, '专区编号只能用 2 至 12 位大写字母和数字').meta({ title: '编号' }),
  name: required.max(60).meta({ title: '名称' }),
  venueKind: z.enum(VENUE_KINDS).meta({ title: '场所类别' }),
  unit: code.meta({ title: '承办单位' }),
  address: text.nullable().meta({ title: '地址' }),
  hours: text.nullable().meta({ title: '办公时间' }),
  phone: text.nullable().meta({ title: '电话' }),
  location: text.nullable().meta({ title: '位置' }),
  pilot: z.boolean().meta({ title: '试点' })
})

const Topic = z.strictObject({
  id: code.meta({ title: '编号' }),
  name: required.max(30).meta({ title: '名称' }),
  lifeEvents: z.array(z.enum(LIFE_EVENTS)).meta({ title: '人生事件' }),
  note: text.nullable().meta({ title: '说明' })
})

const Qa = z.strictObject({
  id: code.meta({ title: '编号' }),
  question: required.max(200).meta({ title: '问题' }),
  variants: z.array(required.max(200)).max(50).meta({ title: '其他问法' }),
  answer: required.max(20_000).meta({ title: '答复' }),
  materials: lines.meta({ title: '所需材料' }),
  steps: lines.meta({ title: '办理步骤' }),
  fee: text.nullable().meta({ title: '费用' }),
  place: text.nullable().meta({ title: '办理地点' }),
  duration: text.nullable().meta({ title: '办理时限' }),
  basis: z.array(z.strictObject({ document: code, clause: text.nullable() })).meta({ title: '依据' }),
  unit: code.meta({ title: '责任单位' }),
  audience: z.array(z.enum(AUDIENCES)).min(1, '请填群众或企业').meta({ title: '面向' }),
  topic: code.nullable().meta({ title: '主题' }),
  effectiveOn: day.nullable().meta({ title: '生效日期' }),
  expiresOn: day.nullable().meta({ title: '失效日期' }),
  reviewBy: day.nullable().meta({ title: '复核日期' })
})

const Document = z.strictObject({
  id: code.meta({ title: '编号' }),
  title: required.max(300).meta({ title: '标题' }),
  indexNumber: text.nullable().meta({ title: '索引号' }),
  number: text.nullable().meta({ title: '发文字号' }),
  /** Units of this district. */
  issuers: z.array(code).meta({ title: '发布机构' }),
  /** Issuer as text where it is no unit of this district. */
  issuerName: text.nullable().meta({ title: '发布机构名称' }),
  category: z.enum(DOCUMENT_CATEGORIES).meta({ title: '类别' }),
  topic: code.nullable().meta({ title: '主题' }),
  genre: text.nullable().meta({ title: '体裁' }),
  writtenOn: day.nullable().meta({ title: '成文日期' }),
  publishedOn: day.nullable().meta({ title: '发布日期' }),
  effectiveOn: day.nullable().meta({ title: '生效日期' }),
  /** First day no longer in force. */
  expiresOn: day.nullable().meta({ title: '失效日期' }),
  status: z.enum(DOCUMENT_STATUSES).meta({ title: '有效性' }),
  successor: code.nullable().meta({ title: '替代文件' }),
  changedBy: code.nullable().meta({ title: '修改废止依据' }),
  disclosure: text.nullable().meta({ title: '公开方式' }),
  level: text.nullable().meta({ title: '公开层级' }),
  keywords: lines.meta({ title: '关键词' }),
  summary: text.nullable().meta({ title: '内容概述' }),
  interpretation: z
    .url({ protocol: /^https?$/ })
    .nullable()
    .meta({ title: '解读链接' }),
  /** Markdown without HTML. */
  body: required.meta({ title: '正文' })
})

/** One posted item of a community's notice board (R30, R31); 居(村)务, not district content (R33). */
const Board = z.strictObject({
  id: code.meta({ title: '编号' }),
  zone: z.string().regex(ZONE_CODE, '请填社区（村）专区的编号').meta({ title: '专区' }),
  category: z.enum(BOARD_CATEGORIES).meta({ title: '公示类别' }),
  title: required.max(100).meta({ title: '标题' }),
  /** Markdown without HTML. */
  body: required.max(20_000).meta({ title: '公示内容' }),
  period: z.enum(Object.keys(BOARD_PERIODS) as (keyof typeof BOARD_PERIODS)[]).meta({ title: '更新周期' }),
  updatedOn: day.meta({ title: '更新日期' })
})

const Word = z.strictObject({
  id: required.max(30).meta({ title: '词' }),
  category: text.nullable().meta({ title: '类别' }),
  source: text.nullable().meta({ title: '来源' })
})

const Synonym = z.strictObject({
  id: required.max(30).meta({ title: '标准词' }),
  others: z.array(required.max(30)).min(1, '请至少写一个同义词').meta({ title: '同义词' }),
  source: text.nullable().meta({ title: '来源' })
})

const Place = z.strictObject({
  id: required.max(30).meta({ title: '名称' }),
  level: z.enum(PLACE_LEVELS).meta({ title: '级别' }),
  parent: text.nullable().meta({ title: '上级' }),
  aliases: lines.meta({ title: '别名' }),
  source: text.nullable().meta({ title: '来源' })
})

/** One zod schema a kind of record; `title` is the column's or front-matter key's Chinese name. */
export const KINDS = {
  district: District,
  unit: Unit,
  zone: Zone,
  topic: Topic,
  qa: Qa,
  document: Document,
  board: Board,
  word: Word,
  synonym: Synonym,
  place: Place
} as const satisfies Record<RecordKind, z.ZodObject>

export type District = z.infer<typeof District>
export type Unit = z.infer<typeof Unit>
export type Zone = z.infer<typeof Zone>
export type Topic = z.infer<typeof Topic>
export type Qa = z.infer<typeof Qa>
export type Document = z.infer<typeof Document>
export type Board = z.infer<typeof Board>
export type Word = z.infer<typeof Word>
export type Synonym = z.infer<typeof Synonym>
export type Place = z.infer<typeof Place>

export interface ContentOf {
  district: District
  unit: Unit
  zone: Zone
  topic: Topic
  qa: Qa
  document: Document
  board: Board
  word: Word
  synonym: Synonym
  place: Place
}

/** What people call a kind of record. */
export const KIND_NAMES: Record<RecordKind, string> = {
  district: '区情',
  unit: '单位',
  zone: '专区',
  topic: '主题',
  qa: '问答',
  document: '文件',
  board: '公示栏',
  word: '词典',
  synonym: '同义词',
  place: '地名'
}

/** Chinese name of a field, as the sheets call it. */
export function fieldTitle(kind: RecordKind, field: string): string {
  const shape = KINDS[kind].shape as Record<string, z.ZodType>
  return (shape[field]?.meta()?.title as string | undefined) ?? field
}
