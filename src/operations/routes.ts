import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { sql } from 'kysely'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import * as z from 'zod'
import { ProblemBody } from '../api-types.ts'
import { QUALITY_DAYS, qualityOf } from '../consultations/labels.ts'
import { NotFound } from '../errors.ts'
import { noticesStanding } from '../notices/bells.ts'
import type { ElasticsearchEngine } from '../search/elasticsearch/engine.ts'

const Readiness = z.object({
  status: z.enum(['ready', 'degraded', 'starting']),
  parts: z.record(z.string(), z.object({ ok: z.boolean(), detail: z.string().nullable() }))
})

const Quality = z.object({
  confirmed: z.number().int().describe('Instant answers that staff confirmed or corrected'),
  wrong: z.number().int(),
  falseAnswerRate: z.number().min(0).max(1).nullable().describe('Null while it would rest on fewer than 20'),
  from: z.string().describe('First day of asking, China Standard Time'),
  to: z.string()
})

const LOOPBACK = ['127.0.0.1', '::1', '::ffff:127.0.0.1']

/** Whether the service lives, whether it can answer, and its figures. Never limited, never logged as questions are. */
export const operationRoutes: FastifyPluginAsyncZod = async (app) => {
  const { db, engine, elasticsearch, semantic, config, now } = app.parts
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const duration = new Histogram({
    name: 'zhengxun_request_seconds',
    help: 'Time to answer a request, by route and status',
    labelNames: ['route', 'status'],
    // From an answer out of memory to the limit of patience at a desk.
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [registry]
  })
  new Gauge({
    name: 'zhengxun_entries',
    help: 'Searchable entries: Q&A and document passages',
    registers: [registry],
    collect() {
      this.set(engine.status().entries)
    }
  })
  if (semantic !== null) {
    new Gauge({
      name: 'zhengxun_semantic_ready',
      help: 'Semantic matching: 1 ready, 0 building or failing',
      registers: [registry],
      collect() {
        this.set(semantic.status().state === 'ready' ? 1 : 0)
      }
    })
    new Gauge({
      name: 'zhengxun_semantic_records',
      help: 'Records whose texts have their vectors (done), and all records (total)',
      labelNames: ['count'],
      registers: [registry],
      collect() {
        const { done, total } = semantic.status()
        this.set({ count: 'done' }, done)
        this.set({ count: 'total' }, total)
      }
    })
  }
  if (elasticsearch !== null) {
    new Gauge({
      name: 'zhengxun_elasticsearch_well',
      help: 'The cluster: 1 asked and whole, 0 something is wrong with it (/readyz says what)',
      registers: [registry],
      collect() {
        this.set(elasticsearch.problem() === null ? 1 : 0)
      }
    })
    new Counter({
      name: 'zhengxun_fallback_questions_total',
      help: 'Questions that the in-process index answered because the cluster did not',
      registers: [registry],
      collect() {
        this.reset()
        this.inc(elasticsearch.fallbacks())
      }
    })
  }
  const period = `${QUALITY_DAYS}d`
  // A database that is away leaves these two out; the other figures are told all the same.
  const quality = () => qualityOf(db, now()).catch(() => null)
  new Gauge({
    name: 'zhengxun_confirmed_answers',
    help: 'Instant answers that staff confirmed (right) or corrected (wrong), of those asked for in the period',
    labelNames: ['period', 'result'],
    registers: [registry],
    async collect() {
      const figures = await quality()
      this.reset()
      if (figures === null) return
      this.set({ period, result: 'right' }, figures.confirmed - figures.wrong)
      this.set({ period, result: 'wrong' }, figures.wrong)
    }
  })
  new Gauge({
    name: 'zhengxun_false_answer_rate',
    help: 'Share of confirmed instant answers that were wrong; absent while it would rest on too few',
    labelNames: ['period'],
    registers: [registry],
    async collect() {
      const rate = (await quality())?.falseAnswerRate ?? null
      this.reset()
      if (rate !== null) this.set({ period }, rate)
    }
  })
  const requests = new Counter({
    name: 'zhengxun_requests_total',
    help: 'Requests answered',
    labelNames: ['status'],
    registers: [registry]
  })
  app.parts.onResponse = (request, statusCode, elapsedMs) => {
    const status = `${Math.floor(statusCode / 100)}xx`
    duration.observe({ route: request.routeOptions.url ?? 'none', status }, elapsedMs / 1000)
    requests.inc({ status })
  }

  const quiet = { config: { rateLimit: false }, logLevel: 'warn' as const }

  app.get(
    '/healthz',
    { ...quiet, schema: { summary: 'Alive', response: { 200: z.object({ status: z.literal('alive') }) } } },
    async () => ({ status: 'alive' as const })
  )

  app.get(
    '/readyz',
    { ...quiet, schema: { summary: 'Answers and takes questions', response: { 200: Readiness, 503: Readiness } } },
    async (_, reply) => {
      const database = await sql`select 1`.execute(db).then(
        () => ({ ok: true, detail: null }),
        (error: Error) => ({ ok: false, detail: error.name })
      )
      const { ready, progress } = engine.status()
      const cluster = elasticsearch === null ? undefined : await standingOf(elasticsearch)
      const meaning = semantic?.status()
      const notices = database.ok ? await noticesStanding(db).catch(() => null) : null
      // Owed for an hour: the mail server or the gateway is down; citizens are served all the same.
      const isLate = notices?.oldest != null && notices.oldest < new Date(now().getTime() - 3600_000).toISOString()
      const outbox = {
        ok: notices !== null && notices.dead === 0 && !isLate,
        detail: notices === null ? null : `waiting ${notices.waiting}, undeliverable ${notices.dead}`
      }
      const parts = {
        database,
        outbox,
        engine: { ok: ready, detail: progress },
        ...(cluster === undefined ? {} : { elasticsearch: cluster }),
        ...(meaning === undefined ? {} : { semantic: { ok: meaning.state !== 'failing', detail: meaning.text } })
      }
      const well = database.ok && outbox.ok && meaning?.state !== 'failing' && cluster?.ok !== false
      const status = !ready ? ('starting' as const) : well ? ('ready' as const) : ('degraded' as const)
      return reply.code(ready && database.ok ? 200 : 503).send({ status, parts })
    }
  )

  app.get(
    '/api/v1/quality',
    {
      schema: {
        summary: `Share of instant answers that staff found wrong, of the last ${QUALITY_DAYS} days`,
        response: { 200: Quality }
      }
    },
    async () => qualityOf(db, now())
  )

  app.get(
    '/metrics',
    { ...quiet, schema: { summary: 'Prometheus figures', response: { 200: z.string(), 404: ProblemBody } } },
    async (request, reply) => {
      if (!mayReadMetrics(request, config.metricsToken)) throw new NotFound('页面', '/metrics')
      return reply
        .type(registry.contentType)
        .serializer((text: string) => text)
        .send(await registry.metrics())
    }
  )
}

/** What is wrong with the cluster and what to do; entries that it refuses are wrong too. */
async function standingOf(elasticsearch: ElasticsearchEngine) {
  const problem = elasticsearch.problem()
  if (problem !== null) return { ok: false, detail: `${problem.message}。${problem.remedy}。` }
  const { standing } = elasticsearch.indexer.state ?? { standing: null }
  const [refused] = await elasticsearch.refused().catch(() => [])
  if (refused !== undefined) {
    return { ok: false, detail: `集群不收 ${refused.key}（${refused.error}）。请运行 npm run admin -- verify 看全部。` }
  }
  if (standing === null) return { ok: false, detail: elasticsearch.indexer.progress ?? '集群里还没有索引，正等着建立' }
  return { ok: true, detail: elasticsearch.indexer.progress }
}

/** By token where one is set; else only from the machine itself, and not through a proxy on it. */
function mayReadMetrics(request: FastifyRequest, token: string | null): boolean {
  if (token !== null) {
    const given = Buffer.from(request.headers.authorization ?? '')
    const wanted = Buffer.from(`Bearer ${token}`)
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  }
  const forwarded = request.headers['x-forwarded-for'] ?? request.headers.forwarded
  return forwarded === undefined && LOOPBACK.includes(request.socket.remoteAddress ?? '')
}
