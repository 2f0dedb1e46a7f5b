import t from 'tap'
import { drill } from '../../bench/drill/drill.ts'
import { readConfig } from '../../src/config.ts'
import { compare, storeChanges } from '../../src/content/store.ts'
import { migrate, openDatabase } from '../../src/database/open.ts'
import { absent, postgres } from '../peers.ts'
import { DISTRICT } from '../sample-records.ts'
import { temporaryFolder } from '../test-app.ts'

t.setTimeout(600_000)

async function prepared(environment: NodeJS.ProcessEnv) {
  const { database: address } = readConfig(environment)
  const db = await openDatabase(address)
  await migrate(db)
  const differences = await compare(db, DISTRICT, [])
  await storeChanges(db, { incoming: DISTRICT, differences, by: 'test', at: new Date().toISOString() })
  await db.destroy()
  return { environment, address }
}

t.test('killed twenty times amid registrations, SQLite keeps every acknowledged one, once', async (t) => {
  const place = await prepared({ DATA_DIR: temporaryFolder(t) })
  const drilled = await drill({ rounds: 20, mode: 'late', ...place })
  t.ok(drilled.acknowledged > 100, `${drilled.acknowledged} acknowledged`)
  t.match(drilled, { lost: 0, twice: 0, changed: 0, findings: [] })
})

t.test('a service that acknowledges before the commit loses some: the drill can fail', async (t) => {
  const place = await prepared({ DATA_DIR: temporaryFolder(t) })
  const { lost } = await drill({ rounds: 3, mode: 'early', ...place })
  t.ok(lost > 0, `${lost} lost`)
})

t.test(
  'killed three times, PostgreSQL keeps every acknowledged one, once',
  { skip: absent('PostgreSQL') },
  async (t) => {
    const place = await prepared({ DATA_DIR: temporaryFolder(t), DATABASE_URL: await postgres(t) })
    const drilled = await drill({ rounds: 3, mode: 'late', ...place })
    t.match(drilled, { lost: 0, twice: 0, changed: 0, findings: [] })
  }
)
