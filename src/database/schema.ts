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

export interface Schema {
  records: RecordsTable
  revisions: RevisionsTable
  counters: CountersTable
  entries: EntriesTable
  queries: QueriesTable
}
