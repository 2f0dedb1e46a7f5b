import { MODELS, SHAPE_NAMES, lengthOf } from '../src/matching/confidence.ts'
import { FEATURE_NAMES } from '../src/matching/features.ts'
import type { Asked } from './asked.ts'
import { rounded } from './figures.ts'
import type { reliability } from './measures.ts'

/** An entry as a reader knows it. */
export interface Entry {
  id: string
  title: string
  text: string
}

interface Mistake {
  question: string
  confidence: number
  found: Entry | null
  right: Entry[]
  weighed: { name: string; weight: number; value: number }[]
}

interface MistakeList {
  title: string
  /** All of them; the worst are listed. */
  count: number
  listed: Mistake[]
}

export interface ReportedRun {
  name: string
  figures: Record<string, number | string | null>
  reliability: ReturnType<typeof reliability>
  mistakes: MistakeList[]
}

const MOST_LISTED = 100
const MOST_RIGHT = 3
const MOST_WEIGHED = 6
const MOST_TEXT = 300

/** The errors worth reading, worst kind first, most confident first. */
export async function mistakesOf(
  asked: readonly Asked[],
  textOf: (id: string) => Promise<Entry>
): Promise<MistakeList[]> {
  const isWrong = ({ judged }: Asked) => judged.answerable && judged.rightAt[0] !== 0
  const kinds: [string, (one: Asked) => boolean][] = [
    ['Wrong instant answers', (one) => one.decision === 'answer' && isWrong(one)],
    ['Unanswerable questions answered at once', (one) => one.decision === 'answer' && !one.judged.answerable],
    ['Answerable questions escalated', (one) => one.decision === 'escalate' && one.judged.answerable],
    ['Wrong first hits, only offered', (one) => one.decision === 'choose' && isWrong(one)]
  ]
  const lists: MistakeList[] = []
  for (const [title, belongs] of kinds) {
    const all = asked.filter(belongs).sort((a, b) => b.judged.confidence - a.judged.confidence)
    const listed: Mistake[] = []
    for (const one of all.slice(0, MOST_LISTED)) {
      const right: Entry[] = []
      for (const id of one.question.relevant.slice(0, MOST_RIGHT)) right.push(await textOf(id))
      listed.push({
        question: one.question.text,
        confidence: one.judged.confidence,
        found: one.first === null ? null : await textOf(one.first.hit.id),
        right,
        weighed: weighedIn(one)
      })
    }
    lists.push({ title, count: all.length, listed })
  }
  return lists
}

/** What moved the confidence most, up or down. */
function weighedIn({ first, shape, isSemantic }: Asked): Mistake['weighed'] {
  if (first === null) return []
  const model = MODELS[isSemantic ? 'semantic' : 'lexical']
  const weights = model.confidence[lengthOf(first.features)] ?? []
  const all = [
    ...FEATURE_NAMES.map((name, at) => ({ name, weight: weights[at] ?? 0, value: first.features[at] ?? 0 })),
    ...SHAPE_NAMES.map((name, at) => ({ name: `list: ${name}`, weight: model.shape[at] ?? 0, value: shape[at] ?? 0 }))
  ]
  return all
    .filter(({ weight, value }) => weight * value !== 0)
    .sort((a, b) => Math.abs(b.weight * b.value) - Math.abs(a.weight * a.value))
    .slice(0, MOST_WEIGHED)
}

const MARKS: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string) => text.replace(/[&<>"']/g, (mark) => MARKS[mark] ?? '')

const STYLE = `
body { font: 15px/1.6 system-ui, sans-serif; color: #1b1f24; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { margin-top: 3rem; border-top: 2px solid #1b1f24; padding-top: 1rem } h3 { margin-top: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top }
td.number { text-align: right }
.figures { columns: 3 16rem }
.figures p { margin: 0 } .figures .label { min-width: 11.5rem }
.bar { display: block; height: .7rem; min-width: 1px; background: #2f6f9f }
.bar.right { background: #7a9a3a }
.bars { width: 18rem }
article { border-top: 1px solid #c9ced4; padding: .6rem 0; break-inside: avoid }
article p { margin: .2rem 0 }
.asked { font-weight: 600 }
.text, .weighed { color: #4d5660; font-size: .87rem }
.label { display: inline-block; min-width: 6.5rem; color: #4d5660 }
@media print { body { font-size: 10pt; margin: 0; max-width: none } .bar { print-color-adjust: exact } }
`

/** One page for one run of the bench; needs nothing else. */
export function reportPage(runs: readonly ReportedRun[], model: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Matching quality</title>
<style>${STYLE}</style>
<h1>Matching quality</h1>
<p>Model ${escaped(model)}. Percentages 0–100. Of every kind of mistake the ${MOST_LISTED} most confident are listed.</p>
${runs.map(runSection).join('\n')}
</html>
`
}

function runSection({ name, figures, reliability, mistakes }: ReportedRun): string {
  return `<h2>${escaped(name)}</h2>
<div class="figures">${Object.entries(figures)
    .map(([key, value]) => `<p><span class="label">${escaped(key)}</span> ${escaped(String(value ?? '–'))}</p>`)
    .join('')}</div>
<h3>Reliability</h3>
<table>
<tr><th>Confidence from</th><th>Questions</th><th>Said</th><th>Right</th><th>Said, above; right, below</th></tr>
${reliability
  .map(
    ({ from, questions, said, right }) =>
      `<tr><td class="number">${from}</td><td class="number">${questions}</td><td class="number">${said}</td><td class="number">${right}</td><td class="bars"><span class="bar" style="width:${said}%"></span><span class="bar right" style="width:${right}%"></span></td></tr>`
  )
  .join('\n')}
</table>
${mistakes.map(mistakeSection).join('\n')}`
}

function mistakeSection({ title, count, listed }: MistakeList): string {
  return `<h3>${escaped(title)}: ${count}</h3>
${listed.map(article).join('\n')}`
}

function article({ question, confidence, found, right, weighed }: Mistake): string {
  const terms = weighed.map(
    ({ name, weight, value }) =>
      `${name} ${rounded(weight, 2)} × ${rounded(value, 2)} = ${weight * value > 0 ? '+' : ''}${rounded(weight * value, 2)}`
  )
  return `<article>
<p class="asked" lang="zh">${escaped(clipped(question))}</p>
<p><span class="label">confidence</span> ${rounded(confidence, 3)}</p>
${entry('found first', found)}
${right.length === 0 ? '<p><span class="label">right</span> nothing in the bank</p>' : right.map((one) => entry('right', one)).join('\n')}
<p class="weighed"><span class="label">weighed most</span> ${escaped(terms.join(' · '))}</p>
</article>`
}

function entry(label: string, shown: Entry | null): string {
  if (shown === null) return `<p><span class="label">${label}</span> nothing</p>`
  const { id, title, text } = shown
  return `<p><span class="label">${label}</span> <span lang="zh">${escaped(clipped(title))}</span> <span class="text">${escaped(id)}</span></p>
<p class="text" lang="zh">${escaped(clipped(text))}</p>`
}

function clipped(text: string): string {
  return text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text
}
