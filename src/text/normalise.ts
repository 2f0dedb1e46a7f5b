import { Converter } from 'opencc-js/t2cn'

const HAN_FIRST = 0x3400
const HAN_LAST = 0x9fff

/** Folded form of every UTF-16 unit: half width, lower case, simplified. One unit to one unit, so offsets survive. */
const FOLD = foldTable()

function foldTable(): Uint16Array {
  const table = Uint16Array.from({ length: 0x10000 }, (_, unit) => unit)
  for (let unit = 0; unit < 0x3000; unit++) {
    const lower = String.fromCharCode(unit).toLowerCase()
    if (lower.length === 1) table[unit] = lower.charCodeAt(0)
  }
  for (let unit = 0xff01; unit <= 0xff5e; unit++) table[unit] = table[unit - 0xfee0] as number
  table[0x3000] = 0x20
  table[0xa0] = 0x20
  let han = ''
  for (let unit = HAN_FIRST; unit <= HAN_LAST; unit++) han += String.fromCharCode(unit)
  // One call over all characters, each on its own line so that no phrase rule joins neighbours.
  const simplified = Converter({ from: 't', to: 'cn' })(han.split('').join('\n')).split('\n')
  for (let i = 0; i < han.length; i++) {
    const to = simplified[i] as string
    if (to.length === 1) table[HAN_FIRST + i] = to.charCodeAt(0)
  }
  return table
}

/**
 * Half width, lower case, simplified, unit by unit: the result has the same length as the text.
 * For finding what to highlight in a text that is shown as it is.
 */
export function fold(text: string): string {
  let at = 0
  while (at < text.length && FOLD[text.charCodeAt(at)] === text.charCodeAt(at)) at++
  if (at === text.length) return text
  const units = new Uint16Array(text.length)
  for (let i = 0; i < text.length; i++) units[i] = FOLD[text.charCodeAt(i)] as number
  let folded = ''
  for (let i = 0; i < units.length; i += 8192) folded += String.fromCharCode(...units.subarray(i, i + 8192))
  return folded
}

const DIGITS: Record<string, number> = {
  零: 0,
  〇: 0,
  一: 1,
  二: 2,
  两: 2,
  三: 3,
  四: 4,
  五: 5,
  六: 6,
  七: 7,
  八: 8,
  九: 9
}
const POWERS: Record<string, number> = { 十: 10, 百: 100, 千: 1000 }

/** Value of a Chinese numeral (二十三, 一万五, 二〇二一), or null when the characters form none. */
export function numeralValue(numeral: string): number | null {
  if (/^[零〇一二三四五六七八九]{2,}$/.test(numeral)) {
    return Number([...numeral].map((character) => DIGITS[character]).join(''))
  }
  if (/^[0-9]+$/.test(numeral)) return Number(numeral)
  let total = 0
  let section = 0
  let digit = -1
  let lastPower = 0
  for (const character of numeral) {
    if (character in DIGITS) {
      if (digit > 0) return null
      digit = DIGITS[character] as number
    } else if (character in POWERS) {
      lastPower = POWERS[character] as number
      section += (digit === -1 ? 1 : digit) * lastPower
      digit = -1
    } else if (character === '万' || character === '亿') {
      const scale = character === '万' ? 1e4 : 1e8
      const amount = section + Math.max(digit, 0)
      if (amount === 0) return null
      total = character === '亿' ? (total + amount) * scale : total + amount * scale
      section = 0
      digit = -1
      lastPower = scale
    } else return null
  }
  // 一万五 and 三百五 leave out the last power: the digit counts tenths of the power before it.
  const rest =
    digit > 0 ? (lastPower >= 100 && !/[零〇]/.test(numeral.at(-2) ?? '') ? digit * (lastPower / 10) : digit) : 0
  return total + section + rest
}

// What may follow a numeral for it to count as one: 一下, 统一, 一次性, 万一, 五里店 stay words.
const MEASURES = '年月日号条款项章节个天周岁元人名份张倍级类层楼室期届批户口套间辆台吨米平亩公%角分折成'
const YEAR_DIGITS = /[零〇一二三四五六七八九]{4}(?=年)/g
const PERCENT = /百分之([零〇一二两三四五六七八九十百]+)/g
const NUMERAL = new RegExp(
  `(?<![统唯专单划])([零〇一二两三四五六七八九十百千万亿]+)(?=(?:多|余|几)?[${MEASURES}])`,
  'g'
)
const ORDINAL = /(?<=第)[零〇一二两三四五六七八九十百千]+/g
const SCALED = /([0-9]+(?:\.[0-9]+)?)([十百千万亿])(?=[^a-z0-9])/g
const SCALES: Record<string, number> = { 十: 10, 百: 100, 千: 1e3, 万: 1e4, 亿: 1e8 }
const GROUPED = /(?<=[0-9]),(?=[0-9]{3}(?![0-9]))/g
// A document number with any bracket, another bracket, or none: scraped pages lose them (plan trap a).
const DOCUMENT_NUMBER =
  /[〔[(【]?((?:19|20)[0-9]{2})[〕\])】]?\s{0,2}(?:年)?第?\s{0,2}([0-9]{1,4})\s{0,2}号(?!楼|线|桥|门|院|店)/g
const CONTROL =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]/g

/**
 * The form in which all text is compared: NFKC, half width, lower case, simplified characters, Chinese numerals before a
 * measure as Arabic ones, document numbers as `2021-39号`, no control characters, blanks collapsed.
 */
export function normalise(text: string): string {
  const folded = fold(text.normalize('NFKC').replace(CONTROL, ' '))
  return numerals(folded).replace(/\s+/g, ' ').trim()
}

function numerals(text: string): string {
  let result = text
  if (/[一二两三四五六七八九十〇零百千万亿]/.test(result)) {
    const value = (match: string, numeral: string = match) => String(numeralValue(numeral) ?? match)
    result = result
      .replace(YEAR_DIGITS, (match) => value(match))
      .replace(PERCENT, (match, numeral: string) => {
        const number = numeralValue(numeral)
        return number === null ? match : `${number}%`
      })
      .replace(ORDINAL, (match) => value(match))
      .replace(NUMERAL, (match) => value(match))
      .replace(SCALED, (_, number: string, scale: string) => String(Number(number) * (SCALES[scale] as number)))
  }
  if (!/[0-9]/.test(result)) return result
  return result.replace(GROUPED, '').replace(DOCUMENT_NUMBER, '$1-$2号')
}

/** Document numbers of normalised text, as `2021-39号`. */
export function documentNumbersOf(normalised: string): string[] {
  return normalised.match(/(?:19|20)[0-9]{2}-[0-9]{1,4}号/g) ?? []
}

/** Years of normalised text, 1980–2099, that are not part of a document number. */
export function yearsOf(normalised: string): number[] {
  const years = normalised.matchAll(
    /(?<![0-9.-])((?:19[89]|20[0-9])[0-9])(?![0-9.\-号元人名份张件个户米吨次多平块万])/g
  )
  return [...new Set([...years].map(([, year]) => Number(year)))]
}
