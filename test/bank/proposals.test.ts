import t from 'tap'
import { absent, postgres } from '../peers.ts'
import { proposalContract } from './proposals.ts'

t.setTimeout(120_000)
t.test('SQLite', async (t) => proposalContract(t, async () => ({})))
const skip = absent('PostgreSQL')
t.test('PostgreSQL', { skip }, async (t) => proposalContract(t, async (t) => ({ DATABASE_URL: await postgres(t) })))
