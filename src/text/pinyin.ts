import { pinyin } from 'pinyin-pro'

/** Full pinyin without tones, one syllable a Chinese character; other characters are dropped. */
export function pinyinOf(text: string): string[] {
  return pinyin(text, { toneType: 'none', type: 'array', nonZh: 'removed', v: true })
}

/** First letters of the syllables: 医保转移 → ybzy. */
export function initialsOf(syllables: readonly string[]): string {
  return syllables.map((syllable) => syllable[0] ?? '').join('')
}

/** Syllable of one Chinese character without its tone, its commonest reading; null for anything else. */
export function syllableOf(character: string): string | null {
  return pinyin(character, { toneType: 'none', type: 'array', nonZh: 'removed', v: true })[0] ?? null
}
