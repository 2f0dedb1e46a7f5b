import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { addStandIn, removeStandIn } from '../../accounts/actors.ts'
import { BadAccount } from '../../accounts/errors.ts'
import { actorOn, requireStaff } from '../../accounts/guard.ts'
import { type Actor, ROLE_NAMES } from '../../accounts/roles.ts'
import { listStaff } from '../../accounts/staff.ts'
import { isDay } from '../../calendar/day.ts'
import type { Parts } from '../../parts.ts'
import { headOf } from '../../views/models.ts'
import { dayLabel } from '../../views/text.ts'
import { typedText } from './form.ts'
import type { Option } from './ticket-page.ts'

declare module '../../views/views.ts' {
  interface Pages {
    'unit-stand-in': {
      head: Head
      problem: string | null
      people: { absent: Option[]; staff: Option[] }
      from: string
      until: string
      /** Too few people to stand in for one another. */
      alone: boolean
      standIns: { id: string; text: string; days: string; now: boolean }[]
    }
  }
}

/** Who stands in for whom in a unit; its leader says. */
export const standInPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const { db } = parts
  const hide = true
  const leaderOnly = requireStaff('leader')

  app.get('/unit/stand-in', { onRequest: leaderOnly, schema: { hide } }, async (request, reply) =>
    reply.page('unit-stand-in', await standInPage(parts, actorOn(request), null, null))
  )

  const StandIn = z.object({ absent: typedText, staff: typedText, from: typedText, until: typedText })

  app.post('/unit/stand-in', { onRequest: leaderOnly, schema: { hide, body: StandIn } }, async (request, reply) => {
    const actor = actorOn(request)
    const { body } = request
    try {
      const known = new Set((await unitPeople(parts, actor)).map(({ username }) => username))
      if (!known.has(body.absent) || !known.has(body.staff))
        throw new BadAccount('请选本单位的两个人：谁不在，由谁代办。')
      if (!isDay(body.from) || !isDay(body.until)) throw new BadAccount('日期：请选从哪天到哪天。')
      if (body.until < parts.today()) throw new BadAccount('日期：最后一天已经过去，请另选。')
      await addStandIn(db, { ...body, by: actor.username, now: parts.now() })
    } catch (error) {
      if (!(error instanceof BadAccount)) throw error
      return reply.code(400).page('unit-stand-in', await standInPage(parts, actor, error.message, body))
    }
    return reply.redirect('/unit/stand-in?said=saved', 303)
  })

  app.post(
    '/unit/stand-in/end',
    { onRequest: leaderOnly, schema: { hide, body: z.object({ id: typedText }) } },
    async (request, reply) => {
      const own = await standInsOf(parts, await unitPeople(parts, actorOn(request)))
      // One of another unit, or one ended a moment ago: nothing is left to do.
      if (own.some(({ id }) => id === request.body.id)) await removeStandIn(db, request.body.id)
      return reply.redirect('/unit/stand-in?said=saved', 303)
    }
  )
}

interface Person {
  id: string
  username: string
  name: string
  role: 'liaison' | 'leader'
}

/** Liaisons and leaders in use of the units this person leads. */
async function unitPeople({ db }: Parts, actor: Actor): Promise<Person[]> {
  const led = new Set(actor.roles.filter(({ role }) => role === 'leader').map(({ unit }) => unit))
  return (await listStaff(db)).flatMap(({ id, username, name, role, unit, disabled_at }) =>
    unit !== null && led.has(unit) && disabled_at === null && (role === 'liaison' || role === 'leader')
      ? [{ id, username, name, role }]
      : []
  )
}

async function standInsOf({ db, today }: Parts, people: readonly Person[]) {
  if (people.length === 0) return []
  return await db
    .selectFrom('stand_ins')
    .select(['id', 'absent', 'staff', 'from_on', 'until_on'])
    .where(
      'absent',
      'in',
      people.map(({ id }) => id)
    )
    .where('until_on', '>=', today())
    .orderBy('from_on')
    .orderBy('made_at')
    .execute()
}

async function standInPage(
  parts: Parts,
  actor: Actor,
  problem: string | null,
  typed: { absent: string; staff: string; from: string; until: string } | null
) {
  const people = await unitPeople(parts, actor)
  const names = new Map((await listStaff(parts.db)).map(({ id, name }) => [id, name]))
  const labels = new Map(people.map(({ id, name, role }) => [id, `${name}（${ROLE_NAMES[role]}）`]))
  const options = (chosen: string) => [
    { value: '', text: '请选择', selected: chosen === '' },
    ...people.map(({ id, username }) => ({
      value: username,
      text: labels.get(id) ?? username,
      selected: chosen === username
    }))
  ]
  const today = parts.today()
  return {
    head: await headOf(parts.library, { title: '请人代办' }),
    problem,
    people: { absent: options(typed?.absent ?? ''), staff: options(typed?.staff ?? '') },
    from: typed?.from ?? today,
    until: typed?.until ?? today,
    alone: people.length < 2,
    standIns: (await standInsOf(parts, people)).map(({ id, absent, staff, from_on: from, until_on: until }) => ({
      id,
      text: `${labels.get(staff) ?? names.get(staff) ?? ''} 代办 ${labels.get(absent) ?? ''} 的工作`,
      days: from === until ? dayLabel(from) : `${dayLabel(from)} 至 ${dayLabel(until)}`,
      now: from <= today
    }))
  }
}
