// npm run admin -- COMMAND: what an operator asks of the program beside the running service.
import { Command } from 'commander'
import { pino } from 'pino'
import { instantInChina } from '../src/calendar/day.ts'
import { readConfig } from '../src/config.ts'
import { type Answer, ask, type Evidence } from '../src/consultations/ask.ts'
import { migrate, openDatabase } from '../src/database/open.ts'
import type { QueriesTable } from '../src/database/schema.ts'
import { verify } from '../src/operations/verify.ts'
import { openParts } from '../src/parts.ts'
import { explainStart } from '../src/server.ts'

const say = (text = '') => process.stdout.write(`${text}\n`)

const HELP_TITLES: Record<string, string> = {
  'Usage:': '用法：',
  'Arguments:': '参数：',
  'Options:': '选项：',
  'Commands:': '命令：'
}

const program = new Command('npm run admin --')
  .description('管理政询：核查数据、解释答复。')
  .helpOption('-h, --help', '显示用法')
  .helpCommand(false)
  .configureHelp({ styleTitle: (title) => HELP_TITLES[title] ?? title })
  .addHelpText('after', '\n退出码：0 正常；1 核查有发现，或没有这次咨询；2 无法运行。')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))

program
  .command('verify')
  .description('核查：内容与校验值、修订有无缺号、检索词与内容是否一致')
  .action(async () => {
    const { database } = readConfig(process.env)
    const db = await openDatabase(database)
    try {
      await migrate(db)
      const { revisions, records, entries, findings } = await verify(db, database)
      say(`核查了 ${records} 条记录、${revisions} 个修订、${entries} 条检索词。`)
      for (const { what, remedy } of findings) say(`✗ ${what}。${remedy}。`)
      say(findings.length === 0 ? '✓ 没有发现问题。' : `共发现 ${findings.length} 个问题。`)
      process.exitCode = findings.length === 0 ? 0 : 1
    } finally {
      await db.destroy()
    }
  })

program
  .command('explain')
  .description('解释一次答复是怎样判定的，并照原样再问一次')
  .argument('<QUERYID>', '答复里的 queryId')
  .action(async (id: string) => {
    process.exitCode = await explain(id)
  })

const DECISIONS: Record<Answer['decision'], string> = {
  answer: '直接答复',
  choose: '请市民选择',
  escalate: '转单位答复'
}

/** What src/matching/features.ts measures, as an operator reads it; a feature without a title keeps its name. */
const FEATURE_TITLES: Record<string, string> = {
  coverage: '单字覆盖',
  wordCoverage: '词覆盖',
  pairDice: '两字重合',
  characterDice: '单字重合',
  reverseCoverage: '反向覆盖',
  placeConflict: '地名冲突',
  yearConflict: '年份冲突',
  isPassage: '文件条款'
}

/** What was decided once: as the query log stores it. */
type Logged = Pick<QueriesTable, 'decision' | 'confidence' | 'evidence'>

async function explain(id: string): Promise<number> {
  const config = readConfig(process.env)
  const parts = await openParts(config, pino({ level: 'silent' }))
  try {
    const then = await parts.db.selectFrom('queries').selectAll().where('id', '=', id).executeTakeFirst()
    if (then === undefined) {
      say(`没有编号为 ${id} 的咨询：请核对编号；超过 ${config.queryLogDays} 天的已按期删除。`)
      return 1
    }
    say(`咨询 ${id}　${instantInChina(then.asked_at)}　${then.zone === null ? '未注明专区' : `专区 ${then.zone}`}`)
    say(`问题（个人信息已隐去）：${then.text}`)
    say(`用时 ${then.took_ms} 毫秒${then.degraded === 1 ? '；当时有检索服务没有响应' : ''}`)
    say('\n当时')
    printDecision(then)

    await parts.engine.rebuild()
    const asked: Logged[] = []
    const queryLog = { add: (row: QueriesTable) => void asked.push(row) }
    await ask({ ...parts, queryLog }, { question: then.text, zone: then.zone, limit: 5, live: false })
    const now = asked[0] as Logged
    const differences = differencesOf(then, now)
    say('\n现在再问一次')
    if (differences.length === 0) say('  结果相同。')
    else {
      printDecision(now)
      say('\n不同之处')
      for (const difference of differences) say(`  ${difference}`)
    }
    return 0
  } finally {
    await parts.close()
  }
}

function printDecision({ decision, confidence, evidence }: Logged): void {
  const { model, thresholds, candidates } = JSON.parse(evidence) as Evidence
  say(`  判定：${DECISIONS[decision]}，把握 ${confidence.toFixed(3)}`)
  say(
    `  模型 ${model}；问答达到 ${thresholds.answer}、文件条款达到 ${thresholds.answerPassage} 直接答复，` +
      `达到 ${thresholds.choose} 可供选择，最多 ${thresholds.chooseMost} 条`
  )
  if (candidates.length === 0) say('  没有候选')
  for (const [at, { key, version, score, confidence: own, features }] of candidates.entries()) {
    say(`  ${at + 1}. ${key} 第 ${version} 版　得分 ${score}　把握 ${own}`)
    const shown = Object.entries(features).map(([name, value]) => `${FEATURE_TITLES[name] ?? name} ${value}`)
    say(`     ${shown.join('　')}`)
  }
}

function differencesOf(then: Logged, now: Logged): string[] {
  const before = JSON.parse(then.evidence) as Evidence
  const after = JSON.parse(now.evidence) as Evidence
  const differences: string[] = []
  if (then.decision !== now.decision)
    differences.push(`判定由“${DECISIONS[then.decision]}”变为“${DECISIONS[now.decision]}”`)
  if (before.model !== after.model) differences.push(`模型由 ${before.model} 变为 ${after.model}`)
  if (JSON.stringify(before.thresholds) !== JSON.stringify(after.thresholds)) differences.push('判定所用的界限变了')
  const later = new Map(after.candidates.map((candidate, at) => [candidate.key, { ...candidate, at }]))
  for (const [at, { key, version, confidence }] of before.candidates.entries()) {
    const same = later.get(key)
    later.delete(key)
    if (same === undefined) differences.push(`${key} 不再是候选`)
    else if (same.version !== version) differences.push(`${key} 由第 ${version} 版改为第 ${same.version} 版`)
    else if (same.at !== at) differences.push(`${key} 由第 ${at + 1} 位变为第 ${same.at + 1} 位`)
    else if (same.confidence !== confidence) differences.push(`${key} 的把握由 ${confidence} 变为 ${same.confidence}`)
  }
  for (const key of later.keys()) differences.push(`${key} 是新的候选`)
  return differences
}

try {
  await program.parseAsync()
} catch (error) {
  console.error(explainStart(error))
  process.exit(2)
}
