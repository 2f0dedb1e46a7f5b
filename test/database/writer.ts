// A second program that stores records, for the tests of concurrent writing: ADDRESS NAME TIMES.
import { compare, type Incoming, storeChanges } from '../../src/content/store.ts'
import { openDatabase } from '../../src/database/open.ts'
import { qa } from '../sample-records.ts'

const [address, name, times] = process.argv.slice(2) as [string, string, string]
const db = await openDatabase(JSON.parse(address))
for (let time = 1; time <= Number(times); time++) {
  const incoming: Incoming[] = [1, 2, 3].map((n) =>
    qa({ id: `${name}-${n}`, question: `问题${n}`, answer: `第${time}次的答复` })
  )
  const differences = await compare(db, incoming, [])
  await storeChanges(db, { incoming, differences, by: name, at: new Date().toISOString() })
}
await db.destroy()
