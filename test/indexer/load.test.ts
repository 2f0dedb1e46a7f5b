import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import t from 'tap'
import { fieldLines } from '../../indexer/report.ts'
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
  TOPICS,
  UNITS
} from './make-files.ts'

const DOCUMENT = (id: string, more = '') =>
  `---\n编号: ${id}\n标题: 示例办法\n类别: 政策文件\n${more}---\n# 示例办法\n\n第一条 为了方便群众。\n\n## 三、办理流程\n\n先预约。\n`

t.test(
  'each thing wrong with a row is named by file, row and column, says what to do, and nothing is stored',
  async (t) => {
    const rows: [Record<string, string>, { column: string; problem: RegExp; remedy: RegExp; value?: string | null }][] =
      [
        [
          { 责任单位: 'nowhere' },
          { column: '责任单位（F 列）', problem: /单位「nowhere」不存在/, remedy: /单位的编号或全称/ }
        ],
        [{ 责任单位: '' }, { column: '责任单位（F 列）', problem: /不能为空/, remedy: /请填写责任单位/ }],
        [{ 主题: '没有的主题' }, { column: '主题（H 列）', problem: /不是主题的编号或名称/, remedy: /编号或全称/ }],
        [{ 主题: 'none' }, { column: '主题（H 列）', problem: /主题「none」不存在/, remedy: /主题表/ }],
        [
          { 生效日期: '2024-02-30' },
          { column: '生效日期（I 列）', problem: /不是一个存在的日期/, remedy: /2026-11-23/, value: '2024-02-30' }
        ],
        [
          { 失效日期: '2023-12-31' },
          { column: '失效日期（J 列）', problem: /失效日期不晚于生效日期（2024-01-01）/, remedy: /核对两个日期/ }
        ],
        [{ 面向: '大家' }, { column: '面向（G 列）', problem: /不在可选范围/, remedy: /群众、企业/, value: '大家' }],
        [{ 编号: '医保一' }, { column: '编号（A 列）', problem: /编号只能用/, remedy: /改正编号/ }],
        [{ 问题: '' }, { column: '问题（B 列）', problem: /不能为空/, remedy: /请填写问题/ }],
        [
          { 问题: '长'.repeat(201) },
          { column: '问题（B 列）', problem: /太长：最多 200 个字符，现在 201 个/, remedy: /缩短/ }
        ],
        [
          { 答复: '请点<a href="x">这里</a>' },
          { column: '答复（D 列）', problem: /网页代码「<a href="x">」/, remedy: /只写文字/ }
        ],
        [{ 依据: 'zc-404 第一条' }, { column: '依据（E 列）', problem: /文件「zc-404」不存在/, remedy: /文件的编号/ }],
        [{ 依据: '《示例办法》第一条' }, { column: '依据（E 列）', problem: /写法有误/, remedy: /文件编号 第几条/ }]
      ]
    for (const [cells, expected] of rows) {
      const db = await emptyDatabase(t)
      const bad = csv(QA_HEADER, QA_ROW, [], qaRow({ 编号: 'yb-002', 问题: '别的事', ...cells }))
      const report = await load(db, folderOf(t, collection({ 'qa/yibao.csv': bad })))
      const name = JSON.stringify(cells).slice(0, 60)
      t.equal(report.exitCode, 1, name)
      t.match(report.problems, [{ file: /qa\/yibao\.csv$/, row: 4, ...expected }], name)
      t.equal(report.problems.length, 1, name)
      t.equal(report.stored, false, name)
      t.equal((await storedIn(db)).revisions.length, 0, name)
    }
  }
)

t.test('rows that contradict each other are both named', async (t) => {
  const db = await emptyDatabase(t)
  const files = collection({
    'qa/a.csv': csv(
      QA_HEADER,
      qaRow({ 编号: 'yb-001', 问题: '甲' }),
      qaRow({ 编号: 'yb-003', 问题: '醫保怎么转移？', 答复: '不能转。' })
    ),
    'qa/b.csv': csv(QA_HEADER, qaRow({ 编号: 'yb-004', 问题: '甲' })),
    'topics.csv': `${TOPICS}\r\n"yibao","又一个",""`
  })
  files['qa/yibao.csv'] = csv(QA_HEADER, qaRow({ 问题: '医保怎么转移?' }))
  const report = await load(db, folderOf(t, files))
  t.equal(report.exitCode, 1)
  t.match(report.problems, [
    {
      file: /qa\/b\.csv$/,
      row: 2,
      problem: /与\S+qa\/a\.csv 第 2 行 是同一个问题，答复也相同/,
      remedy: /删去其中一行/
    },
    { file: /qa\/yibao\.csv$/, row: 2, value: 'yb-001', problem: /问答的编号重复：\S+qa\/a\.csv 第 2 行/ },
    {
      file: /qa\/yibao\.csv$/,
      row: 2,
      problem: /与\S+qa\/a\.csv 第 3 行 是同一个问题，但答复不同/,
      remedy: /核实哪个答复正确/
    },
    {
      file: /topics\.csv$/,
      row: 3,
      column: '编号（A 列）',
      value: 'yibao',
      problem: /主题的编号重复：\S+topics\.csv 第 2 行/
    }
  ])
  t.equal((await storedIn(db)).revisions.length, 0)

  await load(db, folderOf(t, collection()))
  const later = await load(
    db,
    `${folderOf(t, { 'x.csv': csv(QA_HEADER, qaRow({ 编号: 'x-1', 答复: '别的答复' })) })}/x.csv`
  )
  t.match(later.problems, [{ row: 2, problem: /与库里的 yb-001（来自 \S+qa\/yibao\.csv） 是同一个问题，但答复不同/ }])
})

t.test(
  'documents: successor, unit and clause are checked; a clause that is not there is a warning for now',
  async (t) => {
    const db = await emptyDatabase(t)
    const files = collection({
      'documents/zc-1.md': DOCUMENT('zc-1'),
      'qa/yibao.csv': csv(
        QA_HEADER,
        qaRow({ 依据: 'zc-1 第一条第二款\nzc-1 第1条\nzc-1 三、办理流程\nzc-1\nzc-1 第九条\nzc-1 五、没有' })
      )
    })
    const sound = await load(db, folderOf(t, files))
    t.same(sound.problems, [])
    t.match(sound.warnings, [
      { file: /yibao\.csv$/, row: 2, column: '依据（E 列）', value: 'zc-1 第九条' },
      { value: 'zc-1 五、没有' }
    ])
    t.equal(sound.warnings.length, 2)
    const broken = await load(
      db,
      folderOf(
        t,
        collection({
          'documents/zc-2.md': DOCUMENT('zc-2', '发布机构: [none]\n替代文件: zc-404\n修改废止依据: zc-2\n')
        })
      )
    )
    t.match(broken.problems, [
      { row: 5, column: '发布机构', value: 'none', problem: /不存在/ },
      { row: 6, column: '替代文件', value: 'zc-404', problem: /不存在/ },
      { row: 7, column: '修改废止依据', problem: /不能是它自己/ }
    ])
  }
)

t.test('names and abbreviations stand for codes where they are clear', async (t) => {
  const db = await emptyDatabase(t)
  const units = `${UNITS}\r\n"x","区医保中心","医保局","中心"`
  const rows = csv(
    QA_HEADER,
    qaRow({ 责任单位: '区医保局', 主题: '医疗保险' }),
    qaRow({ 编号: 'yb-002', 问题: '乙', 责任单位: '医保局' })
  )
  const report = await load(db, folderOf(t, collection({ 'units.csv': units, 'qa/yibao.csv': rows })))
  t.match(
    report.problems,
    [{ row: 3, value: '医保局', problem: /不是单位的编号或名称/ }],
    'an abbreviation of two units stands for neither'
  )
  t.equal(report.problems.length, 1)
})

t.test('a dry run tells every difference and stores nothing; the load after it does what it said', async (t) => {
  const db = await emptyDatabase(t)
  const folder = folderOf(t, collection())
  const before = await storedIn(db)
  const dry = await load(db, folder, { dryRun: true })
  t.same(await storedIn(db), before)
  t.match(dry, { stored: false, sequence: null, exitCode: 0, records: { new: 4 } })
  const wet = await load(db, folder)
  t.same(wet.differences, dry.differences)
  t.match(wet, { stored: true, sequence: 4 })
})

t.test(
  'a second run changes nothing; one changed cell is one revision with who, when, from where and what',
  async (t) => {
    const db = await emptyDatabase(t)
    const folder = folderOf(t, collection())
    await load(db, folder)
    const once = await storedIn(db)
    const again = await load(db, folder)
    t.match(again, { records: { unchanged: 4, new: 0, changed: 0, retired: 0 }, stored: true, sequence: null })
    t.same(await storedIn(db), once)

    addFiles(folder, {
      'qa/yibao.csv': csv(QA_HEADER, qaRow({ 答复: '到任一服务点办理，不收费。', 其他问法: '医保转移\n怎么转医保' }))
    })
    const changed = await load(db, folder, { by: 'indexer:clerk', at: '2026-11-24T01:02:03.000Z' })
    t.match(changed.differences, [
      {
        kind: 'qa',
        id: 'yb-001',
        change: 'changed',
        fields: [
          { title: '其他问法' },
          { title: '答复', before: '到任一服务点办理。', after: '到任一服务点办理，不收费。' }
        ]
      }
    ])
    t.same(
      changed.differences[0]?.fields.flatMap((field) => fieldLines(field)),
      ['    其他问法：[-医保转到江北-] {+怎么转医保+}', '    答复：到任一服务点办理{+，不收费+}。']
    )
    const { revisions } = await storedIn(db)
    t.equal(revisions.length, 5)
    t.match(revisions.at(-1), {
      id: 'yb-001',
      revision: 2,
      changed_by: 'indexer:clerk',
      changed_at: '2026-11-24T01:02:03.000Z',
      source: /qa\/yibao\.csv$/
    })
  }
)

t.test(
  'what has left its file, or whose file has left the folder, is retired; loading a part touches nothing else',
  async (t) => {
    const db = await emptyDatabase(t)
    const folder = folderOf(t, {
      ...collection({
        'qa/b.csv': csv(QA_HEADER, qaRow({ 编号: 'b-1', 问题: '乙' }), qaRow({ 编号: 'b-2', 问题: '丙' }))
      }),
      'district.csv': '项目,内容\r\n名称,示例区\r\n简称,示例区\r\n示例数据,是'
    })
    await load(db, folder)
    t.ok(
      (await storedIn(db)).revisions.every(({ sample }) => sample === 1),
      'the collection says it is sample data'
    )

    addFiles(folder, { 'qa/b.csv': csv(QA_HEADER, qaRow({ 编号: 'b-1', 问题: '乙' })) })
    t.match(await load(db, join(folder, 'qa/b.csv')), { records: { unchanged: 1, retired: 1 } })
    rmSync(join(folder, 'qa/b.csv'))
    t.match(await load(db, join(folder, 'qa')), {
      records: { unchanged: 1, retired: 1 },
      differences: [{ id: 'b-1', change: 'retired' }]
    })
    t.match(await load(db, folder), { records: { unchanged: 5, retired: 0 } })

    addFiles(folder, { 'units.csv': UNITS.split('\r\n').slice(0, 2).join('\r\n') })
    const orphaned = await load(db, join(folder, 'units.csv'))
    t.match(orphaned, {
      exitCode: 1,
      problems: [{ file: /units\.csv$/, value: 'ybj', problem: /还有 1 条内容在用它（问答 yb-001）/ }]
    })
  }
)

t.test('a record that comes from another file is the same record', async (t) => {
  const db = await emptyDatabase(t)
  const folder = folderOf(t, collection())
  await load(db, folder)
  rmSync(join(folder, 'qa/yibao.csv'))
  addFiles(folder, { 'qa/医保.csv': csv(QA_HEADER, QA_ROW) })
  const moved = await load(db, folder)
  t.match(moved, { records: { unchanged: 4, retired: 0 }, stored: true })
  const { records, revisions } = await storedIn(db)
  t.equal(revisions.length, 4)
  t.match(records.find(({ kind }) => kind === 'qa')?.source, /qa\/医保\.csv$/)
})

t.test('with --skip-bad-rows the sound rows are stored, and nothing stored is lost to a bad row', async (t) => {
  const db = await emptyDatabase(t)
  const second = qaRow({ 编号: 'yb-002', 问题: '乙' })
  const folder = folderOf(t, collection({ 'qa/yibao.csv': csv(QA_HEADER, QA_ROW, second) }))
  await load(db, folder)
  addFiles(folder, {
    'qa/yibao.csv': csv(
      QA_HEADER,
      QA_ROW,
      qaRow({ 编号: 'yb-002', 问题: '' }),
      qaRow({ 编号: 'yb-003', 问题: '丙', 依据: 'zc-1 第一条' }),
      qaRow({ 编号: 'yb-004', 问题: '丁' })
    ),
    'documents/zc-1.md': DOCUMENT('zc-1', '成文日期: 昨天\n')
  })
  const report = await load(db, folder, { skipBadRows: true })
  t.match(report, {
    exitCode: 1,
    stored: true,
    records: { new: 1, unchanged: 4, retired: 0 },
    differences: [{ id: 'yb-004' }]
  })
  t.same(
    report.problems.map(({ row, value }) => [row, value]),
    [
      [5, '昨天'],
      [3, null],
      [4, 'zc-1']
    ]
  )
  t.match(await contentOf(db, 'qa', 'yb-002'), { question: '乙' })
  t.equal((await load(db, folder)).problems.length, 2, 'without skipping, what follows from a bad row is not told')
})

t.test('a full disk stops the import whole', async (t) => {
  const db = await emptyDatabase(t)
  await load(db, folderOf(t, collection()))
  const before = await storedIn(db)
  const pages = await sql<{ page_count: number }>`pragma page_count`.execute(db)
  await sql`pragma max_page_count = ${sql.lit((pages.rows[0]?.page_count ?? 0) + 40)}`.execute(db)
  const many = Array.from({ length: 2000 }, (_, at) =>
    qaRow({ 编号: `m-${at}`, 问题: `第 ${at} 件事怎么办`, 答复: `到 ${at} 号窗口办理。`.repeat(20) })
  )
  await t.rejects(load(db, folderOf(t, collection({ 'qa/yibao.csv': csv(QA_HEADER, QA_ROW, ...many) }))), {
    code: 'SQLITE_FULL'
  })
  t.same(await storedIn(db), before)
})
