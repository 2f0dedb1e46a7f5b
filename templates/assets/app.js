// Improvement only: every page works without this file.
for (const button of document.querySelectorAll('[data-print]')) {
  button.hidden = false
  button.addEventListener('click', () => window.print())
}

// Type-ahead: a combobox with a listbox (ARIA 1.2). Choosing a line asks it as the question, like any other.
for (const form of document.querySelectorAll('form[data-ask]')) {
  const input = form.elements.q
  const list = document.createElement('ul')
  list.className = 'suggestions'
  list.id = 'suggestions'
  list.hidden = true
  list.setAttribute('role', 'listbox')
  list.setAttribute('aria-label', '可能想问的问题')
  input.after(list)
  for (const [name, value] of Object.entries({
    role: 'combobox',
    'aria-autocomplete': 'list',
    'aria-expanded': 'false',
    'aria-controls': list.id
  })) {
    input.setAttribute(name, value)
  }
  let active = -1
  let typed = ''
  let waiting
  let asking

  const close = () => {
    clearTimeout(waiting)
    asking?.abort()
    list.hidden = true
    active = -1
    input.setAttribute('aria-expanded', 'false')
    input.removeAttribute('aria-activedescendant')
  }
  const show = (suggestions) => {
    close()
    list.replaceChildren(
      ...suggestions.slice(0, 8).map(({ text }, index) => {
        const line = document.createElement('li')
        line.id = `suggestion-${index}`
        line.setAttribute('role', 'option')
        line.setAttribute('aria-selected', 'false')
        line.textContent = text
        return line
      })
    )
    list.hidden = suggestions.length === 0
    input.setAttribute('aria-expanded', String(!list.hidden))
  }
  const ask = async () => {
    typed = input.value.trim()
    if (typed === '' || typed.length > 60) return close()
    asking?.abort()
    asking = new AbortController()
    try {
      const reply = await fetch(`/api/v1/suggestions?q=${encodeURIComponent(typed)}`, { signal: asking.signal })
      if (reply.ok && document.activeElement === input) show(await reply.json())
    } catch {
      // Typed on, or no service: the form still asks.
    }
  }
  const choose = (line) => {
    input.value = line.textContent
    close()
    form.requestSubmit()
  }
  const move = (step) => {
    const lines = [...list.children]
    lines[active]?.setAttribute('aria-selected', 'false')
    active = (active + step + lines.length + 1) % (lines.length + 1)
    if (active === lines.length) active = -1
    const line = lines[active]
    if (line === undefined) return input.removeAttribute('aria-activedescendant')
    line.setAttribute('aria-selected', 'true')
    line.scrollIntoView({ block: 'nearest' })
    input.setAttribute('aria-activedescendant', line.id)
  }

  input.addEventListener('input', () => {
    clearTimeout(waiting)
    waiting = setTimeout(ask, 120)
  })
  input.addEventListener('keydown', (event) => {
    // Keys pressed inside an input method belong to it.
    if (event.isComposing || list.hidden) return
    if (event.key === 'ArrowDown') move(1)
    else if (event.key === 'ArrowUp') move(-1)
    else if (event.key === 'Escape') close()
    else if (event.key === 'Enter' && active >= 0) choose(list.children[active])
    else return
    event.preventDefault()
  })
  input.addEventListener('blur', close)
  // Keeps the focus in the box, so that blur does not close the list before the click.
  list.addEventListener('mousedown', (event) => event.preventDefault())
  list.addEventListener('click', (event) => {
    const line = event.target.closest('li')
    if (line !== null) choose(line)
  })
}
