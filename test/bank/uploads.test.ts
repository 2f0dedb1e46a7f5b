import t from 'tap'
import { absent, postgres } from '../peers.ts'
import { uploadContract } from './uploads.ts'

t.setTimeout(120_000)
t.test('SQLite', async (t) => uploadContract(t, async () => ({})))
const skip = absent('PostgreSQL')
t.test('PostgreSQL', { skip }, async (t) => uploadContract(t, async (t) => ({ DATABASE_URL: await postgres(t) })))
