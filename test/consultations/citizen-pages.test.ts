import t from 'tap'
import { findTicket } from '../../src/consultations/records.ts'
import { service } from './people.ts'

const form = (fields: Record<string, string>) => ({
  method: 'POST' as const,
  headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' },
  payload: new URLSearchParams(fields).toString()
})

t.test('a citizen leaves a question by a form, follows it and says it is not solved', async (t) => {
  const { app, parts, call, tokens } = await service(t)
  const asked = await app.inject({
    url: `/z/XZZX01/ask?q=${encodeURIComponent('火星移民补贴在哪里领')}`,
    headers: { accept: 'text/html' }
  })
  const way = (/href="(\/z\/XZZX01\/consult[^"]+)"/.exec(asked.body)?.[1] ?? '')
    .replaceAll('&amp;', '&')
    .replaceAll('&#x3D;', '=')
  const page = await app.inject({ url: way, headers: { accept: 'text/html' } })
  t.match(page.body, /您的信息怎么用/)
  const key = /name="key" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  const fields = {
    key,
    queryId: '',
    question: '<b>火星</b>移民补贴在哪里领',
    name: '示例市民',
    phone: '12',
    audience: 'person'
  }
  const wrong = await app.inject({ url: '/z/XZZX01/consult', ...form(fields) })
  t.equal(wrong.statusCode, 400)
  t.match(wrong.body, /电话：请写/)
  t.match(wrong.body, `value="${key}"`, 'what was typed, and the key, are kept')
  t.notMatch(wrong.body, '<b>火星')
  const [first, again] = [1, 2].map(() =>
    app.inject({ url: '/z/XZZX01/consult', ...form({ ...fields, phone: '138 0000 0001' }) })
  )
  const { body } = (await first) as { body: string }
  const number = /ZX-XZZX01-20261123-0001-\d/.exec(body)?.[0] ?? ''
  const code = /查询码<\/dt><dd>([A-Z2-9]{6})/.exec(body)?.[1] ?? ''
  t.match(body, /2026年11月30日/)
  t.match(((await again) as { body: string }).body, code, 'sent twice, registered once')
  t.equal(await findTicket(parts.db, number.replace('0001', '0002')), null)
  const track = (given: Record<string, string>) => app.inject({ url: '/track', ...form(given) })
  t.match((await track({ number, code })).body, /正在确定由谁答复/)
  const bad = await track({ number, code: 'AAAAAA' })
  t.equal(bad.statusCode, 404)
  await call(tokens.clerk, 'POST', `/tickets/${number}/answer`, { version: 1, entry: 'yibao-001' })
  const answered = await track({ number, code: code.toLowerCase() })
  t.match(answered.body, /没解决，请再办/)
  const rated = await app.inject({ url: '/track/rate', ...form({ number, code, solved: '0' }) })
  t.match(rated.body, /正在重新办理/)
  t.match(await findTicket(parts.db, number), { state: 'REOPENED', round: 2 })
})
