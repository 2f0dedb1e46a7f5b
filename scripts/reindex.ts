// npm run reindex: stored tokens anew from the records, then an index from them; running services take it in by themselves.
import { Command } from 'commander'
import { pino } from 'pino'
import { readConfig } from '../src/config.ts'
import { remakeEntries } from '../src/content/store.ts'
import { type Database, migrate, openDatabase } from '../src/database/open.ts'
import { verify } from '../src/operations/verify.ts'
import { type ElasticsearchAddress, openClient, problemOf } from '../src/search/elasticsearch/client.ts'
import { ClusterProblem } from '../src/search/elasticsearch/problem.ts'
import { Indexer } from '../src/search/elasticsearch/indexer.ts'
import { askForPrevious } from '../src/search/elasticsearch/indexes.ts'
import { explainStart } from '../src/server.ts'

/** Between two lines of progress. */
const SAY_EVERY_MS = 2000
/** Ten million entries at a thousand a second; the index goes on being built where this command ends early. */
const BUILT_WITHIN_MS = 3 * 3600 * 1000
const BACK_WITHIN_MS = 60_000
/** A cluster in trouble for so long is for the operator. */
const GIVE_UP_AFTER_MS = 20_000

const program = new Command('npm run reindex --')
  .description('重做检索词和索引；服务照常答复，做好后自动换上。中断了再运行一次，集群索引会接着建。')
  .option('--rollback', '集群索引退回到上一个')
  .helpOption('-h, --help', '显示用法')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))

try {
  const { rollback = false } = program.parse().opts<{ rollback?: boolean }>()
  const { database, elasticsearch } = readConfig(process.env)
  if (rollback && elasticsearch === null) {
    console.error('没有设置 ELASTICSEARCH_URL：只有集群索引能退回。')
    process.exit(2)
  }
  const db = await openDatabase(database)
  try {
    await migrate(db)
    if (rollback) await goBack(db, elasticsearch as ElasticsearchAddress)
    else {
      const records = await remakeEntries(db, every(SAY_EVERY_MS, '重新切分'))
      const { entries, findings } = await verify(db, database)
      console.log(`已重做 ${records} 条记录的 ${entries} 条检索词。正在运行的服务会自动换上新索引，期间照常答复。`)
      for (const { what, remedy } of findings) console.log(`✗ ${what}。${remedy}。`)
      process.exitCode = findings.length === 0 ? 0 : 1
      if (elasticsearch !== null) await rebuild(db, elasticsearch)
    }
  } finally {
    await db.destroy()
  }
} catch (error) {
  console.error(explainStart(error))
  process.exit(error instanceof ClusterProblem ? 1 : 2)
}

function every(ms: number, what: string): (done: number, total: number) => void {
  let said = performance.now()
  return (done, total) => {
    if (performance.now() - said < ms) return
    said = performance.now()
    console.log(`${what}：${done}/${total}`)
  }
}

/** Builds in the cluster, or watches the service that does. */
async function rebuild(db: Database, address: ElasticsearchAddress): Promise<void> {
  const name = await withIndexer(db, address, BUILT_WITHIN_MS)
  console.log(`集群索引已建好、核对过并换上：${name}。上一个留着，可用 npm run reindex -- --rollback 退回。`)
}

async function goBack(db: Database, address: ElasticsearchAddress): Promise<void> {
  const wanted = await askForPrevious({ db, address })
  console.log(`正在退回到 ${wanted}：先补上这期间的改动，再换上。`)
  const name = await withIndexer(db, address, BACK_WITHIN_MS)
  console.log(`现在用的是 ${name}。`)
}

async function withIndexer(db: Database, address: ElasticsearchAddress, ms: number): Promise<string> {
  const client = openClient(address)
  const indexer = new Indexer({ db, client, address, logger: pino({ level: 'silent' }) })
  indexer.start()
  try {
    let said: string | null = null
    let wellAt = Date.now()
    await indexer.caughtUp(ms, () => {
      const { problem, progress } = indexer
      if (problem === null) wellAt = Date.now()
      else if (Date.now() - wellAt > GIVE_UP_AFTER_MS) throw problem
      if (progress === null || progress === said) return
      console.log(progress)
      said = progress
    })
    return indexer.state?.standing?.name ?? ''
  } catch (error) {
    throw problemOf(error)
  } finally {
    await indexer.close()
    await client.close()
  }
}
