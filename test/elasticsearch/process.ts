// A service process's part that indexes, alone: node process.ts DATABASE_URL NODE ALIAS [SKEW_MS [SHARDS]]; tells ten times a second whether it leads.
import { pino } from 'pino'
import { openDatabase } from '../../src/database/open.ts'
import { openClient } from '../../src/search/elasticsearch/client.ts'
import { Indexer } from '../../src/search/elasticsearch/indexer.ts'

const [, , url = '', node = '', alias = '', skew = '0', shards = '1'] = process.argv
const now = Date.now
Date.now = () => now() + Number(skew)

const db = await openDatabase({ kind: 'postgresql', url })
const address = { nodes: [node], auth: null, ca: null, alias, shards: Number(shards) }
const indexer = new Indexer({ db, client: openClient(address), address, logger: pino({ level: 'silent' }) })
indexer.start()
// Ends with who started it.
process.stdin.resume().on('end', () => process.exit())
setInterval(() => console.log(indexer.leads ? 'leads' : 'waits'), 100)
