// The peer of the http and start benches: Fastify with one route that sends the same answer, and nothing else.
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'

const body = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const app = Fastify()
app.get('/api/v1/answers', async () => body)
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
