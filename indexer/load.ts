import { compare, type Difference, storeChanges } from '../src/content/store.ts'
import type { Database } from '../src/database/open.ts'
import { checkDrafts, type Head } from './check.ts'
import { findFiles, readFiles } from './read-files.ts'
import { Findings, type Problem, type Report } from './report.ts'

export interface LoadOptions {
  dryRun?: boolean
  skipBadRows?: boolean
  /** Who loads: an account or the command's user. */
  by: string
  /** Instant, ISO 8601. */
  at: string
  onProgress?: (stage: 'read' | 'store', done: number, total: number) => void
}

/**
 * Loads files and folders: reads all, checks all, and stores all in one transaction or nothing.
 * @throws what the database throws while storing; then nothing is stored
 */
export async function loadFiles(db: Database, paths: readonly string[], options: LoadOptions): Promise<Report> {
  const { dryRun = false, skipBadRows = false, by, at, onProgress } = options
  const started = performance.now()
  const { files, heads, sources, incoming, refusedSources, findings } = await readAndCheck(db, paths, options)
  // A refused row may be any of its file's records: nothing is retired from a file that was not taken whole.
  const whole = [...sources].filter((source) => !refusedSources.has(source))
  const differences = await compare(db, incoming, whole)
  const refused = findings.unread.length > 0 || (findings.refused.length > 0 && !skipBadRows)
  const stored = !dryRun && !refused
  const records: Record<Difference['change'], number> = { new: 0, changed: 0, unchanged: 0, retired: 0 }
  for (const { change } of differences) records[change]++
  const changes = differences.filter(({ change }) => change !== 'unchanged')
  const moved = isAnyMoved(heads, incoming)
  let sequence: number | null = null
  if (stored && (changes.length > 0 || moved)) {
    const done = await storeChanges(db, {
      incoming,
      differences,
      by,
      at,
      onProgress: (count, total) => onProgress?.('store', count, total)
    })
    sequence = done.sequence
  }
  return {
    files: files.map(({ source }) => source),
    records,
    differences: changes,
    problems: inFileOrder([...findings.unread, ...findings.refused], files),
    warnings: findings.warnings,
    stored,
    sequence,
    tookMs: Math.round(performance.now() - started),
    exitCode: findings.unread.length > 0 ? 2 : findings.refused.length > 0 ? 1 : 0
  }
}

/** Reads files and checks every row, alone and against what is stored; stores nothing. */
export async function readAndCheck(
  db: Database,
  paths: readonly string[],
  { skipBadRows = false, onProgress }: Pick<LoadOptions, 'skipBadRows' | 'onProgress'>
) {
  const findings = new Findings()
  const { files, folders } = findFiles(paths, findings)
  const drafts = await readFiles(files, findings, (done, total) => onProgress?.('read', done, total))
  const heads: Head[] = await db
    .selectFrom('records')
    .innerJoin('revisions', 'revisions.sequence', 'records.sequence')
    .select(['records.kind', 'records.id', 'records.source', 'revisions.sample'])
    .where('records.retired', '=', 0)
    .execute()
  const read = new Set(files.map(({ source }) => source))
  const gone = heads.filter(({ source }) => !read.has(source) && folders.some((folder) => source.startsWith(folder)))
  const sources = new Set([...read, ...gone.map(({ source }) => source)])
  const sampleSources = new Map(files.map(({ source, sample }) => [source, sample]))
  const { incoming, refusedSources } = await checkDrafts(
    db,
    drafts,
    heads,
    { sources, sampleSources, skipBadRows },
    findings
  )
  return { files, drafts, heads, sources, incoming, refusedSources, findings }
}

/** Checks run one after the other over all files; a clerk mends one file after the other. */
function inFileOrder(problems: readonly Problem[], files: readonly { source: string }[]): Problem[] {
  const order = new Map(files.map(({ source }, at) => [source, at]))
  const at = ({ file }: Problem) => order.get(file) ?? -1
  return [...problems].sort((a, b) => at(a) - at(b) || (a.row ?? 0) - (b.row ?? 0))
}

function isAnyMoved(
  heads: readonly Head[],
  incoming: readonly { kind: string; content: { id: string }; source: string }[]
): boolean {
  const stored = new Map(heads.map(({ kind, id, source }) => [`${kind}/${id}`, source]))
  return incoming.some(({ kind, content, source }) => {
    const before = stored.get(`${kind}/${content.id}`)
    return before !== undefined && before !== source && kind !== 'district'
  })
}
