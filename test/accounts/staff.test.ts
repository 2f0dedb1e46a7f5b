import t, { type Test } from 'tap'
import { actorOf, addStandIn, removeStandIn, setSelfApproval } from '../../src/accounts/actors.ts'
import { type Actor, actsAs, scopeOf, within } from '../../src/accounts/roles.ts'
import {
  addStaff,
  addTerminal,
  addToken,
  changePassword,
  checkPassword,
  disableStaff,
  LOCKED_MINUTES,
  listStaff,
  MOST_FAILURES,
  type NewStaff,
  resetPassword
} from '../../src/accounts/staff.ts'
import { readToken, zoneOfTerminal } from '../../src/accounts/sessions.ts'
import { Library } from '../../src/content/library.ts'
import { type Database, migrate, openDatabase } from '../../src/database/open.ts'
import { ROLES } from '../../src/database/schema.ts'
import { compare, storeChanges } from '../../src/content/store.ts'
import { readConfig } from '../../src/config.ts'
import { absent, postgres } from '../peers.ts'
import { unit, zone } from '../sample-records.ts'
import { temporaryFolder } from '../test-app.ts'

// argon2, and a quarter of a second a refusal, on a machine that may be busy.
t.setTimeout(120_000)

const NOW = new Date('2026-11-24T02:00:00Z')
const TODAY = '2026-11-24'
const later = (minutes: number) => new Date(NOW.getTime() + minutes * 60_000)

interface Stage {
  db: Database
  library: Library
}

function onBoth(name: string, run: (t: Test, stage: Stage) => Promise<void>): void {
  const open = async (t: Test, environment: NodeJS.ProcessEnv) => {
    const db = await openDatabase(readConfig({ DATA_DIR: temporaryFolder(t), ...environment }).database)
    t.teardown(() => db.destroy())
    await migrate(db)
    const incoming = [
      unit({ id: 'ybj' }),
      unit({ id: 'jyj' }),
      zone({ id: 'SC1' }),
      zone({ id: 'TC1', venueKind: 'TC' })
    ]
    await storeChanges(db, {
      incoming,
      differences: await compare(db, incoming, []),
      by: 'test',
      at: NOW.toISOString()
    })
    await run(t, { db, library: new Library(db) })
  }
  t.test(`${name} (SQLite)`, async (t) => await open(t, {}))
  t.test(`${name} (PostgreSQL)`, { skip: absent('PostgreSQL') }, async (t) => {
    await open(t, { DATABASE_URL: await postgres(t) })
  })
}

const LEADER: NewStaff = {
  username: 'ybj-leader',
  name: '示例领导',
  role: 'leader',
  zone: null,
  unit: 'ybj',
  mail: null
}
const LIAISON: NewStaff = { ...LEADER, username: 'ybj-liaison', name: '示例联络员', role: 'liaison' }
const CLERK: NewStaff = { ...LEADER, username: '窗口1', name: '示例窗口员', role: 'clerk', zone: 'SC1', unit: null }

async function actor(db: Database, username: string, today = TODAY): Promise<Actor> {
  const row = await db.selectFrom('staff').selectAll().where('username', '=', username).executeTakeFirstOrThrow()
  return await actorOf(db, row, today)
}

onBoth('a first password is easily typed, works, and is not stored', async (t, { db, library }) => {
  const { username, password } = await addStaff({ db, library }, { ...CLERK, username: 'Ｗindow.1' }, NOW)
  t.equal(username, 'window.1')
  t.match(password, /^[a-hjkmnp-z2-9]{4}(-[a-hjkmnp-z2-9]{4}){2}$/)
  t.match(await checkPassword(db, { username: ' WINDOW.1 ', password }, NOW), { role: 'clerk', first_password: 1 })
  const [row] = await db.selectFrom('staff').selectAll().execute()
  t.match(row?.password, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  t.notMatch(JSON.stringify(await listStaff(db)), /argon2/)
})

onBoth('an account that cannot be is refused by naming the field', async (t, { db, library }) => {
  const refused: [Partial<NewStaff>, RegExp][] = [
    [{ username: 'x' }, /用户名/],
    [{ username: 'a b' }, /用户名/],
    [{ username: '<b>ab</b>' }, /用户名/],
    [{ username: 'system' }, /系统自用/],
    [{ name: '  ' }, /姓名/],
    [{ mail: 'nobody' }, /邮箱/],
    [{ zone: null }, /窗口人员要写明所在专区/],
    [{ zone: 'XX' }, /没有编号为「XX」的专区/],
    [{ unit: 'ybj' }, /不属于哪个单位/],
    [{ role: 'liaison' }, /不属于哪个专区/],
    [{ role: 'leader', zone: null, unit: 'none' }, /没有编号为「none」的单位/]
  ]
  for (const [part, message] of refused) {
    await t.rejects(addStaff({ db, library }, { ...CLERK, ...part }, NOW), { code: 'BAD_ACCOUNT', message })
  }
  await addStaff({ db, library }, CLERK, NOW)
  await t.rejects(addStaff({ db, library }, CLERK, NOW), { message: /已经有人用了/ })
  t.equal((await listStaff(db)).length, 1)
})

onBoth(
  'after five wrong passwords the right one is refused too, until a quarter of an hour has passed',
  async (t, { db, library }) => {
    const { username, password } = await addStaff({ db, library }, CLERK, NOW)
    const wrong = { username, password: 'wrong' }
    const right = { username, password }
    for (let at = 1; at < MOST_FAILURES; at++) await checkPassword(db, wrong, NOW)
    t.ok(await checkPassword(db, right, NOW), 'four and the right one')
    // All at once: none slips past the count.
    await Promise.all(Array.from({ length: MOST_FAILURES + 3 }, () => checkPassword(db, wrong, NOW)))
    t.equal(await checkPassword(db, right, NOW), null)
    t.equal(await checkPassword(db, right, later(LOCKED_MINUTES - 1)), null)
    t.equal(await checkPassword(db, wrong, later(LOCKED_MINUTES)), null)
    t.ok(await checkPassword(db, right, later(LOCKED_MINUTES)), 'one wrong try does not lock anew')
  }
)

onBoth('a clock set back locks nobody out for good: a new first password opens', async (t, { db, library }) => {
  const { username } = await addStaff({ db, library }, CLERK, NOW)
  for (let at = 0; at < MOST_FAILURES; at++) await checkPassword(db, { username, password: 'wrong' }, NOW)
  const password = await resetPassword(db, username)
  t.ok(await checkPassword(db, { username, password }, later(-24 * 60)))
})

onBoth('a refusal is null and takes a quarter of a second, whatever it is for', async (t, { db, library }) => {
  const { username, password } = await addStaff({ db, library }, CLERK, NOW)
  const gone = await addStaff({ db, library }, LEADER, NOW)
  await disableStaff(db, gone.username, NOW)
  for (const tried of [{ username, password: 'wrong' }, { username: 'nobody', password }, gone]) {
    const from = performance.now()
    t.equal(await checkPassword(db, tried, NOW), null)
    t.ok(performance.now() - from >= 245, tried.username)
  }
})

onBoth('a password of one’s own has ten characters, variety and no user name', async (t, { db, library }) => {
  const { username, password } = await addStaff({ db, library }, LEADER, NOW)
  const change = (chosen: string, present = password) =>
    changePassword(db, { username, password: present, chosen, now: NOW })
  const refused: [string, RegExp][] = [
    ['短密码', /至少要 10 个字符，现在是 3 个/],
    ['1111111111', /不同的字符太少/],
    ['My-YBJ-Leader-1', /不能有用户名/],
    ['x1y2z3'.repeat(30), /最多 128/],
    [password, /和现在的一样/]
  ]
  for (const [chosen, message] of refused) await t.rejects(change(chosen), { message })
  await t.rejects(change('一 匹 青色 的 小马 跑', 'wrong'), { message: /现在的密码不对/ })
  await change('一 匹 青色 的 小马 跑')
  t.equal(await checkPassword(db, { username, password }, NOW), null)
  t.match(await checkPassword(db, { username, password: '一 匹 青色 的 小马 跑' }, NOW), { first_password: 0 })
})

onBoth('a closed account’s bearer token is nobody’s', async (t, { db, library }) => {
  const { username } = await addStaff({ db, library }, LEADER, NOW)
  const token = await addToken(db, username, NOW)
  t.match(token, /^zx_[\w-]{43}$/)
  t.match(await readToken(db, token), { username })
  t.equal(await readToken(db, `${token}x`), null)
  t.notMatch(JSON.stringify(await db.selectFrom('tokens').selectAll().execute()), token)
  await disableStaff(db, username, NOW)
  t.equal(await readToken(db, token), null)
  await t.rejects(addToken(db, username, NOW), { code: 'NOT_FOUND' })
})

onBoth('a terminal’s token stands for its zone', async (t, { db, library }) => {
  const { token, path } = await addTerminal({ db, library }, 'SC1', NOW)
  t.equal(path, `/z/SC1?terminal=${token}`)
  t.equal(await zoneOfTerminal(db, token), 'SC1')
  t.equal(await zoneOfTerminal(db, 'guessed'), null)
  await t.rejects(addTerminal({ db, library }, 'XX', NOW), { code: 'NOT_FOUND' })
})

onBoth('a stand-in acts for the absent on the days named, both included', async (t, { db, library }) => {
  await addStaff({ db, library }, LEADER, NOW)
  await addStaff({ db, library }, { ...LIAISON, username: 'jyj-liaison', unit: 'jyj' }, NOW)
  await addStaff({ db, library }, CLERK, NOW)
  const standIn = {
    absent: 'ybj-leader',
    staff: 'jyj-liaison',
    from: TODAY,
    until: '2026-11-25',
    by: 'ybj-leader',
    now: NOW
  }
  await addStandIn(db, standIn)
  for (const [day, acts] of [
    ['2026-11-23', false],
    [TODAY, true],
    ['2026-11-25', true],
    ['2026-11-26', false]
  ] as const) {
    t.equal(actsAs(await actor(db, 'jyj-liaison', day), 'leader', 'ybj'), acts, day)
  }
  t.same(scopeOf(await actor(db, 'jyj-liaison')), { kind: 'unit', units: ['jyj', 'ybj'] })
  await t.rejects(addStandIn(db, { ...standIn, until: '2026-11-01' }), { message: /早于/ })
  await t.rejects(addStandIn(db, { ...standIn, staff: '窗口1' }), { message: /联络员或分管领导/ })
  await t.rejects(addStandIn(db, { ...standIn, staff: 'ybj-leader' }), { message: /两位/ })
  const { id } = await db.selectFrom('stand_ins').select('id').executeTakeFirstOrThrow()
  await removeStandIn(db, id)
  t.notOk(actsAs(await actor(db, 'jyj-liaison'), 'leader', 'ybj'))
})

onBoth(
  'a unit of one person approves its own once the office says so, and no longer when a second comes',
  async (t, { db, library }) => {
    await addStaff({ db, library }, LIAISON, NOW)
    t.notOk(actsAs(await actor(db, 'ybj-liaison'), 'leader', 'ybj'))
    await setSelfApproval(db, { unit: 'ybj', on: true, by: 'office', now: NOW })
    const alone = await actor(db, 'ybj-liaison')
    t.ok(actsAs(alone, 'leader', 'ybj'))
    t.same(alone.approvesOwn, ['ybj'])
    await addStaff({ db, library }, LEADER, NOW)
    t.same((await actor(db, 'ybj-liaison')).approvesOwn, [])
    t.notOk(actsAs(await actor(db, 'ybj-liaison'), 'leader', 'ybj'))
    await disableStaff(db, 'ybj-leader', NOW)
    t.ok(actsAs(await actor(db, 'ybj-liaison'), 'leader', 'ybj'))
    await setSelfApproval(db, { unit: 'ybj', on: false, by: 'office', now: NOW })
    t.notOk(actsAs(await actor(db, 'ybj-liaison'), 'leader', 'ybj'))
  }
)

onBoth('of 60 tickets each role reads its own and no other', async (t, { db, library }) => {
  const places = Array.from({ length: 60 }, (_, at) => ({
    zone: at % 2 === 0 ? 'SC1' : 'TC1',
    unit: [null, 'ybj', 'jyj'][at % 3] ?? null
  }))
  await db
    .insertInto('consultations')
    .values(
      places.map(({ zone, unit }, at) => ({
        number: `ZX-${zone}-20261124-${String(at + 1).padStart(4, '0')}-0`,
        chain: 'sample' as const,
        zone,
        unit,
        state: 'ASSIGNED',
        open: 1 as const,
        version: 1,
        channel: 'desk',
        registered_at: NOW.toISOString(),
        registered_on: TODAY,
        due_on: null,
        head: null,
        normal: String(at),
        ticket: '{}'
      }))
    )
    .execute()
  const people = [
    CLERK,
    LIAISON,
    LEADER,
    { ...CLERK, username: 'office', role: 'office', zone: null },
    { ...CLERK, username: 'admin', role: 'admin', zone: null }
  ] as const
  const own = [
    places.filter(({ zone }) => zone === 'SC1'),
    places.filter(({ unit }) => unit === 'ybj'),
    places.filter(({ unit }) => unit === 'ybj'),
    places,
    []
  ]
  t.same(
    people.map(({ role }) => role),
    ROLES
  )
  for (const [at, person] of people.entries()) {
    await addStaff({ db, library }, person, NOW)
    const rows = await db
      .selectFrom('consultations')
      .select(['zone', 'unit'])
      .where(within(scopeOf(await actor(db, person.username))))
      .orderBy('number')
      .execute()
    const sorted = (list: readonly object[]) => list.map((row) => JSON.stringify(row)).sort()
    t.same(sorted(rows), sorted(own[at] ?? []), person.role)
  }
})
