import { sql } from 'kysely'
import { dayOf } from '../calendar/day.ts'
import { isPostgres } from '../database/dialect.ts'
import type { Database } from '../database/open.ts'
import type { RecordKind, RevisionsTable } from '../database/schema.ts'
import { cutPassages, type Passage } from '../documents/passages.ts'
import type { ContentOf, Document, Qa } from './kinds.ts'
import type { District } from './kinds.ts'

/** A record as it stands, with what every rendering of it must show (R4). */
export interface Item<C> {
  content: C
  version: number
  retired: boolean
  sample: boolean
  hash: string
  /** `YYYY-MM-DD`, China Standard Time. */
  changedOn: string
  /** Why a person withdrew it; null where none did, or it stands. */
  reason: string | null
  /** Length of the stored JSON. */
  characters: number
}

interface Held {
  item: Promise<Item<ContentOf[RecordKind]> | null>
  /** 0 until it is read. */
  characters: number
}

/** A document without its text, for lists and for what cites it. */
export type DocumentHead = Omit<Document, 'body'>

/** A Q&A entry without its answer, for lists. */
export type QuestionHead = Pick<Qa, 'id' | 'question' | 'unit' | 'topic'>

type SmallKind = 'unit' | 'zone' | 'topic' | 'board' | 'place'

/** Characters of records held ready: a bank of 20,000 entries, or the 910 statutes of the benchmark three times over. */
const HELD_CHARACTERS = 16_000_000

/** A district without its own record yet: an empty database. */
const NO_DISTRICT: District = {
  id: 'district',
  name: '本区',
  shortName: '本区',
  parent: null,
  areaCode: null,
  hotline: null,
  note: null
}

/**
 * The content store as the service reads it: small kinds whole, the rest on demand, both held until the change feed says
 * that they changed.
 */
export class Library {
  readonly #db: Database
  readonly #held = new Map<string, Held>()
  #heldCharacters = 0
  readonly #passages = new WeakMap<object, Passage[]>()
  #small = new Map<string, Promise<Map<string, Item<ContentOf[SmallKind]>>>>()
  #heads: Promise<Map<string, Item<DocumentHead>>> | null = null
  #questions: Promise<QuestionHead[]> | null = null

  constructor(db: Database) {
    this.#db = db
  }

  /** A record by its code, retired ones too; null when there never was one. */
  get<K extends RecordKind>(kind: K, id: string): Promise<Item<ContentOf[K]> | null> {
    const key = `${kind}/${id}`
    let held = this.#held.get(key)
    if (held === undefined) {
      held = { item: this.#read(kind, id), characters: 0 }
      this.#hold(key, held)
    } else {
      // Put last: the first is the one unused for longest.
      this.#held.delete(key)
      this.#held.set(key, held)
    }
    return held.item as Promise<Item<ContentOf[K]> | null>
  }

  #hold(key: string, held: Held): void {
    this.#held.set(key, held)
    held.item.then(
      (item) => {
        if (this.#held.get(key) !== held) return
        held.characters = item?.characters ?? 0
        this.#heldCharacters += held.characters
        for (const oldest of this.#held.keys()) {
          if (this.#heldCharacters <= HELD_CHARACTERS) break
          this.#letGo(oldest)
        }
      },
      () => this.#held.delete(key)
    )
  }

  #letGo(key: string): void {
    this.#heldCharacters -= this.#held.get(key)?.characters ?? 0
    this.#held.delete(key)
  }

  /** All records of a small kind that are not retired, by code. */
  all<K extends SmallKind>(kind: K): Promise<ReadonlyMap<string, Item<ContentOf[K]>>> {
    let all = this.#small.get(kind)
    if (all === undefined) {
      all = this.#readAll(kind) as Promise<Map<string, Item<ContentOf[SmallKind]>>>
      all.catch(() => this.#small.delete(kind))
      this.#small.set(kind, all)
    }
    return all as unknown as Promise<ReadonlyMap<string, Item<ContentOf[K]>>>
  }

  async district(): Promise<Item<District>> {
    const item = await this.get('district', 'district')
    return (
      item ?? {
        content: NO_DISTRICT,
        version: 0,
        retired: false,
        sample: false,
        hash: '',
        changedOn: '',
        reason: null,
        characters: 0
      }
    )
  }

  /** Every document that is not retired, without its text. */
  documents(): Promise<ReadonlyMap<string, Item<DocumentHead>>> {
    if (this.#heads === null) {
      this.#heads = this.#readHeads()
      this.#heads.catch(() => {
        this.#heads = null
      })
    }
    return this.#heads
  }

  /** Every question of the bank that is not retired, by code. */
  questions(): Promise<readonly QuestionHead[]> {
    if (this.#questions === null) {
      this.#questions = this.#readQuestions()
      this.#questions.catch(() => {
        this.#questions = null
      })
    }
    return this.#questions
  }

  /** A document's passages in text order. */
  passages(document: Item<Document>): readonly Passage[] {
    const known = this.#passages.get(document)
    if (known !== undefined) return known
    const passages = cutPassages(document.content.body)
    this.#passages.set(document, passages)
    return passages
  }

  /** Lets go of what changed; the next reader reads it anew. */
  forget(changes: readonly { kind: RecordKind; id: string }[]): void {
    for (const { kind, id } of changes) {
      this.#letGo(`${kind}/${id}`)
      this.#small.delete(kind)
      if (kind === 'document') this.#heads = null
      if (kind === 'qa') this.#questions = null
    }
  }

  #current() {
    return this.#db.selectFrom('records').innerJoin('revisions', 'revisions.sequence', 'records.sequence')
  }

  async #read<K extends RecordKind>(kind: K, id: string): Promise<Item<ContentOf[K]> | null> {
    const row = await this.#current()
      .selectAll('revisions')
      .where('records.kind', '=', kind)
      .where('records.id', '=', id)
      .executeTakeFirst()
    return row === undefined ? null : itemOf(row)
  }

  async #readAll<K extends RecordKind>(kind: K): Promise<Map<string, Item<ContentOf[K]>>> {
    const rows = await this.#current()
      .innerJoin(
        // In the order of the sheet they first came from, which no later edit disturbs.
        (e) =>
          e
            .selectFrom('revisions')
            .select((f) => ['id as first_id', f.fn.min('sequence').as('created')])
            .where('kind', '=', kind)
            .groupBy('id')
            .as('first'),
        (join) => join.onRef('first.first_id', '=', 'records.id')
      )
      .selectAll('revisions')
      .where('records.kind', '=', kind)
      .where('records.retired', '=', 0)
      .orderBy('first.created')
      .execute()
    return new Map(rows.map((row) => [row.id, itemOf<ContentOf[K]>(row)]))
  }

  async #readHeads(): Promise<Map<string, Item<DocumentHead>>> {
    const withoutBody = isPostgres(this.#db)
      ? sql<string>`(revisions.content::jsonb - 'body')::text`
      : sql<string>`json_remove(revisions.content, '$.body')`
    const rows = await this.#current()
      .select([
        'revisions.id',
        'revision',
        'revisions.retired',
        'hash',
        'sample',
        'changed_at',
        'reason',
        withoutBody.as('content')
      ])
      .where('records.kind', '=', 'document')
      .where('records.retired', '=', 0)
      .orderBy('records.sequence')
      .execute()
    return new Map(rows.map((row) => [row.id, itemOf<DocumentHead>(row)]))
  }

  async #readQuestions(): Promise<QuestionHead[]> {
    const field = (name: keyof QuestionHead) =>
      isPostgres(this.#db)
        ? sql<string>`revisions.content::jsonb ->> ${sql.lit(name)}`
        : sql<string>`json_extract(revisions.content, ${sql.lit(`$.${name}`)})`
    return await this.#current()
      .select([
        field('id').as('id'),
        field('question').as('question'),
        field('unit').as('unit'),
        field('topic').as('topic')
      ])
      .where('records.kind', '=', 'qa')
      .where('records.retired', '=', 0)
      .orderBy('records.id')
      .execute()
  }
}

type Row = Pick<RevisionsTable, 'content' | 'revision' | 'retired' | 'sample' | 'hash' | 'changed_at' | 'reason'>

function itemOf<C>(row: Row): Item<C> {
  return {
    content: JSON.parse(row.content) as C,
    version: row.revision,
    retired: row.retired === 1,
    sample: row.sample === 1,
    hash: row.hash,
    changedOn: dayOf(row.changed_at),
    reason: row.reason,
    characters: row.content.length
  }
}
