import { setImmediate } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { type FieldKey, openFieldKey } from './accounts/field-key.ts'
import { openSessionSecret } from './accounts/sessions.ts'
import { type Notices, openNotices } from './notices/dispatch.ts'
import { backupDaily } from './operations/backup.ts'
import { type Calendar, openCalendar } from './calendar/calendar.ts'
import { dayOf, instantInChina } from './calendar/day.ts'
import type { Config } from './config.ts'
import { standingThresholds } from './consultations/labels.ts'
import { readStored } from './consultations/contacts.ts'
import { LINK_DAYS, signLink } from './consultations/links.ts'
import { forgetOldQueries, QueryLog } from './consultations/query-log.ts'
import { appendReminder, forgetIntents, tend } from './consultations/tend.ts'
import { Library } from './content/library.ts'
import { renewEntries, vocabularyOf } from './content/store.ts'
import { type GroupCommit, openGroupCommit } from './database/group-commit.ts'
import { type Database, migrate, openDatabase } from './database/open.ts'
import type { RecordKind } from './database/schema.ts'
import { openSemantic, type Semantic } from './embeddings/semantic.ts'
import type { Thresholds } from './matching/confidence.ts'
import { changesAfter, rebuildsAsked, recordChanges } from './search/change-feed.ts'
import { type EmbeddedEngine, openEmbeddedEngine } from './search/embedded/engine.ts'
import type { ElasticsearchEngine } from './search/elasticsearch/engine.ts'
import type { SearchEngine, TermSource } from './search/search-engine.ts'
import { lastSequence } from './search/stored-entries.ts'
import { Suggestions } from './search/suggestions.ts'
import { openPlaces, type PlaceFinder } from './text/places.ts'
import { openSegmenter, type Segmenter } from './text/segment.ts'

/** Everything the service is made of; opened by `server.ts` or by a test, never looked up elsewhere. */
export interface Parts {
  config: Config
  db: Database
  library: Library
  engine: SearchEngine
  /** The same engine where it is a cluster; null where it is the embedded one. */
  elasticsearch: ElasticsearchEngine | null
  terms: TermSource
  /** Null where no embeddings server is named. */
  semantic: Semantic | null
  segmenter: Segmenter
  places: PlaceFinder
  suggestions: Suggestions
  queryLog: QueryLog
  /** What decisions are made by: the shipped thresholds, or those staff's confirmations led to. */
  thresholds: () => Thresholds
  /** Writes of consultations, acknowledged when they are on the disk. */
  writer: GroupCommit
  /** Encrypts personal data; the key is not in the database. */
  fieldKey: FieldKey
  /** Signs sessions and links. */
  secret: Buffer
  /** Working days as the notices stand now. */
  calendar: () => Calendar
  /** With a fixed TODAY, the time of day on that day. */
  now: () => Date
  /** `YYYY-MM-DD`, China Standard Time. */
  today: () => string
  /** Takes in what changed in the database; also runs by itself twice a second. */
  follow: () => Promise<void>
  close: () => Promise<void>
  /** Set by whoever counts requests. */
  onResponse?: (request: FastifyRequest, statusCode: number, elapsedMs: number) => void
}

/** A clerk's edit is answered from within 2 s (R4); half a second leaves room for the change itself. */
const FOLLOW_EVERY_MS = 500
const FORGET_EVERY_MS = 3600 * 1000
const TEND_EVERY_MS = 60 * 1000
/** Looks whether today's backup is there. */
const BACKUP_EVERY_MS = 10 * 60 * 1000

/** Kinds whose words the segmenter or the place finder knows. */
const VOCABULARY: readonly RecordKind[] = ['word', 'synonym', 'place', 'district']

/**
 * Opens the database, brings it up to date and starts the search; resolves before the first index stands, so that the
 * service can say how far it is.
 * @throws {DatabaseTooNew}
 */
export async function openParts(config: Config, logger: FastifyBaseLogger): Promise<Parts> {
  const db = await openDatabase(config.database)
  try {
    await migrate(db)
  } catch (error) {
    await db.destroy()
    throw error
  }
  const library = new Library(db)
  const sequence = await lastSequence(db)
  let rebuilds = await rebuildsAsked(db)
  const embedded: EmbeddedEngine = openEmbeddedEngine({ db, address: config.database })
  const elasticsearch =
    config.elasticsearch === null
      ? null
      : // The client takes a quarter of a second to load: whoever has no cluster does without.
        (await import('./search/elasticsearch/engine.ts')).openElasticsearchEngine({
          db,
          address: config.elasticsearch,
          embedded,
          logger
        })
  const engine: SearchEngine = elasticsearch ?? embedded
  const suggestions = new Suggestions()
  await suggestions.load(db)
  // The segmenter's dictionary keeps this thread for a second: by then a worker thread is reading the index's entries.
  await setImmediate()
  const segmenter = openSegmenter(await vocabularyOf(db))
  const renewed = await renewEntries(db, segmenter)
  if (renewed > 0) {
    logger.info({ records: renewed }, 'stored tokens made anew: vocabulary or segmenter changed')
    await engine.rebuild()
  }
  let { thresholds } = await standingThresholds(db)
  let calendar = await openCalendar(db)
  const writer = openGroupCommit(db)
  const now = () => clockOn(config.today)
  const queryLog = new QueryLog(db, logger)
  const semantic = openSemantic({ db, library, config, logger })
  const parts: Parts = {
    config,
    db,
    library,
    engine,
    elasticsearch,
    terms: embedded,
    semantic,
    segmenter,
    places: await placesOf(library),
    suggestions,
    queryLog,
    thresholds: () => thresholds,
    writer,
    fieldKey: openFieldKey(config.keyFile),
    secret: openSessionSecret(config),
    calendar: () => calendar,
    now,
    today: () => config.today ?? dayOf(now()),
    follow,
    close
  }
  const notices: Notices = openNotices({
    ...parts,
    logger,
    openContact: async (number) => (await readStored(db, parts.fieldKey, number))?.contact ?? null,
    linkFor: (number, unit, role) => {
      const expiresAt = new Date(now().getTime() + LINK_DAYS * 24 * 3600 * 1000).toISOString()
      return `${config.publicUrl ?? ''}/t/${signLink(parts.secret, { number, unit, role, expiresAt })}`
    },
    unitName: async (id) => (await library.all('unit')).get(id)?.content.name ?? null,
    appendReminder: (number, version, kind, to) => appendReminder(parts, number, version, kind, to)
  })
  let followed = sequence
  let following = Promise.resolve()
  let waiting = 0
  let closed = false

  function follow(): Promise<void> {
    waiting++
    following = following
      .then(takeIn)
      .then(takeInSettings)
      .catch((error: unknown) => {
        logger.warn({ err: error }, 'changes not taken in, tried again')
      })
      .finally(() => {
        waiting--
      })
    return following
  }

  async function takeIn(): Promise<void> {
    const asked = closed ? rebuilds : await rebuildsAsked(db)
    if (asked !== rebuilds) {
      await engine.rebuild()
      await suggestions.load(db)
      rebuilds = asked
    }
    for (;;) {
      const changes = closed ? null : await changesAfter(db, followed)
      if (changes === null) return
      library.forget(changes.records)
      if (changes.records.some(({ kind }) => VOCABULARY.includes(kind))) {
        parts.segmenter = openSegmenter(await vocabularyOf(db))
        parts.places = await placesOf(library)
        await engine.rebuild()
      }
      await engine.apply(await recordChanges(db, changes.records), changes.sequence)
      semantic?.apply(changes.records)
      await suggestions.update(
        db,
        changes.records.filter(({ kind }) => kind === 'qa').map(({ id }) => id)
      )
      followed = changes.sequence
    }
  }

  async function takeInSettings(): Promise<void> {
    if (closed) return
    thresholds = (await standingThresholds(db)).thresholds
    calendar = await openCalendar(db)
  }

  let forgetting: Promise<unknown> = Promise.resolve()
  const forget = () => {
    forgetting = Promise.all([forgetOldQueries(db, config.queryLogDays, now()), forgetIntents(parts)]).catch(
      (error: unknown) => {
        logger.warn({ err: error }, 'old rows not deleted, tried again in an hour')
      }
    )
  }
  let tending: Promise<unknown> = Promise.resolve()
  const care = () => {
    tending = tend({ ...parts, retentionDays: config.retentionDays }).catch((error: unknown) => {
      logger.warn({ err: error }, 'consultations not tended, tried again in a minute')
    })
  }
  let saving: Promise<unknown> | null = null
  const save = () => {
    if (config.backupDir === null || saving !== null) return
    saving = backupDaily(config, config.backupDir, now())
      .then(({ made, removed }) => {
        if (made !== null) logger.info({ file: made.file, bytes: made.bytes, removed }, 'daily backup made')
      })
      .catch((error: unknown) => logger.error({ err: error }, 'daily backup failed, tried again'))
      .finally(() => {
        saving = null
      })
  }
  // With the database away each look waits for its time-out: no second one behind it.
  const followIfIdle = () => {
    if (waiting === 0) void follow()
  }
  const timers = [
    setInterval(followIfIdle, FOLLOW_EVERY_MS).unref(),
    setInterval(forget, FORGET_EVERY_MS).unref(),
    setInterval(care, TEND_EVERY_MS).unref(),
    setInterval(save, BACKUP_EVERY_MS).unref()
  ]
  forget()

  async function close(): Promise<void> {
    closed = true
    for (const timer of timers) clearInterval(timer)
    await following
    await notices.close()
    await Promise.all([tending, saving, forgetting])
    await writer.idle()
    await queryLog.close()
    await elasticsearch?.close()
    await embedded.close()
    await semantic?.close()
    await db.destroy()
  }

  return parts
}

/** The instant it is, moved to the fixed day where there is one. */
function clockOn(fixed: string | null): Date {
  const now = new Date()
  return fixed === null ? now : new Date(`${fixed}${instantInChina(now).slice(10)}`)
}

async function placesOf(library: Library): Promise<PlaceFinder> {
  const district = await library.district()
  const local = [...(await library.all('place')).values()].map(({ content }) => content)
  return openPlaces(district.content.name, local)
}
