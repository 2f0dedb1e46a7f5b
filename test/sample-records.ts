import type { Board, Document, Qa, Unit, Zone } from '../src/content/kinds.ts'
import type { Incoming } from '../src/content/store.ts'

type Given<T> = Partial<T> & { id: string }

export function unit(given: Given<Unit>): Incoming {
  const content: Unit = {
    name: given.id,
    aliases: [],
    kind: '部门',
    parent: null,
    duties: [],
    phone: '023-0000-0100',
    address: null,
    hours: null,
    fax: null,
    website: null,
    guide: null,
    acceptsApplications: true,
    reviewBody: null,
    leader: null,
    liaison: null,
    verifiedOn: null,
    ...given
  }
  return { kind: 'unit', content, source: 'units.csv', sample: false }
}

export function zone(given: Given<Zone>): Incoming {
  const content: Zone = {
    name: given.id,
    venueKind: 'SC',
    unit: 'zfb',
    address: null,
    hours: null,
    phone: null,
    location: null,
    pilot: false,
    ...given
  }
  return { kind: 'zone', content, source: 'zones.csv', sample: false }
}

export function posted(given: Given<Board>): Incoming {
  const content: Board = {
    zone: 'SQ01',
    category: '工作开展情况',
    title: given.id,
    body: '内容。',
    period: '长期',
    updatedOn: '2026-11-01',
    ...given
  }
  return { kind: 'board', content, source: 'board.csv', sample: false }
}

export function qa(given: Given<Qa> & { question: string; answer: string }): Incoming {
  const content: Qa = {
    variants: [],
    materials: [],
    steps: [],
    fee: null,
    place: null,
    duration: null,
    basis: [],
    unit: 'ybj',
    audience: ['群众'],
    topic: null,
    effectiveOn: null,
    expiresOn: null,
    reviewBy: null,
    ...given
  }
  return { kind: 'qa', content, source: 'qa.csv', sample: false }
}

export function document(given: Given<Document> & { title: string; body: string }): Incoming {
  const content: Document = {
    indexNumber: null,
    number: null,
    issuers: ['ybj'],
    issuerName: null,
    category: '政策文件',
    topic: null,
    genre: null,
    writtenOn: null,
    publishedOn: null,
    effectiveOn: null,
    expiresOn: null,
    status: 'current',
    successor: null,
    changedBy: null,
    disclosure: null,
    level: null,
    keywords: [],
    summary: null,
    interpretation: null,
    ...given
  }
  return { kind: 'document', content, source: `documents/${given.id}.md`, sample: false }
}

/** A small district: two units, a zone of each kind, a living and a dead rule, and entries that rest on them. */
export const DISTRICT: Incoming[] = [
  {
    kind: 'district',
    source: 'district.csv',
    sample: true,
    content: {
      id: 'district',
      name: '重庆市江北区',
      shortName: '江北区',
      parent: '重庆市',
      areaCode: '023',
      hotline: '12345',
      note: null
    }
  },
  unit({ id: 'zfb', name: '区政府办公室', kind: '政府办' }),
  unit({
    id: 'ybj',
    name: '区医保局',
    aliases: ['医保局'],
    duties: ['医保参保、转移和报销'],
    phone: '023-0000-0115',
    address: '示例路1号'
  }),
  unit({ id: 'mzj', name: '区民政局', duties: ['低保和社会救助', '婚姻登记', '高龄津贴'] }),
  zone({ id: 'XZZX01', name: '区行政服务中心' }),
  zone({ id: 'GYQ01', name: '观音桥街道公共服务中心', venueKind: 'TC' }),
  zone({ id: 'DAG01', name: '区档案馆', venueKind: 'AL' }),
  zone({ id: 'SQ01', name: '示例社区', venueKind: 'CV' }),
  document({
    id: 'zc-1',
    title: '江北区职工医保关系转移办法',
    number: '江北示发〔2025〕3号',
    effectiveOn: '2025-01-01',
    body: '# 江北区职工医保关系转移办法\n第一条 为了方便转移，制定本办法。\n第二条 退休人员转入本区的，到区医保事务中心办理，十五个工作日办结。'
  }),
  document({
    id: 'zc-old',
    title: '江北区高龄津贴旧办法',
    number: '江北示发〔2015〕8号',
    status: 'repealed',
    successor: 'zc-new',
    body: '第一条 八十岁以上老人每月发五十元。'
  }),
  document({
    id: 'zc-new',
    title: '江北区高龄津贴办法',
    issuers: ['mzj'],
    effectiveOn: '2024-01-01',
    body: '第一条 八十岁以上老人每月发一百元。'
  }),
  qa({
    id: 'yibao-001',
    question: '退休人员的职工医保怎么从外地转到江北',
    variants: ['我妈退休了医保怎么转到江北来'],
    answer: '带身份证到区医保事务中心办理，15个工作日办结，不收费。',
    materials: ['身份证'],
    basis: [{ document: 'zc-1', clause: '第二条' }]
  }),
  qa({
    id: 'yanglao-001',
    question: '八十岁以上老人的高龄津贴每月多少钱',
    answer: '每月50元，按旧办法执行。',
    unit: 'mzj',
    basis: [{ document: 'zc-old', clause: '第一条' }]
  }),
  qa({ id: 'zhufang-001', question: '公租房怎么申请', answer: '到街道公共服务中心申请。', unit: 'mzj' }),
  qa({ id: 'hunyin-001', question: '结婚登记要带什么', answer: '双方带身份证和户口簿。', unit: 'mzj' })
]
