// npm run reindex: stored tokens anew from the records, then an index from them; running services take it in by themselves.
import { readConfig } from '../src/config.ts'
import { remakeEntries } from '../src/content/store.ts'
import { migrate, openDatabase } from '../src/database/open.ts'
import { verify } from '../src/operations/verify.ts'
import { explainStart } from '../src/server.ts'

/** Between two lines of progress. */
const SAY_EVERY_MS = 2000

try {
  const { database } = readConfig(process.env)
  const db = await openDatabase(database)
  try {
    await migrate(db)
    let said = performance.now()
    const records = await remakeEntries(db, (done, total) => {
      if (performance.now() - said < SAY_EVERY_MS) return
      said = performance.now()
      console.log(`重新切分：${done}/${total}`)
    })
    const { entries, findings } = await verify(db, database)
    console.log(`已重做 ${records} 条记录的 ${entries} 条检索词。正在运行的服务会自动换上新索引，期间照常答复。`)
    for (const { what, remedy } of findings) console.log(`✗ ${what}。${remedy}。`)
    process.exitCode = findings.length === 0 ? 0 : 1
  } finally {
    await db.destroy()
  }
} catch (error) {
  console.error(explainStart(error))
  process.exit(2)
}
