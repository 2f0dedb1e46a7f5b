import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { STATUS_CODES } from 'node:http'
import { errorPage } from './views/models.ts'
import { explained, StoreAway, StoreBusy, StoreFull } from './database/group-commit.ts'

/** RFC 9457, with a stable `code`; `detail` is for the person who asked, in Chinese. */
export interface Problem {
  type: string
  title: string
  status: number
  code: string
  detail: string
  instance: string
}

const DETAILS: Record<number, string> = {
  400: '请求里有填写不对的地方，请检查后再试。',
  403: '没有权限。',
  404: '没有找到您要的内容。',
  413: '内容太长，请缩短后再试。',
  429: '操作太快了，请稍等一分钟再试。',
  500: '系统出了点问题，请稍后再试，或到政策咨询台、拨打 12345 咨询。',
  503: '系统正忙，请稍后再试，或到政策咨询台咨询。'
}

/** What a request went wrong with, fit to leave the server: no stack, no text of an unexpected error. */
export function problemOf(thrown: FastifyError, request: FastifyRequest): Problem {
  const error = explained(thrown) as FastifyError
  // A store that is full, busy or away says what became of the step; all other faults of ours say nothing of themselves.
  const isOfTheStore = error instanceof StoreFull || error instanceof StoreBusy || error instanceof StoreAway
  const status = statusOf(error)
  const invalid = hasZodFastifySchemaValidationErrors(error)
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    code: invalid ? 'INVALID_REQUEST' : status >= 500 && !isOfTheStore ? 'INTERNAL' : error.code,
    detail: invalid
      ? error.validation.map(({ instancePath, message }) => `${instancePath.slice(1) || 'q'}：${message}`).join('；')
      : (status < 500 || isOfTheStore) && /[一-鿿]/.test(error.message)
        ? error.message
        : (DETAILS[status] ?? (DETAILS[status >= 500 ? 500 : 400] as string)),
    instance: request.id
  }
}

function statusOf(error: FastifyError): number {
  if (hasZodFastifySchemaValidationErrors(error)) return 400
  const status = error.statusCode ?? 500
  return status >= 400 && status < 600 ? status : 500
}

/** Whether the requester reads pages rather than JSON. */
function wantsPage(request: FastifyRequest): boolean {
  return !request.url.startsWith('/api/') && (request.headers.accept ?? '').includes('text/html')
}

/** Sends a problem as a page to who reads pages, else as problem+json. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (wantsPage(reply.request)) return reply.code(problem.status).page('error', errorPage(problem))
  return reply.code(problem.status).type('application/problem+json; charset=utf-8').send(JSON.stringify(problem))
}
