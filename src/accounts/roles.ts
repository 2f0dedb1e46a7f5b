import type { Expression, ExpressionBuilder, SqlBool } from 'kysely'
import type { Role, Schema } from '../database/schema.ts'

/** As pages and messages name them. */
export const ROLE_NAMES: Readonly<Record<Role, string>> = {
  clerk: '窗口人员',
  liaison: '联络员',
  leader: '分管领导',
  office: '政务公开办',
  admin: '系统管理员'
}

/** What is done to a ticket, by its name in the API. */
export const TICKET_ACTIONS = [
  'assign',
  'accept',
  'return',
  'draft',
  'approve',
  'revise',
  'contact',
  'answer',
  'guide',
  'join',
  'withdraw',
  'reopen'
] as const
export type TicketAction = (typeof TICKET_ACTIONS)[number]

/** What else staff do. */
export const OTHER_ACTIONS = [
  /** See tickets of one's scope. */
  'view',
  /** Register a consultation for somebody at the desk. */
  'register',
  /** Say whether what the bank answered was right. */
  'label',
  /** See personal data that is masked otherwise; asks a reason, is an event. */
  'unmask',
  'ledger',
  'bank-propose',
  'bank-approve',
  'bank-withdraw',
  'bank-import',
  /** Say who stands in for an absent liaison or leader. */
  'stand-in',
  /** Urge a unit on, see everything overdue. */
  'supervise',
  /** See notices that could not be sent, send them again. */
  'notices',
  'calendar',
  /** Accounts, bearer tokens, terminals. */
  'users',
  'settings'
] as const
export type Action = TicketAction | (typeof OTHER_ACTIONS)[number]

interface Permission {
  /** Tickets a person of the role has to do with: of the zone, of the unit that is competent now, all, or none. */
  scope: 'zone' | 'unit' | 'all' | 'none'
  /** How the person sees names and phones of those tickets; `none` sees no ticket. */
  personalData: 'plain' | 'masked' | 'none'
  may: readonly Action[]
}

/** Who may do what, and to which tickets: the one table that routes and queries go by (domain: roles). */
export const PERMISSIONS: Readonly<Record<Role, Permission>> = {
  clerk: {
    scope: 'zone',
    personalData: 'masked',
    may: ['view', 'register', 'label', 'assign', 'answer', 'guide', 'join', 'withdraw', 'reopen', 'unmask', 'ledger']
  },
  liaison: {
    scope: 'unit',
    personalData: 'plain',
    may: ['view', 'accept', 'return', 'draft', 'contact', 'join', 'ledger', 'bank-propose']
  },
  leader: {
    scope: 'unit',
    personalData: 'plain',
    may: [
      'view',
      'accept',
      'return',
      'draft',
      'contact',
      'approve',
      'revise',
      'ledger',
      'bank-propose',
      'bank-approve',
      'bank-withdraw',
      'stand-in'
    ]
  },
  office: {
    scope: 'all',
    personalData: 'masked',
    may: [
      'view',
      'label',
      'assign',
      'revise',
      'withdraw',
      'reopen',
      'unmask',
      'ledger',
      'bank-withdraw',
      'bank-import',
      'stand-in',
      'supervise',
      'notices',
      'calendar',
      'users',
      'settings'
    ]
  },
  admin: { scope: 'none', personalData: 'none', may: ['notices', 'calendar', 'users'] }
}

/** A unit in which somebody is liaison or leader today. */
export interface UnitRole {
  unit: string
  role: 'liaison' | 'leader'
  /** User name of the absent person, or null where the role is one's own. */
  standsInFor: string | null
}

/** Who acts. */
export interface Actor {
  id: string
  username: string
  /** As ledgers name the person. */
  name: string
  role: Role
  zone: string | null
  unit: string | null
  sample: boolean
  /** Empty but for liaisons and leaders. */
  roles: readonly UnitRole[]
  /** Units whose drafts the person may approve although they are the person's own (src/accounts/actors.ts). */
  approvesOwn: readonly string[]
}

/** Which tickets somebody has to do with. */
export type Scope =
  | { kind: 'zone'; zone: string }
  | { kind: 'unit'; units: readonly string[] }
  | { kind: 'all' }
  | { kind: 'none' }

/** What of a ticket decides whose it is. */
export interface TicketPlace {
  zone: string
  /** The unit competent now; null before one is. */
  unit: string | null
}

/** Which tickets the person has to do with; what goes out to a person of no zone or unit is nothing. */
export function scopeOf({ role, zone, roles }: Actor): Scope {
  const { scope } = PERMISSIONS[role]
  if (scope === 'all') return { kind: 'all' }
  if (scope === 'zone' && zone !== null) return { kind: 'zone', zone }
  if (scope === 'unit' && roles.length > 0) return { kind: 'unit', units: [...new Set(roles.map(({ unit }) => unit))] }
  return { kind: 'none' }
}

/** The condition a query of `consultations` takes, so that nothing outside the scope is ever read. */
export function within(scope: Scope): (eb: ExpressionBuilder<Schema, 'consultations'>) => Expression<SqlBool> {
  return (eb) => {
    if (scope.kind === 'all') return eb.lit(true)
    if (scope.kind === 'zone') return eb('consultations.zone', '=', scope.zone)
    if (scope.kind === 'unit') return eb('consultations.unit', 'in', [...scope.units])
    return eb.lit(false)
  }
}

/** Whether a ticket is one the person has to do with. */
export function covers(scope: Scope, ticket: TicketPlace): boolean {
  if (scope.kind === 'zone') return ticket.zone === scope.zone
  if (scope.kind === 'unit') return ticket.unit !== null && scope.units.includes(ticket.unit)
  return scope.kind === 'all'
}

/** Whether the person may do it at all, to some ticket or none. */
export function may({ role, roles }: Actor, action: Action): boolean {
  return PERMISSIONS[role].may.includes(action) || roles.some((own) => PERMISSIONS[own.role].may.includes(action))
}

/** Whether the person may do it to this ticket; a stand-in only what the absent may, only in the absent's unit. */
export function mayOn(actor: Actor, action: Action, ticket: TicketPlace): boolean {
  if (PERMISSIONS[actor.role].scope !== 'unit') {
    return PERMISSIONS[actor.role].may.includes(action) && covers(scopeOf(actor), ticket)
  }
  return actor.roles.some(({ unit, role }) => unit === ticket.unit && PERMISSIONS[role].may.includes(action))
}

/** Whether the person is, or stands in for, that role of that unit. */
export function actsAs({ roles }: Actor, role: UnitRole['role'], unit: string): boolean {
  return roles.some((own) => own.role === role && own.unit === unit)
}

/** How the person sees names and phones of a ticket. */
export function personalDataOf(actor: Actor, ticket: TicketPlace): Permission['personalData'] {
  return covers(scopeOf(actor), ticket) ? PERMISSIONS[actor.role].personalData : 'none'
}

/** Names of the roles that may, for messages. */
export function whoMay(action: Action): string {
  return (Object.keys(PERMISSIONS) as Role[])
    .filter((role) => PERMISSIONS[role].may.includes(action))
    .map((role) => ROLE_NAMES[role])
    .join('、')
}
