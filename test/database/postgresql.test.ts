import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { type DatabaseAddress, openDatabase } from '../../src/database/open.ts'
import { absent, postgres } from '../peers.ts'
import { databaseContract } from './contract.ts'

// On a busy machine each of the programs it starts takes seconds.
t.setTimeout(300_000)

t.test('PostgreSQL', { skip: absent('PostgreSQL') }, async (t) => {
  const fresh = async (t: Test): Promise<DatabaseAddress> => ({ kind: 'postgresql', url: await postgres(t) })

  databaseContract(t, fresh)

  t.test('synchronous_commit is on, whatever the address or the role say', async (t) => {
    const url = await postgres(t)
    const role = await openDatabase({ kind: 'postgresql', url })
    await sql`alter role postgres set synchronous_commit = off`.execute(role)
    await role.destroy()
    for (const options of ['', '&options=-c%20synchronous_commit%3Doff']) {
      const db = await openDatabase({ kind: 'postgresql', url: `${url}${options}` })
      t.same((await sql`show synchronous_commit`.execute(db)).rows, [{ synchronous_commit: 'on' }])
      await db.destroy()
    }
  })

  t.test('a server that runs with fsync=off is refused', async (t) => {
    await t.rejects(openDatabase({ kind: 'postgresql', url: await postgres(t, { fsync: false }) }), {
      message: /fsync 已关闭/
    })
  })
})
