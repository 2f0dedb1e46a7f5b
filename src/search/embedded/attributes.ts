import type { EntryFilter } from '../search-engine.ts'
import type { Entry } from '../tokens.ts'
import { Growing } from './arrays.ts'
import { StringTable, type StringTableParts } from './string-table.ts'

/** What entries are filtered by, one array a property, indexed by entry. */
export interface AttributesParts {
  names: StringTableParts
  kind: Uint8Array
  unit: Int32Array
  topic: Int32Array
  validFrom: Int32Array
  validTo: Int32Array
  date: Int32Array
  idLength: Uint16Array
}

const QA = 0
const DOCUMENT = 1
const ALWAYS = 0
const NEVER = 1e9
const NO_DATE = -1
const NONE = -1

/** Whether the entry with this index passes. */
export type EntryTest = (index: number) => boolean

/** Filter attributes of entries, and which of them are gone. */
export class Attributes {
  readonly #names: StringTable
  readonly #kind = new Growing(Uint8Array)
  readonly #unit = new Growing(Int32Array)
  readonly #topic = new Growing(Int32Array)
  readonly #validFrom = new Growing(Int32Array)
  readonly #validTo = new Growing(Int32Array)
  readonly #date = new Growing(Int32Array)
  readonly #idLength = new Growing(Uint16Array)
  readonly #gone = new Growing(Uint8Array)
  #anyGone = false

  constructor(parts?: AttributesParts) {
    this.#names = new StringTable(parts?.names)
    if (parts === undefined) return
    adopt(this.#kind, parts.kind)
    adopt(this.#unit, parts.unit)
    adopt(this.#topic, parts.topic)
    adopt(this.#validFrom, parts.validFrom)
    adopt(this.#validTo, parts.validTo)
    adopt(this.#date, parts.date)
    adopt(this.#idLength, parts.idLength)
    adopt(this.#gone, new Uint8Array(parts.kind.length))
  }

  push(entry: Entry): void {
    this.#kind.push(entry.kind === 'qa' ? QA : DOCUMENT)
    this.#unit.push(entry.unit === null ? NONE : this.#names.intern(entry.unit))
    this.#topic.push(entry.topic === null ? NONE : this.#names.intern(entry.topic))
    // A repealed entry is in force on no day at all.
    this.#validFrom.push(
      entry.status === 'repealed' ? NEVER : entry.validFrom === null ? ALWAYS : dayOf(entry.validFrom)
    )
    this.#validTo.push(entry.validTo === null ? NEVER - 1 : dayOf(entry.validTo))
    this.#date.push(entry.date === null ? NO_DATE : dayOf(entry.date))
    this.#idLength.push(entry.id.length)
    this.#gone.push(0)
  }

  kind(index: number): Entry['kind'] {
    return this.#kind.array[index] === QA ? 'qa' : 'document'
  }

  /** Splits a key into what it was made of. */
  partsOfKey(index: number, key: string): { id: string; anchor: string | null } {
    const start = this.kind(index).length + 1
    const end = start + (this.#idLength.array[index] as number)
    return { id: key.slice(start, end), anchor: end < key.length ? key.slice(end + 1) : null }
  }

  isGone(index: number): boolean {
    return this.#gone.array[index] === 1
  }

  remove(index: number): void {
    this.#gone.array[index] = 1
    this.#anyGone = true
  }

  /** The test for a filter: 'all' when every entry passes, 'none' when none can. */
  test(filter: EntryFilter = {}): EntryTest | 'all' | 'none' {
    const tests: EntryTest[] = []
    const gone = this.#gone.array
    if (this.#anyGone) tests.push((i) => gone[i] === 0)
    if (filter.kind !== undefined) {
      const kind = this.#kind.array
      const wanted = filter.kind === 'qa' ? QA : DOCUMENT
      tests.push((i) => kind[i] === wanted)
    }
    for (const [name, of] of [
      [filter.unit, this.#unit.array],
      [filter.topic, this.#topic.array]
    ] as const) {
      if (name === undefined) continue
      const wanted = this.#names.find(name)
      if (wanted === NONE) return 'none'
      tests.push((i) => of[i] === wanted)
    }
    if (filter.inForceOn !== undefined) {
      const day = dayOf(filter.inForceOn)
      const from = this.#validFrom.array
      const to = this.#validTo.array
      tests.push((i) => (from[i] as number) <= day && (to[i] as number) >= day)
    }
    if (filter.dateFrom !== undefined || filter.dateTo !== undefined) {
      const first = filter.dateFrom === undefined ? ALWAYS : dayOf(filter.dateFrom)
      const last = filter.dateTo === undefined ? NEVER : dayOf(filter.dateTo)
      const date = this.#date.array
      tests.push((i) => (date[i] as number) >= first && (date[i] as number) <= last)
    }
    if (tests.length === 0) return 'all'
    return tests.length === 1 ? (tests[0] as EntryTest) : (i) => tests.every((test) => test(i))
  }

  parts(): AttributesParts {
    return {
      names: this.#names.parts(),
      kind: this.#kind.trimmed(),
      unit: this.#unit.trimmed(),
      topic: this.#topic.trimmed(),
      validFrom: this.#validFrom.trimmed(),
      validTo: this.#validTo.trimmed(),
      date: this.#date.trimmed(),
      idLength: this.#idLength.trimmed()
    }
  }
}

function adopt<T extends Uint8Array | Uint16Array | Int32Array>(into: Growing<T>, array: T): void {
  into.array = array
  into.length = array.length
}

/** `YYYY-MM-DD` as a number that orders alike. */
function dayOf(date: string): number {
  return Number(date.replaceAll('-', ''))
}
