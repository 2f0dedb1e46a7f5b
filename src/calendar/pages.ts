import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { facts, headOf } from '../views/models.ts'
import { dayLabel } from '../views/text.ts'
import type { Calendar } from './calendar.ts'
import { isDay, weekdayOf } from './day.ts'
import { LONGEST_TERM } from './routes.ts'
import { CalendarUnknown, type Due } from './working-days.ts'

declare module '../views/views.ts' {
  interface Pages {
    calendar: {
      head: Head
      form: { from: string; workingDays: string; longest: number; first: string; last: string }
      /** What cannot be counted, and the way out. */
      problem: Notice | null
      result: {
        /** The last day, as large as an answer's title. */
        title: string
        facts: Fact[]
        /** Why the day is not certain yet; null where it is. */
        provisional: string[] | null
        days: { date: string; count: string; note: string }[]
      } | null
    }
  }
}

/** The plan's term of an answer (R28). */
const USUAL_TERM = 5

/** Anyone can count a term in working days here and see which days were counted. */
export const calendarPages: FastifyPluginAsyncZod = async (app) => {
  app.get(
    '/calendar',
    {
      schema: {
        hide: true,
        querystring: z.object({ from: z.string().trim().optional(), workingDays: z.string().trim().optional() })
      }
    },
    async ({ query }, reply) => {
      const calendar = app.parts.calendar()
      const from = query.from ?? app.parts.today()
      const workingDays = query.workingDays ?? String(USUAL_TERM)
      const counted = count(calendar, from, workingDays)
      if ('problem' in counted) reply.code(400)
      return reply.page('calendar', {
        head: await headOf(app.parts.library, {
          title: '办理期限怎么算',
          crumbs: [{ text: '首页', href: '/' }]
        }),
        form: {
          from: isDay(from) ? from : '',
          workingDays: workingDays.slice(0, 4),
          longest: LONGEST_TERM,
          first: calendar.knownFrom,
          last: calendar.knownTo
        },
        problem: 'problem' in counted ? { title: '还算不了', text: counted.problem } : null,
        result: 'problem' in counted ? null : resultOf(from, Number(workingDays), counted)
      })
    }
  )
}

function count(calendar: Calendar, from: string, workingDays: string): Due | { problem: string } {
  if (!isDay(from)) return { problem: '“从哪天起”要写一个日期，像 2026-11-24 这样。' }
  const days = /^\d{1,4}$/.test(workingDays) ? Number(workingDays) : 0
  if (days < 1 || days > LONGEST_TERM) return { problem: `“工作日天数”要写 1 到 ${LONGEST_TERM} 之间的整数。` }
  try {
    return calendar.due(from, days)
  } catch (error) {
    if (error instanceof CalendarUnknown) return { problem: error.message }
    throw error
  }
}

const WEEKDAYS = '日一二三四五六'
const withWeekday = (day: string) => `${dayLabel(day)}（星期${WEEKDAYS[weekdayOf(day)]}）`

function resultOf(from: string, workingDays: number, { dueOn, latestOn, provisional, days }: Due) {
  let nth = 0
  const years = [...new Set([...days.map(({ date }) => date), latestOn].map((date) => date.slice(0, 4)))]
  return {
    title: dueOn === latestOn ? withWeekday(dueOn) : `${withWeekday(dueOn)}前后`,
    facts: facts(
      ['起算', `${withWeekday(from)}，这一天不算`],
      ['期限', `${workingDays} 个工作日`],
      ['最早', dueOn === latestOn ? null : withWeekday(dueOn)],
      ['最晚', dueOn === latestOn ? null : withWeekday(latestOn)]
    ),
    provisional: provisional ? whyProvisional(years.at(-1) as string, dueOn, latestOn) : null,
    days: days.map(({ date, counts, note }) => ({
      date: dayLabel(date),
      count: counts ? `第 ${++nth} 天` : '不算',
      note
    }))
  }
}

function whyProvisional(year: string, dueOn: string, latestOn: string): string[] {
  return [
    `国家每年年底才公布下一年哪天放假、哪个周末要上班。${year}年的安排还没有公布，所以这个日子是暂定的。`,
    ...(dueOn === latestOn
      ? []
      : [
          `如果附近的周末要调休上班，最早到${dayLabel(dueOn)}；如果都不用上班，最晚到${dayLabel(latestOn)}。下面按最早的算法列出。`
        ]),
    '公布以后会重新计算。'
  ]
}
