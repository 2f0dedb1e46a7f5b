import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import cookie from '@fastify/cookie'
import serveFiles from '@fastify/static'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import Handlebars from 'handlebars'
import { ROLE_NAMES } from '../accounts/roles.ts'
import type { Role } from '../database/schema.ts'
import { dayLabel } from './text.ts'

/** A stretch of text; `mark` where it meets the question. */
export interface Segment {
  text: string
  mark: boolean
}

export interface Link {
  text: string
  href: string
}

/** One line of a list of facts. */
export interface Fact {
  name: string
  text: string
}

/** A state as a word with a colour; `code` is its class in the stylesheet. */
export interface Badge {
  code: string
  text: string
}

export interface ZoneLine {
  id: string
  name: string
  /** 「××政务公开专区」, the one name a venue cannot change (R1). */
  fullName: string
  home: string
  /** Address, hours and phone, those there are. */
  facts: Fact[]
}

/** What every page says about itself. */
export interface Head {
  title: string
  /** Name in the page's head: the zone's full name, or the district's. */
  site: string
  /** Where the name leads. */
  home: string
  zone: ZoneLine | null
  /** True when anything on the page is sample data. */
  sample: boolean
  /** Way back, from the home page down; without this page. */
  crumbs: Link[]
}

export interface AskForm {
  action: string
  question: string
}

/** An area of a zone (R2): a page of ours, or where and when it is to be found in the room. */
export interface Area {
  icon: string
  name: string
  text: string
  href: string | null
  action: string | null
  facts: Fact[]
}

export interface Contact {
  name: string
  facts: Fact[]
}

/** A document an answer rests on, with the clauses it cites. */
export interface Basis {
  title: string
  number: string | null
  href: string
  clauses: Link[]
  /** Said only when the document is no longer, or not yet, the rule. */
  validity: Badge | null
}

/** That something must not be relied on, and what to read instead. */
export interface Warning {
  text: string
  links: Link[]
}

/** A Q&A entry or a document's passage as it is told to a citizen (R4: with version, date, validity, basis). */
export interface Answer {
  label: string
  title: string
  href: string
  /** What the reader must know first: withdrawn, no longer in force; or null. */
  warning: Warning | null
  validity: Badge
  paragraphs: Segment[][]
  facts: Fact[]
  materials: string[]
  steps: string[]
  basis: Basis[]
  unit: Contact | null
  record: Fact[]
}

/** An entry among others. */
export interface Choice {
  label: string
  title: string
  href: string
  excerpt: Segment[]
  detail: string
}

/** A message in place of an answer. */
export interface Notice {
  title: string
  text: string
}

export interface DocumentRow {
  title: string
  href: string
  detail: string
  summary: string | null
  validity: Badge
}

/** A heading or a passage of a document's text; `html` is safe (src/views/markdown.ts). */
export interface TextBlock {
  anchor: string | null
  heading: { level2: boolean; centred: boolean; text: string } | null
  html: Handlebars.SafeString | null
}

export interface Select {
  name: string
  label: string
  options: { value: string; text: string; selected: boolean }[]
}

export interface Pager {
  text: string
  previous: string | null
  next: string | null
}

/** View model of each page: templates choose and loop, everything else is ready made. */
export interface Pages {
  zones: {
    head: Head
    district: string
    groups: { name: string; zones: { name: string; href: string; facts: Fact[] }[] }[]
  }
  zone: {
    head: Head
    form: AskForm
    examples: Link[]
    areas: Area[]
    lifeEvents: Link[]
    topics: (Link & { count: string })[]
    /** R5. Plain information: the terminal in the room may not leave this site. */
    entrances: Fact[]
    facts: Fact[]
  }
  ask: {
    head: Head
    form: AskForm
    heading: { lead: string; text: string }
    problem: Notice | null
    degraded: boolean
    answer: Answer | null
    /** Why this answer, in plain words. */
    why: string[]
    choices: Choice[]
    escalation: Notice | null
    /** Where the question is left for the unit that must answer (R27). */
    consult: string | null
    guidance: (Contact & { reason: string }) | null
    others: { title: string; hits: Choice[] } | null
    /** Questions by topic, for those who would rather look than write (R8). */
    browse: { groups: { title: string; links: Link[]; more: Link | null }[]; pages: Pager | null } | null
    topics: Link[]
    desk: (Contact & { text: string }) | null
  }
  qa: { head: Head; form: AskForm | null; answer: Answer; desk: (Contact & { text: string }) | null }
  document: {
    head: Head
    title: string
    number: string | null
    warning: Warning | null
    validity: Badge
    facts: Fact[]
    /** Folded on every chapter but the first. */
    metadataOpen: boolean
    summary: string | null
    interpretation: string | null
    chapters: (Link & { current: boolean })[]
    chapter: { text: string; previous: Link | null; next: Link | null } | null
    /** The page that holds the whole text, or null when this is it. */
    whole: string | null
    blocks: TextBlock[]
    record: Fact[]
  }
  read: {
    head: Head
    categories: (Link & { count: string; current: boolean })[]
    form: { action: string; category: string; selects: Select[]; filtered: boolean; reset: string }
    total: string
    documents: DocumentRow[]
    pages: Pager | null
  }
  board: {
    head: Head
    categories: {
      anchor: string
      name: string
      items: { title: string; html: Handlebars.SafeString; late: boolean; record: Fact[] }[]
    }[]
  }
  error: { head: Head; heading: string; text: string; advice: string[]; areas: Area[]; links: Link[] }
}

export interface ViewOptions {
  /** Folder of templates. */
  folder: string
  /** Address people reach the service by, for the printed page; null = as the request says. */
  publicUrl: string | null
  today(): string
}

declare module 'fastify' {
  interface FastifyReply {
    /** Renders a page inside the layout and sends it. */
    page<Name extends keyof Pages>(name: Name, model: Pages[Name]): FastifyReply
  }
}

/** What every template reads as `@name`. */
interface PageData {
  version: string
  /** Of the session, for the field `_csrf` of every form; empty without one. */
  csrf: string
}

type Render = (context: unknown, options: { data: PageData }) => string

/** Folders of templates by the layout they stand in; a page is named by its file. */
const FOLDERS = { kiosk: 'public', print: 'public', desk: 'staff', unit: 'staff', office: 'staff' } as const
type Layout = (typeof FOLDERS)[keyof typeof FOLDERS]

/** Checks and compiles every template, so that a broken one stops the start and not a citizen. */
export function openTemplates(folder: string): {
  layouts: Record<Layout, Render>
  pages: Record<keyof Pages, { render: Render; layout: Layout }>
} {
  const handlebars = Handlebars.create()
  const options = { strict: true, preventIndent: true, knownHelpersOnly: true } as const
  const sources = (part: string) =>
    (existsSync(join(folder, part)) ? readdirSync(join(folder, part)) : [])
      .filter((file) => file.endsWith('.hbs'))
      .map((file) => ({ name: basename(file, '.hbs'), source: readFileSync(join(folder, part, file), 'utf8') }))
  const partials = sources('partials')
  const known = new Set(partials.map(({ name }) => name))
  const compile = (name: string, source: string): Render => {
    const tree = handlebars.parse(source, { srcName: name })
    for (const [, partial] of source.matchAll(/\{\{#?>\s*([\w-]+)/g)) {
      if (!known.has(partial as string)) throw new Error(`Template ${name}: no partial ${partial}`)
    }
    // compile() alone waits for the first use; precompile finds unknown helpers and wrong blocks now.
    handlebars.precompile(tree, options)
    return handlebars.compile(handlebars.parse(source, { srcName: name }), options) as Render
  }
  for (const { name, source } of partials) {
    handlebars.registerPartial(name, compile(name, source) as Handlebars.Template)
  }
  const pages = Object.entries(FOLDERS).flatMap(([part, layout]) =>
    sources(part).map(({ name, source }) => [name, { render: compile(name, source), layout }] as const)
  )
  const layouts = sources('layouts').map(({ name, source }) => [name, compile(name, source)] as const)
  return {
    layouts: Object.fromEntries(layouts) as Record<Layout, Render>,
    pages: Object.fromEntries(pages) as Record<keyof Pages, { render: Render; layout: Layout }>
  }
}

/** Type size and contrast a visitor chose, kept in cookies; as classes of the page's root. */
const CHOICES = { size: ['normal', 'large'], contrast: ['normal', 'high'] } as const
type ChoiceName = keyof typeof CHOICES

/** Only an address of this site: one slash, then neither a slash nor a backslash. */
export function localPath(back: unknown): string {
  return typeof back === 'string' && /^\/(?![/\\])[^\s\\]*$/.test(back) ? back : '/'
}

export const views = fp<ViewOptions>(
  async (app, { folder, publicUrl, today }) => {
    const { layouts, pages } = openTemplates(folder)
    const assets = join(folder, 'assets')
    const hash = createHash('sha256')
    for (const file of readdirSync(assets).sort()) hash.update(readFileSync(join(assets, file)))
    const version = hash.digest('hex').slice(0, 10)

    if (!app.hasPlugin('@fastify/cookie')) await app.register(cookie)
    await app.register(serveFiles, {
      root: assets,
      prefix: '/assets/',
      maxAge: '365d',
      immutable: true,
      decorateReply: false
    })

    const frame = (head: Head, request: FastifyRequest, body: string) => {
      const large = request.cookies.size === 'large'
      const high = request.cookies.contrast === 'high'
      const [, name, kind] = /^(.*?)(政务公开专区)?$/.exec(head.site) as unknown as [string, string, string?]
      return {
        ...head,
        // In two parts, so that a narrow screen breaks the name between them.
        brand: { name, kind: kind ?? '' },
        documentTitle: head.title === head.site ? head.title : `${head.title} - ${head.site}`,
        classes: `size-${large ? 'large' : 'normal'} contrast-${high ? 'high' : 'normal'}`,
        size: large ? { value: 'normal', text: '标准字' } : { value: 'large', text: '大字' },
        contrast: high ? { value: 'normal', text: '标准色' } : { value: 'high', text: '高对比' },
        // An address too long to carry along is an error page's.
        back: request.url.length > 6000 ? head.home : request.url,
        staff: staffOf(request),
        said: saidOf(request),
        printed: {
          address: `${publicUrl ?? `${request.protocol}://${request.host}`}${decodedPath(request.url)}`,
          day: dayLabel(today())
        },
        body
      }
    }

    app.decorateReply('page', function page<
      Name extends keyof Pages
    >(this: FastifyReply, name: Name, model: Pages[Name]) {
      const { render, layout } = pages[name]
      const data = { version, csrf: this.request.csrf ?? '' }
      const html = layouts[layout](frame(model.head, this.request, render(model, { data })), { data })
      // The same address looks different by cookie, and may have changed since.
      this.header('cache-control', 'private, no-cache')
      return this.type('text/html; charset=utf-8').send(html)
    })

    app.get('/prefs', { schema: { hide: true } }, async (request, reply) => {
      const query = request.query as Record<string, unknown>
      for (const name of Object.keys(CHOICES) as ChoiceName[]) {
        const choice = CHOICES[name].find((value) => value === query[name])
        if (choice !== undefined) reply.setCookie(name, choice, { path: '/', httpOnly: true, sameSite: 'lax' })
      }
      return reply.header('cache-control', 'no-store').redirect(localPath(query.back), 303)
    })
  },
  { name: 'views' }
)

/** Working pages by role, in the order of the bar. */
const STAFF_PAGES: Record<Role, readonly Link[]> = {
  clerk: [
    { text: '咨询台', href: '/desk' },
    { text: '台账', href: '/ledger' }
  ],
  liaison: [
    { text: '待办', href: '/unit' },
    { text: '台账', href: '/ledger' }
  ],
  leader: [
    { text: '待办', href: '/unit' },
    { text: '问答库', href: '/office/bank' },
    { text: '台账', href: '/ledger' }
  ],
  office: [
    { text: '督办', href: '/office' },
    { text: '问答库', href: '/office/bank' },
    { text: '台账', href: '/ledger' },
    { text: '通知', href: '/office/notices' },
    { text: '设置', href: '/office/settings' }
  ],
  admin: [
    { text: '通知', href: '/office/notices' },
    { text: '设置', href: '/office/settings' }
  ]
}

/** Who works, for the bar of staff pages; null where nobody has signed in. */
function staffOf({ staff, url }: FastifyRequest) {
  // Undefined where the guard is not there: an error page may come before it.
  if (staff == null) return null
  const path = url.split('?')[0] as string
  const links = STAFF_PAGES[staff.role]
  const current = links
    .map(({ href }) => href)
    .filter((href) => path === href || path.startsWith(`${href}/`))
    .at(-1)
  return {
    name: staff.name,
    role: ROLE_NAMES[staff.role],
    links: [
      ...links.map((link) => ({ ...link, current: link.href === current, bell: false })),
      { text: '消息', href: '/bell', current: path === '/bell', bell: true }
    ]
  }
}

/** What was just done, carried by the address a form leads to; only texts of ours are said. */
const SAID: Record<string, string> = {
  saved: '已保存。',
  registered: '已登记。',
  parked: '已留存，下一位可以接着办。',
  assigned: '已交办。',
  accepted: '已签收。',
  returned: '已退回。',
  submitted: '已送审。',
  approved: '已审核通过，请联系咨询人。',
  revised: '已退改。',
  told: '已登记答复情况。',
  unreached: '已登记，这次没有联系上。',
  joined: '已并件。',
  answered: '已用问答库答复并登记。',
  guided: '已登记引导。',
  withdrawn: '已撤回。',
  reopened: '已重新办理。',
  proposed: '已送分管领导审核。',
  taken: '已入库，检索马上可以查到。',
  declined: '已登记不入库的理由。',
  sent: '已重新发送。',
  signedOut: '已让这个账号退出所有登录。',
  disabled: '已停用。',
  loaded: '已存入，检索马上可以查到。',
  retired: '已撤下。',
  restored: '已恢复。'
}

/** From the address itself: a route's schema takes what it does not know out of the query. */
function saidOf({ url }: FastifyRequest): string | null {
  const said = new URLSearchParams(url.split('?')[1] ?? '').get('said')
  return said !== null && Object.hasOwn(SAID, said) ? (SAID[said] as string) : null
}

/** An address people can read on paper. */
function decodedPath(url: string): string {
  try {
    return decodeURI(url)
  } catch {
    return url
  }
}
