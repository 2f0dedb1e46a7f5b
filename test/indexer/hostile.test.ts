import { randomBytes } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { collection, docx, emptyDatabase, folderOf, load, storedIn, xlsx, zip } from './make-files.ts'

const SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'

t.test('files that are dangerous to open are refused before anything opens them', async (t) => {
  const good = await xlsx({ 问答: (sheet) => sheet.addRow(['编号', '问题']) })
  const encrypted = Buffer.concat([
    Buffer.from('d0cf11e0a1b11ae1', 'hex'),
    Buffer.alloc(1016),
    Buffer.from('EncryptedPackage', 'utf16le'),
    Buffer.alloc(512)
  ])
  const zeros = Buffer.alloc(8 * 1024 * 1024)
  const cases: Record<string, [Buffer, RegExp, RegExp]> = {
    'password.xlsx': [encrypted, /密码/, /去掉密码|取消/],
    'password.docx': [encrypted, /密码/, /\.docx/],
    'old.xlsx': [Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(2048)]), /旧版格式/, /另存为/],
    'macro.xlsm': [good, /宏/, /\.xlsx/],
    'macro.xlsx': [
      zip([
        { name: 'xl/workbook.xml', data: '<x/>' },
        { name: 'xl/vbaProject.bin', data: 'x' }
      ]),
      /宏/,
      /不带宏/
    ],
    'macro.docx': [docx('', [{ name: 'word/vbaProject.bin', data: 'x' }]), /宏/, /不带宏/],
    'bomb.xlsx': [zip([{ name: 'xl/worksheets/sheet1.xml', data: zeros }]), /压缩炸弹/, /核实来源/],
    'long.docx': [
      zip([
        { name: 'word/document.xml', data: Buffer.alloc(21 * 1024 * 1024) },
        { name: 'word/media/1.png', data: randomBytes(1024 * 1024) }
      ]),
      /正文有 21 MB，上限 20 MB/,
      /核实来源/
    ],
    'lying.xlsx': [zip([{ name: 'xl/worksheets/sheet1.xml', data: zeros, stated: 1000 }]), /损坏/, /另存为/],
    'many.xlsx': [
      zip(Array.from({ length: 10_001 }, (_, at) => ({ name: `p${at}.xml`, data: '' }))),
      /10001 个部件/,
      /核实来源/
    ],
    'entity.xlsx': [
      zip([{ name: 'xl/workbook.xml', data: '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>' }]),
      /外部实体/,
      /核实来源/
    ],
    'merged.xlsx': [
      zip([
        {
          name: 'xl/worksheets/sheet1.xml',
          data: `${SHEET}<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells></worksheet>`
        }
      ]),
      /合并单元格过多/,
      /取消/
    ],
    'text.xlsx': [Buffer.from('not a workbook'), /损坏|不是真正/, /另存为/],
    'old.xls': [Buffer.from('x'), /不能直接读 \.xls/, /\.xlsx/],
    'empty.csv': [Buffer.alloc(0), /空的/, /确认/]
  }
  for (const [name, [bytes, problem, remedy]] of Object.entries(cases)) {
    const db = await emptyDatabase(t)
    const report = await load(db, folderOf(t, collection({ [name]: bytes })), { skipBadRows: true })
    t.equal(report.exitCode, 2, name)
    t.match(report.problems, [{ file: new RegExp(`${name}$`), problem, remedy }], name)
    t.equal(report.stored, false, name)
    t.equal((await storedIn(db)).revisions.length, 0, name)
  }
})

t.test('a file of 300 MB is refused without being read', async (t) => {
  const folder = folderOf(t, collection())
  const file = openSync(join(folder, 'big.xlsx'), 'w')
  ftruncateSync(file, 300 * 1024 * 1024)
  closeSync(file)
  const started = performance.now()
  const report = await load(await emptyDatabase(t), folder)
  t.match(report.problems, [{ file: /big\.xlsx$/, problem: /300 MB，超过上限 200 MB/, remedy: /拆成/ }])
  t.ok(performance.now() - started < 2000)

  const page = openSync(join(folder, 'page.html'), 'w')
  ftruncateSync(page, 21 * 1024 * 1024)
  closeSync(page)
  t.match((await load(await emptyDatabase(t), join(folder, 'page.html'))).problems, [{ problem: /超过上限 20 MB/ }])
})

t.test('validation over whole columns, which exceljs would expand cell by cell, costs nothing', async (t) => {
  const workbook = await xlsx({
    单位: (sheet) => {
      sheet.addRow(['编号', '名称', '类别'])
      sheet.addRow(['zfb', '区政府办公室', '政府办'])
      const { dataValidations } = sheet as unknown as { dataValidations: { add(range: string, rule: object): void } }
      dataValidations.add('A2:Z1048576', { type: 'list', formulae: ['"政府办,部门"'] })
    }
  })
  const started = performance.now()
  const report = await load(await emptyDatabase(t), folderOf(t, { 'units.xlsx': workbook }))
  t.equal(report.exitCode, 0)
  t.ok(performance.now() - started < 3000)
})

t.test(
  "links are not followed, hidden and lock files and the benches' questions are passed over, other formats are mentioned",
  async (t) => {
    const outside = folderOf(t, collection())
    writeFileSync(join(outside, 'judged.csv'), '编号,问题,答案,类型,主题,说明\r\nj-1,甲,,日常,,')
    writeFileSync(join(outside, 'SOURCES.md'), '# 来源')
    writeFileSync(join(outside, '~$qa.xlsx'), 'lock')
    writeFileSync(join(outside, '.hidden.csv'), 'x')
    writeFileSync(join(outside, 'photo.jpg'), 'x')
    symlinkSync('/etc', join(outside, 'etc'))
    symlinkSync('/etc/hostname', join(outside, 'host.csv'))
    const report = await load(await emptyDatabase(t), outside)
    t.same(report.problems, [])
    t.equal(report.files.length, 3)
    t.same(
      report.warnings.map(({ file, problem }) => [file.split('/').at(-1), problem]),
      [
        ['etc', '是链接或特殊文件，没有读入'],
        ['host.csv', '是链接或特殊文件，没有读入'],
        ['photo.jpg', '不是可以导入的格式，已跳过']
      ]
    )
  }
)

t.test('a path that is not there, or a folder with nothing in it, is unusable input', async (t) => {
  const db = await emptyDatabase(t)
  const folder = folderOf(t, {})
  t.match(await load(db, `${folder}/nowhere`), { exitCode: 2, problems: [{ problem: /找不到/ }] })
  t.match(await load(db, folder), { exitCode: 2, problems: [{ problem: /没有可以导入的文件/ }] })
})
