import type { Zone } from '../content/kinds.ts'

export const AREAS = ['query', 'reading', 'application', 'consultation', 'board'] as const
export type Area = (typeof AREAS)[number]

/** Areas by venue kind (R2): a venue can neither drop nor add one (R1). */
export const AREAS_OF: Record<Zone['venueKind'], readonly Area[]> = {
  SC: ['query', 'reading', 'application', 'consultation'],
  TC: ['query', 'reading', 'application', 'consultation'],
  AL: ['query', 'reading'],
  CV: ['query', 'board']
}

export const AREA_NAMES: Record<Area, string> = {
  query: '自助查询区',
  reading: '资料阅览区',
  application: '申请接收区',
  consultation: '政策咨询区',
  board: '公示栏'
}

export const VENUE_KIND_NAMES: Record<Zone['venueKind'], string> = {
  SC: '政务服务场所',
  TC: '街镇公共服务中心',
  AL: '区档案馆、区图书馆',
  CV: '社区（村）'
}
