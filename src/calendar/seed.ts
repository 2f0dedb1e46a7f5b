import chineseDays from 'chinese-days'
import { addDays } from './day.ts'
import type { NamedDay, Notice } from './working-days.ts'

/** First year of ours: consultations of the plan begin in 2021, terms of late 2020 reach into it. */
const FIRST_YEAR = 2020

let read: readonly Notice[] | null = null

/** National notices from 2020 on as far as the installed chinese-days has them, in order of years. */
export function seedNotices(): readonly Notice[] {
  read ??= readSeed()
  return read
}

function readSeed(): Notice[] {
  const notices: Notice[] = []
  for (let year = FIRST_YEAR; isPublished(year); year++) {
    notices.push({
      id: String(year),
      kind: 'national',
      year,
      title: nationalTitle(year),
      source: 'chinese-days',
      days: daysNamed(year)
    })
  }
  return notices
}

/** Title of the State Council's notice of a year. */
export function nationalTitle(year: number): string {
  return `国务院办公厅关于${year}年部分节假日安排的通知`
}

/** chinese-days knows no list of years and calls any weekday of an unpublished one a workday: 国庆 shows which it has. */
function isPublished(year: number): boolean {
  return nameOf(`${year}-10-01`) !== null
}

function daysNamed(year: number): NamedDay[] {
  const days: NamedDay[] = []
  for (let date = `${year}-01-01`; date <= `${year}-12-31`; date = addDays(date, 1)) {
    const name = nameOf(date)
    if (name !== null) days.push({ date, works: chineseDays.getDayDetail(date).work, name })
  }
  return days
}

/** The Chinese name in `Spring Festival,春节,4`; null of a day no notice names, which has its weekday's name. */
function nameOf(date: string): string | null {
  return chineseDays.getDayDetail(date).name.split(',')[1] ?? null
}
