import Handlebars from 'handlebars'
import MarkdownIt from 'markdown-it'

// The only place that makes HTML outside a template. Input HTML stays text (html: false); images and links go: a terminal in
// the room may not leave this site, and a page loads nothing from elsewhere.
const markdown = new MarkdownIt({ html: false, linkify: false, typographer: false, breaks: true }).disable([
  'image',
  'link',
  'autolink'
])
/** What the tables of one text are called, and how many there were. */
interface Tables {
  name: string
  count: number
}

// Each table of a page has a name of its own, so that who does not see them can tell them apart.
markdown.renderer.rules.table_open = (_tokens, _at, _options, env) => {
  const tables = (env ?? {}) as Partial<Tables>
  tables.count = (tables.count ?? 0) + 1
  const number = tables.count > 1 ? ` ${tables.count}` : ''
  const name = markdown.utils.escapeHtml(`表格 ${tables.name ?? ''}${number}`.trim())
  return `<div class="table" role="region" aria-label="${name}" tabindex="0"><table>\n`
}
markdown.renderer.rules.table_close = () => '</table></div>\n'
// Headings outside the document's own are bold lines, so that the page keeps one order of headings.
markdown.renderer.rules.heading_open = () => '<p><strong>'
markdown.renderer.rules.heading_close = () => '</strong></p>\n'

/** A line of its own that begins neither a list, a table nor a quotation is a paragraph (款). */
const NEXT_LINE = /\n(?=[^\s|>*+-])(?!\d{1,9}[.)]\s)/g

/**
 * Renders a document's passage as safe HTML.
 * @param clause `第三十九条`, set in bold where the text begins with it
 * @param name what its tables are called: the clause, or where the text stands
 */
export function passageHtml(text: string, clause: string | null, name = clause ?? ''): Handlebars.SafeString {
  let source = text
  if (clause !== null) {
    const plain = source.replace(/^\*\*(.+?)\*\*/, '$1')
    if (plain.startsWith(clause)) source = `**${clause}**${plain.slice(clause.length).replace(/^\s*/, '　')}`
  }
  return new Handlebars.SafeString(
    markdown.render(source.replace(NEXT_LINE, '\n\n'), { name, count: 0 } satisfies Tables)
  )
}
