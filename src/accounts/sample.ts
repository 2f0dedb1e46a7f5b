import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Library } from '../content/library.ts'
import { isPostgres } from '../database/dialect.ts'
import type { Database } from '../database/open.ts'
import type { Role } from '../database/schema.ts'
import { AREAS_OF } from '../directory/areas.ts'
import { makeToken } from './sessions.ts'
import { accountOf, drawPassword, insertAccount } from './staff.ts'

/** One account of the sample file, with what is needed to use it. */
export interface SampleAccount {
  role: Role
  zone: string | null
  unit: string | null
  username: string
  password: string
  token: string
}

const NAMES: Readonly<Record<Role, string>> = {
  clerk: '示例窗口员',
  liaison: '示例联络员',
  leader: '示例分管领导',
  office: '示例公开办人员',
  admin: '示例管理员'
}

interface Needs {
  db: Database
  library: Library
}

const fileIn = (dataDir: string) => join(dataDir, 'sample-accounts.json')

/**
 * Lays one sample account a role, with random secrets, and writes them to `sample-accounts.json` (mode 0600) in the data
 * folder. Does nothing where any account is there already; leaves out a role whose zone or unit the content lacks.
 * @returns the accounts laid
 */
export async function layDownSampleAccounts(
  { db, library }: Needs,
  dataDir: string,
  now: Date
): Promise<readonly SampleAccount[]> {
  const anybody = async (reader: Database) =>
    (await reader.selectFrom('staff').select('id').limit(1).execute()).length > 0
  if (await anybody(db)) return []
  const file = fileIn(dataDir)
  const draft = `${file}.${process.pid}`
  const [zone, unit] = [await firstDesk(library), await busiestUnit(library)]
  const places: [Role, Pick<SampleAccount, 'zone' | 'unit'>][] = []
  if (zone !== null) places.push(['clerk', { zone, unit: null }])
  if (unit !== null) places.push(['liaison', { zone: null, unit }], ['leader', { zone: null, unit }])
  places.push(['office', { zone: null, unit: null }], ['admin', { zone: null, unit: null }])
  const made: { account: Omit<SampleAccount, 'token'>; row: Awaited<ReturnType<typeof accountOf>> }[] = []
  for (const [role, place] of places) {
    const account = { role, ...place, username: `sample-${role}`, password: drawPassword() }
    const row = await accountOf(library, { ...account, name: NAMES[role], mail: null, sample: true }, now)
    made.push({ account, row })
  }
  try {
    return await db.transaction().execute(async (transaction) => {
      // Two programs that start together: the second waits and finds the first one's.
      if (isPostgres(db)) await sql`lock table staff in share row exclusive mode`.execute(transaction)
      if (await anybody(transaction)) return []
      const accounts: SampleAccount[] = []
      for (const { account, row } of made) {
        await insertAccount(transaction, row)
        accounts.push({ ...account, token: await makeToken(transaction, row.id, now) })
      }
      // Before the commit: accounts nobody has the secrets of could not even be laid again.
      writeFileSync(draft, `${JSON.stringify(accounts, null, 2)}\n`, { mode: 0o600 })
      renameSync(draft, file)
      return accounts
    })
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Takes the sample accounts and their file away; what they did to consultations stands in the events. */
export async function removeSampleAccounts(db: Database, dataDir: string): Promise<number> {
  const removed = await db.transaction().execute(async (transaction) => {
    const people = await transaction.selectFrom('staff').select('id').where('sample', '=', 1).execute()
    const ids = people.map(({ id }) => id)
    if (ids.length === 0) return 0
    for (const table of ['sessions', 'tokens', 'stand_ins', 'bells'] as const) {
      await transaction.deleteFrom(table).where('staff', 'in', ids).execute()
    }
    await transaction.deleteFrom('stand_ins').where('absent', 'in', ids).execute()
    await transaction.deleteFrom('staff').where('id', 'in', ids).execute()
    return ids.length
  })
  rmSync(fileIn(dataDir), { force: true })
  return removed
}

async function firstDesk(library: Library): Promise<string | null> {
  for (const [id, { content }] of await library.all('zone')) {
    if (content.venueKind === 'SC' && AREAS_OF.SC.includes('consultation')) return id
  }
  return null
}

/** The unit that answers most entries of the bank: its liaison has something to draft from. */
async function busiestUnit(library: Library): Promise<string | null> {
  const units = await library.all('unit')
  const counts = new Map([...units.keys()].map((id) => [id, 0]))
  for (const { unit } of await library.questions()) {
    const count = counts.get(unit)
    if (count !== undefined) counts.set(unit, count + 1)
  }
  const [first] = [...counts].sort(([, a], [, b]) => b - a)
  return first?.[0] ?? null
}
