import type { estypes } from '@elastic/elasticsearch'
import { hashOf } from '../../content/hash.ts'
import { BM25, BOOSTS } from '../boosts.ts'
import type { EngineHit, EngineQuery, EntryFilter } from '../search-engine.ts'
import { ENTRY_FIELDS, type Entry, type EntryField, TOKEN_UNITS, type TokenUnit, tokensOf } from '../tokens.ts'

/** Grows when the mapping or what is written into it changes, so that indexes are built anew. */
const SCHEMA = 1

/** What an index was made with; under another one it is built anew. */
export const identityOf = (segmenter: string) => `${SCHEMA}/${segmenter}`

/** The part of an identity that decides whether our queries can be put to an index at all. */
export const schemaOf = (identity: string) => identity.slice(0, identity.indexOf('/'))
export const OWN_SCHEMA = String(SCHEMA)

/** An entry as the cluster holds it: tokens parted by blanks, one text a form. */
export type Body = Record<TokenUnit, Partial<Record<EntryField, string[]>>> & {
  key: string
  record: string
  kind: Entry['kind']
  unit: string | null
  topic: string | null
  inForce: boolean
  validFrom: string
  validTo: string
  date: string | null
  /** SHA-256 of all the above, hex, first 16 digits: what `admin verify` compares. */
  hash: string
}

/** Days every day lies between. */
const EVER = { from: '0001-01-01', to: '9999-12-31' } as const

/** A record's name: its entries are found by it. */
export const recordOf = ({ kind, id }: Pick<Entry, 'kind' | 'id'>) => `${kind}/${id}`

export function bodyOf(entry: Entry): Body {
  const texts = (unit: TokenUnit) =>
    Object.fromEntries(
      ENTRY_FIELDS.filter((field) => entry.fields[field].length > 0).map((field) => [
        field,
        entry.fields[field].map((form) => tokensOf(form, unit).join(' '))
      ])
    )
  const body = {
    key: entry.key,
    record: recordOf(entry),
    kind: entry.kind,
    unit: entry.unit,
    topic: entry.topic,
    inForce: entry.status !== 'repealed',
    validFrom: entry.validFrom ?? EVER.from,
    validTo: entry.validTo ?? EVER.to,
    date: entry.date,
    words: texts('words'),
    bigrams: texts('bigrams'),
    characters: texts('characters')
  }
  return { ...body, hash: hashOf(JSON.stringify(body)) }
}

/** Whether a body still is what its hash was taken of. */
export function isWhole({ hash, ...body }: Body): boolean {
  return hashOf(JSON.stringify(body)) === hash
}

/** Tokens are cut by us (docs/decisions/0002): the cluster only parts them at blanks. No positions: no phrase is searched. */
const TEXT = { type: 'text', analyzer: 'whitespace', index_options: 'freqs' } as const

export const PROPERTIES = {
  key: { type: 'keyword' },
  record: { type: 'keyword', doc_values: false },
  kind: { type: 'keyword' },
  unit: { type: 'keyword' },
  topic: { type: 'keyword' },
  inForce: { type: 'boolean' },
  validFrom: { type: 'date', format: 'strict_date' },
  validTo: { type: 'date', format: 'strict_date' },
  date: { type: 'date', format: 'strict_date' },
  hash: { type: 'keyword', index: false },
  ...Object.fromEntries(
    TOKEN_UNITS.map((unit) => [unit, { properties: Object.fromEntries(ENTRY_FIELDS.map((field) => [field, TEXT])) }])
  )
} as Record<string, estypes.MappingProperty>

/** Settings of every index of ours, each with why. */
export const SETTINGS = {
  number_of_shards: {
    value: 1 as number,
    why: 'one holds 240,000 entries (README); ELASTICSEARCH_SHARDS for banks of millions'
  },
  auto_expand_replicas: { value: '0-1', why: 'a copy as soon as there is a second node; green on one' },
  'similarity.default': {
    value: { type: 'BM25', k1: BM25.k1, b: BM25.b },
    why: 'the embedded engine ranks by the same (src/search/boosts.ts)'
  },
  refresh_interval: {
    value: '1s',
    why: 'what follows the change feed asks for its own refresh; this one is for repairs by hand'
  },
  'unassigned.node_left.delayed_timeout': {
    value: '1m',
    why: "Elasticsearch's own: a node that restarts brings its shards back, nothing is copied meanwhile"
  },
  gc_deletes: {
    value: '1h',
    why: 'an older write that comes late must still meet the deletion of what it would bring back'
  }
} as const

/** As long as nothing searches an index that is being built, refreshing it costs a fifth of the speed (bench elasticsearch). */
export const WHILE_BUILDING = { refresh_interval: '-1' } as const

export function settingsOf(shards: number): Record<string, unknown> {
  const all = Object.fromEntries(Object.entries(SETTINGS).map(([name, { value }]) => [name, value]))
  return { ...all, number_of_shards: shards, ...WHILE_BUILDING }
}

/** Elasticsearch 8 multiplies BM25 by k1 + 1, which orders nothing; taken out again so that scores are the definition's. */
const FACTOR = BM25.k1 + 1

/**
 * A question as the cluster is asked: candidates' keys and scores, nothing else; one more than wanted, so that it is seen
 * whether the last are level. All terms stand side by side: as one `match` a field Lucene passes over fewer postings, and asks
 * half as long again (bench elasticsearch); so it does when told to order what is level.
 * @param byKey order what is level by key
 */
export function searchOf({ tokens, filter, limit }: EngineQuery, byKey = false): estypes.SearchRequest {
  const should: estypes.QueryDslQueryContainer[] = []
  for (const unit of TOKEN_UNITS) {
    const times = new Map<string, number>()
    for (const token of tokens[unit]) times.set(token, (times.get(token) ?? 0) + 1)
    for (const [value, count] of times) {
      for (const field of ENTRY_FIELDS) {
        should.push({ term: { [`${unit}.${field}`]: { value, boost: count * BOOSTS[unit][field] } } })
      }
    }
  }
  return {
    // Rarity is counted over all shards, as the embedded engine counts it over all entries.
    search_type: 'dfs_query_then_fetch',
    size: byKey ? limit : limit + 1,
    _source: false,
    track_total_hits: false,
    query: { bool: { should, minimum_should_match: 1, filter: filter === undefined ? [] : filtersOf(filter) } },
    ...(byKey ? { sort: [{ _score: { order: 'desc' } }, { key: 'asc' }] } : {})
  }
}

function filtersOf({ kind, unit, topic, inForceOn, dateFrom, dateTo }: EntryFilter): estypes.QueryDslQueryContainer[] {
  const filters: estypes.QueryDslQueryContainer[] = []
  for (const [name, value] of Object.entries({ kind, unit, topic })) {
    if (value !== undefined) filters.push({ term: { [name]: value } })
  }
  if (inForceOn !== undefined) {
    filters.push({ term: { inForce: true } })
    filters.push({ range: { validFrom: { lte: inForceOn } } }, { range: { validTo: { gte: inForceOn } } })
  }
  if (dateFrom !== undefined || dateTo !== undefined) filters.push({ range: { date: { gte: dateFrom, lte: dateTo } } })
  return filters
}

export function hitOf({ _id, _score }: { _id?: string; _score?: number | null }): EngineHit {
  const key = _id as string
  const slash = key.indexOf('/')
  const hash = key.indexOf('#')
  return {
    key,
    kind: key.slice(0, slash) as Entry['kind'],
    id: key.slice(slash + 1, hash === -1 ? undefined : hash),
    anchor: hash === -1 ? null : key.slice(hash + 1),
    score: (_score ?? 0) / FACTOR
  }
}
