import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { blankFiles, writeBlank } from '../../indexer/blank.ts'
import { loadFiles } from '../../indexer/load.ts'
import { migrate, openDatabase } from '../../src/database/open.ts'
import { temporaryFolder } from '../test-app.ts'

t.test('the empty sheets of corpus/blank are those that the schemas make', async (t) => {
  for (const [name, text] of blankFiles()) {
    t.equal(readFileSync(join('corpus/blank', name), 'utf8'), text, `${name}: npm run index -- --blank writes it`)
  }
})

t.test('a district starts from the empty sheets: what it must fill in is named, the rest may stay empty', async (t) => {
  const folder = join(temporaryFolder(t), 'ours')
  writeBlank(folder)
  const db = await openDatabase({ kind: 'sqlite', file: ':memory:' })
  t.teardown(() => db.destroy())
  await migrate(db)
  const load = () => loadFiles(db, [folder], { by: 'test', at: '2026-11-23T00:00:00Z' })
  const before = await load()
  t.same(
    before.problems.map(({ column }) => column),
    ['名称（B 列）', '简称（B 列）']
  )
  const district = readFileSync(join(folder, 'district.csv'), 'utf8')
  writeFileSync(
    join(folder, 'district.csv'),
    district.replace('名称,\n', '名称,重庆市示例区\n').replace('简称,\n', '简称,示例区\n')
  )
  const units = readFileSync(join(folder, 'units.csv'), 'utf8')
  const row = units
    .trim()
    .split(',')
    .map((title) => ({ 类别: '部门', 职责: '低保' })[title] ?? '')
  writeFileSync(join(folder, 'units.csv'), `${units}mzj,示例区民政局,${row.slice(2).join(',')}\n`)
  const after = await load()
  t.same(after.problems, [])
  t.same(after.differences.map(({ kind, id }) => `${kind}/${id}`).sort(), ['district/district', 'unit/mzj'])
})

t.test('sheets that are there already are not written over', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'qa'))
  writeFileSync(join(folder, 'zones.csv'), 'mine')
  t.throws(() => writeBlank(folder), { name: 'BlankExists', message: /zones\.csv/ })
  t.equal(readFileSync(join(folder, 'zones.csv'), 'utf8'), 'mine')
  t.notOk(existsSync(join(folder, 'units.csv')), 'nothing is half written')
})
