import { randomInt } from 'node:crypto'
import createError from '@fastify/error'
import type { Library } from '../content/library.ts'
import type { GroupCommit } from '../database/group-commit.ts'
import type { Database } from '../database/open.ts'
import type { QueriesTable } from '../database/schema.ts'
import { UnknownZone } from './errors.ts'
import { deskZoneOf } from './intake.ts'
import type { QueryLog } from './query-log.ts'

export const TrailEmpty = createError(
  'TRAIL_EMPTY',
  '没有可以转给咨询台的提问。请先在这里提一个问题，再转给咨询台。',
  422
)
const TrailsFull = createError('TRAILS_FULL', '现在转给咨询台的人太多，请直接到咨询台说明。', 503)

/** How long a kiosk's code opens what was asked: the walk to the desk and its queue (issue: 30 minutes). */
export const TRAIL_MINUTES = 30
/** Questions of one visit; more are no visit. */
export const MOST_QUERIES = 20

const CODES = 1_000_000
const DIGITS = String(CODES - 1).length
/** Thousands of codes stand at most: a free one is found at once, or something is wrong. */
const TRIES = 20

interface Needs {
  db: Database
  writer: GroupCommit
  library: Library
  queryLog: Pick<QueryLog, 'waiting'>
}

export interface Trail {
  code: string
  /** The zone whose desk can open it. */
  zone: string
  /** Last instant at which it opens, ISO 8601. */
  expiresAt: string
}

/**
 * Hands what a citizen asked at a kiosk to the zone's desk by a code of six digits. The same questions get the same code while
 * it opens: a page shown again makes no second one.
 * @param queries ids of the query log; unknown ones are left out
 * @throws {UnknownZone}
 * @throws {TrailEmpty} none of the ids is known
 */
export async function makeTrail(needs: Needs, zoneId: string, queries: readonly string[], now: Date): Promise<Trail> {
  const zones = await needs.library.all('zone')
  const own = zones.get(zoneId)
  if (own === undefined) throw new UnknownZone(zoneId)
  const zone = (deskZoneOf(own, [...zones.values()]) ?? own).content.id
  const known = (await readQueries(needs, queries)).map(({ id }) => id)
  if (known.length === 0) throw new TrailEmpty()
  const content = JSON.stringify(known)
  const oldest = oldestOpen(now)
  return await needs.writer.write(async (trx) => {
    await trx.deleteFrom('trails').where('created_at', '<', oldest).execute()
    const same = await trx
      .selectFrom('trails')
      .selectAll()
      .where('zone', '=', zone)
      .where('queries', '=', content)
      .executeTakeFirst()
    if (same !== undefined) return { code: same.code, zone, expiresAt: expiryOf(same.created_at) }
    const created_at = now.toISOString()
    for (let tries = 0; tries < TRIES; tries++) {
      const code = String(randomInt(CODES)).padStart(DIGITS, '0')
      const { numInsertedOrUpdatedRows } = await trx
        .insertInto('trails')
        .values({ code, zone, queries: content, created_at })
        .onConflict((conflict) => conflict.column('code').doNothing())
        .executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows === 1n) return { code, zone, expiresAt: expiryOf(created_at) }
    }
    throw new TrailsFull()
  })
}

/** One thing a citizen asked at the kiosk. */
export type Asked = Pick<QueriesTable, 'id' | 'text' | 'asked_at' | 'decision'>

/**
 * What a citizen asked, first to last, masked; null where the code is unknown, over, or another zone's.
 * @param typed as the citizen says it, with or without blanks
 */
export async function readTrail(
  needs: Pick<Needs, 'db' | 'queryLog'>,
  zone: string,
  typed: string,
  now: Date
): Promise<Asked[] | null> {
  const code = typed.normalize('NFKC').replace(/[\s-]/g, '')
  if (!/^\d{6}$/.test(code)) return null
  const row = await needs.db
    .selectFrom('trails')
    .select('queries')
    .where('code', '=', code)
    .where('zone', '=', zone)
    .where('created_at', '>=', oldestOpen(now))
    .executeTakeFirst()
  return row === undefined ? null : await readQueries(needs, JSON.parse(row.queries) as string[])
}

/** Queries by their ids, in the order asked, those still waiting to be written too. */
export async function readQueries(
  { db, queryLog }: Pick<Needs, 'db' | 'queryLog'>,
  ids: readonly string[]
): Promise<Asked[]> {
  // PostgreSQL takes no NUL, and only what can be an id is asked for.
  const wanted = [...new Set(ids)].filter((id) => /^[A-Za-z0-9-]{1,64}$/.test(id)).slice(0, MOST_QUERIES)
  if (wanted.length === 0) return []
  const stored = await db
    .selectFrom('queries')
    .select(['id', 'text', 'asked_at', 'decision'])
    .where('id', 'in', wanted)
    .execute()
  const byId = new Map(stored.map((query) => [query.id, query]))
  const found = wanted.flatMap((id) => byId.get(id) ?? queryLog.waiting(id) ?? [])
  return found.sort((a, b) => (a.asked_at < b.asked_at ? -1 : 1))
}

const MINUTE_MS = 60_000
const oldestOpen = (now: Date) => new Date(now.getTime() - TRAIL_MINUTES * MINUTE_MS).toISOString()
const expiryOf = (createdAt: string) => new Date(Date.parse(createdAt) + TRAIL_MINUTES * MINUTE_MS).toISOString()
