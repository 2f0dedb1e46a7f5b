import * as z from 'zod'
import type { Role } from './texts.ts'

/** Where vectors come from and how its models are called. */
export interface EmbeddingsAddress {
  /** Base of the API, ends in `/v1`. */
  url: string
  models: Readonly<Record<Role, string>>
  /** Put before each text, for servers that know nothing of roles; empty where the server does it. */
  prefixes: Readonly<Record<Role, string>>
  apiKey: string | null
}

export interface EmbeddingsClient {
  /**
   * One vector a text, in the order of the texts, each of length 1 and all of one dimension.
   * @throws {EmbeddingsFailed} whatever goes wrong
   */
  embed(role: Role, texts: readonly string[], timeoutMs: number): Promise<Float32Array[]>
  /** Ends what is under way; it fails. */
  close(): void
}

/**
 * `unreachable` no connection, or one that broke · `timeout` · `denied` 401, 403 · `unknown` 404 or a redirect · `busy` 429, 503 ·
 * `input` the server refuses these texts · `server` it failed on them · `answer` what came back are no usable vectors
 */
type FailureKind = 'unreachable' | 'timeout' | 'denied' | 'unknown' | 'busy' | 'input' | 'server' | 'answer'

/** No vectors; the message says to an operator what is wrong and where to look. */
export class EmbeddingsFailed extends Error {
  readonly kind: FailureKind
  /** What a busy server asks for, else null. */
  readonly retryAfterMs: number | null

  constructor(kind: FailureKind, message: string, retryAfterMs: number | null = null) {
    super(message)
    this.name = 'EmbeddingsFailed'
    this.kind = kind
    this.retryAfterMs = retryAfterMs
  }
}

/** 64 texts of 4,096 numbers take 6 MB as JSON; what is longer is no answer. */
const LONGEST_ANSWER = 32_000_000

const Answer = z.object({
  data: z.array(z.object({ index: z.int().min(0).optional(), embedding: z.array(z.number()).min(1) }))
})

/** Speaks to any server with OpenAI's `POST /v1/embeddings`. */
export function openEmbeddingsClient({ url, models, prefixes, apiKey }: EmbeddingsAddress): EmbeddingsClient {
  const underWay = new Set<AbortController>()
  let closed = false
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` })
  }
  return {
    async embed(role, texts, timeoutMs) {
      const controller = new AbortController()
      if (closed) controller.abort()
      underWay.add(controller)
      const timer = setTimeout(() => controller.abort(), timeoutMs)
      try {
        const response = await fetch(`${url}/embeddings`, {
          method: 'POST',
          headers,
          body: JSON.stringify({ model: models[role], input: texts.map((text) => prefixes[role] + text) }),
          // A redirected POST would arrive as a GET.
          redirect: 'manual',
          signal: controller.signal
        })
        const body = await readBody(response)
        if (!response.ok) throw refusal(response, body)
        return vectorsIn(body, texts.length)
      } catch (error) {
        if (error instanceof EmbeddingsFailed) throw error
        if (controller.signal.aborted) {
          throw new EmbeddingsFailed(
            'timeout',
            `语义服务 ${timeoutMs} 毫秒内没有答复。 No answer within ${timeoutMs} ms.`
          )
        }
        const reason = reasonOf(error)
        throw new EmbeddingsFailed(
          'unreachable',
          `连不上语义服务，或连接中断：${reason}。 Unreachable, or broke off: ${reason}.`
        )
      } finally {
        clearTimeout(timer)
        underWay.delete(controller)
      }
    },
    close() {
      closed = true
      for (const controller of underWay) controller.abort()
    }
  }
}

async function readBody(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.length
    if (length > LONGEST_ANSWER) throw unusable('答复过长', 'too long')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function refusal(response: Response, body: string): EmbeddingsFailed {
  const { status } = response
  // Some servers repeat a wrong key in part.
  const said = status === 401 || status === 403 ? '' : excerpt(body)
  const failed = (kind: FailureKind, chinese: string, english: string) =>
    new EmbeddingsFailed(
      kind,
      `语义服务返回 ${status}：${chinese}。 HTTP ${status}: ${english}.${said === '' ? '' : ` ${said}`}`,
      retryAfterMs(response.headers.get('retry-after'))
    )
  if (status === 401 || status === 403) return failed('denied', '请检查 EMBEDDINGS_API_KEY', 'check EMBEDDINGS_API_KEY')
  if (status === 404 || (status >= 300 && status < 400)) {
    return failed('unknown', '请检查 EMBEDDINGS_URL 和 EMBEDDINGS_MODEL', 'check EMBEDDINGS_URL and EMBEDDINGS_MODEL')
  }
  if (status === 429 || status === 503) return failed('busy', '服务忙，稍后再试', 'busy, tried again later')
  if (status < 500) return failed('input', '不接受这些文字', 'it refuses these texts')
  return failed('server', '服务内部出错', 'it failed')
}

/** Seconds or a date, as HTTP has it. */
function retryAfterMs(header: string | null): number | null {
  if (header === null) return null
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) ? Math.max(ms, 0) : null
}

function vectorsIn(body: string, expected: number): Float32Array[] {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    // NaN is no JSON either.
    throw unusable(`不是 JSON（${excerpt(body)}），请检查 EMBEDDINGS_URL`, 'no JSON; check EMBEDDINGS_URL')
  }
  const parsed = Answer.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const where = `${issue?.path.join('.')}: ${issue?.message}`
    throw unusable(`不是向量（${where}）`, 'no vectors')
  }
  const { data } = parsed.data
  if (data.length !== expected) {
    throw unusable(`${expected} 段文字得到 ${data.length} 个向量`, `${data.length} vectors for ${expected} texts`)
  }
  const vectors = new Array<Float32Array | undefined>(expected).fill(undefined)
  const dimension = data[0]?.embedding.length
  for (const [at, { index = at, embedding }] of data.entries()) {
    if (index >= expected || vectors[index] !== undefined)
      throw unusable('序号重复或越界', 'indexes repeat or run over')
    if (embedding.length !== dimension) throw unusable('向量长短不一', 'vectors of different dimensions')
    vectors[index] = toUnitLength(embedding)
  }
  return vectors as Float32Array[]
}

function toUnitLength(numbers: readonly number[]): Float32Array {
  let square = 0
  for (const number of numbers) square += number * number
  const length = Math.sqrt(square)
  if (length === 0 || !Number.isFinite(length))
    throw unusable('向量全是零或过大', 'a vector of zeros, or beyond measure')
  return Float32Array.from(numbers, (number) => number / length)
}

function unusable(chinese: string, english: string): EmbeddingsFailed {
  return new EmbeddingsFailed('answer', `语义服务的答复不能用：${chinese}。 Unusable answer: ${english}.`)
}

/** The beginning of what a server said, on one line. */
function excerpt(body: string): string {
  return body.replace(/\s+/g, ' ').trim().slice(0, 160)
}

/** What undici hides behind "fetch failed". */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error ? error.cause : error
  return (cause as NodeJS.ErrnoException).code ?? cause.message
}
