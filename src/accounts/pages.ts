import type { FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import type { Role } from '../database/schema.ts'
import { headOf } from '../views/models.ts'
import { localPath } from '../views/views.ts'
import { BadAccount, ForeignForm } from './errors.ts'
import { changePassword, checkPassword, LOCKED_MINUTES, MOST_FAILURES, SHORTEST_PASSWORD } from './staff.ts'

declare module '../views/views.ts' {
  interface Pages {
    login: {
      head: Head
      problem: string | null
      username: string
      back: string
    }
    password: {
      head: Head
      /** The person signed in with a first password, and can do nothing else. */
      forced: boolean
      problem: string | null
      rule: string
      back: string
    }
  }
}

/** Where each role works. */
export const HOME_OF: Readonly<Record<Role, string>> = {
  clerk: '/desk',
  liaison: '/unit',
  leader: '/unit',
  office: '/office',
  admin: '/office'
}

/** The same for an unknown name, a wrong password, a locked account and one that is closed. */
const REFUSED = `用户名或密码不对。连错 ${MOST_FAILURES} 次，要等 ${LOCKED_MINUTES} 分钟才能再试。忘了密码，请找系统管理员重设。`
const RULE = `至少 ${SHORTEST_PASSWORD} 个字符，不能含用户名。几个不相干的词连起来，最好记。`

const typed = z.string().default('')

/** `/login`, `/logout` and `/password`. */
export const accountPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const { db, library } = parts
  const hide = true

  app.get(
    '/login',
    { schema: { hide, querystring: z.object({ back: typed }) } },
    async ({ staff, query: { back } }, reply) => {
      if (staff !== null) return reply.redirect(wayBack(back, staff.role), 303)
      const head = await headOf(library, { title: '工作人员登录' })
      return reply.page('login', { head, problem: null, username: '', back: localPath(back) })
    }
  )

  app.post(
    '/login',
    {
      config: { everybody: true },
      schema: { hide, body: z.object({ username: typed, password: typed, back: typed }) }
    },
    async (request, reply) => {
      const { username, password, back } = request.body
      refuseForeign(request, parts.config.publicUrl)
      const found = await checkPassword(db, { username, password }, parts.now())
      if (found === null) {
        request.log.warn({ address: request.ip }, 'sign-in refused')
        const head = await headOf(library, { title: '工作人员登录' })
        return reply.code(401).page('login', { head, problem: REFUSED, username, back: localPath(back) })
      }
      await reply.signIn(found.id)
      request.log.info({ staff: found.id, address: request.ip }, 'signed in')
      const to = wayBack(back, found.role)
      return reply.redirect(found.first_password === 1 ? `/password?${new URLSearchParams({ back: to })}` : to, 303)
    }
  )

  app.post('/logout', { schema: { hide } }, async (_, reply) => {
    await reply.signOut()
    return reply.redirect('/login', 303)
  })

  const model = async ({ firstPassword: forced }: FastifyRequest, problem: string | null, back: string) => ({
    head: await headOf(library, { title: '修改密码' }),
    forced,
    problem,
    rule: RULE,
    back: localPath(back)
  })

  app.get('/password', { schema: { hide, querystring: z.object({ back: typed }) } }, async (request, reply) => {
    if (request.csrf === null) return reply.redirect('/login?back=/password', 302)
    return reply.page('password', await model(request, null, request.query.back))
  })

  app.post(
    '/password',
    { schema: { hide, body: z.object({ password: typed, chosen: typed, again: typed, back: typed }) } },
    async (request, reply) => {
      const { password, chosen, again, back } = request.body
      const { staff, csrf } = request
      // A bearer token is no person at a keyboard.
      if (staff === null || csrf === null) return reply.redirect('/login?back=/password', 302)
      try {
        if (chosen !== again) throw new BadAccount('两次输入的新密码不一样，请重新输入。')
        await changePassword(db, { username: staff.username, password, chosen, now: parts.now() })
      } catch (error) {
        if (!(error instanceof BadAccount)) throw error
        return reply.code(400).page('password', await model(request, error.message, back))
      }
      await reply.signIn(staff.id)
      request.log.info({ staff: staff.id }, 'password changed')
      return reply.redirect(wayBack(back, staff.role), 303)
    }
  )
}

/** To where the person was going, else to where the role works. */
function wayBack(back: string, role: Role): string {
  // Encoded as a browser would: a header takes ASCII alone.
  const { pathname, search } = new URL(localPath(back), 'http://localhost')
  const path = `${pathname}${search}`
  return path === '/' || /^\/(login|logout|password)\b/.test(path) ? HOME_OF[role] : path
}

/**
 * Refuses a sign-in form another site sent, which would leave somebody at work in a stranger's account. There is no session
 * yet to hold a token; browsers say where a form comes from (over plain HTTP only by Origin, which is `null` under our own
 * referrer policy).
 */
function refuseForeign({ headers, host }: FastifyRequest, publicUrl: string | null): void {
  const { origin, 'sec-fetch-site': site } = headers
  if (site === 'cross-site') throw new ForeignForm()
  if (site !== undefined || origin === undefined || origin === 'null') return
  const from = URL.canParse(origin) ? new URL(origin).host : ''
  if (from !== host && (publicUrl === null || from !== new URL(publicUrl).host)) throw new ForeignForm()
}
