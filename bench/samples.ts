import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import type { AskedQuestion } from './asked.ts'
import { BadInput } from './bad-input.ts'

const SETS = '../shared/data/sets'
/** The name under which the project's own judged questions stand beside the sets. */
export const CORPUS = 'corpus'

export interface BankRow {
  id: string
  question: string
  answer: string
  variants: string[]
}

interface QueryRow extends AskedQuestion {
  id: string
  text: string
  /** Ids of the bank. */
  relevant: string[]
}

export interface Sample {
  bank: BankRow[]
  queries: QueryRow[]
}

/**
 * The judged sets that are there, then the project's own corpus.
 * @param chosen only these
 * @throws {BadInput} when a chosen one is not there
 */
export function chosenSets(chosen: unknown): string[] {
  const folders = existsSync(SETS) ? readdirSync(SETS).sort() : []
  const present = [...folders.filter((name) => filesOf(name).every((file) => existsSync(file))), CORPUS]
  if (chosen === undefined) return present
  const names = [chosen].flat().map(String)
  const absent = names.find((name) => !present.includes(name))
  if (absent !== undefined) throw new BadInput(`--sets ${absent}: there are ${present.join(', ')}.`)
  return names
}

export function filesOf(set: string): [bank: string, queries: string] {
  return [`${SETS}/${set}/dev.bank.jsonl`, `${SETS}/${set}/dev.queries.jsonl`]
}

/** Problems told at once; the rest is counted. */
const MOST_TOLD = 10
/** What the product does not store either. */
const UNSTORABLE = /[\0\p{Surrogate}]/gu

type Row = Record<string, unknown>

/**
 * Reads a bank and the queries judged against it.
 * @throws {BadInput} naming file, line and id of what cannot be used
 */
export function readSample(bankFile: string, queriesFile: string): Sample {
  const bank = readBank(bankFile)
  return { bank, queries: readQueries(queriesFile, bankFile, new Set(bank.map(({ id }) => id))) }
}

function readBank(file: string): BankRow[] {
  return readRows(file, 'bank', (row, problem) => {
    const text = (name: string) => {
      const value = row[name] ?? ''
      if (typeof value !== 'string') problem(`${name} is no text`)
      return typeof value === 'string' ? value.replace(UNSTORABLE, '') : ''
    }
    const variants = row.variants ?? []
    if (!isTexts(variants)) problem('variants is no list of texts')
    return {
      question: text('question'),
      answer: text('answer'),
      variants: isTexts(variants)
        ? variants.map((variant) => variant.replace(UNSTORABLE, '')).filter((variant) => variant.trim() !== '')
        : []
    }
  })
}

function readQueries(file: string, bankFile: string, bankIds: ReadonlySet<string>): QueryRow[] {
  return readRows(file, 'queries', (row, problem) => {
    const { text } = row
    if (typeof text !== 'string' || text.trim() === '') problem('the query has no text')
    const relevant = Array.isArray(row.relevant) ? row.relevant.map(idOf) : []
    if (!Array.isArray(row.relevant)) problem('relevant is no list of bank ids ([] when the bank holds no answer)')
    for (const id of relevant) {
      if (id === null) problem('relevant holds something that is no id')
      else if (!bankIds.has(id)) problem(`relevant id ${shown(id)} is not in the bank ${bankFile}`)
    }
    return {
      text: typeof text === 'string' ? text.replace(UNSTORABLE, '') : '',
      relevant: [...new Set(relevant.filter((id) => id !== null))]
    }
  })
}

function readRows<T>(
  file: string,
  what: string,
  read: (row: Row, problem: (text: string) => void) => T
): (T & { id: string })[] {
  const rows: (T & { id: string })[] = []
  const problems: string[] = []
  const lines = new Map<string, number>()
  readText(file, what)
    .split('\n')
    .forEach((text, at) => {
      if (text.trim() === '') return
      const line = at + 1
      const row = parsed(text)
      if (row === null) {
        problems.push(`${file}, line ${line}: not a JSON object.`)
        return
      }
      const id = idOf(row.id)
      if (id === null) {
        problems.push(`${file}, line ${line}: the row has no id.`)
        return
      }
      const before = lines.get(id)
      if (before !== undefined)
        problems.push(`${file}, line ${line}: id ${shown(id)} stands in line ${before} already.`)
      else lines.set(id, line)
      rows.push({
        ...read(row, (problem) => problems.push(`${file}, line ${line}, id ${shown(id)}: ${problem}.`)),
        id
      })
    })
  if (problems.length > MOST_TOLD) {
    problems.splice(MOST_TOLD, Number.POSITIVE_INFINITY, `… and ${problems.length - MOST_TOLD} more such lines.`)
  }
  if (problems.length > 0) throw new BadInput(problems)
  if (rows.length === 0)
    throw new BadInput(`${file} holds no ${what === 'bank' ? 'entries: the bank is empty' : 'queries'}.`)
  return rows
}

function readText(file: string, what: string): string {
  if (!existsSync(file)) throw new BadInput(`There is no file ${file} (${what}).`)
  if (!statSync(file).isFile()) throw new BadInput(`${file} (${what}) is no file.`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (error) {
    throw new BadInput(
      error instanceof TypeError ? `${file} is not UTF-8 text.` : `${file} cannot be read: ${(error as Error).message}.`
    )
  }
}

function parsed(line: string): Row | null {
  try {
    const row: unknown = JSON.parse(line)
    return typeof row === 'object' && row !== null && !Array.isArray(row) ? (row as Row) : null
  } catch {
    return null
  }
}

/** Any text is an id, and a number is one too: other programs write them. */
function idOf(value: unknown): string | null {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : null
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

/** In quotes and without line ends: a sentence stays one line. */
function shown(id: string): string {
  return JSON.stringify(id.length > 80 ? `${id.slice(0, 80)}…` : id)
}
