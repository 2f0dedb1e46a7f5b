// Improvement only: without this file the search form is sent, and each candidate has its button.
const search = document.querySelector('[data-search]')
const box = search?.querySelector('[name="q"]')
const answers = document.querySelector('[data-answers]')

const editable = (element) => element.matches('input:not([type="radio"]), textarea, select')
const toBox = () => {
  box.focus()
  box.select()
}

/** Asked last, and whether what is shown answers it. */
let shown = box?.value.trim() ?? ''
let asking = null
let timer = 0

const VALIDITY = { current: '现行有效', amended: '已修改', repealed: '已废止', expired: '已失效', pending: '尚未生效' }
const dayLabel = (day) => day.replace(/^(\d+)-0?(\d+)-0?(\d+)$/, '$1年$2月$3日')
const buttons = () => (answers === null ? [] : [...answers.querySelectorAll('.hits button')])

function confidenceOf(hit) {
  if (hit.confidence >= Number(search.dataset.sure)) return ['sure', '有把握']
  return hit.confidence >= Number(search.dataset.maybe) ? ['maybe', '可能'] : ['hardly', '不太像']
}

/** Documents cited, each once, with its clauses. */
function basisText(basis) {
  const cited = new Map()
  for (const { title, number, clause } of basis) {
    const name = `《${title}》${number === null ? '' : `（${number}）`}`
    cited.set(name, [...(cited.get(name) ?? []), ...(clause === null ? [] : [clause])])
  }
  return [...cited].map(([name, clauses]) => `${name}${clauses.join('、')}`).join('；')
}

function hitItem(hit, at) {
  const item = document.querySelector('[data-hit]').content.firstElementChild.cloneNode(true)
  const part = (name) => item.querySelector(`[data-part="${name}"]`)
  const [code, words] = confidenceOf(hit)
  part('place').textContent = String(at + 1)
  part('title').textContent = hit.title
  part('confidence').textContent = words
  part('confidence').className = `badge ${code}`
  part('validity').textContent = VALIDITY[hit.validity]
  part('validity').className = `badge ${hit.validity}`
  part('unit').textContent = hit.unit?.name ?? ''
  part('record').textContent = `${hit.id}，第 ${hit.version} 版，${dayLabel(hit.updatedOn)}更新`
  part('record').href = `/qa/${encodeURIComponent(hit.id)}`
  part('button').value = hit.id
  part('basis').textContent = basisText(hit.basis)
  const lines = hit.text.split('\n').filter((line) => line.trim() !== '')
  part('paragraphs').replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement('p'), { textContent: line }))
  )
  return item
}

function documentItem({ id, title, text, passage }) {
  const item = document.createElement('li')
  const link = document.createElement('a')
  const at = passage === null ? '' : `?${new URLSearchParams({ at: passage.anchor })}`
  Object.assign(link, { href: `/documents/${encodeURIComponent(id)}${at}`, target: '_blank', rel: 'noopener' })
  link.textContent = `《${title}》${passage?.clause ?? ''}`
  const detail = Object.assign(document.createElement('p'), { className: 'help', textContent: text.slice(0, 120) })
  item.append(link, detail)
  return item
}

function show(question, { decision, hits, guidance }) {
  shown = question
  const entries = hits.filter(({ kind }) => kind === 'qa')
  const documents = hits.filter(({ kind }) => kind === 'document')
  answers.elements.question.value = question
  answers.hidden = entries.length === 0
  const sure = decision === 'answer' && hits[0].kind === 'qa'
  answers.toggleAttribute('data-first', sure)
  answers.querySelector('.hits').replaceChildren(...entries.map(hitItem))
  const nothing = document.querySelector('[data-nothing]')
  nothing.hidden = question === '' || entries.length > 0
  nothing.textContent =
    guidance === null
      ? '问答库里没有可以直接登记的答复，按 F2 登记。'
      : `问答库里没有有把握的答复。${guidance.reason}。按 F2 登记。`
  const list = document.querySelector('[data-documents]')
  list.hidden = documents.length === 0
  list.querySelector('ul').replaceChildren(...documents.map(documentItem))
  document.querySelector('[data-status]').textContent =
    question === '' ? '' : entries.length === 0 ? nothing.textContent : `${entries.length} 条，第一条${confidenceOf(entries[0])[1]}`
  sayKeys()
}

function sayKeys() {
  const keys = answers.querySelector('[data-keys]')
  const enter = answers.hasAttribute('data-first') ? '<kbd>Enter</kbd> 用第 1 条登记　' : '<kbd>Enter</kbd> 到第 1 条，再按一次登记　'
  keys.innerHTML = `${enter}<kbd>↓</kbd> 再按 <kbd>1</kbd>–<kbd>5</kbd> 选一条，<kbd>Enter</kbd> 登记　<kbd>F2</kbd> 都不对`
}

async function ask() {
  clearTimeout(timer)
  const question = box.value.trim()
  asking?.abort()
  if (question === shown) return
  if (question === '') return show('', { decision: 'escalate', hits: [], guidance: null })
  asking = new AbortController()
  const { signal } = asking
  try {
    const query = new URLSearchParams({ q: question, zone: search.dataset.zone, live: '1', limit: '5' })
    const reply = await fetch(`/api/v1/answers?${query}`, { signal })
    const body = await reply.json()
    if (signal.aborted) return
    if (reply.ok) return show(question, body)
    show(question, { decision: 'escalate', hits: [], guidance: null })
    document.querySelector('[data-nothing]').textContent = body.detail
  } catch (error) {
    // Without the service the form still says so itself when it is sent.
    if (error.name !== 'AbortError') shown = null
  }
}

if (box != null && answers !== null) {
  sayKeys()
  box.addEventListener('input', (event) => {
    clearTimeout(timer)
    if (!event.isComposing) timer = setTimeout(ask, 120)
  })
  box.addEventListener('compositionend', () => {
    timer = setTimeout(ask, 120)
  })
  search.elements.channel.addEventListener('change', ({ target }) => {
    answers.elements.channel.value = target.value
  })
  search.addEventListener('submit', async (event) => {
    // Only the plain search: the other button goes to its own page.
    if (event.submitter?.dataset.register !== undefined) return
    event.preventDefault()
    const wasShown = box.value.trim() === shown
    if (!wasShown) return ask()
    const [first] = buttons()
    if (first === undefined) {
      if (shown !== '') search.querySelector('[data-register]').focus()
    } else if (answers.hasAttribute('data-first') && document.activeElement === box) answers.requestSubmit(first)
    else first.focus()
  })
}

document.addEventListener('keydown', (event) => {
  // An input method has the keys while it composes.
  if (box == null || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return
  const { key, target } = event
  if (key === 'F2') {
    const register = search.querySelector('[data-register]')
    event.preventDefault()
    if (answers !== null) search.requestSubmit(register)
    return
  }
  if (key === 'Escape' || (key === '/' && !editable(target))) {
    event.preventDefault()
    toBox()
    return
  }
  const list = buttons()
  const at = list.indexOf(target)
  const to =
    key === 'ArrowDown' && (target === box || at >= 0)
      ? at + 1
      : key === 'ArrowUp' && at >= 0
        ? at - 1
        : /^[1-5]$/.test(key) && !editable(target)
          ? Number(key) - 1
          : null
  if (to === null) return
  event.preventDefault()
  if (to < 0) toBox()
  else list[to]?.focus()
})
