import t from 'tap'
import { absent, postgres } from '../peers.ts'
import { ledgerContract } from './ledgers.ts'

t.setTimeout(120_000)
t.test('SQLite', async (t) => ledgerContract(t, async () => ({})))
const skip = absent('PostgreSQL')
t.test('PostgreSQL', { skip }, async (t) => ledgerContract(t, async (t) => ({ DATABASE_URL: await postgres(t) })))
