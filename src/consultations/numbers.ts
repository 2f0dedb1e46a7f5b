import { randomInt } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { Chain, Schema } from '../database/schema.ts'

/** Kinds of number; sample consultations are numbered apart (样例). */
const PREFIXES: Record<Chain, string> = { real: 'ZX', sample: 'YL' }

const SERIAL_DIGITS = 4
const SHAPE = /^(ZX|YL)-([A-Z0-9]{2,12})-(\d{8})-(\d{4,})-(\d)$/

/**
 * The next number of a zone and day: `ZX-XZZX01-20211104-0007-3` (domain model 2.9). The counter's row is locked until the
 * transaction ends; after 9999 the serial grows a digit.
 * @param day `YYYY-MM-DD`
 */
export async function nextNumber(trx: Transaction<Schema>, chain: Chain, zone: string, day: string): Promise<string> {
  const head = `${PREFIXES[chain]}-${zone}-${day.replaceAll('-', '')}`
  const { value } = await trx
    .insertInto('serials')
    .values({ name: head, value: 1 })
    .onConflict((conflict) => conflict.column('name').doUpdateSet((e) => ({ value: e('serials.value', '+', 1) })))
    .returning('value')
    .executeTakeFirstOrThrow()
  const core = `${head}-${String(value).padStart(SERIAL_DIGITS, '0')}`
  return `${core}-${checkDigit(core)}`
}

/**
 * Check digit after ISO 7064 MOD 11,10: finds every single wrong digit. Letters count as two digits, A = 10 (as in ISO 6166).
 * @param core the number without its last part
 */
export function checkDigit(core: string): string {
  let product = 10
  for (const digit of core.replace(/[A-Z]/g, (letter) => String(letter.charCodeAt(0) - 55)).replace(/\D/g, '')) {
    const sum = (product + Number(digit)) % 10 || 10
    product = (sum * 2) % 11
  }
  return String((11 - product) % 10)
}

/** A number as people type it, in its own form; null where its shape or check digit is wrong. */
export function readNumber(typed: string): string | null {
  const number = typed
    .normalize('NFKC')
    .toUpperCase()
    .replace(/\s/g, '')
    .replace(/[‐-―−_]/g, '-')
  const match = SHAPE.exec(number)
  return match !== null && checkDigit(number.slice(0, number.lastIndexOf('-'))) === match[5] ? number : null
}

/** Without 0, O, 1 and I, which are mistaken for each other (domain model 2.9). */
const CODE_LETTERS = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ'
const CODE_LENGTH = 6

/** A look-up code: six of 32 characters, a thousand million of them. */
export function newCode(): string {
  return Array.from({ length: CODE_LENGTH }, () => CODE_LETTERS[randomInt(CODE_LETTERS.length)]).join('')
}

/** A code as people type it. */
export function readCode(typed: string): string {
  return typed.normalize('NFKC').toUpperCase().replace(/[\s-]/g, '')
}
