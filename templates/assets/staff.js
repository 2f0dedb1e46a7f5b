// Improvement only: every staff page works without this file.
for (const button of document.querySelectorAll('[data-print]')) {
  button.hidden = false
  button.addEventListener('click', () => window.print())
}

// A form is sent once; the server's key makes a second send harmless anyway.
for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener('submit', (event) => {
    if (form.dataset.sent === '1') event.preventDefault()
    form.dataset.sent = '1'
    setTimeout(() => delete form.dataset.sent, 5000)
  })
}

const bell = document.querySelector('[data-bell]')
if (bell !== null) {
  const look = async () => {
    try {
      const reply = await fetch('/api/v1/bell')
      if (!reply.ok) return
      const { unread } = await reply.json()
      if (unread > 0) bell.dataset.count = unread > 99 ? '99+' : String(unread)
      else delete bell.dataset.count
    } catch {
      // Looked again in a minute.
    }
  }
  look()
  setInterval(look, 60_000)
}
