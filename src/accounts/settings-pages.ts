import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { instantInChina } from '../calendar/day.ts'
import type { Role } from '../database/schema.ts'
import { NotFound } from '../errors.ts'
import { setWorkingHours, workingHours } from '../notices/reminders.ts'
import { headOf } from '../views/models.ts'
import { dayLabel } from '../views/text.ts'
import type { Badge } from '../views/views.ts'
import { setSelfApproval, unitsApprovingOwn } from './actors.ts'
import { BadAccount } from './errors.ts'
import { actorOn, requireAction } from './guard.ts'
import { type Actor, may, ROLE_NAMES } from './roles.ts'
import { closeSessionsOf } from './sessions.ts'
import { addStaff, disableStaff, listStaff, resetPassword } from './staff.ts'

/** The password of a sample account is public: it changes nothing that is real. */
function notSample({ sample }: Actor): void {
  if (sample) throw new BadAccount('示例账号只供演示，不能开账号，也不能改正式账号。请用正式账号登录。')
}

interface Option {
  value: string
  text: string
  selected: boolean
}

declare module '../views/views.ts' {
  interface Pages {
    settings: {
      head: Head
      problem: string | null
      /** A first password, shown this once. */
      fresh: { username: string; password: string } | null
      people: {
        username: string
        name: string
        role: string
        place: string
        state: Badge
        /** Null for who is closed already, and for oneself. */
        actions: { reset: string; revoke: string; disable: string } | null
      }[]
      form: { username: string; name: string; mail: string; roles: Option[]; zones: Option[]; units: Option[] }
      hours: { from: string; until: string } | null
      units: { id: string; name: string; people: string; on: boolean }[] | null
    }
  }
}

const typed = z.string().trim().max(200).catch('')
const NewPerson = z.object({ username: typed, name: typed, mail: typed, role: typed, zone: typed, unit: typed })
const NOBODY = { username: '', name: '', mail: '', role: 'liaison', zone: '', unit: '' }

/** Accounts, the office's hours, and which units of one person approve their own (domain model 2.6). */
export const settingsPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const { db, library } = parts
  const hide = true
  const users = requireAction('users')
  const office = requireAction('settings')
  const Named = z.object({ username: z.string().max(64) })

  app.get('/office/settings', { onRequest: users, schema: { hide } }, async (request, reply) =>
    reply.page('settings', await pageOf(actorOn(request), {}))
  )

  app.post(
    '/office/settings/staff',
    { onRequest: users, schema: { hide, body: NewPerson } },
    async (request, reply) => {
      const { body } = request
      return await trying(request, reply, body, async () => {
        notSample(actorOn(request))
        const role = (Object.keys(ROLE_NAMES) as Role[]).find((one) => one === body.role)
        if (role === undefined) throw new BadAccount('身份：请选一个。')
        const inZone = role === 'clerk'
        const inUnit = role === 'liaison' || role === 'leader'
        const none = (value: string) => (value === '' ? null : value)
        const person = {
          username: body.username,
          name: body.name,
          role,
          // A place left over from another choice is not meant.
          zone: inZone ? none(body.zone) : null,
          unit: inUnit ? none(body.unit) : null,
          mail: none(body.mail)
        }
        if (inZone && person.zone === null) throw new BadAccount('专区：窗口人员要选所在的专区。')
        if (inUnit && person.unit === null) throw new BadAccount(`单位：${ROLE_NAMES[role]}要选所在的单位。`)
        const fresh = await addStaff({ db, library }, person, parts.now())
        return reply.header('cache-control', 'no-store').page('settings', await pageOf(actorOn(request), { fresh }))
      })
    }
  )

  app.post(
    '/office/settings/staff/:username/:step',
    {
      onRequest: users,
      schema: { hide, params: Named.extend({ step: z.enum(['reset', 'revoke', 'disable']) }) }
    },
    async (request, reply) => {
      const { username, step } = request.params
      const actor = actorOn(request)
      return await trying(request, reply, NOBODY, async () => {
        if (username === actor.username)
          throw new BadAccount('这是您自己的账号。改密码请到“修改密码”；停用请由另一位办理。')
        const person = (await listStaff(db)).find((one) => one.username === username && one.disabled_at === null)
        if (person === undefined) throw new BadAccount(`没有在用的账号「${username}」，可能已经停用。`)
        if (person.sample === 0) notSample(actor)
        if (step === 'reset') {
          const password = await resetPassword(db, username)
          return reply
            .header('cache-control', 'no-store')
            .page('settings', await pageOf(actor, { fresh: { username, password } }))
        }
        if (step === 'revoke') await closeSessionsOf(db, person.id)
        else await disableStaff(db, username, parts.now())
        return reply.redirect(`/office/settings?said=${step === 'revoke' ? 'signedOut' : 'disabled'}`, 303)
      })
    }
  )

  app.post(
    '/office/settings/self-approval',
    { onRequest: office, schema: { hide, body: z.object({ unit: typed, on: z.enum(['1', '0']) }) } },
    async (request, reply) => {
      const { unit, on } = request.body
      const actor = actorOn(request)
      if (!(await library.all('unit')).has(unit)) throw new NotFound('单位', unit)
      await setSelfApproval(db, { unit, on: on === '1', by: actor.username, now: parts.now() })
      return reply.redirect('/office/settings?said=saved', 303)
    }
  )

  app.post(
    '/office/settings/hours',
    { onRequest: office, schema: { hide, body: z.object({ from: typed, until: typed }) } },
    async (request, reply) => {
      const actor = actorOn(request)
      const { from, until } = request.body
      if (!(await setWorkingHours(db, { from, until }, { by: actor.username, now: parts.now() }))) {
        const problem = '工作时间：请写成 09:00 这样的时刻，上班要早于下班。'
        return reply.code(400).page('settings', await pageOf(actor, { problem }))
      }
      return reply.redirect('/office/settings?said=saved', 303)
    }
  )

  /** What is refused comes back with what was typed. */
  async function trying(
    request: FastifyRequest,
    reply: FastifyReply,
    person: z.infer<typeof NewPerson>,
    step: () => Promise<FastifyReply>
  ): Promise<FastifyReply> {
    try {
      return await step()
    } catch (error) {
      if (!(error instanceof BadAccount || error instanceof NotFound)) throw error
      const page = await pageOf(actorOn(request), { problem: error.message, person })
      return reply.code(error.statusCode ?? 400).page('settings', page)
    }
  }

  async function pageOf(
    actor: Actor,
    given: {
      problem?: string
      person?: z.infer<typeof NewPerson>
      fresh?: { username: string; password: string }
    }
  ) {
    const [zones, units, staff] = [await library.all('zone'), await library.all('unit'), await listStaff(db)]
    const person = given.person ?? NOBODY
    const options = (all: ReadonlyMap<string, { content: { id: string; name: string } }>, chosen: string) => [
      { value: '', text: '请选择', selected: chosen === '' },
      ...[...all.values()].map(({ content: { id, name } }) => ({ value: id, text: name, selected: id === chosen }))
    ]
    const canSet = may(actor, 'settings')
    const ofUnits = new Map<string, string[]>()
    for (const { unit, name, role, disabled_at } of staff) {
      if (unit !== null && disabled_at === null) {
        ofUnits.set(unit, [...(ofUnits.get(unit) ?? []), `${name}（${ROLE_NAMES[role]}）`])
      }
    }
    const approving = canSet ? await unitsApprovingOwn(db) : new Set<string>()
    return {
      head: await headOf(library, { title: '设置' }),
      problem: given.problem ?? null,
      fresh: given.fresh ?? null,
      people: staff.map((one) => ({
        username: one.username,
        name: one.name,
        role: ROLE_NAMES[one.role],
        place: zones.get(one.zone ?? '')?.content.name ?? units.get(one.unit ?? '')?.content.name ?? '',
        state: stateOf(one),
        actions:
          one.disabled_at !== null || one.username === actor.username
            ? null
            : {
                reset: `/office/settings/staff/${encodeURIComponent(one.username)}/reset`,
                revoke: `/office/settings/staff/${encodeURIComponent(one.username)}/revoke`,
                disable: `/office/settings/staff/${encodeURIComponent(one.username)}/disable`
              }
      })),
      form: {
        username: person.username,
        name: person.name,
        mail: person.mail,
        roles: (Object.keys(ROLE_NAMES) as Role[]).map((role) => ({
          value: role,
          text: ROLE_NAMES[role],
          selected: role === person.role
        })),
        zones: options(zones, person.zone),
        units: options(units, person.unit)
      },
      hours: canSet ? await workingHours(db) : null,
      // Only where one person is both: elsewhere it would do nothing.
      units: canSet
        ? [...new Set([...approving, ...[...ofUnits].filter(([, names]) => names.length === 1).map(([id]) => id)])].map(
            (id) => ({
              id,
              name: units.get(id)?.content.name ?? id,
              people: (ofUnits.get(id) ?? []).join('、'),
              on: approving.has(id)
            })
          )
        : null
    }
  }

  function stateOf({
    disabled_at,
    locked_until,
    first_password,
    sample
  }: Awaited<ReturnType<typeof listStaff>>[number]): Badge {
    if (disabled_at !== null) return { code: '', text: `${dayLabel(instantInChina(disabled_at).slice(0, 10))}停用` }
    if (locked_until !== null && locked_until > parts.now().toISOString()) {
      return { code: 'late', text: `锁定到 ${instantInChina(locked_until).slice(11, 16)}` }
    }
    if (first_password === 1) return { code: 'soon', text: '还没有登录过' }
    return { code: 'done', text: sample === 1 ? '在用（示例）' : '在用' }
  }
}
