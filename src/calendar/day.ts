const CHINA_OFFSET_MS = 8 * 3600 * 1000

/** The calendar day in China Standard Time of an instant, `YYYY-MM-DD`. */
export function dayOf(instant: Date | string): string {
  return new Date(new Date(instant).getTime() + CHINA_OFFSET_MS).toISOString().slice(0, 10)
}

/** An instant as ISO 8601 with China's offset, to the second. */
export function instantInChina(instant: Date | string): string {
  return `${new Date(new Date(instant).getTime() + CHINA_OFFSET_MS).toISOString().slice(0, 19)}+08:00`
}
