import t from 'tap'
import { absent, postgres } from '../peers.ts'
import { officeContract } from './office.ts'

t.setTimeout(120_000)

t.test('SQLite', (t) => {
  officeContract(t, async () => ({}))
  t.end()
})

t.test('PostgreSQL', { skip: absent('PostgreSQL') }, (t) => {
  officeContract(t, async (t) => ({ DATABASE_URL: await postgres(t) }))
  t.end()
})
