import { createHmac, timingSafeEqual } from 'node:crypto'

/** Who may open a ticket by a link, without an account. */
export interface LinkHolder {
  number: string
  unit: string
  role: 'liaison' | 'leader'
  /** Instant, ISO 8601. */
  expiresAt: string
}

/** Twice the time a unit has to answer, so that a late answer can still be given (R28; ours). */
export const LINK_DAYS = 14

/**
 * A link that opens one ticket for one role of one unit until it expires. It carries what it says, signed: nothing is stored,
 * and a ticket that has left the unit is out of the link's reach.
 * @param secret the session secret
 */
export function signLink(secret: Buffer, { number, unit, role, expiresAt }: LinkHolder): string {
  const payload = Buffer.from(JSON.stringify([number, unit, role, expiresAt])).toString('base64url')
  return `${payload}.${signature(secret, payload)}`
}

/** Who holds the link; null where it is forged or has expired. */
export function readLink(secret: Buffer, token: string, now: Date): LinkHolder | null {
  const [payload = '', signed = '', ...more] = token.split('.')
  const [given, wanted] = [Buffer.from(signed), Buffer.from(signature(secret, payload))]
  if (more.length > 0 || given.length !== wanted.length || !timingSafeEqual(given, wanted)) return null
  const [number, unit, role, expiresAt] = JSON.parse(Buffer.from(payload, 'base64url').toString()) as [
    string,
    string,
    LinkHolder['role'],
    string
  ]
  return expiresAt < now.toISOString() ? null : { number, unit, role, expiresAt }
}

function signature(secret: Buffer, payload: string): string {
  return createHmac('sha256', secret).update(`ticket-link ${payload}`).digest('base64url')
}
