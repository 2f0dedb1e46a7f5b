import t from 'tap'
import {
  type Action,
  type Actor,
  actsAs,
  covers,
  may,
  mayOn,
  OTHER_ACTIONS,
  PERMISSIONS,
  personalDataOf,
  scopeOf,
  TICKET_ACTIONS,
  whoMay
} from '../../src/accounts/roles.ts'
import { ROLES, type Role } from '../../src/database/schema.ts'

function actor(given: Partial<Actor> & { role: Role }): Actor {
  const { role, unit = null } = given
  const roles = (role === 'liaison' || role === 'leader') && unit !== null ? [{ unit, role, standsInFor: null }] : []
  return {
    id: 'x',
    username: 'x',
    name: '示例',
    zone: null,
    unit,
    sample: true,
    roles,
    approvesOwn: [],
    ...given
  }
}

const PEOPLE: Record<Role, Actor> = {
  clerk: actor({ role: 'clerk', zone: 'SC1' }),
  liaison: actor({ role: 'liaison', unit: 'ybj' }),
  leader: actor({ role: 'leader', unit: 'ybj' }),
  office: actor({ role: 'office' }),
  admin: actor({ role: 'admin' })
}

/** Written out apart from the table of the program: a slip in one shows against the other. */
const EXPECTED: Record<Action, string> = {
  assign: 'clerk office',
  accept: 'liaison leader',
  return: 'liaison leader',
  draft: 'liaison leader',
  approve: 'leader',
  revise: 'leader office',
  contact: 'liaison leader',
  answer: 'clerk',
  guide: 'clerk',
  join: 'clerk liaison',
  withdraw: 'clerk office',
  reopen: 'clerk office',
  view: 'clerk liaison leader office',
  register: 'clerk',
  label: 'clerk office',
  unmask: 'clerk office',
  ledger: 'clerk liaison leader office',
  'bank-propose': 'liaison leader',
  'bank-approve': 'leader',
  'bank-withdraw': 'leader office',
  'bank-import': 'office',
  'stand-in': 'leader office',
  supervise: 'office',
  notices: 'office admin',
  calendar: 'office admin',
  users: 'office admin',
  settings: 'office'
}

t.test('every role may what the table of roles says, and nothing else', async (t) => {
  t.same(new Set([...TICKET_ACTIONS, ...OTHER_ACTIONS]), new Set(Object.keys(EXPECTED)))
  for (const [action, roles] of Object.entries(EXPECTED) as [Action, string][]) {
    const allowed = ROLES.filter((role) => may(PEOPLE[role], action))
    t.equal(allowed.join(' '), roles, action)
  }
})

t.test('a ticket is open to its zone, its unit and the office only', async (t) => {
  const own = { zone: 'SC1', unit: 'ybj' }
  const foreign = { zone: 'TC1', unit: 'jyj' }
  const unassigned = { zone: 'TC1', unit: null }
  const seen = (ticket: typeof own | typeof unassigned) => ROLES.filter((role) => mayOn(PEOPLE[role], 'view', ticket))
  t.same(seen(own), ['clerk', 'liaison', 'leader', 'office'])
  t.same(seen(foreign), ['office'])
  t.same(seen(unassigned), ['office'])
  for (const role of ROLES) {
    for (const action of TICKET_ACTIONS) {
      const anywhere = PERMISSIONS[role].scope === 'all' && PERMISSIONS[role].may.includes(action)
      t.equal(mayOn(PEOPLE[role], action, foreign), anywhere, `${role} ${action}`)
    }
  }
})

t.test('a person without zone or unit has no tickets', async (t) => {
  for (const role of ['clerk', 'liaison', 'leader'] as const) {
    t.same(scopeOf(actor({ role })), { kind: 'none' }, role)
    t.notOk(covers({ kind: 'none' }, { zone: 'SC1', unit: null }))
  }
})

t.test('personal data is plain for the competent unit, masked for zone and office, hidden from the rest', async (t) => {
  const own = { zone: 'SC1', unit: 'ybj' }
  t.same(
    ROLES.map((role) => personalDataOf(PEOPLE[role], own)),
    ['masked', 'plain', 'plain', 'masked', 'none']
  )
  t.same(
    ROLES.map((role) => personalDataOf(PEOPLE[role], { zone: 'TC1', unit: 'jyj' })),
    ['none', 'none', 'none', 'masked', 'none']
  )
})

t.test('a stand-in may what the absent may, in the absent person’s unit alone', async (t) => {
  const standIn = actor({
    role: 'liaison',
    unit: 'ybj',
    roles: [
      { unit: 'ybj', role: 'liaison', standsInFor: null },
      { unit: 'jyj', role: 'leader', standsInFor: 'leader-2' }
    ]
  })
  t.ok(actsAs(standIn, 'leader', 'jyj'))
  t.notOk(actsAs(standIn, 'leader', 'ybj'))
  t.same(scopeOf(standIn), { kind: 'unit', units: ['ybj', 'jyj'] })
  t.ok(mayOn(standIn, 'approve', { zone: 'SC1', unit: 'jyj' }))
  t.notOk(mayOn(standIn, 'approve', { zone: 'SC1', unit: 'ybj' }))
  t.notOk(mayOn(standIn, 'join', { zone: 'SC1', unit: 'jyj' }), 'a leader confirms no joining')
  t.ok(may(standIn, 'approve'))
})

t.test('a message names who may', async (t) => {
  t.equal(whoMay('approve'), '分管领导')
  t.equal(whoMay('assign'), '窗口人员、政务公开办')
})
