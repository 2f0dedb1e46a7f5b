import Excel from 'exceljs'
import type { Test } from 'tap'
import { findTicket } from '../../src/consultations/records.ts'
import { registered, type Service, service } from '../consultations/people.ts'

/** As the district's plan has them, in this order (domain model 2.7). */
const TITLES =
  '序号 登记编号 专区 咨询日期时间 咨询方式 咨询人 联系方式 人群 咨询事项 主题 咨询内容 问答库匹配结果 是否即时答复 答复依据(文号) 交办单位 交办时间 交办人 签收时间 办理期限(工作日/截止日) 承办人 退回/改派情况 答复时间 答复方式 答复内容 审核人 用时(工作日) 是否逾期 引导去向 是否入库 满意度 备注'.split(
    ' '
  )
const FORMULA = '=cmd|"/c calc"!A1，火星移民"补贴"在哪里领'

async function file({ app }: Service, as: string, path: string) {
  const { statusCode, rawPayload, headers } = await app.inject({
    url: `/api/v1/ledgers/${path}`,
    headers: { authorization: `Bearer ${as}` }
  })
  return { status: statusCode, bytes: rawPayload, text: rawPayload.toString('utf8'), headers }
}

/** Rows of a CSV by RFC 4180. */
function rowsOf(csv: string): string[][] {
  const rows: string[][] = [[]]
  for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    rows.at(-1)?.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'))
    if (end?.includes('\n') === true) rows.push([])
    if (end === '') break
  }
  return rows
}

/**
 * The ledger 政策咨询登记、交办、回复台账 in every form, alike on both databases.
 * @param environment with DATABASE_URL for PostgreSQL
 */
export function ledgerContract(t: Test, environment: (t: Test) => Promise<NodeJS.ProcessEnv>): void {
  t.test(
    'every form has the plan’s columns, the whole life of each consultation, and nothing a sheet would run',
    async (t) => {
      const own = await service(t, await environment(t))
      const { call, tokens, parts } = own
      const one = await registered(own, FORMULA, { contact: { name: '示例=1+1', phone: '13800000001' } })
      const other = await registered(own, '月球移民补贴在哪里领')
      const step = async (as: string, action: string, body: object) => {
        const version = (await findTicket(parts.db, one.number))?.version
        const reply = await call(as, 'POST', `/tickets/${one.number}/${action}`, { version, ...body })
        t.equal(reply.status, 200, `${action} ${reply.raw.slice(0, 100)}`)
      }
      await step(tokens.clerk, 'assign', { unit: 'ybj' })
      await step(tokens.liaison, 'draft', {
        text: '带身份证\n到区医保局领。',
        basis: [{ document: 'zc-1', title: null, clause: '第二条' }],
        submit: true
      })
      await step(tokens.leader, 'approve', {})
      await step(tokens.liaison, 'contact', { outcome: 'told', by: 'phone', at: '2026-11-23T01:00:00Z', note: '' })

      const workbook = new Excel.Workbook()
      const xlsx = await file(own, tokens.office, 'consultations.xlsx')
      t.equal(xlsx.status, 200)
      t.match(xlsx.headers['content-disposition'], "filename*=UTF-8''")
      t.equal(xlsx.headers['cache-control'], 'no-store')
      await workbook.xlsx.load(xlsx.bytes as unknown as ArrayBuffer)
      const sheet = workbook.worksheets[0] as Excel.Worksheet
      t.match(sheet.getRow(1).getCell(1).text, '政策咨询登记、交办、回复台账')
      t.match(sheet.pageSetup, { paperSize: 9, orientation: 'landscape' }, 'A4 landscape')
      const texts: string[][] = []
      const formulas: string[] = []
      sheet.eachRow((row) => {
        const cells: string[] = []
        row.eachCell({ includeEmpty: true }, (cell) => {
          cells.push(cell.text)
          if (cell.formula) formulas.push(cell.address)
        })
        texts.push(cells)
      })
      t.same(formulas, [], 'nothing that Excel would work out')
      const head = texts.findIndex((cells) => cells.includes('登记编号'))
      t.same(texts[head], TITLES)
      const above = texts.slice(0, head).flat().join(' ')
      for (const name of ['填报单位', '填报人', '审核人', '日期']) t.match(above, name)
      const row = texts.find((cells) => cells.includes(one.number)) ?? []
      const at = (title: string) => row[TITLES.indexOf(title)] ?? ''
      t.match(at('咨询内容'), '火星移民')
      t.equal(at('咨询方式'), '网络')
      t.equal(at('交办单位'), (await parts.library.all('unit')).get('ybj')?.content.name)
      t.equal(at('答复方式'), '电话')
      t.match(at('答复内容'), '到区医保局领')
      t.equal(at('是否逾期'), '否')
      t.match(at('咨询人'), '＊')
      t.notMatch(xlsx.bytes.toString('latin1') + row.join(), '13800000001', 'the office exports masked phones')

      const csv = await file(own, tokens.office, 'consultations.csv')
      t.same([...csv.bytes.subarray(0, 3)], [0xef, 0xbb, 0xbf], 'Excel reads it as UTF-8')
      const rows = rowsOf(csv.text.slice(1))
      const csvHead = rows.findIndex((cells) => cells.includes('登记编号'))
      t.same(rows[csvHead], TITLES)
      const line = rows.find((cells) => cells.includes(one.number)) ?? []
      t.equal(line.length, TITLES.length, 'quotes and line breaks stay inside their cell')
      t.notMatch(line[TITLES.indexOf('咨询内容')], /^[=+\-@\t]/, 'no cell begins as a formula')
      t.match(line[TITLES.indexOf('咨询内容')], '火星移民"补贴"')
      t.notOk(rows.flat().some((cell) => /^[=+@\t]/.test(cell)))

      const json = JSON.parse((await file(own, tokens.office, 'consultations.json')).text)
      const listed: Record<string, unknown>[] = Array.isArray(json) ? json : json.rows
      t.equal(listed.length, 2)
      t.ok(JSON.stringify(listed).includes(other.number))
    }
  )

  t.test('filters choose, bad ones say which field, and everybody gets the own part', async (t) => {
    const own = await service(t, await environment(t))
    const { call, tokens, parts, app } = own
    const mine = await registered(own, '火星移民补贴在哪里领')
    const foreign = await registered(own, '月球移民补贴在哪里领', { zone: 'GYQ01' })
    t.equal((await findTicket(parts.db, foreign.number))?.zone, 'GYQ01')
    const version = (await findTicket(parts.db, mine.number))?.version
    await call(tokens.clerk, 'POST', `/tickets/${mine.number}/assign`, { version, unit: 'ybj' })
    const numbers = async (as: string, query: string) => {
      const { status, text } = await file(own, as, `consultations.csv?${query}`)
      return { status, text, mine: text.includes(mine.number), foreign: text.includes(foreign.number) }
    }
    const cases: [string, boolean, boolean][] = [
      ['', true, true],
      ['from=2026-11-01&to=2026-11-30', true, true],
      ['from=2026-12-01', false, false],
      ['to=2026-10-31', false, false],
      ['zone=GYQ01', false, true],
      ['unit=ybj', true, false],
      ['state=ASSIGNED', true, false],
      ['overdue=1', false, false],
      ['overdue=0', true, true]
    ]
    for (const [query, isMine, isForeign] of cases) {
      t.match(await numbers(tokens.office, query), { status: 200, mine: isMine, foreign: isForeign }, query)
    }
    for (const query of ['from=2026-13-01', 'zone=none', 'unit=none', 'state=none', 'from=2026-12-01&to=2026-11-01']) {
      const { status, text } = await numbers(tokens.office, query)
      t.equal(status, 400, query)
      t.match(text, /[一-鿿]/, query)
      const page = await app.inject({
        url: `/ledger?${query}`,
        headers: { authorization: `Bearer ${tokens.office}`, accept: 'text/html' }
      })
      t.notOk(page.body.includes(mine.number), `${query}: no rows on the page`)
      t.equal(page.statusCode, 400, query)
    }
    t.match(await numbers(tokens.clerk, ''), { mine: true, foreign: false }, 'a clerk the own zone')
    t.match(await numbers(tokens.liaison, ''), { mine: true, foreign: false }, 'a liaison the own unit')
    for (const role of ['clerk', 'liaison', 'leader', 'office'] as const) {
      t.notMatch((await numbers(tokens[role], '')).text, '13800000001', `a file carries no whole phone: ${role}`)
    }
    t.equal((await numbers(tokens.clerk, 'zone=GYQ01')).status, 403)
    t.equal((await numbers(tokens.admin, '')).status, 403)
    t.equal((await app.inject({ url: '/api/v1/ledgers/consultations.csv' })).statusCode, 401)
    t.equal((await file(own, tokens.office, 'nothing.csv')).status, 404)
    const page = await app.inject({
      url: '/ledger',
      headers: { authorization: `Bearer ${tokens.office}`, accept: 'text/html' }
    })
    for (const title of TITLES) t.ok(page.body.includes(title), title)
    t.match(page.body, mine.number)
  })

  t.test('samples are in no real ledger', async (t) => {
    const own = await service(t, { SAMPLE_DATA: '1', ...(await environment(t)) })
    const { tokens, parts } = own
    const real = await registered(own, '火星移民补贴在哪里领')
    const { text } = await file(own, tokens.office, 'consultations.csv')
    t.ok(text.includes(real.number))
    t.notMatch(text, 'YL-')
    await parts.db.updateTable('consultations').set({ chain: 'sample' }).where('number', '=', real.number).execute()
    t.notOk((await file(own, tokens.office, 'consultations.csv')).text.includes(real.number))
  })
}
