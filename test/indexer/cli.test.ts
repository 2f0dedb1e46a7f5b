import { execFile } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { addFiles, collection, csv, folderOf, QA_HEADER, qaRow } from './make-files.ts'

const CLI = join(import.meta.dirname, '../../indexer/cli.ts')

// Every run is a process of its own, each a second or more on a busy machine.
t.setTimeout(120_000)

interface Run {
  code: number
  out: string
  err: string
}

function index(dataDir: string, ...args: string[]): Promise<Run> {
  return new Promise((done) => {
    const env = { ...process.env, DATA_DIR: dataDir, DATABASE_URL: '' }
    execFile(process.execPath, ['--import', 'tsx', CLI, ...args], { env }, (error, out, err) => {
      done({ code: error === null ? 0 : (error.code as unknown as number), out, err })
    })
  })
}

t.test(
  'the command says in Chinese what it did, ends with a JSON report on request, and exits 0, 1 or 2',
  async (t) => {
    const top = folderOf(t, {})
    const folder = join(top, 'corpus')
    const data = join(top, 'var')
    addFiles(folder, collection())
    const dry = await index(data, folder, '--dry-run')
    t.equal(dry.code, 0)
    t.match(
      dry.out,
      /＋ 新增 问答 yb-001[\s\S]*共 3 个文件：新增 4，修改 0，不变 0，撤下 0[\s\S]*试运行，什么也没有存入/
    )

    const loaded = await index(data, folder, '--json')
    t.equal(loaded.code, 0)
    t.equal(loaded.out.trimEnd().split('\n').length, 1, 'standard output holds the report alone')
    t.match(JSON.parse(loaded.out), {
      records: { new: 4 },
      problems: [],
      warnings: [],
      stored: true,
      sequence: 4,
      tookMs: Number
    })
    t.match(loaded.err, /已全部存入/)

    const again = await index(data, folder, '--if-empty')
    t.same([again.code, again.out], [0, ''])

    addFiles(folder, {
      'qa/bad.csv': csv(
        QA_HEADER,
        ...Array.from({ length: 60 }, (_, at) => qaRow({ 编号: `x-${at}`, 问题: `问 ${at}`, 面向: '大家' }))
      )
    })
    const refused = await index(data, folder)
    t.equal(refused.code, 1)
    t.match(
      refused.out,
      /问题 60 处：\n {2}\S+qa\/bad\.csv 第 2 行 面向（G 列）：不在可选范围内（现在是「大家」）\n {6}→ 请从 群众、企业 中选。[\s\S]*还有 10 处[\s\S]*什么也没有存入/
    )

    const [nowhere, nonsense, wrongName, exported] = await Promise.all([
      index(data, join(folder, 'nowhere')),
      index(data, '--nonsense'),
      index(data, '--export', 'a.csv'),
      index(data, '--export', join(top, 'a.xlsx'))
    ])
    t.match(nowhere, { code: 2, out: /找不到这个文件或文件夹/ })
    t.equal(nonsense.code, 2)
    t.match(wrongName, { code: 2, err: /\.xlsx/ })
    t.match(exported, { code: 0, out: /已导出 1 条问答/ })
  }
)
