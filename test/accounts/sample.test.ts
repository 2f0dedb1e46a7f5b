import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { layDownSampleAccounts, removeSampleAccounts, type SampleAccount } from '../../src/accounts/sample.ts'
import { readToken } from '../../src/accounts/sessions.ts'
import { addStaff, checkPassword, listStaff } from '../../src/accounts/staff.ts'
import { readConfig } from '../../src/config.ts'
import { Library } from '../../src/content/library.ts'
import { compare, type Incoming, storeChanges } from '../../src/content/store.ts'
import { type Database, migrate, openDatabase } from '../../src/database/open.ts'
import { ROLES } from '../../src/database/schema.ts'
import { absent, postgres } from '../peers.ts'
import { qa, unit, zone } from '../sample-records.ts'
import { temporaryFolder } from '../test-app.ts'

// argon2, and a quarter of a second a refusal, on a machine that may be busy.
t.setTimeout(120_000)

const NOW = new Date('2026-11-24T02:00:00Z')
const CONTENT = [
  unit({ id: 'jyj' }),
  unit({ id: 'ybj' }),
  zone({ id: 'TSG', venueKind: 'AL' }),
  zone({ id: 'SC1' }),
  zone({ id: 'SC2' }),
  qa({ id: 'q1', question: '医保怎么转', answer: '到窗口办理。', unit: 'ybj' })
]

interface Stage {
  db: Database
  library: Library
  dataDir: string
}

function onBoth(name: string, incoming: readonly Incoming[], run: (t: Test, stage: Stage) => Promise<void>): void {
  const open = async (t: Test, environment: NodeJS.ProcessEnv) => {
    const dataDir = temporaryFolder(t)
    const db = await openDatabase(readConfig({ DATA_DIR: dataDir, ...environment }).database)
    t.teardown(() => db.destroy())
    await migrate(db)
    const differences = await compare(db, incoming, [])
    await storeChanges(db, { incoming, differences, by: 'test', at: NOW.toISOString() })
    await run(t, { db, library: new Library(db), dataDir })
  }
  t.test(`${name} (SQLite)`, async (t) => await open(t, {}))
  t.test(`${name} (PostgreSQL)`, { skip: absent('PostgreSQL') }, async (t) => {
    await open(t, { DATABASE_URL: await postgres(t) })
  })
}

onBoth(
  'one sample account a role, with secrets that work, in a file for its owner alone',
  CONTENT,
  async (t, { db, library, dataDir }) => {
    await layDownSampleAccounts({ db, library }, dataDir, NOW)
    const file = join(dataDir, 'sample-accounts.json')
    t.equal(statSync(file).mode & 0o777, 0o600)
    const accounts = JSON.parse(readFileSync(file, 'utf8')) as SampleAccount[]
    t.same(
      accounts.map(({ role }) => role),
      ROLES
    )
    t.same(
      accounts.map(({ zone, unit }) => zone ?? unit),
      ['SC1', 'ybj', 'ybj', null, null]
    )
    for (const account of accounts) {
      t.same(Object.keys(account).sort(), ['password', 'role', 'token', 'unit', 'username', 'zone'])
      t.match(await checkPassword(db, account, NOW), { role: account.role, first_password: 0 })
      t.match(await readToken(db, account.token), { username: account.username, sample: 1 })
    }
    for (const { name } of await listStaff(db)) t.match(name, /^示例/)
  }
)

onBoth(
  'laid once: a second start and a place with accounts of its own are left alone',
  CONTENT,
  async (t, { db, library, dataDir }) => {
    const [first, second] = await Promise.all([
      layDownSampleAccounts({ db, library }, dataDir, NOW),
      layDownSampleAccounts({ db, library }, dataDir, NOW)
    ])
    t.same([first.length, second.length].sort(), [0, 5])
    const accounts = JSON.parse(readFileSync(join(dataDir, 'sample-accounts.json'), 'utf8')) as SampleAccount[]
    t.ok(await readToken(db, accounts[0]?.token ?? ''))
    t.same(
      readdirSync(dataDir).filter((name) => name.startsWith('sample-accounts')),
      ['sample-accounts.json']
    )
  }
)

onBoth('taken away they are gone, and real accounts stay', CONTENT, async (t, { db, library, dataDir }) => {
  const laid = await layDownSampleAccounts({ db, library }, dataDir, NOW)
  await addStaff(
    { db, library },
    { username: 'office', name: '示例', role: 'office', zone: null, unit: null, mail: null },
    NOW
  )
  t.equal(await removeSampleAccounts(db, dataDir), 5)
  t.notOk(existsSync(join(dataDir, 'sample-accounts.json')))
  t.equal(await readToken(db, laid[0]?.token ?? ''), null)
  t.same(
    (await listStaff(db)).map(({ username }) => username),
    ['office']
  )
  t.equal(await removeSampleAccounts(db, dataDir), 0)
})

onBoth(
  'without zones and units there are the office and the administrator',
  [],
  async (t, { db, library, dataDir }) => {
    const laid = await layDownSampleAccounts({ db, library }, dataDir, NOW)
    t.same(
      laid.map(({ role }) => role),
      ['office', 'admin']
    )
  }
)
