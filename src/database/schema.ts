import type { Generated } from 'kysely'

/** Kinds of record in the one content store (R4: 信息同源). */
export const RECORD_KINDS = [
  'district',
  'unit',
  'zone',
  'topic',
  'qa',
  'document',
  'board',
  'word',
  'synonym',
  'place'
] as const
export type RecordKind = (typeof RECORD_KINDS)[number]

/** Which revision of each record stands now; the content is in `revisions`, once. */
export interface RecordsTable {
  kind: RecordKind
  id: string
  /** The revision that stands now. */
  sequence: number
  /** 1 once the record has left its source; kept so that old links can say so. */
  retired: 0 | 1
  /** File the record belongs to, relative to what was loaded. */
  source: string
}

/** Every state a record ever had; append-only; `sequence` orders it and is the change feed. */
export interface RevisionsTable {
  sequence: number
  kind: RecordKind
  id: string
  /** 1 for the first; grows by one with every change. */
  revision: number
  retired: 0 | 1
  /** The record as JSON, keys in schema order. */
  content: string
  /** SHA-256 of content, hex, first 16 digits. */
  hash: string
  /** 1 = sample data, said on every page that shows it. */
  sample: 0 | 1
  /** File the change came from. */
  source: string
  /** Instant, ISO 8601 UTC. */
  changed_at: string
  changed_by: string
}

/**
 * `change`: the change feed's last sequence, taken here under a row lock so that commit order is sequence order.
 * `rebuild`: raised to make every running service build its index anew.
 */
export interface CountersTable {
  name: 'change' | 'rebuild'
  value: number
}

/** Stored tokens of each searchable entry (src/search/tokens.ts), so that no rebuild segments again. */
export interface EntriesTable {
  /** `qa/ID` or `document/ID#ANCHOR`. */
  key: string
  /** Index identity the tokens were made with (src/text/segment.ts). */
  identity: string
  /** As src/search/stored-entries.ts encodes it. */
  entry: string
  /** Full pinyin of the question, syllables joined by blanks; empty for passages. */
  pinyin: string
}

/** What was asked and what the system decided (R26); no personal data (src/consultations/mask.ts). */
export interface QueriesTable {
  id: string
  asked_at: string
  zone: string | null
  /** Masked question. */
  text: string
  decision: 'answer' | 'choose' | 'escalate'
  confidence: number
  /** JSON: the hits offered with their features. */
  evidence: string
  degraded: 0 | 1
  took_ms: number
}

/** Vectors for semantic matching, each once however many entries hold its text (src/embeddings/vectors.ts). */
export interface VectorsTable {
  /** SHA-256 of model, prefix, role and text, hex, first 32 digits. */
  hash: string
  model: string
  dimension: number
  /** int16, little endian, at length 32,767. */
  vector: Buffer
}

/** What staff confirmed of one query; the last word counts. Holds what a refit needs, no text: it outlives the query. */
export interface LabelsTable {
  query_id: string
  /** `right`: the first candidate answers it; `wrong`: none does; `other`: `entry` does. */
  label: 'right' | 'wrong' | 'other'
  /** `qa/ID`, `document/ID` or `document/ID#ANCHOR`. */
  entry: string | null
  labelled_at: string
  asked_at: string
  /** Version of the model that decided. */
  model: string
  decision: QueriesTable['decision']
  /** The first candidate's. */
  confidence: number
  /** All candidates' together, what `choose` is compared with; null = nothing to be offered whatever it is. */
  among: number | null
  /** Key of the first candidate. */
  first: string | null
  /** 1 = never an instant answer however sure: not in force, or another place's. */
  withheld: 0 | 1
  /** Where the entry that answers stood among the candidates, 0 the first; null where none of them does. */
  place: number | null
}

/** Thresholds that replaced the shipped ones; append-only, the newest of a model's counts (src/matching/refit.ts). */
export interface ThresholdsTable {
  id: Generated<number>
  model: string
  /** JSON: src/matching/confidence.ts Thresholds. */
  content: string
  made_at: string
  /** JSON: counts of labels, figures before and after; null where a refit was taken back. */
  made_from: string | null
  /** Row to go back to; 0 = the shipped thresholds, null = these are the shipped ones. */
  previous: number | null
}

export interface Schema {
  records: RecordsTable
  revisions: RevisionsTable
  counters: CountersTable
  entries: EntriesTable
  queries: QueriesTable
  vectors: VectorsTable
  labels: LabelsTable
  thresholds: ThresholdsTable
}
