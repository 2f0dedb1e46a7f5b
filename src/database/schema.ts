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
  /** Why it was withdrawn, where a person withdrew it. */
  reason: string | null
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

/** A holiday notice of the State Council, or a local order, with the days it names (src/calendar/). */
export interface HolidayNoticesTable {
  /** `2026` for the notice of a year; the order number of a local one. */
  id: string
  kind: 'national' | 'local'
  title: string
  /** Where it was published: document number or order number. */
  source: string
  /** JSON: `[{date, works, name}]`. */
  days: string
  imported_at: string
  imported_by: string
}

export const ROLES = ['clerk', 'liaison', 'leader', 'office', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** Those who work with the system; a clerk has a zone, a liaison and a leader a unit. */
export interface StaffTable {
  id: string
  username: string
  /** As ledgers name the person. */
  name: string
  role: Role
  zone: string | null
  unit: string | null
  mail: string | null
  /** argon2id, encoded with its parameters. */
  password: string
  /** 1 until the person has chosen a password of their own. */
  first_password: 0 | 1
  /** Wrong passwords in a row. */
  failures: Generated<number>
  locked_until: string | null
  disabled_at: string | null
  sample: 0 | 1
  created_at: string
}

export interface SessionsTable {
  /** SHA-256 of the cookie's value, hex. */
  hash: string
  staff: string
  csrf: string
  created_at: string
  seen_at: string
  expires_at: string
}

/** Bearer tokens of programs that act as a member of staff. */
export interface TokensTable {
  /** SHA-256 of the token, hex. */
  hash: string
  staff: string
  created_at: string
  revoked_at: string | null
}

/** Who stands in for an absent liaison or leader, days included. */
export interface StandInsTable {
  id: string
  absent: string
  staff: string
  from_on: string
  until_on: string
  made_at: string
  made_by: string
}

/** Kiosks that showed their token once. */
export interface TerminalsTable {
  hash: string
  zone: string
  created_at: string
  revoked_at: string | null
}

/** What the office has set; `value` is JSON. */
export interface SettingsTable {
  name: string
  value: string
  changed_at: string
  changed_by: string
}

/** Sample consultations have a chain of events and numbers of their own, and are in no real ledger or figure. */
export type Chain = 'real' | 'sample'

/** A consultation as its events have made it (src/consultations/ticket.ts); written with them, never alone. */
export interface ConsultationsTable {
  number: string
  chain: Chain
  zone: string
  unit: string | null
  state: string
  /** 1 while somebody still owes something. */
  open: 0 | 1
  version: number
  channel: string
  registered_at: string
  registered_on: string
  due_on: string | null
  /** The ticket it is joined to. */
  head: string | null
  /** Normalised question: equal ones are joined. */
  normal: string
  /** JSON: Ticket. */
  ticket: string
}

/** Personal data of a consultation, encrypted per field; erased when its time is over. */
export interface ContactsTable {
  number: string
  name: string | null
  phone: string | null
  /** The question as typed, where masking took something out. */
  question: string | null
  /** The code beside the number with which a citizen looks it up; encrypted too. */
  code: string
  erased_at: string | null
}

/** What happened, append-only (triggers refuse the rest); each row's hash covers the one before. No personal data. */
export interface EventsTable {
  chain: Chain
  sequence: number
  number: string
  /** The consultation's version after it, from 1. */
  version: number
  at: string
  /** User name, `citizen` or `system`. */
  actor: string
  role: Role | 'citizen' | 'system'
  type: string
  /** JSON. */
  data: string
  previous: string
  hash: string
}

/** End of each chain, locked by whoever appends. */
export interface ChainsTable {
  chain: Chain
  sequence: number
  hash: string
}

/** Last serial given, by kind, zone and day (domain: never used twice, gaps are reported). */
export interface SerialsTable {
  name: string
  value: number
}

/** What an idempotency key was answered with. */
export interface IntentsTable {
  hash: string
  /** SHA-256 of what was asked for. */
  request: string
  number: string
  /** JSON, encrypted: it holds the code. */
  body: string
  created_at: string
}

/** A notice owed, stored with the event that owes it (src/notices/). */
export interface OutboxTable {
  id: Generated<number>
  /** Each notice once: `number/event/recipient`. */
  once: string
  chain: Chain
  number: string
  kind: string
  /** `unit:ID:liaison`, `unit:ID:leader`, `zone:ID`, `office` or `citizen`. */
  recipient: string
  /** JSON. */
  data: string
  created_at: string
  done_at: string | null
}

/** A bank entry proposed from an answered consultation. */
export interface ProposalsTable {
  id: string
  number: string
  unit: string
  state: 'draft' | 'approved' | 'declined'
  /** JSON: src/content/kinds.ts Qa. */
  content: string
  made_at: string
  made_by: string
  decided_at: string | null
  decided_by: string | null
  reason: string | null
}

/** A sheet uploaded to the bank that waits for its confirmation; forgotten after a day. */
export interface UploadsTable {
  id: string
  /** File name, the source of its records. */
  name: string
  /** Base64. */
  bytes: string
  /** JSON: indexer/report.ts Report, what loading it would do. */
  report: string
  made_at: string
  made_by: string
}

/** A half-typed registration left for the next person at the desk; encrypted. */
export interface ParkedTable {
  id: string
  zone: string
  staff: string
  content: string
  created_at: string
}

/** What a citizen asked at a kiosk, handed to the desk by a 6-digit code. */
export interface TrailsTable {
  code: string
  zone: string
  /** JSON: codes of the query log. */
  queries: string
  created_at: string
}

/** One notice to one person by one channel. */
export interface DeliveriesTable {
  id: Generated<number>
  outbox: number
  channel: 'bell' | 'mail' | 'webhook'
  /** Id of a member of staff, or `citizen`. */
  recipient: string
  state: 'waiting' | 'sent' | 'dead'
  attempts: number
  not_before: string
  error: string | null
  done_at: string | null
}

/** What a member of staff finds under the bell of each page. */
export interface BellsTable {
  id: Generated<number>
  staff: string
  outbox: number
  number: string
  text: string
  created_at: string
  read_at: string | null
}

/** Who holds what only one process may do at a time (src/database/lease.ts). */
export interface LeasesTable {
  name: string
  /** The process, made at its start. */
  holder: string
  /** Milliseconds since 1970 by the database's clock. */
  until: number
}

/** Indexes of ours in the Elasticsearch cluster (src/search/elasticsearch/indexer.ts). */
export interface SearchIndexesTable {
  name: string
  /** Under which it is searched while it stands. */
  alias: string
  /** One stands; the one that stood before is kept for a way back: `returning` = asked for. */
  state: 'building' | 'standing' | 'previous' | 'returning'
  /** Schema and segmenter its tokens were made with. */
  identity: string
  /** The `rebuild` counter's value when it was begun. */
  rebuild: number
  /** Changes taken in up to this one. */
  sequence: number
  /** While entries are copied: the last key copied, '' before the first; null once all are. */
  copied_to: string | null
  /** Entries written when it was built. */
  entries: number
  begun_at: string
  stood_at: string | null
}

/** Entries that the cluster would not take in, each until it is taken in after all. */
export interface SearchRefusedTable {
  index_name: string
  key: string
  error: string
  refused_at: string
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
  holiday_notices: HolidayNoticesTable
  staff: StaffTable
  sessions: SessionsTable
  tokens: TokensTable
  stand_ins: StandInsTable
  terminals: TerminalsTable
  settings: SettingsTable
  consultations: ConsultationsTable
  contacts: ContactsTable
  events: EventsTable
  chains: ChainsTable
  serials: SerialsTable
  intents: IntentsTable
  outbox: OutboxTable
  proposals: ProposalsTable
  uploads: UploadsTable
  parked: ParkedTable
  trails: TrailsTable
  deliveries: DeliveriesTable
  bells: BellsTable
  leases: LeasesTable
  search_indexes: SearchIndexesTable
  search_refused: SearchRefusedTable
}
