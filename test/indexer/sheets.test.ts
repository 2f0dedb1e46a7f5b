import iconv from 'iconv-lite'
import t from 'tap'
import {
  addFiles,
  collection,
  contentOf,
  csv,
  emptyDatabase,
  folderOf,
  load,
  QA_HEADER,
  QA_ROW,
  qaRow,
  storedIn,
  UNITS,
  xlsx
} from './make-files.ts'

t.test(
  'a workbook as offices write it is read: title above the header, merged cells, dates, numbers, rich text, links',
  async (t) => {
    const workbook = await xlsx({
      填写说明: (sheet) => sheet.addRow(['请按下表填写']),
      单位: (sheet) => {
        sheet.addRow(['编号', '名称', '类别'])
        sheet.addRow([1001, '区医保局', '部门'])
      },
      问答: (sheet) => {
        sheet.addRow(['江北区政策问答汇总表（2026 年）'])
        sheet.mergeCells('A1:H1')
        sheet.addRow(['编 号', '问题＊', '\ufeff答复', '责任单位（必填）', '面向', '生效日期', '费用', '其他问法'])
        sheet.addRow([
          'a-1',
          '甲怎么办',
          '到窗口办。',
          '区医保局',
          '群众、企业',
          new Date('2026-03-01T00:00:00Z'),
          0.05,
          '甲\n乙'
        ])
        sheet.getCell('G3').numFmt = '0%'
        sheet.addRow([])
        sheet.addRow(['a-2', '乙怎么办', '', '区医保局', '群众', 46082, 20, ''])
        sheet.getCell('C5').value = { richText: [{ text: '先', font: { bold: true } }, { text: '预约。' }] }
        sheet.addRow(['a-3', '', '见网站。', '区医保局', '群众', '2026年3月1日', null, ''])
        sheet.getCell('B6').value = { text: '丙怎么办', hyperlink: 'https://example.com/' }
        sheet.getCell('G6').value = { formula: '10+5', result: 15 } as never
        sheet.addRow(['a-4', '丁怎么办', '见网站。', '', '群众', '2026.3.1', null, ''])
        sheet.mergeCells('D6:D7')
      }
    })
    const db = await emptyDatabase(t)
    const report = await load(db, `${folderOf(t, { '问答.xlsx': workbook })}/问答.xlsx`)
    t.same(report.problems, [])
    t.equal(report.exitCode, 0)
    t.equal(report.records.new, 5)
    t.match(report.warnings, [{ sheet: '填写说明', problem: /没有读入/ }])
    t.match(await contentOf(db, 'qa', 'a-1'), {
      variants: ['甲', '乙'],
      audience: ['群众', '企业'],
      effectiveOn: '2026-03-01',
      fee: '5%',
      unit: '1001'
    })
    t.match(await contentOf(db, 'qa', 'a-2'), { answer: '先预约。', effectiveOn: '2026-03-01', fee: '20' })
    t.match(await contentOf(db, 'qa', 'a-3'), { question: '丙怎么办', effectiveOn: '2026-03-01', fee: '15' })
    t.match(
      await contentOf(db, 'qa', 'a-4'),
      { unit: '1001', effectiveOn: '2026-03-01' },
      'a merged cell speaks for each of its rows'
    )
  }
)

t.test('a formula without a stored result, and one with an error, are named by cell', async (t) => {
  const workbook = await xlsx({
    问答: (sheet) => {
      sheet.addRow(['编号', '问题', '答复', '责任单位', '面向'])
      sheet.addRow(['a-1', '甲怎么办', '', 'zfb', '群众'])
      sheet.getCell('C2').value = { formula: 'VLOOKUP(A2,X:Y,2)' } as never
      sheet.addRow(['a-2', '乙怎么办', '', 'zfb', '群众'])
      sheet.getCell('C3').value = { formula: '1/0', result: { error: '#DIV/0!' } } as never
    }
  })
  const db = await emptyDatabase(t)
  const report = await load(db, folderOf(t, collection({ 'qa.xlsx': workbook })))
  t.equal(report.exitCode, 1)
  t.match(report.problems, [
    { sheet: '问答', row: 2, column: '答复（C 列）', problem: /公式/, remedy: /粘贴为数值/ },
    { sheet: '问答', row: 3, column: '答复（C 列）', problem: /#DIV\/0!/ }
  ])
  t.equal(report.problems.length, 2, 'what follows from the cell is not told again')
  t.equal((await storedIn(db)).revisions.length, 0)
})

t.test('csv is read in the encodings Excel and WPS write', async (t) => {
  const text = csv(QA_HEADER, QA_ROW)
  const encodings: Record<string, Buffer> = {
    'UTF-8': Buffer.from(text),
    'UTF-8 with BOM': Buffer.from(`\ufeff${text}`),
    GB18030: iconv.encode(text.replace('怎么', '㐂怎么'), 'gb18030'),
    'UTF-16 LE with BOM': Buffer.from(`\ufeff${text}`, 'utf16le'),
    'UTF-16 LE with tabs (Unicode 文本)': Buffer.from(`\ufeff${text.replaceAll('","', '"\t"')}`, 'utf16le'),
    'UTF-16 BE with BOM': Buffer.from(`\ufeff${text}`, 'utf16le').swap16()
  }
  for (const [name, bytes] of Object.entries(encodings)) {
    const db = await emptyDatabase(t)
    const report = await load(db, folderOf(t, collection({ 'qa/yibao.csv': bytes })))
    t.same(report.problems, [], name)
    t.match(
      await contentOf(db, 'qa', 'yb-001'),
      { question: /怎么转移$/, variants: ['医保转到江北', '医保转移'] },
      name
    )
  }
})

t.test('bytes that fit no encoding are named by row and column', async (t) => {
  const bytes = Buffer.concat([
    Buffer.from(csv(QA_HEADER, QA_ROW, qaRow({ 编号: 'yb-002', 问题: '坏的问题?' }))),
    Buffer.from('\r\n')
  ])
  bytes[bytes.indexOf('坏的问题?') + '坏的问题'.length * 3] = 0xff
  const db = await emptyDatabase(t)
  const report = await load(db, folderOf(t, collection({ 'qa/yibao.csv': bytes })))
  t.equal(report.exitCode, 1)
  t.match(report.problems, [
    { file: /qa\/yibao\.csv$/, row: 3, column: '问题（B 列）', problem: /无法识别的字符/, remedy: /UTF-8/ }
  ])
  t.equal((await storedIn(db)).revisions.length, 0)

  const big5 = await load(
    db,
    folderOf(
      t,
      collection({ 'qa/yibao.csv': iconv.encode('編號,問題,答覆,責任單位,面向\r\na-1,問題,答覆,zfb,群眾', 'big5') })
    )
  )
  t.equal(big5.exitCode, 2, 'an encoding nobody can tell is an unusable file')
  t.match(big5.problems[0], { problem: /认不出/, remedy: /UTF-8/ })
})

t.test(
  'a missing column is named with the sheet and the likely misspelling, an unknown one is only mentioned',
  async (t) => {
    const db = await emptyDatabase(t)
    const text = csv(['编号', '问题', '回答', '责任单位', '面向'], ['a-1', '甲怎么办', '到窗口办。', 'zfb', '群众'])
    const workbook = await xlsx({
      政策问答: (sheet) => sheet.addRows(text.split('\r\n').map((line) => line.replaceAll('"', '').split(',')))
    })
    const report = await load(db, folderOf(t, collection({ 'qa/a.xlsx': workbook })))
    t.equal(report.exitCode, 2)
    t.match(report.problems, [
      {
        file: /a\.xlsx$/,
        sheet: '政策问答',
        column: '答复',
        problem: /缺少必需的列「答复」/,
        remedy: /「回答」写错了名字/
      }
    ])
    t.match(report.warnings, [{ sheet: '政策问答', row: 1, column: '回答（C 列）', problem: /没有「回答」这一列/ }])
    t.equal((await storedIn(db)).revisions.length, 0)
  }
)

t.test('unpaired quotes and a csv of something else are refused as a whole', async (t) => {
  const db = await emptyDatabase(t)
  const quotes = await load(
    db,
    folderOf(t, { 'units.csv': '编号,名称,类别\r\nzfb,"区政府办,政府办\r\nybj,区医保局,部门' })
  )
  t.match(quotes.problems, [{ problem: /引号没有成对/ }])
  t.equal(quotes.exitCode, 2)
  const other = await load(db, folderOf(t, { 'a.csv': 'x,y\r\n1,2' }))
  t.match(other.problems, [{ problem: /认不出这张表/, remedy: /表头/ }])
})

t.test('jsonl: Chinese keys, English keys, a plain bank and statutes go the same way', async (t) => {
  const lines = [
    {
      编号: 'a-1',
      问题: '甲怎么办',
      答复: '到窗口办。',
      责任单位: '区医保局',
      面向: ['群众'],
      其他问法: ['甲', '甲甲'],
      依据: ['law-x 第一条']
    },
    {
      id: 'a-2',
      question: '乙怎么办',
      answer: '网上办。',
      unit: 'ybj',
      audience: ['企业'],
      basis: [{ document: 'law-x', clause: null }]
    },
    { id: 'a-3', question: '丙怎么办', answer: '打电话。', unit: 'ybj', variants: ['丙'], extra: 1 },
    { id: 'law-x', title: '示例法', category: '政策文件', body: '第一条 内容。', status: 'current' }
  ]
  const law = {
    path: '行政法规/示例条例(2019-04-03).md',
    title: '示例条例',
    date: '2019-04-03',
    level: '行政法规',
    articles: 1,
    text: '# 示例条例\n<!-- INFO END -->\n第一条 为了<保障>。'
  }
  const folder = folderOf(t, {
    'units.csv': UNITS,
    'bank.jsonl': `\ufeff${lines.map((line) => JSON.stringify(line)).join('\n')}\n\n`,
    'laws.jsonl': JSON.stringify(law)
  })
  const db = await emptyDatabase(t)
  const report = await load(db, folder)
  t.same(report.problems, [])
  t.match(report.warnings, [{ row: 3, column: 'extra' }])
  t.match(await contentOf(db, 'qa', 'a-1'), { basis: [{ document: 'law-x', clause: '第一条' }] })
  t.match(await contentOf(db, 'qa', 'a-3'), { audience: ['群众', '企业'] })
  const [statute] = (await storedIn(db)).records.filter(({ source }) => source.endsWith('laws.jsonl'))
  t.match(statute?.id, /^law-[0-9a-f]{12}$/)
  t.match(await contentOf(db, 'document', statute?.id ?? ''), {
    issuerName: '行政法规',
    publishedOn: '2019-04-03',
    category: '政策文件',
    body: '# 示例条例\n第一条 为了<保障>。'
  })

  addFiles(folder, { 'bank.jsonl': '{"编号":"a-1",\n[1]\n' })
  const broken = await load(db, folder)
  t.match(broken.problems, [
    { row: 1, problem: /JSON/ },
    { row: 2, problem: /JSON/ }
  ])
})
