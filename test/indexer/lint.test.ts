import t from 'tap'
import { lintFiles } from '../../indexer/lint.ts'
import { csv, folderOf } from './make-files.ts'

const CLOCK = { ALLOW_TODAY: '1', TODAY: '2026-11-23' }
const HEADER = ['编号', '问题', '其他问法', '答复', '依据', '责任单位', '面向', '失效日期', '复核日期']

type Row = Partial<Record<(typeof HEADER)[number], string>>

function bank(rows: readonly Row[], verifiedOn = '2026-06-01', more: Record<string, string> = {}) {
  const sound = { 面向: '群众', 责任单位: 'mzj', 依据: 'zc-1 第一条', 复核日期: '2027-06-30' }
  return {
    'units.csv': csv(
      ['编号', '名称', '类别', '职责', '受理依申请公开', '核实日期'],
      ['mzj', '区民政局', '部门', '低保', '是', verifiedOn]
    ),
    'documents/zc-1.md':
      '---\n编号: zc-1\n标题: 示例办法\n类别: 政策文件\n---\n第一条 为了示例。\n第二条 自发布之日起施行。',
    'qa.csv': csv(HEADER, ...rows.map((row) => HEADER.map((title) => ({ ...sound, ...row })[title] ?? ''))),
    ...more
  }
}

const SOUND: Row[] = [
  { 编号: 'a-1', 问题: '公租房怎么申请', 其他问法: '想住公家的房子找哪个', 答复: '到街道申请。' },
  { 编号: 'a-2', 问题: '高龄津贴每个月多少钱', 答复: '每月一百元。', 依据: 'zc-1 第二条' },
  { 编号: 'a-3', 问题: '结婚登记要带什么证件', 答复: '带身份证。' }
]

t.test('a sound bank has no findings', async (t) => {
  t.same(await lintFiles([folderOf(t, bank(SOUND))], CLOCK), [])
})

t.test('the sample district has none', async (t) => {
  t.same(await lintFiles(['corpus'], CLOCK), [])
})

const REPEALED = '---\n编号: zc-0\n标题: 旧办法\n类别: 政策文件\n有效性: 废止\n---\n第一条 旧的。'

const FAULTS: [string, Row, { column: RegExp; problem: RegExp }, Record<string, string>?][] = [
  [
    'one question with two answers',
    { 其他问法: '公租房，怎么申请？' },
    { column: /其他问法/, problem: /和 a-1 的问法「公租房怎么申请」一样/ }
  ],
  ['one question in two wordings', { 问题: '怎么申请公租房' }, { column: /问题/, problem: /几乎是同一个问题|一样/ }],
  ['no basis', { 依据: '' }, { column: /依据/, problem: /没有依据/ }],
  ['a clause that is not there', { 依据: 'zc-1 第九条' }, { column: /依据/, problem: /找不到「第九条」/ }],
  [
    'a basis that is repealed and has no heir',
    { 依据: 'zc-0 第一条' },
    { column: /依据/, problem: /不再有效/ },
    { 'documents/zc-0.md': REPEALED }
  ],
  ['a review that is overdue', { 复核日期: '2026-11-23' }, { column: /复核日期/, problem: /已过复核日期/ }],
  ['an answer that has ended', { 失效日期: '2026-11-01' }, { column: /失效日期/, problem: /已过失效日期/ }]
]

for (const [name, fault, wanted, more] of FAULTS) {
  t.test(`found, with row and column: ${name}`, async (t) => {
    const row = { 编号: 'b-1', 问题: '犬只登记到哪里办', 答复: '到派出所办。', ...fault }
    const problems = await lintFiles([folderOf(t, bank([...SOUND, row], '2026-06-01', more))], CLOCK)
    const found = problems.find(({ problem, row }) => wanted.problem.test(problem) && row === 5)
    t.ok(found, JSON.stringify(problems))
    t.match(found, { file: /qa\.csv$/, column: wanted.column })
    t.ok((found?.remedy.length ?? 0) > 5)
  })
}

t.test('found: a wording that everything else is found by before', async (t) => {
  // More than the engine proposes.
  const signs = [...'甲乙丙丁戊己庚辛壬'].flatMap((first) => [...'子丑寅卯辰巳午未申'].map((last) => first + last))
  const crowd = signs.map((sign, at) => ({
    编号: `c-${at}`,
    问题: `说说${sign}`,
    其他问法: `租金${sign}`,
    答复: `${sign}。`
  }))
  const long = Array.from({ length: 30 }, (_, at) => `第${at}种很长很长的说法里什么都有一点`)
  const row = { 编号: 'b-1', 问题: '犬只登记到哪里办', 答复: '到派出所办。', 其他问法: [...long, '租金'].join('\n') }
  const problems = await lintFiles([folderOf(t, bank([...crowd, row]))], CLOCK)
  const found = problems.find(({ value }) => value === '租金')
  t.match(found, { file: /qa\.csv$/, column: /其他问法/, problem: /先找到的是 c-\d+，/ })
})

t.test('found: contacts that nobody confirmed for a year', async (t) => {
  const [problem] = await lintFiles([folderOf(t, bank(SOUND, '2025-01-01'))], CLOCK)
  t.match(problem, { file: /units\.csv$/, row: 2, column: /核实日期/, problem: /一年内没有核实/ })
})

t.test('found: a posted item past its period', async (t) => {
  const files = {
    ...bank(SOUND),
    'zones.csv': csv(['编号', '名称', '场所类别', '承办单位', '试点'], ['SQ01', '示例社区', 'CV', 'mzj', '否']),
    'board.csv': csv(
      ['编号', '专区', '公示类别', '标题', '公示内容', '更新周期', '更新日期'],
      ['p-1', 'SQ01', '居民工作建议', '上月建议', '三条。', '每月', '2026/10/8'],
      ['p-2', 'SQ01', '职责制度和办事程序', '职责', '四条。', '长期', '2020-01-01']
    )
  }
  const problems = await lintFiles([folderOf(t, files)], CLOCK)
  t.match(problems, [{ file: /board\.csv$/, row: 2, column: /更新日期/, problem: /已过更新周期（每月）/ }])
})

t.test('what an import refuses, the lint names too', async (t) => {
  const problems = await lintFiles([folderOf(t, bank([{ ...SOUND[0], 责任单位: 'nowhere' }]))], CLOCK)
  t.match(problems[0]?.problem, /不存在/)
})
