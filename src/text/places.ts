import { readFileSync } from 'node:fs'

/** A place named in a text. */
export interface NamedPlace {
  /** Full name, as the divisions list or the district's sheet has it. */
  name: string
  /** Code of GB/T 2260: 2 digits a province, 4 a city, 6 a county; null for places inside the district. */
  code: string | null
}

export interface PlaceFinder {
  /** Places named in normalised text, each once, in text order. */
  find(normalised: string): NamedPlace[]
  /** Whether a place lies outside the home district and does not contain it: its rules are not ours. */
  isElsewhere(place: NamedPlace): boolean
}

const SUFFIX = /(?:特别行政区|维吾尔自治区|壮族自治区|回族自治区|自治区|自治州|地区|盟|省|市|区|县)$/

/** Names that are also everyday words: they count only with their suffix. */
const AMBIGUOUS = new Set([
  '海口',
  '大同',
  '安康',
  '吉安',
  '保山',
  '固原',
  '长治',
  '宜春',
  '中山',
  '海南',
  '东方',
  '平凉',
  '和平',
  '朝阳',
  '南川'
])

/**
 * Finds place names by longest match. Short forms (成都, 渝北) count for provinces, cities and the districts of the home
 * district's own city; elsewhere county names need their suffix, for many are everyday words (和平, 朝阳).
 * @param home the district's full name, such as 重庆市江北区
 * @param local the district's own streets, towns and communities with their other names
 */
export function openPlaces(home: string, local: readonly { id: string; aliases: readonly string[] }[]): PlaceFinder {
  const rows = readFileSync(new URL('./china-places.csv', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .slice(1)
  const places = rows.map((row) => {
    const [code = '', name = ''] = row.split(',')
    return { code, name: name.trim() }
  })
  const homeCity = places.find(({ code, name }) => code.length <= 4 && home.startsWith(name))
  const homeDistrict = places.find(
    ({ code, name }) =>
      code.length === 6 && homeCity !== undefined && code.startsWith(homeCity.code) && home.endsWith(name)
  )
  const names = new Map<string, NamedPlace>()
  const add = (name: string, place: NamedPlace) => {
    if (name.length >= 2 && !names.has(name)) names.set(name, place)
  }
  for (const { id, aliases } of local) for (const name of [id, ...aliases]) add(name, { name: id, code: null })
  // The home district first, so that a name it shares with another (江北区 in 宁波 too) means home.
  const ordered = homeDistrict === undefined ? places : [homeDistrict, ...places]
  for (const place of ordered) {
    add(place.name, place)
    const inHomeCity = homeCity !== undefined && place.code.length === 6 && place.code.startsWith(homeCity.code)
    const short = place.name.replace(SUFFIX, '')
    if ((place.code.length <= 4 || inHomeCity) && !AMBIGUOUS.has(short)) add(short, place)
  }
  /** Longest name by its first character: most characters of a question begin none. */
  const longest = new Map<string, number>()
  for (const name of names.keys()) {
    const first = name[0] as string
    longest.set(first, Math.max(longest.get(first) ?? 0, name.length))
  }
  return {
    find(text) {
      const found = new Map<string, NamedPlace>()
      for (let at = 0; at < text.length; at++) {
        const most = longest.get(text[at] as string)
        if (most === undefined) continue
        for (let length = Math.min(most, text.length - at); length >= 2; length--) {
          const place = names.get(text.slice(at, at + length))
          if (place === undefined) continue
          found.set(place.code ?? place.name, place)
          at += length - 1
          break
        }
      }
      return [...found.values()]
    },
    isElsewhere({ code }) {
      if (code === null || homeDistrict === undefined) return false
      return !homeDistrict.code.startsWith(code)
    }
  }
}
