import t from 'tap'
import { cutPassages } from '../../src/documents/passages.ts'
import {
  addFiles,
  collection,
  contentOf,
  csv,
  docx,
  emptyDatabase,
  folderOf,
  load,
  paragraph,
  pdf,
  storedIn,
  zip
} from './make-files.ts'

const MATTER =
  '编号: zc-1\n标题: 示例办法\n发布机构: [ybj]\n类别: 政策文件\n主题: yibao\n成文日期: 2024-03-01\n有效性: 现行有效\n关键词: [医保, 转移]'
const BODY = '# 示例办法\n\n## 第一章 总则\n\n第一条 为了方便群众。\n\n第二条 本办法由区医保局负责。\n'

t.test('Markdown with a front matter in Chinese becomes a document', async (t) => {
  const db = await emptyDatabase(t)
  const report = await load(
    db,
    folderOf(
      t,
      collection({ 'documents/zc-1.md': `---\r\n${MATTER.replaceAll('\n', '\r\n')}\r\n替代文件:\r\n---\r\n${BODY}` })
    )
  )
  t.same([report.problems, report.warnings], [[], []])
  t.match(await contentOf(db, 'document', 'zc-1'), {
    title: '示例办法',
    issuers: ['ybj'],
    topic: 'yibao',
    writtenOn: '2024-03-01',
    status: 'current',
    successor: null,
    keywords: ['医保', '转移'],
    body: BODY.trim()
  })
})

t.test('what is wrong in a Markdown file is named by its line', async (t) => {
  const wrong = {
    'bad-yaml.md': [
      '---\n编号: a\n标题: "没有收尾\n类别: 政策文件\n---\n第一条 正文。',
      { row: 4, problem: /写法有误/ }
    ],
    'bad-date.md': [
      `---\n${MATTER.replace('2024-03-01', '2024-02-30')}\n---\n${BODY}`,
      { row: 7, column: '成文日期', value: '2024-02-30', problem: /不是一个存在的日期/ }
    ],
    'no-category.md': [
      '---\n编号: zc-1\n标题: 示例\n---\n第一条 正文。',
      { column: '类别', problem: /不能为空/, remedy: /政策文件、/ }
    ],
    'expired.md': [
      `---\n${MATTER.replace('现行有效', '失效')}\n---\n${BODY}`,
      { row: 8, column: '有效性', problem: /没有失效日期/ }
    ],
    'script.md': [
      `---\n${MATTER}\n---\n${BODY}\n<script>alert(1)</script>`,
      { row: 19, column: '正文', problem: /<script/ }
    ],
    'no-body.md': [`---\n${MATTER}\n---\n`, { column: '正文', problem: /不能为空/ }]
  } as const
  for (const [name, [text, expected]] of Object.entries(wrong)) {
    const db = await emptyDatabase(t)
    const report = await load(db, folderOf(t, collection({ [`documents/${name}`]: text })))
    t.equal(report.exitCode, 1, name)
    t.match(report.problems, [{ file: new RegExp(`documents/${name}$`), ...expected }], name)
    t.equal((await storedIn(db)).revisions.length, 0, name)
  }
})

t.test('a Word document keeps headings, lists and tables; its catalogue gives the metadata', async (t) => {
  const cell = (text: string, more = '') => `<w:tc>${more}${paragraph(text)}</w:tc>`
  const body =
    paragraph('示例办法') +
    paragraph('第一章　总则') +
    paragraph('第一条 为了方便群众。') +
    `<w:tbl><w:tr>${cell('对象')}${cell('标准')}</w:tr><w:tr>${cell('儿童|老人')}${cell('50元')}</w:tr></w:tbl>` +
    paragraph('第二条 自公布之日起施行。')
  const catalogue = csv(
    ['文件', '编号', '标题', '发布机构', '类别', '有效性', '失效日期'],
    ['关于示例的通知.docx', 'zc-9', '示例办法', '区医保局；zfb', '政策文件', '失效', '2025-01-01'],
    ['没有这个.docx', 'zc-10', '示例', 'zfb', '政策文件', '现行有效', '']
  )
  const folder = folderOf(t, collection({ 'files/关于示例的通知.docx': docx(body), 'files/文件目录.csv': catalogue }))
  const db = await emptyDatabase(t)
  const missing = await load(db, folder)
  t.match(missing.problems, [
    { file: /文件目录\.csv$/, row: 3, column: '文件（A 列）', value: '没有这个.docx', problem: /没有读到/ }
  ])

  addFiles(folder, { 'files/文件目录.csv': catalogue.split('\r\n').slice(0, 2).join('\r\n') })
  const report = await load(db, folder)
  t.same(report.problems, [])
  const document = await contentOf(db, 'document', 'zc-9')
  t.match(document, { title: '示例办法', issuers: ['ybj', 'zfb'], status: 'current', expiresOn: '2025-01-01' })
  t.equal(
    document.body,
    '示例办法\n\n## 第一章　总则\n\n第一条 为了方便群众。\n\n| 对象 | 标准 |\n| --- | --- |\n| 儿童\\|老人 | 50元 |\n\n第二条 自公布之日起施行。'
  )
  t.same(
    cutPassages(String(document.body)).map(({ clause }) => clause),
    [null, '第一条', '第二条']
  )

  const alone = await load(db, `${folder}/files/关于示例的通知.docx`)
  t.match(alone.records, { unchanged: 1, retired: 0 }, 'a document loaded alone still finds its catalogue')
})

t.test('a web page loses scripts, handlers, frames and data links; text, links and tables stay', async (t) => {
  const html = `<!doctype html><html><head><title>示例通知_区政府</title><style>p{}</style></head><body onload="x()"><nav>首页 登录</nav>
    <h1>示例通知</h1><p onclick="steal()">各单位：<b>请</b>按&nbsp;&lt;本通知&gt;办理。<a href="javascript:alert(1)">点这里</a><a href="https://example.com/a(1)">附件</a></p>
    <script>alert('不要')</script><iframe src="https://evil.example/">框</iframe><img src="data:image/png;base64,AAAA" onerror="x()">
    <table><tr><td>1</td><td>布局<table><tr><th>事项</th><th>时限</th></tr><tr><td rowspan="2">登记</td><td>5日</td></tr><tr><td>7日</td></tr></table></td></tr></table>
    <ol><li>第一步</li><li>第二步</li></ol></body></html>`
  const db = await emptyDatabase(t)
  const report = await load(db, folderOf(t, { '示例 通知.html': html }))
  t.same(report.problems, [])
  t.match(report.warnings, [{ problem: /脚本 2 处、事件代码 3 处、嵌入页面 1 处、内嵌数据链接 1 处/ }])
  const [record] = (await storedIn(db)).records
  t.match(record?.id, /^doc-[0-9a-f]{12}$/)
  const { title, body } = await contentOf(db, 'document', record?.id ?? '')
  t.equal(title, '示例通知')
  t.equal(
    body,
    '# 示例通知\n\n各单位：**请**按 <本通知>办理。点这里[附件](https://example.com/a%281%29)\n\n1\n\n布局\n\n| 事项 | 时限 |\n| --- | --- |\n| 登记 | 5日 |\n| 登记 | 7日 |\n\n1. 第一步\n2. 第二步'
  )
})

t.test('a PDF with text is read into paragraphs; a scan, a garbled and a broken one say what to do', async (t) => {
  const lines = [
    '第一章 总则',
    '第一条 为了方便群众办事，提高服务效率，根据有关',
    '法律法规，制定本办法。',
    '第二条 本办法自公布之日起施行。',
    '— 1 —'
  ]
  const db = await emptyDatabase(t)
  const report = await load(db, folderOf(t, { 'zc-7.pdf': pdf([lines]) }))
  t.same(report.problems, [])
  t.equal(
    (await contentOf(db, 'document', 'zc-7')).body,
    '## 第一章 总则\n\n第一条 为了方便群众办事，提高服务效率，根据有关法律法规，制定本办法。\n\n第二条 本办法自公布之日起施行。'
  )
  const partly = await load(await emptyDatabase(t), folderOf(t, { 'zc-7.pdf': pdf([lines, []]) }))
  t.match(partly.warnings, [{ problem: /第 2 页没有文字/ }])

  const unusable: Record<string, [Buffer, RegExp, RegExp]> = {
    'scan.pdf': [pdf([[], []]), /扫描件/, /OCR/],
    'garbled.pdf': [pdf([['\ue001\ue002\ue003\ue004\ue005\ue006\ue007\ue008\ue009\ue00a\ue00b']]), /乱码/, /OCR/],
    'broken.pdf': [Buffer.from('%PDF-1.5 nothing'), /损坏/, /重新导出/],
    'broken.docx': [zip([{ name: 'x.xml', data: '<x/>' }]), /损坏/, /另存为/],
    'empty.html': [Buffer.from('<html><script>1</script></html>'), /没有文字/, /OCR/]
  }
  for (const [name, [bytes, problem, remedy]] of Object.entries(unusable)) {
    const db = await emptyDatabase(t)
    const report = await load(db, folderOf(t, collection({ [name]: bytes })))
    t.equal(report.exitCode, 2, name)
    t.match(report.problems, [{ file: new RegExp(`${name}$`), problem, remedy }], name)
    t.equal((await storedIn(db)).revisions.length, 0, name)
  }
})
