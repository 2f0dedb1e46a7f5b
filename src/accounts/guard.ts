import cookie from '@fastify/cookie'
import formBody from '@fastify/formbody'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Role } from '../database/schema.ts'
import { actorOf } from './actors.ts'
import { BadCsrf, ChangePasswordFirst, NotAllowed, NotSignedIn } from './errors.ts'
import { type Action, type Actor, may, ROLE_NAMES, whoMay } from './roles.ts'
import { closeSession, openSession, readSession, readToken, sameSecret } from './sessions.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who acts, by session or bearer token; null for everybody else. */
    staff: Actor | null
    /** The session's token for the field `_csrf` of every form; null without a session. */
    csrf: string | null
    /** The person signed in with a password somebody else has seen. */
    firstPassword: boolean
  }
  interface FastifyReply {
    /** Signs a person in, on this browser; a session it had ends. */
    signIn(staff: string): Promise<void>
    /** Ends this browser's session. */
    signOut(): Promise<void>
  }
  interface FastifyContextConfig {
    /** Open to everybody: who sends the session's cookie without its CSRF token is nobody here, instead of refused. */
    everybody?: true
  }
}

const COOKIE = 'session'
const READS: readonly string[] = ['GET', 'HEAD', 'OPTIONS']

type Hook = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/** Knows who acts on every request, and refuses a write by cookie that does not carry the session's CSRF token. */
export const guard = fp(
  async (app) => {
    const { parts } = app
    const { db, config, secret } = parts
    const attributes = {
      path: '/',
      httpOnly: true,
      sameSite: 'lax',
      secure: config.publicUrl?.startsWith('https:') === true
    } as const
    if (!app.hasPlugin('@fastify/cookie')) await app.register(cookie)
    if (!app.hasContentTypeParser('application/x-www-form-urlencoded')) await app.register(formBody)

    app.decorateRequest('staff', null)
    app.decorateRequest('csrf', null)
    app.decorateRequest('firstPassword', false)
    app.decorateReply('signIn', async function signIn(this: FastifyReply, staff: string) {
      const old = this.request.cookies[COOKIE]
      if (old !== undefined) await closeSession(db, secret, old)
      const { id } = await openSession(db, secret, staff, parts.now())
      this.setCookie(COOKIE, id, attributes)
    })
    app.decorateReply('signOut', async function signOut(this: FastifyReply) {
      const id = this.request.cookies[COOKIE]
      if (id !== undefined) await closeSession(db, secret, id)
      this.clearCookie(COOKIE, attributes)
    })

    app.addHook('onRequest', async (request) => {
      const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
      if (token !== undefined) {
        const row = await readToken(db, token)
        if (row !== null) request.staff = await actorOf(db, row, parts.today())
        return
      }
      const id = request.cookies[COOKIE]
      if (id === undefined || request.url.startsWith('/assets/')) return
      const session = await readSession(db, secret, id, parts.now())
      if (session === null) return
      request.staff = await actorOf(db, session.staff, parts.today())
      request.csrf = session.csrf
      request.firstPassword = session.staff.first_password === 1
      // Who reads while another program writes is not refused for it.
      await session.seen?.().catch((error: unknown) => request.log.warn({ err: error }, 'session not renewed'))
    })

    // Before validation, which would take a field the schema does not know out of the body.
    app.addHook('preValidation', async (request) => {
      const given = givenCsrf(request)
      if (request.csrf === null || READS.includes(request.method)) return
      if (given !== null && sameSecret(given, request.csrf)) return
      if (request.routeOptions.config?.everybody !== true) throw new BadCsrf()
      request.staff = null
      request.csrf = null
    })
  },
  { name: 'guard' }
)

/** The CSRF token a request carries; taken out of its form. A file form may carry it in its address: its body is read later. */
function givenCsrf({ headers, body, query }: FastifyRequest): string | null {
  const header = headers['x-csrf-token']
  if (typeof header === 'string') return header
  if (typeof body === 'object' && body !== null && '_csrf' in body) {
    const { _csrf } = body
    delete body._csrf
    if (typeof _csrf === 'string') return _csrf
  }
  const { _csrf } = (query ?? {}) as { _csrf?: unknown }
  return headers['content-type']?.startsWith('multipart/') === true && typeof _csrf === 'string' ? _csrf : null
}

/**
 * Lets in who has one of the roles, or stands in for one; everybody signed in where none is named.
 * A page without session leads to the sign-in page, an API call is answered 401.
 */
export function requireStaff(...roles: readonly Role[]): Hook {
  return require((actor) =>
    roles.length === 0 || roles.includes(actor.role) || actor.roles.some(({ role }) => roles.includes(role)), () =>
    roles.map((role) => ROLE_NAMES[role]).join('、'))
}

/** Lets in who may do it to some ticket; whether to this one, `mayOn` says. */
export function requireAction(action: Action): Hook {
  return require((actor) => may(actor, action), () => whoMay(action))
}

function require(lets: (actor: Actor) => boolean, who: () => string): Hook {
  return async (request, reply) => {
    const { staff } = request
    const page = !request.url.startsWith('/api/')
    if (staff === null) {
      if (!page) throw new NotSignedIn()
      const back = READS.includes(request.method) ? `?${new URLSearchParams({ back: request.url })}` : ''
      return reply.redirect(`/login${back}`, 302)
    }
    if (request.firstPassword) {
      if (!page) throw new ChangePasswordFirst()
      return reply.redirect('/password', 302)
    }
    if (!lets(staff)) throw new NotAllowed(who(), ROLE_NAMES[staff.role])
  }
}

/** Who acts, on a route that `requireStaff` or `requireAction` guards. */
export function actorOn({ staff }: Pick<FastifyRequest, 'staff'>): Actor {
  if (staff === null) throw new NotSignedIn()
  return staff
}
