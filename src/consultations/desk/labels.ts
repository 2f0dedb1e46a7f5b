import type { FastifyRequest } from 'fastify'
import type { Database } from '../../database/open.ts'
import type { LabelsTable } from '../../database/schema.ts'
import type { Parts } from '../../parts.ts'
import { labelQuery } from '../labels.ts'
import { findTicket } from '../records.ts'
import type { Ticket } from '../ticket.ts'

/** What the desk did says whether the bank was right; that it is not kept never undoes what was done. */
export async function labelTicket(
  parts: Parts,
  request: FastifyRequest,
  number: string,
  entry: string | null
): Promise<void> {
  try {
    const ticket = await findTicket(parts.db, number)
    if (ticket === null || ticket.chain === 'sample') return
    await parts.queryLog.flush()
    const [label, other] = labelFor(ticket, entry)
    await parts.writer.write((trx) =>
      labelQuery(trx as unknown as Database, ticket.search.queryId, label, other, parts.now())
    )
  } catch (error) {
    request.log.warn({ err: error, number }, 'label not kept')
  }
}

/** What registering with an entry, or without one, says of the search. */
function labelFor({ search }: Ticket, entry: string | null): [LabelsTable['label'], string | null] {
  if (entry === null) return ['wrong', null]
  const key = `qa/${entry}`
  return search.candidates[0]?.key === key ? ['right', null] : ['other', key]
}
