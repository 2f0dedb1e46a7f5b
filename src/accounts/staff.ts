import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { hash, verify } from '@node-rs/argon2'
import type { Insertable } from 'kysely'
import * as z from 'zod'
import type { Library } from '../content/library.ts'
import type { Database } from '../database/open.ts'
import type { Role, StaffTable } from '../database/schema.ts'
import { NotFound } from '../errors.ts'
import { BadAccount } from './errors.ts'
import { ROLE_NAMES } from './roles.ts'
import { closeSessionsOf, makeTerminal, makeToken } from './sessions.ts'

/** argon2id (the library's default kind) with the least OWASP's password storage cheat sheet allows: 19 MiB, 2 passes, 1 lane. */
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** GB/T 22239-2019 (等级保护) asks that wrong sign-ins be limited, without figures: these are ours. */
export const MOST_FAILURES = 5
export const LOCKED_MINUTES = 15
/** A refusal takes this long whatever it is for, so that time tells nothing: argon2 takes 30 ms, a write to a slow disk 50. */
const REFUSED_AFTER_MS = 250

/** NIST SP 800-63B asks for 8 at least; two more, because nothing else but the lock stands behind it. */
export const SHORTEST_PASSWORD = 10
/** Above it somebody pastes a file. */
const LONGEST_PASSWORD = 128
/** 1111111111 is long and no password. */
const LEAST_DIFFERENT = 5

/** No 0 o 1 l i: a first password is read out, or copied from a slip. */
const TYPED = 'abcdefghjkmnpqrstuvwxyz23456789'
/** 3 × 4 of 31 characters: 59 bits. */
const GROUPS = 3
const GROUP = 4

const USERNAME = /^[\p{Script=Han}a-z0-9._-]{2,32}$/u
/** Actors of events that are no person. */
const RESERVED: readonly string[] = ['citizen', 'system']

/** What an account is made from. */
export interface NewStaff {
  username: string
  name: string
  role: Role
  /** A clerk's zone, else null. */
  zone: string | null
  /** A liaison's or leader's unit, else null. */
  unit: string | null
  mail: string | null
}

interface Needs {
  db: Database
  library: Library
}

/** As accounts are kept and looked up: full-width and capital letters are the same person. */
function usernameOf(typed: string): string {
  return typed.normalize('NFKC').trim().toLowerCase()
}

/** An input method may type the same password full-width. */
const passwordOf = (typed: string) => typed.normalize('NFKC')

const hashOf = (password: string) => hash(passwordOf(password), ARGON2)

/** Random, easily typed. */
export function drawPassword(): string {
  const group = () => Array.from({ length: GROUP }, () => TYPED.charAt(randomInt(TYPED.length))).join('')
  return Array.from({ length: GROUPS }, group).join('-')
}

/**
 * Opens an account.
 * @returns its user name, and its first password, which is kept nowhere
 * @throws {BadAccount} naming the field
 */
export async function addStaff(
  { db, library }: Needs,
  person: NewStaff,
  now: Date
): Promise<{ username: string; password: string }> {
  const password = drawPassword()
  const row = await accountOf(library, { ...person, password, sample: false }, now)
  await insertAccount(db, row)
  return { username: row.username, password }
}

/**
 * An account as it is stored, with a password somebody else has seen, or a sample's.
 * @throws {BadAccount} naming the field
 */
export async function accountOf(
  library: Library,
  person: NewStaff & { password: string; sample: boolean },
  now: Date
): Promise<Insertable<StaffTable>> {
  const { role, password, sample } = person
  const username = usernameOf(person.username)
  const name = person.name.trim()
  if (!USERNAME.test(username)) throw new BadAccount('用户名要 2 到 32 个字，只用汉字、字母、数字和 . _ - 。')
  if (RESERVED.includes(username)) throw new BadAccount(`用户名「${username}」由系统自用，请换一个。`)
  if (name === '' || name.length > 32) throw new BadAccount('姓名要 1 到 32 个字：台账上要写经办人。')
  if (person.mail !== null && !z.email().safeParse(person.mail).success) throw new BadAccount('邮箱写得不对，请核对。')
  const zone = await placeOf(library, 'zone', role === 'clerk', person.zone, role)
  const unit = await placeOf(library, 'unit', role === 'liaison' || role === 'leader', person.unit, role)
  return {
    id: randomUUID(),
    username,
    name,
    role,
    zone,
    unit,
    mail: person.mail,
    password: await hashOf(password),
    first_password: sample ? 0 : 1,
    locked_until: null,
    disabled_at: null,
    sample: sample ? 1 : 0,
    created_at: now.toISOString()
  }
}

/** Stores an account. */
export async function insertAccount(db: Database, row: Insertable<StaffTable>): Promise<void> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('staff')
    .values(row)
    .onConflict((conflict) => conflict.column('username').doNothing())
    .executeTakeFirstOrThrow()
  if (numInsertedOrUpdatedRows !== 1n) throw new BadAccount(`用户名「${row.username}」已经有人用了，请换一个。`)
}

const PLACES = { zone: '专区', unit: '单位' } as const

async function placeOf(
  library: Library,
  kind: keyof typeof PLACES,
  needed: boolean,
  id: string | null,
  role: Role
): Promise<string | null> {
  if (!needed) {
    if (id !== null) throw new BadAccount(`${ROLE_NAMES[role]}不属于哪个${PLACES[kind]}，请不要写${PLACES[kind]}。`)
    return null
  }
  if (id === null) throw new BadAccount(`${ROLE_NAMES[role]}要写明所在${PLACES[kind]}的编号。`)
  if (!(await library.all(kind)).has(id)) throw new BadAccount(`没有编号为「${id}」的${PLACES[kind]}，请核对。`)
  return id
}

/** Who signed in. */
interface Credentials {
  username: string
  password: string
}

/** Stands in for the hash of who does not exist; made once, with the same parameters. */
let nobody: Promise<string> | null = null

/**
 * Whose name and password these are, or null: unknown name, wrong password, locked or left look the same and take as long.
 * Each try is counted before it is checked, so that many at once are no more than one after another.
 */
export async function checkPassword(
  db: Database,
  { username, password }: Credentials,
  now: Date
): Promise<Pick<StaffTable, 'id' | 'role' | 'first_password'> | null> {
  const earliest = setTimeout(REFUSED_AFTER_MS)
  nobody ??= hashOf(randomBytes(16).toString('hex'))
  const at = now.toISOString()
  const row = await db
    .updateTable('staff')
    .set((eb) => ({
      failures: eb
        .case()
        .when('locked_until', 'is not', null)
        .then(1)
        .else(eb('failures', '+', 1))
        .end(),
      locked_until: null
    }))
    .where('username', '=', usernameOf(username))
    .where('disabled_at', 'is', null)
    .where((eb) => eb.or([eb('locked_until', 'is', null), eb('locked_until', '<=', at)]))
    .returning(['id', 'role', 'first_password', 'password', 'failures'])
    .executeTakeFirst()
  const right = await verify(row?.password ?? (await nobody), passwordOf(password))
  if (row !== undefined && right && row.failures <= MOST_FAILURES) {
    await db.updateTable('staff').set({ failures: 0, locked_until: null }).where('id', '=', row.id).execute()
    const { id, role, first_password } = row
    return { id, role, first_password }
  }
  if (row !== undefined && row.failures >= MOST_FAILURES) {
    const until = new Date(now.getTime() + LOCKED_MINUTES * 60_000).toISOString()
    await db.updateTable('staff').set({ locked_until: until }).where('id', '=', row.id).execute()
  }
  await earliest
  return null
}

/** Why a password is none, for the person who chose it; or null. */
function problemWithPassword(username: string, chosen: string): string | null {
  const password = passwordOf(chosen)
  const characters = [...password]
  if (characters.length < SHORTEST_PASSWORD)
    return `新密码至少要 ${SHORTEST_PASSWORD} 个字符，现在是 ${characters.length} 个。`
  if (characters.length > LONGEST_PASSWORD) return `新密码最多 ${LONGEST_PASSWORD} 个字符。`
  if (new Set(characters).size < LEAST_DIFFERENT) return `新密码里不同的字符太少，至少要 ${LEAST_DIFFERENT} 种。`
  if (password.toLowerCase().includes(username)) return '新密码里不能有用户名。'
  return null
}

/**
 * Replaces a password by one of the person's own and ends all sessions.
 * @throws {BadAccount} saying what is wrong with it
 */
export async function changePassword(
  db: Database,
  { username, password, chosen, now }: Credentials & { chosen: string; now: Date }
): Promise<void> {
  const found = await checkPassword(db, { username, password }, now)
  if (found === null)
    throw new BadAccount(`现在的密码不对，没有改动。连错 ${MOST_FAILURES} 次要等 ${LOCKED_MINUTES} 分钟。`)
  const problem = problemWithPassword(usernameOf(username), chosen)
  if (problem !== null) throw new BadAccount(problem)
  if (passwordOf(chosen) === passwordOf(password)) throw new BadAccount('新密码和现在的一样，请换一个。')
  await setPassword(db, found.id, chosen, 0)
}

/**
 * Gives a person who forgot the password a new first one; ends all sessions and any lock.
 * @returns the password, which is kept nowhere
 */
export async function resetPassword(db: Database, username: string): Promise<string> {
  const { id } = await staffNamed(db, username)
  const password = drawPassword()
  await setPassword(db, id, password, 1)
  return password
}

async function setPassword(db: Database, id: string, chosen: string, first: 0 | 1): Promise<void> {
  const password = await hashOf(chosen)
  await db.transaction().execute(async (transaction) => {
    await transaction
      .updateTable('staff')
      .set({ password, first_password: first, failures: 0, locked_until: null })
      .where('id', '=', id)
      .execute()
    await closeSessionsOf(transaction, id)
  })
}

/** An account as lists show it. */
type StaffLine = Omit<StaffTable, 'password' | 'failures'>

/** All accounts, by user name. */
export async function listStaff(db: Database): Promise<StaffLine[]> {
  return await db
    .selectFrom('staff')
    .select([
      'id',
      'username',
      'name',
      'role',
      'zone',
      'unit',
      'mail',
      'first_password',
      'locked_until',
      'disabled_at',
      'sample',
      'created_at'
    ])
    .orderBy('username')
    .execute()
}

/** Closes an account: its sessions end, its bearer tokens are revoked, what it did stands. */
export async function disableStaff(db: Database, username: string, now: Date): Promise<void> {
  const { id } = await staffNamed(db, username)
  const at = now.toISOString()
  await db.transaction().execute(async (transaction) => {
    await transaction.updateTable('staff').set({ disabled_at: at }).where('id', '=', id).execute()
    await closeSessionsOf(transaction, id)
    await transaction
      .updateTable('tokens')
      .set({ revoked_at: at })
      .where('staff', '=', id)
      .where('revoked_at', 'is', null)
      .execute()
  })
}

/**
 * Makes a bearer token for a program that acts as this person.
 * @returns the token, which is kept nowhere
 */
export async function addToken(db: Database, username: string, now: Date): Promise<string> {
  const { id } = await staffNamed(db, username)
  return await makeToken(db, id, now)
}

/**
 * Gives a kiosk of a zone its token.
 * @returns the address to open on it; the token in it is kept nowhere
 */
export async function addTerminal(
  { db, library }: Needs,
  zone: string,
  now: Date
): Promise<{ token: string; path: string }> {
  if (!(await library.all('zone')).has(zone)) throw new NotFound('专区', zone)
  const token = await makeTerminal(db, zone, now)
  return { token, path: `/z/${encodeURIComponent(zone)}?terminal=${token}` }
}

async function staffNamed(db: Database, username: string): Promise<{ id: string }> {
  const row = await db
    .selectFrom('staff')
    .select('id')
    .where('username', '=', usernameOf(username))
    .where('disabled_at', 'is', null)
    .executeTakeFirst()
  if (row === undefined) throw new NotFound('在用的账号', username)
  return row
}
