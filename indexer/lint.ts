import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { isLate } from '../src/boards/pages.ts'
import { dayOf } from '../src/calendar/day.ts'
import { readConfig } from '../src/config.ts'
import type { ContentOf } from '../src/content/kinds.ts'
import { compare, type Incoming, storeChanges } from '../src/content/store.ts'
import { isInForce, validityOn } from '../src/content/validity.ts'
import { AT } from '../src/matching/features.ts'
import { match, type MatchNeeds } from '../src/matching/match.ts'
import { migrate, openDatabase } from '../src/database/open.ts'
import { openParts } from '../src/parts.ts'
import { normalise } from '../src/text/normalise.ts'
import { placeOfDraft } from './check.ts'
import { readAndCheck } from './load.ts'
import type { Problem } from './report.ts'

type Qa = ContentOf['qa']
type Place = Pick<Problem, 'file' | 'sheet' | 'row' | 'column'>

interface Needs {
  matching: MatchNeeds
  incoming: readonly Incoming[]
  /** Where a record's field stands, in the words a clerk sees. */
  placeOf: (kind: Incoming['kind'], id: string, field: string) => Place
  /** `YYYY-MM-DD`. */
  today: string
}

/**
 * Overlap of single characters, weighted by rarity, from which two questions count as one. Of the sample bank's near neighbours,
 * which differ in one aspect on purpose, none reaches it.
 */
const SAME_MEANING = 0.97
/** A unit's contacts are confirmed once a year; the plan asks that they be kept current (R12, R23) and names no term. */
const VERIFIED_WITHIN_DAYS = 366

/**
 * Reads files as an import would, into a database of their own, and lints what they hold; the real database is not touched.
 * Rows that an import would refuse are the findings where there are any: the rest can only be judged without them.
 */
export async function lintFiles(paths: readonly string[], environment: NodeJS.ProcessEnv): Promise<Problem[]> {
  const folder = mkdtempSync(join(tmpdir(), 'zhengxun-lint-'))
  const config = readConfig({ ...environment, DATA_DIR: folder, DATABASE_URL: '', LOG_LEVEL: 'silent' })
  try {
    const db = await openDatabase(config.database)
    await migrate(db)
    const { drafts, incoming, findings } = await readAndCheck(db, paths, {})
    const refused = [...findings.unread, ...findings.refused]
    if (refused.length > 0) {
      await db.destroy()
      return refused
    }
    const at = new Date().toISOString()
    await storeChanges(db, { incoming, differences: await compare(db, incoming, []), by: 'lint', at })
    await db.destroy()
    const parts = await openParts(config, pino({ level: 'silent' }))
    while (!parts.engine.status().ready) await new Promise((resolve) => setTimeout(resolve, 20))
    const located = new Map(
      drafts.map((draft) => [`${draft.kind}/${String(draft.cells.id?.value ?? draft.defaults.id ?? '')}`, draft])
    )
    const placeOf: Needs['placeOf'] = (kind, id, field) => {
      const draft = located.get(`${kind}/${id}`)
      return draft === undefined ? { file: '', sheet: null, row: null, column: null } : placeOfDraft(draft, field)
    }
    const today = config.today ?? dayOf(at)
    const found = await lint({ matching: parts, incoming, placeOf, today })
    await parts.close()
    // A clause that is not there is a warning to an import, which may come before its document; to a bank it is a fault.
    return [...findings.warnings, ...found]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What a sound bank may still hold wrong: entries nobody reaches, contradictions, dead or missing basis, stale dates, doubles. */
async function lint({ matching, incoming, placeOf, today }: Needs): Promise<Problem[]> {
  const problems: Problem[] = []
  const contents = <K extends Incoming['kind']>(kind: K) =>
    incoming.filter((record) => record.kind === kind).map(({ content }) => content as ContentOf[K])
  const entries = contents('qa')
  const documents = new Map(contents('document').map((document) => [document.id, document]))
  const report = (
    kind: Incoming['kind'],
    id: string,
    field: string,
    value: string | null,
    problem: string,
    remedy: string
  ) => problems.push({ ...placeOf(kind, id, field), value, problem, remedy })

  const asked = new Map<string, { entry: Qa; text: string }>()
  for (const entry of entries) {
    for (const { field, text } of formsOf(entry)) {
      const key = normalise(text).replace(/[^\p{L}\p{N}]/gu, '')
      const other = asked.get(key)
      if (other !== undefined && other.entry.id !== entry.id) {
        report(
          'qa',
          entry.id,
          field,
          text,
          `和 ${other.entry.id} 的问法「${other.text}」一样，但两条答复不同`,
          '请只留一条，或者把问法写得能够区分。'
        )
        continue
      }
      asked.set(key, { entry, text })
      const { candidates } = await match(matching, text)
      const at = candidates.findIndex(({ hit }) => hit.kind === 'qa' && hit.id === entry.id)
      const [first] = candidates
      if (at !== 0 && first !== undefined) {
        const rank = at === -1 ? '前 50 条里都没有它' : `它排在第 ${at + 1}`
        report(
          'qa',
          entry.id,
          field,
          text,
          `用这句话问，先找到的是 ${first.hit.id}，${rank}`,
          '请在问题里写明区别，或者把这个问法移到更合适的一条。'
        )
      }
      const twin = candidates.find(
        ({ hit, features }) =>
          hit.kind === 'qa' && hit.id !== entry.id && (features[AT.diceChars] as number) >= SAME_MEANING
      )
      if (field === 'question' && twin !== undefined && at === 0) {
        report(
          'qa',
          entry.id,
          field,
          text,
          `和 ${twin.hit.id} 几乎是同一个问题`,
          '请合并成一条，把不同的说法写进「其他问法」。'
        )
      }
    }
  }

  for (const entry of entries) {
    if (entry.basis.length === 0) {
      report('qa', entry.id, 'basis', null, '没有依据', '请写明依据的文件编号和条款；没有依据的答复不能公开。')
    }
    for (const { document } of entry.basis) {
      const dead = documents.get(document)
      if (dead === undefined || isInForce(validityOn(dead, today)) || validityOn(dead, today) === 'pending') continue
      const replaced =
        dead.successor !== null &&
        entries.some(
          (other) =>
            other.id !== entry.id &&
            other.topic === entry.topic &&
            other.basis.some((basis) => basis.document === dead.successor)
        )
      if (!replaced) {
        const successor = dead.successor === null ? '' : `（已由 ${dead.successor} 代替）`
        report(
          'qa',
          entry.id,
          'basis',
          document,
          `依据的文件已经不再有效${successor}，也没有按新文件写的问答`,
          '请按现行文件改写答复和依据，或者撤下这一条。'
        )
      }
    }
    if (entry.reviewBy !== null && entry.reviewBy <= today) {
      report('qa', entry.id, 'reviewBy', entry.reviewBy, '已过复核日期', '请核对答复是否仍然正确，再改复核日期。')
    }
    if (entry.expiresOn !== null && entry.expiresOn <= today) {
      report('qa', entry.id, 'expiresOn', entry.expiresOn, '已过失效日期', '请撤下这一条，或者更新答复。')
    }
  }
  for (const posted of contents('board')) {
    if (isLate(posted, today)) {
      report(
        'board',
        posted.id,
        'updatedOn',
        posted.updatedOn,
        `已过更新周期（${posted.period}）`,
        '请更新公示内容和更新日期。'
      )
    }
  }
  for (const { id, verifiedOn } of contents('unit')) {
    if (verifiedOn === null || daysBetween(verifiedOn, today) > VERIFIED_WITHIN_DAYS) {
      report(
        'unit',
        id,
        'verifiedOn',
        verifiedOn,
        '联系方式一年内没有核实过',
        '请打电话核实地址、电话和办公时间，再填核实日期。'
      )
    }
  }
  return problems
}

function formsOf({ question, variants }: Qa): { field: 'question' | 'variants'; text: string }[] {
  return [{ field: 'question', text: question }, ...variants.map((text) => ({ field: 'variants' as const, text }))]
}

function daysBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 86_400_000
}
