import type { Calendar } from '../calendar/calendar.ts'
import type { GroupCommit } from '../database/group-commit.ts'
import { ConsultationNotFound, NotNow } from './errors.ts'
import { append, CITIZEN } from './events.ts'
import { dueOf } from './intake.ts'
import { findTicket } from './records.ts'
import { REOPEN_WITHIN, type State, STATE_NAMES, type Ticket } from './ticket.ts'

export interface RateNeeds {
  writer: GroupCommit
  calendar: () => Calendar
  now: () => Date
  today: () => string
}

const TOLD: readonly State[] = ['ANSWERED', 'CLOSED', 'UNREACHED', 'ANSWERED_ON_SPOT', 'GUIDED_ELSEWHERE']

/** Whether the citizen may still say that it is not solved: within ten working days of the answer (domain model 2.2, rule 4). */
export function isReopenable({ calendar, today }: Pick<RateNeeds, 'calendar' | 'today'>, ticket: Ticket): boolean {
  if (!TOLD.includes(ticket.state)) return false
  const since = ticket.answeredOn ?? ticket.registeredOn
  return calendar().workingDaysBetween(since, today()) <= REOPEN_WITHIN
}

/**
 * Takes in what a citizen says of an answer, without an account (R42). 没解决 reopens it with a new clock: to the unit that
 * answered, or to the desk where the bank had answered.
 * @throws {NotNow} nothing was answered yet, or it was rated already, or too long ago
 */
export async function rate(needs: RateNeeds, number: string, solved: boolean): Promise<Ticket> {
  return await needs.writer.write(async (trx) => {
    const ticket = await findTicket(trx, number)
    if (ticket === null) throw new ConsultationNotFound()
    if (ticket.rating !== null && ticket.rating.solved === solved) return ticket
    if (!TOLD.includes(ticket.state)) throw new NotNow(`这件咨询现在是“${STATE_NAMES[ticket.state]}”，答复了才能评价。`)
    if (ticket.rating !== null) throw new NotNow('您已经评价过了。有变化请打答复单位的电话，或者重新咨询。')
    const within = isReopenable(needs, ticket)
    if (!solved && !within) throw new NotNow(`答复已超过${REOPEN_WITHIN}个工作日，请重新咨询，会登记为新的一件。`)
    const { chain } = ticket
    const at = needs.now().toISOString()
    const rated = await append(trx, { chain, number, ticket }, { type: 'rated', data: { solved }, by: CITIZEN, at })
    // Nobody can be told again who left no phone; the rating stands and counts.
    if (solved || !ticket.hasContact) return rated
    const calendar = needs.calendar()
    const day = needs.today()
    const due = dueOf(calendar, calendar.nextWorkingDay(day))
    return await append(
      trx,
      { chain, number, ticket: rated },
      { type: 'reopened', data: { reason: '咨询人评价：没解决', due, day }, by: CITIZEN, at }
    )
  })
}
