import type { Unit, Zone } from '../content/kinds.ts'
import type { Item, Library } from '../content/library.ts'
import { VALIDITY_NAMES, type Validity } from '../content/validity.ts'
import { AREA_NAMES, AREAS_OF, type Area as AreaId } from '../directory/areas.ts'
import type { Problem } from '../error-handler.ts'
import type { Area, Badge, Contact, Fact, Head, Link, Pages } from './views.ts'

const SUFFIX = '政务公开专区'

/** 「××政务公开专区」 (R1). */
export function fullName(name: string): string {
  return name.endsWith(SUFFIX) ? name : `${name}${SUFFIX}`
}

/** Addresses of our pages as seen from a zone; only this place knows their shape. */
export interface Links {
  home: string
  /** Null outside a zone: questions are asked in one. */
  ask: string | null
  read: string | null
  board: string | null
  topic(id: string): string
  lifeEvent(name: string): string
  qa(id: string): string
  /** @param at anchor or clause to open the document at */
  document(id: string, at?: string | null): string
}

export function linksOf(zone: string | null): Links {
  const home = zone === null ? '/' : `/z/${zone}`
  const ask = zone === null ? null : `${home}/ask`
  const page = (path: string, id: string, query: Record<string, string>) => {
    const parameters = new URLSearchParams(zone === null ? query : { zone, ...query }).toString()
    return `/${path}/${encodeURIComponent(id)}${parameters === '' ? '' : `?${parameters}`}`
  }
  return {
    home,
    ask,
    read: zone === null ? null : `${home}/read`,
    board: zone === null ? null : `${home}/board`,
    topic: (id) => (ask === null ? home : `${ask}?${new URLSearchParams({ topic: id })}`),
    lifeEvent: (name) => (ask === null ? home : `${ask}?${new URLSearchParams({ event: name })}`),
    qa: (id) => page('qa', id, {}),
    document: (id, at) => page('documents', id, at == null ? {} : { at })
  }
}

/** Facts that are there, in order. */
export function facts(...pairs: readonly (readonly [name: string, text: string | null])[]): Fact[] {
  return pairs.flatMap(([name, text]) => (text === null || text === '' ? [] : [{ name, text }]))
}

export function badge(validity: Validity): Badge {
  return { code: validity, text: VALIDITY_NAMES[validity] }
}

export function contact({ name, phone, address, hours }: Pick<Unit, 'name' | 'phone' | 'address' | 'hours'>): Contact {
  return { name, facts: facts(['电话', phone], ['地址', address], ['办公时间', hours]) }
}

function zoneFacts({ location, address, hours, phone }: Zone): Fact[] {
  return facts(['位置', location], ['地址', address], ['开放时间', hours], ['电话', phone])
}

interface HeadParts {
  title: string
  zone?: Item<Zone> | null
  /** Whether anything else on the page is sample data. */
  sample?: boolean
  crumbs?: Link[]
}

export async function headOf(
  library: Library,
  { title, zone = null, sample = false, crumbs = [] }: HeadParts
): Promise<Head> {
  if (zone === null) {
    const district = await library.district()
    return {
      title,
      site: fullName(district.content.shortName),
      home: '/',
      zone: null,
      sample: sample || district.sample,
      crumbs
    }
  }
  const { id, name } = zone.content
  const site = fullName(name)
  const { home } = linksOf(id)
  const { address, hours, phone } = zone.content
  return {
    title,
    site,
    home,
    zone: { id, name, fullName: site, home, facts: facts(['地址', address], ['开放时间', hours], ['电话', phone]) },
    sample: sample || zone.sample,
    crumbs
  }
}

/** What stands in a zone's rooms (R2): pages of ours are links, the rest says where, when and by which phone. */
export function areasOf({ content }: Item<Zone>): Area[] {
  const { id, venueKind, location, hours, phone } = content
  const links = linksOf(id)
  const inRoom = facts(['位置', location], ['时间', hours], ['电话', phone])
  const areas: Record<AreaId, Omit<Area, 'icon' | 'name'>> = {
    query: { text: '写下要问的事，马上查到本区的答复和依据。', href: links.ask, action: '去查询', facts: [] },
    reading: {
      text: '政策文件、工作报告、公开指南、办事指南，都可以看，可以打印。',
      href: links.read,
      action: '看资料',
      facts: []
    },
    application: {
      text:
        venueKind === 'SC'
          ? '想要政府没有公开的信息，请到窗口递交申请。这里收向区政府和区级部门提出的申请。'
          : '想要政府没有公开的信息，请到窗口递交申请。这里收向本街镇提出的申请。',
      href: null,
      action: null,
      facts: inRoom
    },
    consultation: {
      text: '查不到答复的，在这里或者到咨询台登记，由政策制定单位在 5 个工作日内答复您。',
      href: `/z/${encodeURIComponent(id)}/consult`,
      action: '登记咨询',
      facts: inRoom
    },
    board: {
      text: '居（村）务公开：职责制度、人员分工、低保和救助、居民会议决定、书记主任工作电话等。',
      href: links.board,
      action: '看公示',
      facts: []
    }
  }
  return AREAS_OF[venueKind].map((area) => ({ icon: area, name: AREA_NAMES[area], ...areas[area] }))
}

/** Where a consultation is registered: this zone's desk, or the nearest zone that has one (AL and CV have none). */
export async function deskOf(library: Library, zone: Item<Zone> | null): Promise<(Contact & { text: string }) | null> {
  if (zone === null) return null
  const name = '没有您要问的？'
  const hasDesk = ({ content }: Item<Zone>) => AREAS_OF[content.venueKind].includes('consultation')
  if (hasDesk(zone)) {
    return {
      name,
      text: '请到本专区的政策咨询台登记，由政策制定单位在 5 个工作日内答复您。',
      facts: zoneFacts(zone.content)
    }
  }
  const zones = [...(await library.all('zone')).values()].filter(hasDesk)
  const desk = zones.find(({ content }) => content.unit === zone.content.unit) ?? zones[0]
  if (desk === undefined)
    return { name, text: '请向工作人员说明，由他们联系有关单位答复您。', facts: zoneFacts(zone.content) }
  return {
    name,
    text: `本专区没有咨询台。请到${desk.content.name}登记，或打电话说明，由政策制定单位在 5 个工作日内答复您。`,
    facts: zoneFacts(desk.content)
  }
}

const ERRORS: Record<number, string> = {
  400: '填写的内容有不对的地方',
  403: '这里不能进入',
  404: '没有找到您要的页面',
  413: '内容太长了',
  429: '请稍等一下再试',
  503: '系统正忙，请稍后再试'
}

/** An error as a page; reads nothing, because the database may be what failed. */
export function errorPage({ status, detail }: Pick<Problem, 'status' | 'detail'>): Pages['error'] {
  const heading = ERRORS[status] ?? (status < 500 ? (ERRORS[400] as string) : '系统出了点问题')
  return {
    head: { title: heading, site: SUFFIX, home: '/', zone: null, sample: false, crumbs: [] },
    heading,
    text: detail,
    advice: [],
    areas: [],
    links: [{ text: '回到首页', href: '/' }]
  }
}

/** A page that is not there, in a zone that is: shows what the zone has. */
export async function missingInZone(
  library: Library,
  zone: Item<Zone>,
  heading: string,
  text: string
): Promise<Pages['error']> {
  return {
    head: await headOf(library, { title: heading, zone }),
    heading,
    text,
    advice: [],
    areas: areasOf(zone),
    links: [
      { text: '回到首页', href: linksOf(zone.content.id).home },
      { text: '选择其他专区', href: '/' }
    ]
  }
}

/** The zone a page is seen from: `?zone=` on pages that belong to none. */
export async function zoneOf(library: Library, id: string | undefined): Promise<Item<Zone> | null> {
  return id === undefined ? null : ((await library.all('zone')).get(id) ?? null)
}
