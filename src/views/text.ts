import type { Segment } from './views.ts'

/** `2026-11-23` → 2026年11月23日. */
export function dayLabel(day: string): string {
  const [year, month, date] = day.split('-')
  return `${year}年${Number(month)}月${Number(date)}日`
}

interface Range {
  start: number
  end: number
}

/** Cuts text at its highlights (UTF-16 units, in order, not overlapping), between `from` and `to`. */
export function segments(text: string, highlights: readonly Range[], from = 0, to = text.length): Segment[] {
  const parts: Segment[] = []
  let at = from
  for (const { start, end } of highlights) {
    const [first, last] = [Math.max(start, at), Math.min(end, to)]
    if (first >= last) continue
    if (first > at) parts.push({ text: text.slice(at, first), mark: false })
    parts.push({ text: text.slice(first, last), mark: true })
    at = last
  }
  if (at < to) parts.push({ text: text.slice(at, to), mark: false })
  return parts
}

/** One paragraph a line; blank lines fall away. */
export function paragraphs(text: string, highlights: readonly Range[] = []): Segment[][] {
  const found: Segment[][] = []
  for (const line of text.matchAll(/[^\n]*\S[^\n]*/g)) {
    found.push(segments(text, highlights, line.index, line.index + line[0].length))
  }
  return found
}

/** The stretch of a text around its first highlight, on one line. */
export function excerpt(text: string, highlights: readonly Range[], length: number): Segment[] {
  const flat = text.replace(/\s/g, ' ')
  const first = highlights[0]?.start ?? 0
  const start = text.length <= length ? 0 : Math.max(0, Math.min(first - Math.floor(length / 3), text.length - length))
  const from = wholeCharacter(text, start)
  const to = wholeCharacter(text, Math.min(text.length, from + length))
  const parts = segments(flat, highlights, from, to)
  if (from > 0) parts.unshift({ text: '…', mark: false })
  if (to < text.length) parts.push({ text: '…', mark: false })
  return parts
}

/** Rare characters are two units long: not the second of them. */
function wholeCharacter(text: string, at: number): number {
  const unit = text.charCodeAt(at)
  return unit >= 0xdc00 && unit <= 0xdfff ? at + 1 : at
}
