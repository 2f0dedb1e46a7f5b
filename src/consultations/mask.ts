const FULL_WIDTH_DIGITS = /[０-９]/g
const toHalf = (digit: string) => String.fromCharCode(digit.charCodeAt(0) - 0xfee0)

/** Digits as people type them: in groups, with blanks, dots or hyphens between. */
const GAP = '[\\s.·•-]?'
const run = (least: number, most: number) => `[0-9](?:${GAP}[0-9]){${least - 1},${most - 1}}`

const PRIVATE_NUMBERS = [
  [/[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g, '〔邮箱〕'],
  // Resident identity number: 17 digits and a digit or X, or the old 15.
  [new RegExp(`(?<![0-9])[1-9](?:${GAP}[0-9]){16}${GAP}[0-9Xx](?![0-9])`, 'g'), '〔证件号〕'],
  [new RegExp(`(?<![0-9])[1-9](?:${GAP}[0-9]){14}(?![0-9])`, 'g'), '〔证件号〕'],
  [/(?<![A-Za-z])[A-Z][0-9]{8}(?![0-9])/g, '〔证件号〕'],
  [new RegExp(`(?<![0-9])${run(16, 19)}(?![0-9])`, 'g'), '〔号码〕'],
  [new RegExp(`(?<![0-9])(?:\\+?86${GAP})?1${GAP}[3-9](?:${GAP}[0-9]){9}(?![0-9])`, 'g'), '〔电话〕']
] as const

const LANDLINES = [
  [/(?<![0-9])0[0-9]{2,3}[\s-]?[0-9]{7,8}(?![0-9])/g, '〔电话〕'],
  [/(?<![0-9])[2-8][0-9]{7}(?![0-9年月日元.])/g, '〔电话〕']
] as const

/**
 * Takes out of a question what names a person: identity numbers, bank cards, phones, mail addresses, however grouped.
 * The query log and everything learnt from it hold only the result (R41).
 */
export function maskPersonalData(text: string): string {
  return mask(text, [...PRIVATE_NUMBERS, ...LANDLINES])
}

/** As `maskPersonalData`, but leaves landlines: an answer names the phone of an office. */
export function maskPrivateNumbers(text: string): string {
  return mask(text, PRIVATE_NUMBERS)
}

function mask(text: string, patterns: readonly (readonly [RegExp, string])[]): string {
  let masked = text.replace(FULL_WIDTH_DIGITS, toHalf)
  for (const [pattern, mark] of patterns) masked = masked.replace(pattern, mark)
  return masked
}

/** Whether a text holds what masking takes out, or the mark it left. */
export function hasPersonalData(text: string, masking: (text: string) => string): boolean {
  const plain = text.replace(FULL_WIDTH_DIGITS, toHalf)
  return masking(plain) !== plain || plain.search(MARKS) !== -1
}

const MARKS = /〔(?:邮箱|证件号|号码|电话)〕/g

/** A masked question without the marks: what is left to search for. */
export function withoutMarks(masked: string): string {
  return masked.replace(MARKS, ' ')
}
