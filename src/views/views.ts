import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import cookie from '@fastify/cookie'
import serveFiles from '@fastify/static'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import Handlebars from 'handlebars'
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

type Render = (context: unknown, options: { data: { version: string } }) => string

/** Checks and compiles every template, so that a broken one stops the start and not a citizen. */
export function openTemplates(folder: string): { layout: Render; pages: Record<keyof Pages, Render> } {
  const handlebars = Handlebars.create()
  const options = { strict: true, preventIndent: true, knownHelpersOnly: true } as const
  const sources = (part: string) =>
    readdirSync(join(folder, part))
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
  const pages = Object.fromEntries(sources('kiosk').map(({ name, source }) => [name, compile(name, source)]))
  const [layout] = sources('layouts').map(({ name, source }) => compile(name, source))
  if (layout === undefined) throw new Error(`No layout in ${folder}/layouts`)
  return { layout, pages: pages as Record<keyof Pages, Render> }
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
    const { layout, pages } = openTemplates(folder)
    const assets = join(folder, 'assets')
    const hash = createHash('sha256')
    for (const file of readdirSync(assets).sort()) hash.update(readFileSync(join(assets, file)))
    const data = { version: hash.digest('hex').slice(0, 10) }

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
      const html = layout(frame(model.head, this.request, pages[name](model, { data })), { data })
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

/** An address people can read on paper. */
function decodedPath(url: string): string {
  try {
    return decodeURI(url)
  } catch {
    return url
  }
}
