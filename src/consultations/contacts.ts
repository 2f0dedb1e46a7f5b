import createError from '@fastify/error'
import type { Transaction } from 'kysely'
import type { FieldKey } from '../accounts/field-key.ts'
import type { Database } from '../database/open.ts'
import type { ContactsTable, Schema } from '../database/schema.ts'

export const BadContact = createError<[string]>('BAD_CONTACT', '%s', 400)

/** How a consultant is reached. */
export interface Contact {
  name: string
  /** Digits, `-` after an area code. */
  phone: string
}

const LONGEST_NAME = 30
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu

/**
 * A name and phone as typed, in one form.
 * @throws {BadContact} naming the field and what to do
 */
export function readContact({ name, phone }: Contact): Contact {
  const clean = name.normalize('NFC').replace(UNPRINTABLE, '').replace(/\s+/g, ' ').trim()
  if (clean === '') throw new BadContact('姓名：请写怎么称呼您，比如“王女士”。')
  if (clean.length > LONGEST_NAME) throw new BadContact(`姓名：太长了，请缩短到${LONGEST_NAME}个字以内。`)
  return { name: clean, phone: readPhone(phone) }
}

const MOBILE = /^1[3-9]\d{9}$/
/** Area code of 3 or 4 digits, number of 7 or 8 (工信部《电信网编号计划》); the city's own 8 digits without it. */
const LANDLINE = /^(0(?:10|2\d)|0[3-9]\d{2})?([2-8]\d{6,7})$/

function readPhone(typed: string): string {
  const digits = typed
    .normalize('NFKC')
    .replace(/[\s()\-.‐-―−]/g, '')
    .replace(/^(\+|00)86(?=1)/, '')
  if (MOBILE.test(digits)) return digits
  const [, area, local] = LANDLINE.exec(digits) ?? []
  if (local !== undefined) return area === undefined ? local : `${area}-${local}`
  throw new BadContact(
    digits === ''
      ? '电话：请留一个能联系到您的电话，答复时要用。'
      : '电话：请写 11 位手机号，或带区号的座机号，比如 023-67560000。'
  )
}

/** 「张某」 of a name: enough to call out at a desk. */
export function maskName(name: string): string {
  const [first = ''] = name
  return `${first}${name.length > 1 ? '＊' : ''}${name.length > 2 ? '＊' : ''}`
}

/** The middle four of a mobile number, the last four of a landline. */
export function maskPhone(phone: string): string {
  return MOBILE.test(phone) ? `${phone.slice(0, 3)}****${phone.slice(7)}` : `${phone.slice(0, -4)}****`
}

export function masked(contact: Contact): Contact {
  return { name: maskName(contact.name), phone: maskPhone(contact.phone) }
}

interface Stored {
  contact: Contact | null
  /** The question as typed, where masking took something out. */
  question: string | null
  code: string
}

/** What goes into `contacts`: each field sealed for its place, so that none can be moved to another row. */
export function sealContact(key: FieldKey, number: string, { contact, question, code }: Stored): ContactsTable {
  const seal = (field: string, text: string | null) => (text === null ? null : key.seal(text, `${number}/${field}`))
  return {
    number,
    name: seal('name', contact?.name ?? null),
    phone: seal('phone', contact?.phone ?? null),
    question: seal('question', question),
    code: key.seal(code, `${number}/code`),
    erased_at: null
  }
}

/** Personal data of a consultation; contact null where none was left or it has been erased. */
export function openContact(key: FieldKey, row: ContactsTable): Stored {
  const open = (field: string, sealed: string | null) =>
    sealed === null ? null : key.open(sealed, `${row.number}/${field}`)
  const name = open('name', row.name)
  const phone = open('phone', row.phone)
  return {
    contact: name === null || phone === null ? null : { name, phone },
    question: open('question', row.question),
    code: row.erased_at === null ? key.open(row.code, `${row.number}/code`) : ''
  }
}

export async function readStored(
  db: Database | Transaction<Schema>,
  key: FieldKey,
  number: string
): Promise<Stored | null> {
  const row = await db.selectFrom('contacts').selectAll().where('number', '=', number).executeTakeFirst()
  return row === undefined ? null : openContact(key, row)
}
