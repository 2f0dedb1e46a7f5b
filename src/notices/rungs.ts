/** Steps of the reminder ladder (domain model 2.5). */
export const RUNGS = [
  'assign-soon',
  'not-assigned',
  'assigned-late',
  'not-accepted',
  'due-soon',
  'due-today',
  'overdue',
  'urged'
] as const
export type Rung = (typeof RUNGS)[number]

export const RUNG_NAMES: Readonly<Record<Rung, string>> = {
  'assign-soon': '下班前交办提醒',
  'not-assigned': '当日未交办',
  'assigned-late': '逾期未交办',
  'not-accepted': '未签收',
  'due-soon': '将到期',
  'due-today': '今日到期',
  overdue: '超期',
  urged: '督办'
}

/** The rung in a `reminded` event's kind, which is `RUNG@WHAT-IT-COUNTS-FROM`; null where there is none. */
export function rungOf(kind: string): Rung | null {
  const name = kind.split('@', 1)[0]
  return RUNGS.find((rung) => rung === name) ?? null
}
