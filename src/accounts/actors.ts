import { randomUUID } from 'node:crypto'
import type { Database } from '../database/open.ts'
import type { StaffTable } from '../database/schema.ts'
import { BadAccount } from './errors.ts'
import type { Actor, UnitRole } from './roles.ts'

type Row = Pick<StaffTable, 'id' | 'username' | 'name' | 'role' | 'zone' | 'unit' | 'sample'>

/** What an actor is made of. */
export const ACTOR_COLUMNS = ['id', 'username', 'name', 'role', 'zone', 'unit', 'sample'] as const

/**
 * Somebody with all the person may act as on a day: own role, roles of those stood in for, and both roles of a unit of one
 * person that may approve its own.
 * @param today `YYYY-MM-DD`
 */
export async function actorOf(db: Database, row: Row, today: string): Promise<Actor> {
  const { id, username, name, role, zone, unit } = row
  const actor = { id, username, name, role, zone, unit, sample: row.sample === 1 }
  if (role !== 'liaison' && role !== 'leader') return { ...actor, roles: [], approvesOwn: [] }
  const roles: UnitRole[] = []
  const approvesOwn: string[] = []
  if (unit !== null) {
    roles.push({ unit, role, standsInFor: null })
    if (await approvesItsOwn(db, unit)) {
      roles.push({ unit, role: role === 'leader' ? 'liaison' : 'leader', standsInFor: null })
      approvesOwn.push(unit)
    }
  }
  const absent = await db
    .selectFrom('stand_ins')
    .innerJoin('staff', 'staff.id', 'stand_ins.absent')
    .select(['staff.username', 'staff.role', 'staff.unit'])
    .where('stand_ins.staff', '=', id)
    .where('stand_ins.from_on', '<=', today)
    .where('stand_ins.until_on', '>=', today)
    .orderBy('stand_ins.made_at')
    .execute()
  for (const other of absent) {
    if (other.unit === null || (other.role !== 'liaison' && other.role !== 'leader')) continue
    roles.push({ unit: other.unit, role: other.role, standsInFor: other.username })
  }
  return { ...actor, roles, approvesOwn }
}

const selfApproval = (unit: string) => `self-approval:${unit}`

/** Whether a unit's drafts may be approved by who wrote them: the office said so, and only one person works there. */
async function approvesItsOwn(db: Database, unit: string): Promise<boolean> {
  const setting = await db
    .selectFrom('settings')
    .select('value')
    .where('name', '=', selfApproval(unit))
    .executeTakeFirst()
  if (setting?.value !== 'true') return false
  const people = await db
    .selectFrom('staff')
    .select('id')
    .where('unit', '=', unit)
    .where('disabled_at', 'is', null)
    .limit(2)
    .execute()
  return people.length === 1
}

/** Units the office lets approve their own. */
export async function unitsApprovingOwn(db: Database): Promise<Set<string>> {
  const rows = await db
    .selectFrom('settings')
    .select('name')
    .where('name', 'like', `${selfApproval('')}%`)
    .where('value', '=', 'true')
    .execute()
  return new Set(rows.map(({ name }) => name.slice(selfApproval('').length)))
}

/** The office lets a unit of one person approve its own, or no longer. */
export async function setSelfApproval(
  db: Database,
  { unit, on, by, now }: { unit: string; on: boolean; by: string; now: Date }
): Promise<void> {
  const row = { value: String(on), changed_at: now.toISOString(), changed_by: by }
  await db
    .insertInto('settings')
    .values({ name: selfApproval(unit), ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute()
}

/**
 * Says who stands in for an absent liaison or leader, from one day to another, both included.
 * @throws {BadAccount} where either is not a liaison or leader, or the days are the wrong way round
 */
export async function addStandIn(
  db: Database,
  { absent, staff, from, until, by, now }: Record<'absent' | 'staff' | 'from' | 'until' | 'by', string> & { now: Date }
): Promise<void> {
  if (until < from) throw new BadAccount('代办的最后一天早于第一天，请改好日期。')
  const [gone, present] = await Promise.all([absent, staff].map((username) => unitPerson(db, username)))
  if (gone === undefined || present === undefined || gone.id === present.id) {
    throw new BadAccount('代办人和被代办人应是两位在用的联络员或分管领导，请核对用户名。')
  }
  await db
    .insertInto('stand_ins')
    .values({
      id: randomUUID(),
      absent: gone.id,
      staff: present.id,
      from_on: from,
      until_on: until,
      made_at: now.toISOString(),
      made_by: by
    })
    .execute()
}

/** Takes a stand-in back; what was done meanwhile stands. */
export async function removeStandIn(db: Database, id: string): Promise<void> {
  await db.deleteFrom('stand_ins').where('id', '=', id).execute()
}

async function unitPerson(db: Database, username: string): Promise<{ id: string } | undefined> {
  return await db
    .selectFrom('staff')
    .select('id')
    .where('username', '=', username)
    .where('role', 'in', ['liaison', 'leader'])
    .where('disabled_at', 'is', null)
    .executeTakeFirst()
}
