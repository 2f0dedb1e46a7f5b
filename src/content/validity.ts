import type { Document } from './kinds.ts'

/** Validity of a document or an entry on a given day (domain.md, PolicyDoc metadata 有效性). */
export type Validity = 'current' | 'amended' | 'repealed' | 'expired' | 'pending'

export const VALIDITY_NAMES: Record<Validity, string> = {
  current: '现行有效',
  amended: '已修改',
  repealed: '已废止',
  expired: '已失效',
  pending: '尚未生效'
}

interface Term {
  status: Document['status']
  effectiveOn: string | null
  expiresOn: string | null
}

/** Dates decide before the stated status does, so that a rule dies on its day without anyone touching it. */
export function validityOn({ status, effectiveOn, expiresOn }: Term, today: string): Validity {
  if (status === 'repealed') return 'repealed'
  if (expiresOn !== null && expiresOn <= today) return 'expired'
  if (effectiveOn !== null && effectiveOn > today) return 'pending'
  return status
}

/** Whether a citizen may be told it as the rule of the day. */
export function isInForce(validity: Validity): boolean {
  return validity === 'current' || validity === 'amended'
}
