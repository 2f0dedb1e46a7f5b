// The service that a drill kills: argument `late` acknowledges after the commit, as the product does, `early` before it.
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { buildApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { register } from '../../src/consultations/intake.ts'
import { openParts, type Parts } from '../../src/parts.ts'

const logger = pino({ level: 'silent' })
const parts = await openParts(readConfig(process.env), logger)
const app = await buildApp(parts, logger)
if (process.argv[2] === 'early') acknowledgeEarly(app, parts)
const address = await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`${address}\n`)

/** The negative control: a service that says yes before the disk has it must lose some. */
function acknowledgeEarly(app: FastifyInstance, parts: Parts): void {
  app.post('/early', async ({ body, headers }, reply) => {
    const { question } = body as { question: string }
    setTimeout(() => {
      register(parts, {
        key: headers['idempotency-key'] as string,
        question,
        queryId: null,
        zone: 'XZZX01',
        channel: 'web',
        audience: 'person',
        contact: { name: '示例市民', phone: '13800000001' },
        answeredWith: null,
        guidedTo: null,
        staff: null
      }).catch(() => {})
    }, 5)
    return reply.code(201).send({ number: null })
  })
}
