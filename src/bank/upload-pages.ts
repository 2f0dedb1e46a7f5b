import multipart from '@fastify/multipart'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { NotAllowed } from '../accounts/errors.ts'
import { actorOn, requireAction } from '../accounts/guard.ts'
import { type Actor, may, PERMISSIONS, ROLE_NAMES, whoMay } from '../accounts/roles.ts'
import { ask } from '../consultations/ask.ts'
import { timeLabel } from '../consultations/shown.ts'
import { ChangedMeanwhile, type Difference } from '../content/store.ts'
import { NotFound } from '../errors.ts'
import { headOf } from '../views/models.ts'
import {
  BadUpload,
  confirm,
  exportedBank,
  LARGEST_UPLOAD,
  putAway,
  readUpload,
  receive,
  setWithdrawn,
  type Standing,
  standing,
  type Upload,
  waitingUploads,
  withdrawnEntries
} from './uploads.ts'

interface EntryLine {
  id: string
  title: string
  href: string
  detail: string
}

interface Change {
  sign: string
  /** `late` for what is withdrawn or brought back: it must not be overlooked. */
  code: string
  kind: string
  id: string
  title: string
  fields: string[]
}

declare module '../views/views.ts' {
  interface Pages {
    'office-bank': {
      head: Head
      problem: string | null
      /** Null for who may not load files. */
      upload: { action: string; waiting: { name: string; href: string; detail: string }[] } | null
      question: string
      /** Null where nothing was looked for. */
      found: EntryLine[] | null
      withdrawn: EntryLine[]
    }
    'office-upload': {
      head: Head
      name: string
      about: string
      problem: string | null
      path: string
      difference: string
      /** Nothing is loaded until they are gone. */
      problems: { place: string; value: string | null; problem: string; remedy: string }[]
      moreProblems: string | null
      warnings: string[]
      counts: string
      withdrawing: string | null
      changes: Change[]
      moreChanges: string | null
      confirm: string | null
    }
    'office-entry': {
      head: Head
      id: string
      title: string
      path: string
      problem: string | null
      version: string
      paragraphs: string[]
      detail: string
      /** Why and by whom it was withdrawn. */
      withdrawn: string | null
      reason: string
      href: string
    }
  }
}

const FOUND = 10
const WITHDRAWN = 20
const SHOWN_CHANGES = 200
const SHOWN_PROBLEMS = 100
const SIGNS: Record<Difference['change'], string> = { new: '新增', changed: '修改', retired: '撤下', unchanged: '不变' }

/** The bank until it has pages of its own: the clerk's table comes in, an entry goes out at once (R29, R37). */
export const uploadPages: FastifyPluginAsyncZod = async (app) => {
  const { parts } = app
  const { db, library } = parts
  const hide = true
  const importing = requireAction('bank-import')
  const withdrawing = requireAction('bank-withdraw')
  const ById = z.object({ id: z.string().max(80) })

  await app.register(multipart, { limits: { fileSize: LARGEST_UPLOAD, files: 1, fields: 5 } })

  app.get(
    '/office/bank',
    {
      onRequest: withdrawing,
      schema: { hide, querystring: z.object({ q: z.string().trim().max(500).catch('') }) }
    },
    async (request, reply) =>
      reply.page('office-bank', await bankPage(actorOn(request), request.csrf, request.query.q, null))
  )

  app.get('/office/bank/export', { onRequest: importing, schema: { hide } }, async (_, reply) => {
    const name = encodeURIComponent(`政策问答库-${parts.today()}.xlsx`)
    return reply
      .header('content-disposition', `attachment; filename="bank.xlsx"; filename*=UTF-8''${name}`)
      .header('cache-control', 'no-store')
      .type('application/vnd.openxmlformats-officedocument.spreadsheetml.sheet')
      .send(await exportedBank(parts))
  })

  app.post(
    '/office/bank/uploads',
    { onRequest: importing, bodyLimit: LARGEST_UPLOAD + 1024 * 1024, schema: { hide } },
    async (request, reply) => {
      const actor = actorOn(request)
      try {
        const file = request.isMultipart() ? await request.file() : undefined
        if (file === undefined) throw new BadUpload('文件：请选一个文件再上传。')
        const bytes = await file.toBuffer()
        const id = await receive(parts, { name: file.filename, bytes, by: actor.username })
        return reply.redirect(`/office/bank/uploads/${id}`, 303)
      } catch (error) {
        const { code } = error as { code?: string }
        const tooLarge = code === 'FST_REQ_FILE_TOO_LARGE'
        if (!tooLarge && !(error instanceof BadUpload)) throw error
        const problem = tooLarge
          ? `文件：超过 ${LARGEST_UPLOAD / 1024 / 1024} 兆，请拆成几个文件，图片请删去。`
          : (error as Error).message
        return reply.code(tooLarge ? 413 : 422).page('office-bank', await bankPage(actor, request.csrf, '', problem))
      }
    }
  )

  app.get(
    '/office/bank/uploads/:id',
    { onRequest: importing, schema: { hide, params: ById } },
    async (request, reply) =>
      reply.page('office-upload', await uploadPage(await readUpload(parts, request.params.id), null))
  )

  app.post(
    '/office/bank/uploads/:id/confirm',
    { onRequest: importing, schema: { hide, params: ById, body: z.object({ difference: z.string().catch('') }) } },
    async (request, reply) => {
      const { id } = request.params
      try {
        if (await confirm(parts, id, request.body.difference, actorOn(request).username)) {
          await parts.follow()
          return reply.redirect('/office/bank?said=loaded', 303)
        }
      } catch (error) {
        if (!(error instanceof ChangedMeanwhile)) throw error
      }
      const problem = '您看过以后，问答库又有变动，还没有存入。请再看一遍下面的不同，没有问题再确认。'
      return reply.code(409).page('office-upload', await uploadPage(await readUpload(parts, id), problem))
    }
  )

  app.post(
    '/office/bank/uploads/:id/cancel',
    { onRequest: importing, schema: { hide, params: ById } },
    async (request, reply) => {
      await putAway(parts, request.params.id)
      return reply.redirect('/office/bank', 303)
    }
  )

  app.get(
    '/office/bank/entries/:id',
    { onRequest: withdrawing, schema: { hide, params: ById } },
    async (request, reply) => {
      const entry = await ownEntry(actorOn(request), request.params.id)
      return reply.page('office-entry', await entryPage(entry, null, ''))
    }
  )

  app.post(
    '/office/bank/entries/:id/:step',
    {
      onRequest: withdrawing,
      schema: {
        hide,
        params: ById.extend({ step: z.enum(['withdraw', 'restore']) }),
        body: z.object({ version: z.coerce.number().int().catch(0), reason: z.string().catch('') })
      }
    },
    async (request, reply) => {
      const actor = actorOn(request)
      const { id, step } = request.params
      const { version, reason } = request.body
      const entry = await ownEntry(actor, id)
      const withdrawn = step === 'withdraw'
      const again = async (status: number, problem: string) =>
        reply.code(status).page('office-entry', await entryPage(await ownEntry(actor, id), problem, reason))
      if (entry.retired === withdrawn) return reply.redirect(`/office/bank/entries/${encodeURIComponent(id)}`, 303)
      const meanwhile = '这条问答刚刚被别人改动过，请看过现在的内容再办。'
      if (entry.version !== version) return await again(409, meanwhile)
      try {
        await setWithdrawn(parts, entry, { withdrawn, reason, by: actor.username })
      } catch (error) {
        if (error instanceof ChangedMeanwhile) return await again(409, meanwhile)
        if (error instanceof BadUpload) return await again(422, error.message)
        throw error
      }
      await parts.follow()
      const said = withdrawn ? 'retired' : 'restored'
      return reply.redirect(`/office/bank/entries/${encodeURIComponent(id)}?said=${said}`, 303)
    }
  )

  /** @throws {NotAllowed} for another unit's, to who has one unit */
  async function ownEntry(actor: Actor, id: string): Promise<Standing> {
    const entry = await standing(db, id)
    if (entry === null) throw new NotFound('问答', id)
    if (!mayWithdraw(actor, entry)) throw new NotAllowed(whoMay('bank-withdraw'), ROLE_NAMES[actor.role])
    return entry
  }

  async function bankPage(actor: Actor, csrf: string | null, question: string, problem: string | null) {
    const units = await library.all('unit')
    const line = ({ content, retired, at, reason }: Standing): EntryLine => ({
      id: content.id,
      title: content.question,
      href: `/office/bank/entries/${encodeURIComponent(content.id)}`,
      detail: retired
        ? `${timeLabel(at)}撤下${reason === null ? '' : `：${reason}`}`
        : (units.get(content.unit)?.content.name ?? content.unit)
    })
    const own = (entries: readonly (Standing | null)[]) =>
      entries.flatMap((entry) => (entry !== null && mayWithdraw(actor, entry) ? [line(entry)] : []))
    return {
      head: await headOf(library, { title: '问答库' }),
      problem,
      upload: may(actor, 'bank-import')
        ? {
            action: `/office/bank/uploads${csrf === null ? '' : `?${new URLSearchParams({ _csrf: csrf })}`}`,
            waiting: (await waitingUploads(parts)).map(({ id, name, madeAt, problems }) => ({
              name,
              href: `/office/bank/uploads/${id}`,
              detail: `${timeLabel(madeAt)}上传，${problems.length > 0 ? `有 ${problems.length} 处要改` : '等确认'}`
            }))
          }
        : null,
      question,
      found: question === '' ? null : own(await lookedFor(question)),
      withdrawn: own(await withdrawnEntries(db, WITHDRAWN))
    }
  }

  async function lookedFor(question: string): Promise<(Standing | null)[]> {
    const exact = await standing(db, question)
    if (exact !== null) return [exact]
    const { hits } = await ask(parts, { question, zone: null, limit: FOUND, live: true })
    return await Promise.all(hits.filter(({ kind }) => kind === 'qa').map(({ id }) => standing(db, id)))
  }

  async function uploadPage(upload: Upload, problem: string | null) {
    const { id, name, difference, madeAt, counts, problems, warnings, changes } = upload
    const changed = counts.new + counts.changed + counts.retired
    return {
      head: await headOf(library, { title: '核对上传的表格' }),
      name,
      about: `${timeLabel(madeAt)}上传`,
      problem,
      path: `/office/bank/uploads/${id}`,
      difference,
      problems: problems.slice(0, SHOWN_PROBLEMS),
      moreProblems: problems.length > SHOWN_PROBLEMS ? `只列前 ${SHOWN_PROBLEMS} 处，共 ${problems.length} 处。` : null,
      warnings: warnings.slice(0, SHOWN_PROBLEMS),
      counts: `新增 ${counts.new} 条，修改 ${counts.changed} 条，撤下 ${counts.retired} 条，不变 ${counts.unchanged} 条。`,
      withdrawing:
        counts.retired > 0
          ? `表里没有、库里有的 ${counts.retired} 条会被撤下，不再答复群众。如果只想改几条，请用完整的表，不要删行。`
          : null,
      changes: changes.slice(0, SHOWN_CHANGES).map(({ change, urgent, ...one }) => ({
        ...one,
        sign: SIGNS[change],
        code: urgent ? 'late' : change === 'new' ? 'done' : 'state'
      })),
      moreChanges: changes.length > SHOWN_CHANGES ? `只列前 ${SHOWN_CHANGES} 条，共 ${changes.length} 条。` : null,
      confirm: problems.length > 0 ? null : changed === 0 ? '与库里一致，收好' : `确认存入这 ${changed} 条变动`
    }
  }

  async function entryPage(entry: Standing, problem: string | null, reason: string) {
    const { content, version, retired, at, by } = entry
    const units = await library.all('unit')
    return {
      head: await headOf(library, { title: `问答 ${content.id}`, sample: entry.sample }),
      id: content.id,
      title: content.question,
      path: `/office/bank/entries/${encodeURIComponent(content.id)}`,
      problem,
      version: String(version),
      paragraphs: content.answer.split('\n').filter((line) => line.trim() !== ''),
      detail: `${units.get(content.unit)?.content.name ?? content.unit}　第 ${version} 版　来自 ${entry.source}`,
      withdrawn: retired ? `${timeLabel(at)}由 ${by} 撤下${entry.reason === null ? '' : `：${entry.reason}`}` : null,
      reason,
      href: `/qa/${encodeURIComponent(content.id)}`
    }
  }
}

/** The office any entry, a leader the own unit's. */
function mayWithdraw(actor: Actor, { content }: Standing): boolean {
  if (PERMISSIONS[actor.role].scope === 'all') return PERMISSIONS[actor.role].may.includes('bank-withdraw')
  return actor.roles.some(({ role, unit }) => unit === content.unit && PERMISSIONS[role].may.includes('bank-withdraw'))
}
