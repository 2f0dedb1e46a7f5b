import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Database } from '../database/open.ts'
import type { StaffTable } from '../database/schema.ts'
import { ACTOR_COLUMNS } from './actors.ts'
import { openSecretFile } from './secret-file.ts'

// A session is a random number whose keyed hash is in our own table, so that it can be looked up by person, revoked, and
// joined with the account in one query. @fastify/session keeps a JSON blob per id and knows none of that.

/** One working day with overtime; GB/T 22239-2019 asks that sessions end by themselves, the hours are ours. */
export const SESSION_HOURS = 12
/** A desk left for lunch is signed out; the same source, the minutes are ours. */
export const IDLE_MINUTES = 60
/** When somebody was seen is written at most this often: a write a request costs more than the request. */
const SEEN_EVERY_MS = 60_000

/** 256 bits, as many as the hash keeps. */
const RANDOM_BYTES = 32
const TOKEN_PREFIX = 'zx_'

/** What the hashes of sessions are keyed with: who can only write to the database cannot sign in; another secret signs all out. */
export function openSessionSecret({ sessionSecret, dataDir }: Pick<Config, 'sessionSecret' | 'dataDir'>): Buffer {
  return sessionSecret === null
    ? openSecretFile(join(dataDir, 'session-secret'))[0]
    : Buffer.from(sessionSecret, 'utf8')
}

const keyed = (secret: Buffer, id: string) => createHmac('sha256', secret).update(id).digest('hex')
const plain = (token: string) => createHash('sha256').update(token).digest('hex')
const random = () => randomBytes(RANDOM_BYTES).toString('base64url')

type SignedIn = Pick<StaffTable, (typeof ACTOR_COLUMNS)[number] | 'first_password'>

/** Signs a person in; sessions that are over are deleted on the way. */
export async function openSession(
  db: Database,
  secret: Buffer,
  staff: string,
  now: Date
): Promise<{ id: string; csrf: string }> {
  const id = random()
  const csrf = random()
  const at = now.toISOString()
  await db.transaction().execute(async (transaction) => {
    await transaction.deleteFrom('sessions').where('expires_at', '<=', at).execute()
    await transaction
      .insertInto('sessions')
      .values({
        hash: keyed(secret, id),
        staff,
        csrf,
        created_at: at,
        seen_at: at,
        expires_at: new Date(now.getTime() + SESSION_HOURS * 3600_000).toISOString()
      })
      .execute()
  })
  return { id, csrf }
}

/** Whose session it is, or null: unknown, over, idle too long, or of a person who has left. */
export async function readSession(
  db: Database,
  secret: Buffer,
  id: string,
  now: Date
): Promise<{ staff: SignedIn; csrf: string; seen: (() => Promise<void>) | null } | null> {
  const hash = keyed(secret, id)
  const row = await db
    .selectFrom('sessions')
    .innerJoin('staff', 'staff.id', 'sessions.staff')
    .select(ACTOR_COLUMNS.map((column) => `staff.${column}` as const))
    .select(['staff.first_password', 'sessions.csrf', 'sessions.seen_at'])
    .where('sessions.hash', '=', hash)
    .where('sessions.expires_at', '>', now.toISOString())
    .where('sessions.seen_at', '>', new Date(now.getTime() - IDLE_MINUTES * 60_000).toISOString())
    .where('staff.disabled_at', 'is', null)
    .executeTakeFirst()
  if (row === undefined) return null
  const { csrf, seen_at, ...staff } = row
  const seen = async () => {
    await db.updateTable('sessions').set({ seen_at: now.toISOString() }).where('hash', '=', hash).execute()
  }
  return { staff, csrf, seen: now.getTime() - Date.parse(seen_at) < SEEN_EVERY_MS ? null : seen }
}

/** Signs out. */
export async function closeSession(db: Database, secret: Buffer, id: string): Promise<void> {
  await db.deleteFrom('sessions').where('hash', '=', keyed(secret, id)).execute()
}

/** Ends all sessions of a person. */
export async function closeSessionsOf(db: Database, staff: string): Promise<void> {
  await db.deleteFrom('sessions').where('staff', '=', staff).execute()
}

/** Whether two secrets are one, in a time that tells nothing. */
export function sameSecret(given: string, kept: string): boolean {
  return timingSafeEqual(Buffer.from(plain(given)), Buffer.from(plain(kept)))
}

/**
 * Makes a bearer token for a program that acts as a member of staff.
 * @returns the token, which is kept nowhere
 */
export async function makeToken(db: Database, staff: string, now: Date): Promise<string> {
  const token = `${TOKEN_PREFIX}${random()}`
  await db
    .insertInto('tokens')
    .values({ hash: plain(token), staff, created_at: now.toISOString(), revoked_at: null })
    .execute()
  return token
}

/** Whose token it is, or null: unknown, revoked, or of a person who has left. */
export async function readToken(db: Database, token: string): Promise<SignedIn | null> {
  if (!token.startsWith(TOKEN_PREFIX)) return null
  const row = await db
    .selectFrom('tokens')
    .innerJoin('staff', 'staff.id', 'tokens.staff')
    .select(ACTOR_COLUMNS.map((column) => `staff.${column}` as const))
    .select('staff.first_password')
    .where('tokens.hash', '=', plain(token))
    .where('tokens.revoked_at', 'is', null)
    .where('staff.disabled_at', 'is', null)
    .executeTakeFirst()
  return row ?? null
}

/**
 * Gives a kiosk of a zone its token.
 * @returns the token, which is kept nowhere
 */
export async function makeTerminal(db: Database, zone: string, now: Date): Promise<string> {
  const token = random()
  await db
    .insertInto('terminals')
    .values({ hash: plain(token), zone, created_at: now.toISOString(), revoked_at: null })
    .execute()
  return token
}

/** The zone a kiosk's token stands for, or null. */
export async function zoneOfTerminal(db: Database, token: string): Promise<string | null> {
  const row = await db
    .selectFrom('terminals')
    .select('zone')
    .where('hash', '=', plain(token))
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return row?.zone ?? null
}
