// npm run admin -- COMMAND: what an operator asks of the program beside the running service.
import { readFileSync, statSync } from 'node:fs'
import { Command } from 'commander'
import { pino } from 'pino'
import { decodeText } from '../indexer/sheets.ts'
import { resolve } from 'node:path'
import { removeSampleAccounts } from '../src/accounts/sample.ts'
import { addStaff, addTerminal, addToken } from '../src/accounts/staff.ts'
import { importLines, importNotice } from '../src/calendar/calendar.ts'
import { instantInChina } from '../src/calendar/day.ts'
import { noticeProblemLine } from '../src/calendar/notice-file.ts'
import { type Config, readConfig } from '../src/config.ts'
import { type Answer, ask, type Evidence } from '../src/consultations/ask.ts'
import {
  confirmedQueries,
  confirmThresholds,
  importLabels,
  LABEL_NAMES,
  labelOn,
  type LabelProblem,
  problemLine,
  readLabels,
  standingThresholds,
  undoThresholds
} from '../src/consultations/labels.ts'
import { Library } from '../src/content/library.ts'
import { type Database, migrate, openDatabase } from '../src/database/open.ts'
import { type QueriesTable, ROLES, type Role } from '../src/database/schema.ts'
import { MODEL_VERSION, type Thresholds } from '../src/matching/confidence.ts'
import { type Figures, type Move, type Proposal, refit, TARGET_PRECISION, wilson } from '../src/matching/refit.ts'
import { backup, BackupFailed, backupLines, restore, restoreLines } from '../src/operations/backup.ts'
import { verify } from '../src/operations/verify.ts'
import { openParts } from '../src/parts.ts'
import { removeSampleConsultations } from '../src/consultations/sample.ts'
import { explainStart } from '../src/server.ts'

const say = (text = '') => process.stdout.write(`${text}\n`)

const HELP_TITLES: Record<string, string> = {
  'Usage:': '用法：',
  'Arguments:': '参数：',
  'Options:': '选项：',
  'Commands:': '命令：'
}

const program = new Command('npm run admin --')
  .description('管理政询：人员和令牌、放假安排、备份和恢复、核查数据、解释答复、登记工作人员的确认、调整判定界限。')
  .helpOption('-h, --help', '显示用法')
  .helpCommand(false)
  .configureHelp({ styleTitle: (title) => HELP_TITLES[title] ?? title })
  .addHelpText(
    'after',
    '\n退出码：0 正常；1 核查有发现、没有这次咨询、文件有错没有存入，或确认太少不能调整；2 无法运行。'
  )
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))

program
  .command('verify')
  .description('核查：内容与校验值、修订有无缺号、检索词与内容是否一致、集群索引与数据库是否一致、咨询事件有没有被改动')
  .option('--repair', '把集群索引里缺的补上、多的去掉、不同的改回')
  .action(async ({ repair = false }: { repair?: boolean }) => {
    await withDatabase(async (db, { database, elasticsearch }) => {
      const { revisions, records, entries, events, findings } = await verify(db, database)
      if (elasticsearch !== null) {
        const { verifyCluster } = await import('../src/operations/verify-cluster.ts')
        findings.push(...(await verifyCluster(db, elasticsearch, repair)))
      }
      say(`核查了 ${records} 条记录、${revisions} 个修订、${entries} 条检索词、${events} 条咨询事件。`)
      for (const { what, remedy } of findings) say(`✗ ${what}。${remedy}。`)
      say(findings.length === 0 ? '✓ 没有发现问题。' : `共发现 ${findings.length} 个问题。`)
      process.exitCode = findings.length === 0 ? 0 : 1
    })
  })

program
  .command('explain')
  .description('解释一次答复是怎样判定的，并照原样再问一次')
  .argument('<QUERYID>', '答复里的 queryId')
  .action(async (id: string) => {
    process.exitCode = await explain(id)
  })

program
  .command('labels')
  .description('工作人员对答复的确认（对、错、另一条）')
  .helpCommand(false)
  .command('import')
  .description('登记一个文件里的确认：CSV（列：咨询编号、判定、正确条目、日期）或 JSON 行；有一处错就都不存')
  .argument('<FILE>', '文件')
  .action(async (file: string) => {
    await withDatabase(async (db) => {
      process.exitCode = await importFile(db, file)
    })
  })

program
  .command('refit')
  .description('用已登记的确认，提出新的判定界限，并在留出的一半上比较前后；不加 --confirm 什么也不改')
  .option('--confirm', '启用提出的界限')
  .option('--undo', '退回上一次调整之前的界限')
  .action(async ({ confirm = false, undo = false }: { confirm?: boolean; undo?: boolean }) => {
    if (confirm && undo) return program.error('--confirm 和 --undo 不能同时用。', { exitCode: 2 })
    await withDatabase(async (db) => {
      process.exitCode = undo ? await undoRefit(db) : await proposeRefit(db, confirm)
    })
  })

const users = program.command('users').description('工作人员').helpCommand(false)

users
  .command('add')
  .description('新增一个人，打印初始密码（只显示这一次，本人第一次登录时要改）')
  .argument('<NAME>', '用户名')
  .requiredOption('--role <ROLE>', `身份：${ROLES.join('、')}`)
  .option('--zone <ID>', '窗口人员的专区编号')
  .option('--unit <ID>', '联络员、分管领导的单位编号')
  .option('--name <TEXT>', '姓名，台账上写的；不填就用用户名')
  .option('--mail <ADDRESS>', '收通知的邮箱')
  .action(
    async (username: string, given: { role: string } & Partial<Record<'zone' | 'unit' | 'name' | 'mail', string>>) => {
      await withDatabase(async (db) => {
        const role = ROLES.find((one) => one === given.role)
        if (role === undefined) return refuseUser(`没有“${given.role}”这个身份。可以是：${ROLES.join('、')}。`)
        const { zone = null, unit = null, mail = null, name = username } = given
        const needs = { db, library: new Library(db) }
        const added = await addStaff(needs, { username, name, role: role satisfies Role, zone, unit, mail }, new Date())
        say(`✓ 已新增 ${added.username}。初始密码：${added.password}`)
        say('  密码只显示这一次，请当面交给本人；本人第一次登录时要改成自己的。')
      })
    }
  )

program
  .command('tokens')
  .description('给程序用的令牌')
  .helpCommand(false)
  .command('add')
  .description('给一个人发一个令牌（只显示这一次）')
  .argument('<NAME>', '用户名')
  .action(async (username: string) => {
    await withDatabase(async (db) => {
      say(await addToken(db, username, new Date()))
      say('令牌只显示这一次，能做这个人能做的一切，请妥善保管。')
    })
  })

program
  .command('terminals')
  .description('自助终端')
  .helpCommand(false)
  .command('add')
  .description('登记一台自助终端，打印它的首页地址')
  .argument('<ZONE>', '专区编号')
  .action(async (zone: string) => {
    await withDatabase(async (db, config) => {
      const { path } = await addTerminal({ db, library: new Library(db) }, zone, new Date())
      say(`${config.publicUrl ?? ''}${path}`)
      say('请把这个地址设为这台自助终端的首页；地址里的令牌只显示这一次。')
    })
  })

program
  .command('calendar')
  .description('放假调休安排')
  .helpCommand(false)
  .command('import')
  .description('导入一年的放假通知或本地的停工令（JSON 或 CSV）；运行中的服务一秒内采用，期限重新计算并通知')
  .argument('<FILE>', '文件')
  .action(async (file: string) => {
    await withDatabase(async (db) => {
      if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) {
        process.exitCode = 2
        say(`✗ 没有这个文件：${file}。请核对路径。`)
        return
      }
      const imported = await importNotice(db, decodeText(readFileSync(file)), 'admin', new Date().toISOString())
      if (imported.kind === 'stored') {
        for (const line of importLines(imported)) say(line)
        return
      }
      for (const problem of imported.problems) say(`✗ ${noticeProblemLine(problem)}`)
      say(`共 ${imported.problems.length} 处问题，什么也没有存入。`)
      process.exitCode = 1
    })
  })

program
  .command('backup')
  .description('备份数据库到一个文件；服务不用停。密钥不在里面，要另外保管')
  .argument('<FILE>', '要写的文件')
  .action(async (file: string) => {
    const config = readConfig(process.env)
    for (const line of backupLines(await backup(config, resolve(file), new Date()), config.keyFile)) say(line)
  })

program
  .command('restore')
  .description('把备份恢复到空的数据目录或空的数据库，并核查')
  .argument('<FILE>', '备份文件')
  .action(async (file: string) => {
    const config = readConfig(process.env)
    const lines = restoreLines(await restore(config, resolve(file)), config.keyFile)
    for (const line of lines) say(line)
    if (lines.some((line) => line.startsWith('✗'))) process.exitCode = 1
  })

program
  .command('sample')
  .description('示例数据')
  .helpCommand(false)
  .command('remove')
  .description('删去示例咨询和示例账号；真实的一条不动')
  .action(async () => {
    await withDatabase(async (db, { dataDir }) => {
      const { consultations } = await removeSampleConsultations(db)
      const accounts = await removeSampleAccounts(db, dataDir)
      say(`✓ 已删去 ${consultations} 件示例咨询、${accounts} 个示例账号。`)
    })
  })

function refuseUser(why: string): void {
  say(`✗ ${why}`)
  process.exitCode = 1
}

async function withDatabase(run: (db: Database, config: Config) => Promise<void>): Promise<void> {
  const config = readConfig(process.env)
  const db = await openDatabase(config.database)
  try {
    await migrate(db)
    await run(db, config)
  } finally {
    await db.destroy()
  }
}

/** A year of confirmations is under 5 MB; what is larger is another file. */
const LARGEST_LABELS = 20 * 1024 * 1024
const MOST_PRINTED = 50

async function importFile(db: Database, file: string): Promise<number> {
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined || found.isDirectory()) {
    say(`✗ 没有这个文件：${file}。请核对路径。`)
    return 2
  }
  if (found.size > LARGEST_LABELS) {
    say(`✗ ${file} 超过 20 MB，不像是确认表。请核对文件，或者分成几个再导入。`)
    return 1
  }
  const read = readLabels(decodeText(readFileSync(file)))
  if (read.kind === 'refused') return refuse(read.problems)
  for (const header of read.ignored) say(`提醒：没有「${header}」这一列，已略过，没有存入。`)
  const imported = await importLabels(db, read.rows, new Date())
  if (imported.kind === 'refused') return refuse(imported.problems)
  const { added, replaced, unchanged, outdated } = imported
  say(`✓ 共 ${read.rows.length} 行：新登记 ${added} 条，改判 ${replaced} 条，不变 ${unchanged} 条。`)
  if (outdated > 0) say(`  另有 ${outdated} 行早于已登记的确认，没有采用。`)
  return 0
}

function refuse(problems: readonly LabelProblem[]): number {
  for (const problem of problems.slice(0, MOST_PRINTED)) say(`✗ ${problemLine(problem)}`)
  if (problems.length > MOST_PRINTED) say(`……还有 ${problems.length - MOST_PRINTED} 处。`)
  say(`共 ${problems.length} 处问题，什么也没有存入。请改好后重新导入。`)
  return 1
}

async function proposeRefit(db: Database, confirm: boolean): Promise<number> {
  const standing = await standingThresholds(db)
  const { confirmed, otherModels } = await confirmedQueries(db)
  say(`模型 ${MODEL_VERSION}，已登记的确认 ${confirmed.length} 条；另有 ${otherModels} 条属于其他版本的模型，不计入。`)
  const proposal = refit(standing.thresholds, confirmed, standing.usedLabels)
  if (proposal.kind === 'too-few') {
    say(`确认太少，不能调整：还差 ${proposal.missing} 条${standing.usedLabels > 0 ? '新的' : ''}。界限没有改动。`)
    return 1
  }
  printProposal(standing.thresholds, proposal)
  if (Object.values(proposal.moves).every(({ from, to }) => from === to)) {
    say('\n现有的确认不足以说明界限应当改动，保持不变。')
    return 0
  }
  if (!confirm) {
    say('\n什么也没有改动。要启用提出的界限，请运行 npm run admin -- refit --confirm。')
    return 0
  }
  await confirmThresholds(db, { proposal, previous: standing, labels: confirmed.length, otherModels, now: new Date() })
  say('\n✓ 已启用，正在运行的服务会在一秒内采用，不用重启。要退回，请运行 npm run admin -- refit --undo。')
  return 0
}

async function undoRefit(db: Database): Promise<number> {
  const undone = await undoThresholds(db, new Date())
  if (undone === null) {
    say('现在用的就是随程序发布的界限，没有可以退回的。')
    return 0
  }
  say(`✓ 已退回：${thresholdsLine(undone.from)} → ${thresholdsLine(undone.to)}。`)
  say('正在运行的服务会在一秒内采用，不用重启。')
  return 0
}

const thresholdsLine = ({ answer, answerPassage, choose }: Thresholds) =>
  `问答 ${answer}、条款 ${answerPassage}、可供选择 ${choose}`

const THRESHOLD_TITLES: Record<keyof Proposal['moves'], string> = {
  answer: '问答直接答复',
  answerPassage: '文件条款直接答复',
  choose: '可供选择'
}

/** Why a threshold goes where it goes. */
function reasonOf(which: keyof Proposal['moves'], { from, to, because, limited }: Move): string {
  const target = percent(TARGET_PRECISION)
  const reasons: Record<Move['because'], string> = {
    precise: which === 'choose' ? '更低的候选几乎都不对' : `更低处答复的正确率仍不低于 ${target}`,
    imprecise: which === 'choose' ? '转出的咨询里本来常有正确的候选' : `现在答复的正确率低于 ${target}`,
    few: '这一类确认太少',
    unsure: '确认还不足以说明应当改动',
    distance: '随问答的界限移动'
  }
  return `${to === from ? '不变，' : ''}${reasons[because]}${limited ? '；已到一次调整的限度' : ''}`
}

const percent = (share: number) => `${Math.round(share * 1000) / 10}%`

function printProposal(present: Thresholds, { thresholds, moves, fitted, before, after }: Proposal): void {
  say(`\n界限（依据其中 ${fitted} 条）`)
  for (const which of ['answer', 'answerPassage', 'choose'] as const) {
    say(`  ${THRESHOLD_TITLES[which]}：${present[which]} → ${thresholds[which]}（${reasonOf(which, moves[which])}）`)
  }
  say(`\n在留出的 ${before.labels} 条上（没有用来定界限）`)
  const rows: [string, (figures: Figures) => string][] = [
    ['直接答复的正确率', precisionOf],
    ['直接答复的比例', ({ answered, labels }) => shareOf(answered, labels)],
    ['答错', ({ wrong }) => `${wrong}`],
    ['第一条就对却没有直接答复', ({ needless }) => `${needless}`],
    ['有正确候选却转了单位', ({ missed }) => `${missed}`]
  ]
  for (const [title, cell] of rows) say(`  ${title}：前 ${cell(before)}　后 ${cell(after)}`)
  if (after.answered > 0 && (after.answered - after.wrong) / after.answered < TARGET_PRECISION) {
    say(`  注意：按提出的界限，留出的一半上正确率低于 ${percent(TARGET_PRECISION)}，启用前请先看看答错的咨询。`)
  }
}

const shareOf = (part: number, of: number) => (of === 0 ? '—' : `${percent(part / of)}（${part}/${of}）`)

/** With its 90 % interval: a few labels say little, and look as if they said much. */
function precisionOf({ answered, wrong }: Figures): string {
  if (answered === 0) return '—'
  const { lower, upper } = wilson(answered - wrong, answered, 1.645)
  return `${shareOf(answered - wrong, answered)}，九成把握在 ${percent(lower)}–${percent(upper)}`
}

const DECISIONS: Record<Answer['decision'], string> = {
  answer: '直接答复',
  choose: '请市民选择',
  escalate: '转单位答复'
}

/** What src/matching/features.ts measures, as an operator reads it; a feature without a title keeps its name. */
const FEATURE_TITLES: Record<string, string> = {
  exact: '与条目问法逐字相同',
  covWordsQa: '词覆盖',
  covPairsQa: '两字覆盖',
  covCharsQa: '单字覆盖',
  covWordsQ: '词覆盖（问题）',
  covPairsQ: '两字覆盖（问题）',
  covCharsQ: '单字覆盖（问题）',
  covWordsA: '词覆盖（答复）',
  covPairsA: '两字覆盖（答复）',
  covCharsA: '单字覆盖（答复）',
  bmWordsQ: '词 BM25（问题）',
  bmPairsQ: '两字 BM25（问题）',
  bmPairsA: '两字 BM25（答复）',
  diceWords: '词重合',
  dicePairs: '两字重合',
  diceChars: '单字重合',
  diceTriples: '三字重合',
  reversePairs: '反向两字覆盖',
  reverseChars: '反向单字覆盖',
  jaccardChars: '单字交并比',
  skip: '隔字重合',
  order: '语序一致',
  run: '最长相同字串',
  covMattersQa: '事项覆盖',
  covMattersQ: '事项覆盖（问题）',
  diceMatters: '事项重合',
  reverseMatters: '反向事项覆盖',
  missingMatter: '条目缺的最重事项',
  missingFormMatter: '问题缺的最重事项',
  diceMattersFlat: '事项重合（等权）',
  missingMatters: '条目缺的事项',
  missingFormMatters: '问题缺的事项',
  substituted: '换了事项',
  softCover: '近似事项覆盖',
  softReverse: '反向近似事项覆盖',
  soundPairs: '读音两字重合',
  soundCover: '读音覆盖',
  sharedWord: '共有的最重词',
  sharedPairs: '共有的最重两字',
  localReverse: '候选间反向覆盖',
  localCover: '候选间覆盖',
  missingWord: '条目缺的最重词',
  missingPair: '条目缺的最重两字',
  missingFormPair: '问题缺的最重两字',
  missingFormWord: '问题缺的最重词',
  window200: '答复最相关 200 字',
  window80: '答复最相关 80 字',
  window300: '答复最相关 300 字',
  placeConflict: '地名冲突',
  placeAgree: '地名一致',
  placeOnlyEntry: '只有条目说了地名',
  placeOnlyQuestion: '只有问题说了地名',
  yearConflict: '年份冲突',
  numberMissing: '数字缺失',
  documentNumber: '文号相同',
  aspectAgree: '问的方面一致',
  aspectConflict: '问的方面冲突',
  aspectMissing: '问的方面没有答到',
  audienceConflict: '对象冲突',
  lengthRatio: '长度比',
  formLonger: '条目问题更长',
  isPassage: '文件条款',
  hasQuestion: '有问题',
  hasAnswer: '有答复',
  longAnswer: '答复很长',
  rankWords: '按词的名次',
  rankPairs: '按两字的名次',
  behindWords: '按词落后第一',
  behindPairs: '按两字落后第一',
  aboveFive: '高出前五',
  brevity: '问题短',
  unknownChars: '库里没有的字',
  unknownWords: '库里没有的词',
  meaningQ: '语义相近（问题）',
  meaningA: '语义相近（答复）',
  meaningBehind: '语义落后第一'
}
const TITLES_A_LINE = 6

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
    const label = await labelOn(parts.db, id)
    if (label !== null) {
      const entry = label.entry === null ? '' : ` ${label.entry}`
      say(`工作人员的确认：${LABEL_NAMES[label.label]}${entry}（${instantInChina(label.labelled_at)}）`)
    }
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
  const { model, thresholds, semantic, candidates } = JSON.parse(evidence) as Evidence
  say(`  判定：${DECISIONS[decision]}，把握 ${confidence.toFixed(3)}`)
  say(
    `  模型 ${model}${semantic ? '（语义匹配参与）' : ''}；问答达到 ${thresholds.answer}、文件条款达到 ${thresholds.answerPassage} 直接答复，` +
      `达到 ${thresholds.choose} 可供选择，最多 ${thresholds.chooseMost} 条`
  )
  if (candidates.length === 0) say('  没有候选')
  for (const [at, { key, version, score, confidence: own, features }] of candidates.entries()) {
    say(`  ${at + 1}. ${key} 第 ${version} 版　得分 ${score}　把握 ${own}`)
    const shown = Object.entries(features).map(([name, value]) => `${FEATURE_TITLES[name] ?? name} ${value}`)
    for (let from = 0; from < shown.length; from += TITLES_A_LINE) {
      say(`     ${shown.slice(from, from + TITLES_A_LINE).join('　')}`)
    }
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
  // What is wrong with what was asked for, in its own words; everything else is a failure of the program.
  const isAnswer = error instanceof BackupFailed || (error as { statusCode?: number }).statusCode === 400
  console.error(isAnswer ? `✗ ${(error as Error).message}` : explainStart(error))
  process.exit(isAnswer ? 1 : 2)
}
