import { join } from 'node:path'
import Excel from 'exceljs'
import t from 'tap'
import { ExportExists, exportBank } from '../../indexer/export.ts'
import {
  collection,
  contentOf,
  csv,
  emptyDatabase,
  folderOf,
  load,
  QA_HEADER,
  qaRow,
  storedIn,
  UNITS
} from './make-files.ts'

const FILES = {
  ...collection({
    'district.csv': '项目,内容\r\n名称,示例区\r\n简称,示例区\r\n示例数据,是',
    'units.csv': `${UNITS}\r\n"a","重名","","部门"\r\n"b","重名","","部门"`,
    'documents/zc-1.md': '---\n编号: zc-1\n标题: 示例\n类别: 政策文件\n---\n第一条 正文。',
    'qa/yibao.csv': csv(
      QA_HEADER,
      qaRow({ 依据: 'zc-1 第一条\nzc-1', 面向: '群众、企业', 失效日期: '2030-12-31' }),
      qaRow({
        编号: '0012',
        问题: '=1+1 是多少',
        答复: '第一段。\n\n第二段 “引号”，逗号',
        责任单位: 'b',
        主题: '',
        其他问法: ''
      })
    )
  })
}

t.test(
  'the exported bank can be edited: names to choose from, frozen header, and loading it back changes nothing',
  async (t) => {
    const db = await emptyDatabase(t)
    const folder = folderOf(t, FILES)
    await load(db, folder)
    const before = await storedIn(db)
    const file = join(folder, '导出.xlsx')
    t.equal(await exportBank(db, file), 2)
    await t.rejects(exportBank(db, file), ExportExists)

    const back = await load(db, file)
    t.same([back.problems, back.warnings], [[], []])
    t.match(back.records, { unchanged: 7, new: 0, changed: 0, retired: 0 })
    t.same((await storedIn(db)).revisions, before.revisions)

    const workbook = new Excel.Workbook()
    await workbook.xlsx.readFile(file)
    t.same(
      workbook.worksheets.map(({ name }) => name),
      ['问答', '单位', '主题']
    )
    const sheet = workbook.getWorksheet('问答') as Excel.Worksheet
    const column = (title: string) => (sheet.getRow(1).values as string[]).indexOf(title)
    t.match(sheet.views, [{ state: 'frozen', ySplit: 1 }])
    t.equal(sheet.getCell(2, column('责任单位')).value, 'b', 'a name of two units cannot stand for one')
    t.equal(sheet.getCell(3, column('责任单位')).value, '区医保局')
    t.match(sheet.getCell(3, column('责任单位')).dataValidation, { type: 'list', formulae: [/^单位!\$B\$2:\$B\$\d+$/] })
    t.match(sheet.getCell(3, column('面向')).dataValidation, { type: 'list', formulae: ['"群众,企业,群众、企业"'] })
    t.equal(sheet.getCell(2, column('问题')).value, '=1+1 是多少', 'a text that looks like a formula stays a text')
    t.same(sheet.getCell(3, column('失效日期')).value, new Date('2030-12-31T00:00:00Z'))

    sheet.getCell(3, column('答复')).value = '改过的答复。'
    sheet.getCell(3, column('示例数据')).value = '否'
    await workbook.xlsx.writeFile(file)
    const edited = await load(db, file)
    t.match(edited, {
      exitCode: 0,
      records: { unchanged: 6, changed: 1, retired: 0 },
      differences: [{ id: 'yb-001', fields: [{ title: '答复' }] }]
    })
    t.match(await contentOf(db, 'qa', 'yb-001'), {
      answer: '改过的答复。',
      audience: ['群众', '企业'],
      basis: [{ clause: '第一条' }, { clause: null }]
    })
    t.match((await storedIn(db)).revisions.at(-1), { id: 'yb-001', sample: 0, source: /导出\.xlsx$/ })
  }
)
