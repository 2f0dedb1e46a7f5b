import { type Kysely, sql } from 'kysely'
import { isPostgres } from '../dialect.ts'

/** What the office counts a month by, as src/consultations/office/figures.ts spells it: without these each page reads every ticket. */
const FIELDS = {
  answered: { sqlite: '$.answeredOn', postgres: '{answeredOn}' },
  returned: { sqlite: '$.returns[#-1].at', postgres: '{returns,-1,at}' },
  rated: { sqlite: '$.rating.at', postgres: '{rating,at}' }
} as const

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [name, path] of Object.entries(FIELDS)) {
    const field = isPostgres(db)
      ? sql`(ticket::jsonb #>> ${sql.lit(path.postgres)})`
      : sql`json_extract(ticket, ${sql.lit(path.sqlite)})`
    await sql`create index ${sql.ref(`consultations_${name}`)} on consultations (chain, ${field})`.execute(db)
  }
}
