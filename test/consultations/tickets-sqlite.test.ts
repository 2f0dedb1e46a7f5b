import t from 'tap'
import { ticketContract } from './tickets.ts'

ticketContract(t, async () => ({}))
