import t from 'tap'
import { absent, postgres } from '../peers.ts'
import { ticketContract } from './tickets.ts'

const skip = absent('PostgreSQL')
if (skip === false) ticketContract(t, async (t) => ({ DATABASE_URL: await postgres(t) }))
else t.test('consultations on PostgreSQL', { skip }, async () => {})
