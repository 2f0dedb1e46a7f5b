import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import Excel from 'exceljs'
import type { Test } from 'tap'
import { openSession } from '../../src/accounts/sessions.ts'
import { type Service, service } from '../consultations/people.ts'
import { qa } from '../sample-records.ts'

interface Shown {
  status: number
  html: string
  location: string
  bytes: Buffer
}

const ANSWER = '带身份证到区医保局领，电话67560000。'
const BASIS = [{ document: 'zc-1', clause: '第二条' }]

function browsing({ app }: Service) {
  return async (as: string, url: string, sent?: Record<string, string> | FormData): Promise<Shown> => {
    const form = sent instanceof FormData ? new Request('http://localhost', { method: 'POST', body: sent }) : null
    const { statusCode, body, headers, rawPayload } = await app.inject({
      url,
      method: sent === undefined ? 'GET' : 'POST',
      headers: {
        ...(as.startsWith('session=') ? { cookie: as } : { authorization: `Bearer ${as}` }),
        accept: 'text/html',
        ...(sent === undefined
          ? {}
          : { 'content-type': form?.headers.get('content-type') ?? 'application/x-www-form-urlencoded' })
      },
      ...(sent === undefined
        ? {}
        : {
            payload:
              form === null
                ? new URLSearchParams(sent as Record<string, string>).toString()
                : Buffer.from(await form.arrayBuffer())
          })
    })
    return { status: statusCode, html: body, location: String(headers.location ?? ''), bytes: rawPayload }
  }
}

function file(bytes: Buffer | string, name: string): FormData {
  const form = new FormData()
  form.append('file', new Blob([typeof bytes === 'string' ? bytes : new Uint8Array(bytes)]), name)
  return form
}

/** The exported workbook after `edit` worked on its sheet of questions; columns by their title. */
async function edited(
  bytes: Buffer,
  edit: (sheet: Excel.Worksheet, column: (title: string) => number) => void
): Promise<Buffer> {
  const workbook = new Excel.Workbook()
  await workbook.xlsx.load(bytes as unknown as ArrayBuffer)
  const sheet = workbook.getWorksheet('问答') ?? workbook.worksheets.find(({ name }) => name.includes('问答'))
  if (sheet === undefined) throw new Error('no sheet of questions')
  const titles = (sheet.getRow(1).values as string[]).map(String)
  edit(sheet, (title) => titles.indexOf(title))
  return Buffer.from(await workbook.xlsx.writeBuffer())
}

const difference = (html: string) => /name="difference" value="([0-9a-f]+)"/.exec(html)?.[1] ?? ''

/**
 * The bank's page of the office, alike on both databases.
 * @param environment with DATABASE_URL for PostgreSQL
 */
export function uploadContract(t: Test, environment: (t: Test) => Promise<NodeJS.ProcessEnv>): void {
  t.test('the exported table comes back changed, is compared, confirmed and found', async (t) => {
    const own = await service(t, await environment(t))
    const { tokens, parts, store } = own
    const see = browsing(own)
    await store([
      qa({ id: 'yb-900', question: '火星移民补贴在哪里领', answer: ANSWER, unit: 'ybj', basis: BASIS }),
      qa({ id: 'yb-901', question: '月球移民补贴在哪里领', answer: ANSWER, unit: 'ybj', basis: BASIS })
    ])
    // Records of tests are not written as the indexer writes them: from here on they are.
    const raw = await see(tokens.office, '/office/bank/export')
    const taken = await see(tokens.office, '/office/bank/uploads', file(raw.bytes, '问答库.xlsx'))
    const first = await see(tokens.office, taken.location)
    await see(tokens.office, `${taken.location}/confirm`, { difference: difference(first.html) })
    const exported = await see(tokens.office, '/office/bank/export')
    t.equal(exported.status, 200)

    const same = await see(tokens.office, '/office/bank/uploads', file(exported.bytes, '问答库.xlsx'))
    t.equal(same.status, 303, same.html.slice(0, 300))
    const nothing = await see(tokens.office, same.location)
    t.match(nothing.html, '新增 0 条，修改 0 条，撤下 0 条')
    t.match(nothing.html, '与库里一致')
    t.equal((await see(tokens.office, `${same.location}/cancel`, {})).location, '/office/bank')
    t.equal((await see(tokens.office, same.location)).status, 404)

    const bytes = await edited(exported.bytes, (sheet, column) => {
      sheet.eachRow((row) => {
        if (row.getCell(column('编号')).text === 'yb-900') {
          row.getCell(column('答复')).value = `${ANSWER}周六也办。`
          row.getCell(column('问题')).value = '去火星安家的补贴到哪里领'
        }
      })
    })
    const sent = await see(tokens.office, '/office/bank/uploads', file(bytes, 'C:\\表格\\问答库.xlsx'))
    t.equal(sent.status, 303, sent.html.slice(0, 300))
    const shown = await see(tokens.office, sent.location)
    t.match(shown.html, '修改 1 条')
    t.match(shown.html, '周六也办')
    t.match(shown.html, '确认存入这 1 条变动')
    t.match((await see(tokens.office, '/office/bank')).html, '等确认')

    // Somebody changes the bank between the look and the word.
    await store([qa({ id: 'yb-901', question: '月球移民补贴在哪里领', answer: '已改。', unit: 'ybj', basis: BASIS })])
    const stale = await see(tokens.office, `${sent.location}/confirm`, { difference: difference(shown.html) })
    t.equal(stale.status, 409)
    t.match(stale.html, '还没有存入')
    t.match(stale.html, '修改 2 条')
    t.not((await parts.library.get('qa', 'yb-900'))?.content.question, '去火星安家的补贴到哪里领')

    const done = await see(tokens.office, `${sent.location}/confirm`, { difference: difference(stale.html) })
    t.equal(done.location, '/office/bank?said=loaded')
    const answer = await own.app.inject({ url: `/api/v1/answers?q=${encodeURIComponent('去火星安家的补贴到哪里领')}` })
    t.equal(answer.json().hits[0].id, 'yb-900', 'found by the next one who asks')
    t.match(answer.body, '周六也办')
    t.equal((await see(tokens.office, sent.location)).status, 404, 'a loaded file is forgotten')

    // The same file without a row: what is missing goes out, after it was said.
    const shorter = await edited(bytes, (sheet, column) => {
      sheet.eachRow((row, at) => {
        if (row.getCell(column('编号')).text === 'yb-901') sheet.spliceRows(at, 1)
      })
    })
    const again = await see(tokens.office, '/office/bank/uploads', file(shorter, '问答库.xlsx'))
    const warned = await see(tokens.office, again.location)
    t.match(warned.html, '会被撤下，不再答复群众')
    t.match(warned.html, '月球移民补贴')
    await see(tokens.office, `${again.location}/confirm`, { difference: difference(warned.html) })
    t.ok((await parts.library.get('qa', 'yb-901'))?.retired)
    t.same(
      readdirSync(tmpdir()).filter((name) => name.startsWith('zhengxun-') && existsSync(`${tmpdir()}/${name}/上传`)),
      [],
      'no file stays behind'
    )
  })

  t.test('what is no table of ours is refused with the way out, and nothing is kept', async (t) => {
    const own = await service(t, await environment(t))
    const { tokens, parts, app } = own
    const see = browsing(own)
    const send = (bytes: Buffer | string, name: string) => see(tokens.office, '/office/bank/uploads', file(bytes, name))
    t.match(await send('a,b', '问答.csv'), { status: 422, html: '不是 xlsx' })
    t.match(await send('', '空.xlsx'), { status: 422, html: '请选一个文件' })
    t.match(await see(tokens.office, '/office/bank/uploads', {}), { status: 422, html: '请选一个文件' })
    t.match(await send(Buffer.alloc(21 * 1024 * 1024), '大.xlsx'), { status: 413, html: '请拆成几个文件' })

    const torn = await send('PK\u0003\u0004 这不是表格', '坏.xlsx')
    t.equal(torn.status, 303)
    const page = await see(tokens.office, torn.location)
    t.match(page.html, '有问题要先改')
    t.notMatch(page.html, '/confirm')
    const forced = await see(tokens.office, `${torn.location}/confirm`, { difference: difference(page.html) })
    t.equal(forced.status, 409, 'nothing to agree to')

    const exported = await see(tokens.office, '/office/bank/export')
    const wrong = await edited(exported.bytes, (sheet, column) => {
      sheet.getRow(2).getCell(column('问题')).value = ''
    })
    const rows = await see(tokens.office, (await send(wrong, '错.xlsx')).location)
    t.match(rows.html, '第 2 行')
    t.match(rows.html, '错.xlsx')

    const row = await parts.db
      .selectFrom('staff')
      .select('id')
      .where('username', '=', 'test-office')
      .executeTakeFirstOrThrow()
    await parts.db.updateTable('staff').set({ first_password: 0 }).execute()
    const { id, csrf } = await openSession(parts.db, parts.secret, row.id, parts.now())
    const bare = await see(`session=${id}`, '/office/bank/uploads', file(exported.bytes, '问答库.xlsx'))
    t.equal(bare.status, 403, 'a foreign page cannot send a file')
    const url = `/office/bank/uploads?${new URLSearchParams({ _csrf: csrf })}`
    t.match((await see(`session=${id}`, '/office/bank')).html, url.replaceAll('&', '&amp;').replaceAll('=', '&#x3D;'))
    t.equal((await see(`session=${id}`, url, file(exported.bytes, '问答库.xlsx'))).status, 303)
    for (const role of ['clerk', 'liaison', 'leader', 'admin'] as const) {
      const refused = await see(tokens[role], '/office/bank/uploads', file(exported.bytes, '问答库.xlsx'))
      t.equal(refused.status, 403, role)
      t.equal((await see(tokens[role], '/office/bank/export')).status, 403, role)
    }
    const waiting = await parts.db.selectFrom('uploads').select('id').execute()
    const tomorrow = new Date(parts.now().getTime() + 25 * 3600_000)
    parts.now = () => tomorrow
    t.ok(waiting.length > 0)
    await send(exported.bytes, '问答库.xlsx')
    t.equal((await parts.db.selectFrom('uploads').select('id').execute()).length, 1, 'those of yesterday are forgotten')
    t.equal((await app.inject({ url: '/office/bank' })).statusCode, 302)
  })

  t.test('an entry is withdrawn at once with a reason, and put back', async (t) => {
    const own = await service(t, await environment(t))
    const { tokens, app, store } = own
    const see = browsing(own)
    await store([
      qa({ id: 'yb-900', question: '火星移民补贴在哪里领', answer: ANSWER, unit: 'ybj', basis: BASIS }),
      qa({ id: 'mz-900', question: '月球移民补贴在哪里领', answer: ANSWER, unit: 'mzj', basis: BASIS })
    ])
    const found = async () => {
      const { hits } = (
        await app.inject({ url: `/api/v1/answers?q=${encodeURIComponent('火星移民补贴在哪里领')}` })
      ).json()
      return hits.some(({ id }: { id: string }) => id === 'yb-900')
    }
    t.ok(await found())
    t.match(
      (
        await see(
          tokens.leader,
          '/office/bank?q=火星移民补贴'.replace('火星移民补贴', encodeURIComponent('火星移民补贴'))
        )
      ).html,
      'yb-900'
    )
    t.notMatch((await see(tokens.leader, '/office/bank?q=mz-900')).html, '/office/bank/entries/mz-900', 'another unit')
    t.equal((await see(tokens.leader, '/office/bank/entries/mz-900')).status, 403)
    t.equal((await see(tokens.office, '/office/bank/entries/none')).status, 404)
    t.equal((await see(tokens.clerk, '/office/bank/entries/yb-900')).status, 403)

    const path = '/office/bank/entries/yb-900'
    const bare = await see(tokens.leader, `${path}/withdraw`, { version: '1', reason: ' ' })
    t.match(bare, { status: 422, html: '请写明为什么撤下' })
    t.match(await see(tokens.leader, `${path}/withdraw`, { version: '7', reason: '政策已废止' }), { status: 409 })
    const gone = await see(tokens.leader, `${path}/withdraw`, { version: '1', reason: '政策已废止<b>' })
    t.equal(gone.location, `${path}?said=retired`)
    t.notOk(await found())
    const page = await see(tokens.office, path)
    t.match(page.html, '政策已废止&lt;b&gt;')
    t.match(page.html, '恢复这条问答')
    t.match((await see(tokens.office, '/office/bank')).html, '政策已废止')
    t.match((await see(tokens.office, '/qa/yb-900')).html, '撤下')

    t.equal(
      (await see(tokens.leader, `${path}/withdraw`, { version: '1', reason: '再来' })).location,
      path,
      'sent twice'
    )
    const back = await see(tokens.office, `${path}/restore`, { version: '2', reason: '误撤' })
    t.equal(back.location, `${path}?said=restored`)
    t.ok(await found())
  })
}
