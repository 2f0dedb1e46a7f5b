import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import underPressure from '@fastify/under-pressure'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyRequest,
  LogController
} from 'fastify'
import { jsonSchemaTransform, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import fastJson, { type Schema } from 'fast-json-stringify'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { guard } from './accounts/guard.ts'
import { accountPages } from './accounts/pages.ts'
import { settingsPages } from './accounts/settings-pages.ts'
import { bankPages } from './bank/pages.ts'
import * as z from 'zod'
import { bankRoutes } from './bank/routes.ts'
import { uploadPages } from './bank/upload-pages.ts'
import { proposalPages } from './bank/proposal-pages.ts'
import { boardPages } from './boards/pages.ts'
import { calendarPages } from './calendar/pages.ts'
import { calendarRoutes } from './calendar/routes.ts'
import { deskPages } from './consultations/desk/pages.ts'
import { deskTicketPages } from './consultations/desk/ticket-pages.ts'
import { trailPages } from './consultations/desk/trail-pages.ts'
import { citizenPages } from './consultations/citizen-pages.ts'
import { consultationPages } from './consultations/pages.ts'
import { consultationRoutes } from './consultations/routes.ts'
import { officePages } from './consultations/office/pages.ts'
import { unitPages } from './consultations/unit/pages.ts'
import { standInPages } from './consultations/unit/stand-ins.ts'
import { ticketRoutes } from './consultations/ticket-routes.ts'
import { directoryPages } from './directory/pages.ts'
import { directoryRoutes } from './directory/routes.ts'
import { documentPages } from './documents/pages.ts'
import { documentRoutes } from './documents/routes.ts'
import { problemOf, sendProblem } from './error-handler.ts'
import { ledgerPages } from './ledgers/pages.ts'
import { ledgerRoutes } from './ledgers/routes.ts'
import { noticePages } from './notices/pages.ts'
import { noticeRoutes } from './notices/routes.ts'
import { operationRoutes } from './operations/routes.ts'
import type { Parts } from './parts.ts'
import { views } from './views/views.ts'

declare module 'fastify' {
  interface FastifyInstance {
    parts: Parts
  }
}

/** Longest part of a path: a signed link to a ticket of a unit whose code has 80 characters. */
const LONGEST_PARAMETER = 300
/** The largest body: no public form of this version sends one. */
const LARGEST_BODY = 64 * 1024
/** Above this the process is drowning: better a clear 503 than an answer after a minute. */
const LONGEST_LOOP_DELAY_MS = 1000

const TEMPLATES = fileURLToPath(new URL('../templates', import.meta.url))

/** Builds the service over its parts; never listens. */
export async function buildApp(parts: Parts, logger: FastifyBaseLogger): Promise<FastifyInstance> {
  const { config } = parts
  const app = Fastify({
    loggerInstance: logger,
    // Questions and look-up codes ride in addresses: requests are logged below, without their query.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    trustProxy: config.trustProxy,
    bodyLimit: LARGEST_BODY,
    routerOptions: { maxParamLength: LONGEST_PARAMETER },
    // A kiosk may not hold the stop up for ever.
    forceCloseConnections: 'idle',
    return503OnClosing: true
  }).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(({ schema }) =>
    fastJson(z.toJSONSchema(schema as z.ZodType, { target: 'draft-7' }) as Schema)
  )
  app.decorate('parts', parts)

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  app.addHook('onResponse', async (request, reply) => {
    parts.onResponse?.(request, reply.statusCode, reply.elapsedTime)
    request.log.info(
      {
        method: request.method,
        path: request.routeOptions.url ?? 'none',
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10
      },
      'request'
    )
  })
  setErrorHandler(app)

  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'none'"],
        objectSrc: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        imgSrc: ["'self'", 'data:']
      }
    },
    // Kiosks inside the hall speak plain HTTP; HSTS is for a service that says it is reached by HTTPS.
    strictTransportSecurity: config.publicUrl?.startsWith('https:') === true,
    crossOriginOpenerPolicy: config.publicUrl?.startsWith('https:') === true,
    originAgentCluster: false
  })
  await app.register(cookie)
  await app.register(guard)
  await app.register(compress, { global: true, encodings: ['gzip'], threshold: 2048 })
  if (config.rateLimit > 0) {
    await app.register(rateLimit, {
      max: config.rateLimit,
      timeWindow: '1 minute',
      keyGenerator: (request: FastifyRequest) => request.ip,
      allowList: (request: FastifyRequest) => request.url.startsWith('/assets/')
    })
  }
  await app.register(underPressure, { maxEventLoopDelay: LONGEST_LOOP_DELAY_MS, retryAfter: 5 })
  await app.register(swagger, {
    openapi: { info: { title: '政询 zhengxun', description: 'Policy consultation API', version: config.version } },
    transform: jsonSchemaTransform
  })

  await app.register(views, { folder: TEMPLATES, publicUrl: config.publicUrl, today: parts.today })
  await app.register(
    async (api) => {
      await api.register(consultationRoutes)
      await api.register(ticketRoutes)
      await api.register(calendarRoutes)
      await api.register(ledgerRoutes, parts)
      await api.register(noticeRoutes)
      await api.register(bankRoutes)
      await api.register(documentRoutes)
      await api.register(directoryRoutes)
    },
    { prefix: '/api/v1' }
  )
  await app.register(directoryPages)
  await app.register(consultationPages)
  await app.register(bankPages)
  await app.register(documentPages)
  await app.register(boardPages)
  await app.register(accountPages)
  await app.register(calendarPages)
  await app.register(citizenPages)
  await app.register(deskPages)
  await app.register(deskTicketPages)
  await app.register(trailPages)
  await app.register(officePages)
  await app.register(settingsPages)
  await app.register(unitPages)
  await app.register(standInPages)
  await app.register(proposalPages)
  await app.register(uploadPages)
  await app.register(ledgerPages, parts)
  await app.register(noticePages)
  await app.register(operationRoutes)
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  return app
}

function setErrorHandler(app: FastifyInstance): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const problem = problemOf(error, request)
    if (problem.status >= 500) request.log.error({ err: error }, 'request failed')
    return sendProblem(reply, problem)
  })
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, {
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      code: 'NOT_FOUND',
      detail: '没有这个地址。',
      instance: request.id
    })
  )
}
