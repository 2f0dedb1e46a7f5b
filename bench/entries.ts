import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DatabaseAddress, migrate, openDatabase } from '../src/database/open.ts'
import { decodeEntry, encodeEntry } from '../src/search/stored-entries.ts'
import type { Entry, FieldTokens } from '../src/search/tokens.ts'
import { openSegmenter, type Segmenter } from '../src/text/segment.ts'

/** What benches make and keep; may be deleted any time. */
export const WORK = 'var/bench'
const SHARED = '../shared/data'
/** Enough for the largest size after what is double has gone. */
const MOST = 200_000

interface Draft {
  kind: 'qa' | 'document'
  unit: string | null
  fields: Partial<Record<'question' | 'answer' | 'title' | 'passage', string>>
}

/** A small seeded generator (xorshift), so that every run measures the same. */
export function random(seed: number): () => number {
  let x = seed
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 2 ** 32
  }
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const next = random(seed)
  const copy = [...items]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1))
    ;[copy[i], copy[j]] = [copy[j] as T, copy[i] as T]
  }
  return copy
}

export function jsonLines<T>(file: string): T[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as T)
}

/** Real text: the judged banks and statutes where they are, else the files of corpus/. */
function texts(): {
  banks: { question: string | null; answer: string | null; unit: string | null }[]
  documents: { title: string; lines: string[] }[]
} {
  const lines = (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.length >= 15 && !line.startsWith('#') && !line.startsWith('<!'))
  if (existsSync(join(SHARED, 'sets'))) {
    const sets = readdirSync(join(SHARED, 'sets')).filter((name) => name !== 'letters-title' && name !== 'ncp-answer')
    const banks = sets.flatMap((name) => {
      const file = join(SHARED, 'sets', name, name === 'routing' ? 'dev.jsonl' : 'dev.bank.jsonl')
      return jsonLines<{ question: string | null; answer: string | null; unit: string | null }>(file)
    })
    const laws = jsonLines<{ title: string; text: string }>(join(SHARED, 'documents/laws_and_chongqing_rules.jsonl'))
    return { banks, documents: laws.map(({ title, text }) => ({ title, lines: lines(text) })) }
  }
  const files = readdirSync('corpus', { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(md|csv|jsonl|txt)$/.test(name)
  )
  return {
    banks: [],
    documents: files.map((name) => ({ title: name, lines: lines(readFileSync(join('corpus', name), 'utf8')) }))
  }
}

/** Bank rows; each paragraph under its title; windows of three paragraphs asked by their first sentence; sentences. */
function drafts(): Draft[] {
  const { banks, documents } = texts()
  const all: Draft[] = banks.map(({ question, answer, unit }) => ({
    kind: 'qa',
    unit: unit ?? null,
    fields: { question: question ?? '', answer: answer ?? '' }
  }))
  for (const { title, lines } of documents) {
    lines.forEach((line, at) => {
      all.push({ kind: 'document', unit: null, fields: { title, passage: line } })
      const window = lines.slice(at, at + 3).join('\n')
      const sentences = line.split(/[。；]/).filter((sentence) => sentence.length >= 8)
      all.push({ kind: 'qa', unit: title, fields: { question: sentences[0] ?? line, answer: window } })
      for (const sentence of sentences) all.push({ kind: 'qa', unit: title, fields: { question: sentence } })
    })
  }
  const seen = new Set<string>()
  return shuffled(all, 20261123).filter(({ fields }) => {
    const text = JSON.stringify(fields)
    return !seen.has(text) && seen.add(text)
  })
}

function segmenter(): Segmenter {
  return openSegmenter({ words: [], synonyms: [] })
}

/** Up to `count` entries of real text, a longer or shorter part of one shuffled list, in key order; segmented once, then kept. */
export function benchEntries(count: number): Entry[] {
  const file = join(WORK, 'entries.jsonl')
  if (!existsSync(file)) {
    const { tokens } = segmenter()
    const known = new Map<string, FieldTokens>()
    const form = (text: string | undefined): FieldTokens[] => {
      if (text === undefined || text === '') return []
      const found = known.get(text) ?? tokens(text)
      known.set(text, found)
      return found.words.length === 0 ? [] : [found]
    }
    const next = random(7)
    const day = (year: number) => `${year}-${String(1 + Math.floor(next() * 12)).padStart(2, '0')}-15`
    const lines = drafts()
      .slice(0, MOST)
      .map(({ kind, unit, fields }, at): string => {
        const id = String(at).padStart(7, '0')
        const anchor = kind === 'document' ? 'p1' : null
        return encodeEntry({
          key: anchor === null ? `qa/${id}` : `document/${id}#${anchor}`,
          kind,
          id,
          anchor,
          unit,
          topic: null,
          status: next() < 0.05 ? 'repealed' : 'current',
          validFrom: day(2010 + Math.floor(next() * 10)),
          validTo: next() < 0.1 ? day(2027) : null,
          date: day(2010 + Math.floor(next() * 16)),
          fields: {
            question: form(fields.question),
            variants: [],
            answer: form(fields.answer),
            title: form(fields.title),
            passage: form(fields.passage)
          }
        })
      })
    mkdirSync(WORK, { recursive: true })
    writeFileSync(`${file}.part`, lines.join('\n'))
    renameSync(`${file}.part`, file)
  }
  const entries = readFileSync(file, 'utf8').split('\n', count).map(decodeEntry)
  return entries.sort((a, b) => (a.key < b.key ? -1 : 1))
}

/** Questions people asked, all judged sets in equal measure; without them, questions of the bank itself. */
export function benchQuestions(count: number): FieldTokens[] {
  const { tokens } = segmenter()
  if (!existsSync(join(SHARED, 'sets'))) {
    return benchEntries(count * 4)
      .flatMap((entry) => [...entry.fields.question, ...entry.fields.title])
      .slice(0, count)
  }
  const sets = readdirSync(join(SHARED, 'sets')).filter((name) => name !== 'routing')
  const asked = sets.flatMap((name) =>
    shuffled(jsonLines<{ text: string }>(join(SHARED, 'sets', name, 'dev.queries.jsonl')), 5).slice(
      0,
      Math.ceil(count / sets.length)
    )
  )
  return shuffled(asked, 11)
    .slice(0, count)
    .map(({ text }) => tokens(text))
}

/** A SQLite file whose `entries` hold the given ones, as the indexer would leave it. */
export async function benchDatabase(file: string, entries: readonly Entry[]): Promise<DatabaseAddress> {
  const address: DatabaseAddress = { kind: 'sqlite', file }
  const db = await openDatabase(address)
  await migrate(db)
  for (let at = 0; at < entries.length; at += 1000) {
    const rows = entries.slice(at, at + 1000).map((entry) => ({
      key: entry.key,
      identity: 'bench',
      entry: encodeEntry(entry),
      pinyin: ''
    }))
    await db.insertInto('entries').values(rows).execute()
  }
  await db.destroy()
  return address
}
