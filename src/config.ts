import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as z from 'zod'
import { day } from './content/kinds.ts'
import type { DatabaseAddress } from './database/open.ts'
import type { EmbeddingsAddress } from './embeddings/client.ts'
import type { ElasticsearchAddress } from './search/elasticsearch/client.ts'

const flag = z.enum(['0', '1']).transform((value) => value === '1')
const nodes = z
  .string()
  .transform((list) => list.split(',').map((node) => node.trim()))
  .pipe(z.array(z.url({ protocol: /^https?$/ })))

const hasUser = (urls: readonly string[] | undefined) =>
  urls?.some((url) => new URL(url).username !== '' || new URL(url).password !== '') ?? false

const apiBase = z
  .url({ protocol: /^https?$/, error: 'an http(s) address that ends in /v1' })
  .transform((url) => url.replace(/\/+$/, ''))
  .refine((url) => /^[^?#]*\/v1$/.test(url), 'the base of the API, ends in /v1')
  .refine((url) => new URL(url).username === '' && new URL(url).password === '', 'the key goes into EMBEDDINGS_API_KEY')

/** `QUERY[,PASSAGE]`: one for both where there is no comma. */
const forEachRole = z
  .string()
  .transform((value) => value.split(','))
  .refine((parts) => parts.length <= 2, 'QUERY or QUERY,PASSAGE: one comma at most')
  .transform(([query = '', passage = query]) => ({ query, passage }))

/** Every setting, from the environment. Empty means absent, so that a service file may list them all. */
const Environment = z
  .object({
    HOST: z.string().default('127.0.0.1'),
    PORT: z.coerce.number().int().min(0).max(65535).default(8080),
    DATA_DIR: z.string().default('./var'),
    DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
    ELASTICSEARCH_URL: nodes.optional(),
    ELASTICSEARCH_API_KEY: z
      .string()
      .regex(/^[\x21-\x7e]+$/, 'no blanks, no line ends')
      .optional(),
    ELASTICSEARCH_CA: z.string().optional(),
    ELASTICSEARCH_INDEX: z
      .string()
      .regex(/^[a-z][a-z0-9_-]{0,63}$/, 'small letters, digits, - and _, a letter first')
      .default('zhengxun'),
    ELASTICSEARCH_SHARDS: z.coerce.number().int().min(1).max(1024).default(1),
    EMBEDDINGS_URL: apiBase.optional(),
    EMBEDDINGS_MODEL: forEachRole
      .transform(({ query, passage }) => ({ query: query.trim(), passage: passage.trim() }))
      .refine(({ query, passage }) => query !== '' && passage !== '', 'a model has a name')
      .default({ query: 'e5-query', passage: 'e5-passage' }),
    // Blanks at the end of a prefix belong to it.
    EMBEDDINGS_PREFIXES: forEachRole.default({ query: '', passage: '' }),
    EMBEDDINGS_API_KEY: z
      .string()
      .regex(/^[\x21-\x7e]+$/, 'no blanks, no line ends')
      .optional(),
    PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
    SESSION_SECRET: z.string().min(32, 'at least 32 characters').optional(),
    KEY_FILE: z.string().optional(),
    SAMPLE_DATA: flag.default(true),
    SMTP_URL: z.url({ protocol: /^smtps?$/ }).optional(),
    MAIL_FROM: z.email().optional(),
    WEBHOOK_URL: z.url({ protocol: /^https?$/ }).optional(),
    WEBHOOK_SECRET: z.string().min(16, 'at least 16 characters').optional(),
    BACKUP_DIR: z.string().optional(),
    RETENTION_DAYS: z.coerce.number().int().min(30).default(1095),
    LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
    TRUST_PROXY: z.string().optional(),
    FRAME_ANCESTORS: z.string().optional(),
    RATE_LIMIT: z.coerce.number().int().min(0).default(600),
    QUERY_LOG_DAYS: z.coerce.number().int().min(1).default(183),
    METRICS_TOKEN: z.string().min(16).optional(),
    TODAY: day.optional(),
    ALLOW_TODAY: flag.default(false)
  })
  .refine(({ TODAY, ALLOW_TODAY }) => TODAY === undefined || ALLOW_TODAY, {
    path: ['TODAY'],
    error: 'a fixed clock is refused unless ALLOW_TODAY=1'
  })
  .refine(({ WEBHOOK_URL, WEBHOOK_SECRET }) => WEBHOOK_URL === undefined || WEBHOOK_SECRET !== undefined, {
    path: ['WEBHOOK_SECRET'],
    error: 'calls are signed: set it with WEBHOOK_URL'
  })
  .refine(({ ELASTICSEARCH_URL, ELASTICSEARCH_API_KEY }) => !hasUser(ELASTICSEARCH_URL) || !ELASTICSEARCH_API_KEY, {
    path: ['ELASTICSEARCH_API_KEY'],
    error: 'the key, or a user in ELASTICSEARCH_URL, not both'
  })

export interface Config {
  host: string
  port: number
  dataDir: string
  database: DatabaseAddress
  /** Null: the embedded engine. */
  elasticsearch: ElasticsearchAddress | null
  /** Null: matching goes by words alone. */
  embeddings: EmbeddingsAddress | null
  /** Without it links are paths. */
  publicUrl: string | null
  logLevel: string
  /** As Fastify takes it: true, addresses, or whether the proxy so many hops away is ours. */
  trustProxy: boolean | string | ((address: string, hop: number) => boolean)
  frameAncestors: readonly string[]
  /** Requests a minute for each terminal, session or address; 0 = no limit. */
  rateLimit: number
  /** How long what was asked is kept: 183 days covers the six months asked of network logs (网络安全法). */
  queryLogDays: number
  metricsToken: string | null
  /** Signs sessions and links; null = made in the data folder. */
  sessionSecret: string | null
  /** Key of encrypted fields; made when absent. */
  keyFile: string
  /** Lay down sample consultations and accounts in an empty database. */
  sampleData: boolean
  mail: { url: string; from: string } | null
  webhook: { url: string; secret: string } | null
  /** Folder of the daily backup; null = none. */
  backupDir: string | null
  /** Days after which a closed consultation's personal data is erased: three years, as 网络数据安全管理条例 Art. 12 keeps records of handing data over. */
  retentionDays: number
  /** `YYYY-MM-DD` fixed for demonstrations and tests, else null. */
  today: string | null
  version: string
}

/** One message that names every bad setting. */
export class BadConfig extends Error {
  constructor(problems: readonly string[]) {
    super(`设置有误，未启动 / bad settings, not started:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'BadConfig'
  }
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/**
 * Reads the settings.
 * @throws {BadConfig} naming every bad variable at once
 */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const parsed = Environment.safeParse(given)
  if (!parsed.success) {
    throw new BadConfig(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`))
  }
  const env = parsed.data
  const dataDir = resolve(env.DATA_DIR)
  const database: DatabaseAddress =
    env.DATABASE_URL === undefined
      ? { kind: 'sqlite', file: join(dataDir, 'zhengxun.db') }
      : { kind: 'postgresql', url: env.DATABASE_URL }
  return {
    host: env.HOST,
    port: env.PORT,
    dataDir,
    database,
    elasticsearch:
      env.ELASTICSEARCH_URL === undefined
        ? null
        : {
            nodes: env.ELASTICSEARCH_URL.map(withoutUser),
            auth:
              env.ELASTICSEARCH_API_KEY === undefined
                ? userOf(env.ELASTICSEARCH_URL)
                : { apiKey: env.ELASTICSEARCH_API_KEY },
            ca: env.ELASTICSEARCH_CA === undefined ? null : resolve(env.ELASTICSEARCH_CA),
            alias: env.ELASTICSEARCH_INDEX,
            shards: env.ELASTICSEARCH_SHARDS
          },
    embeddings:
      env.EMBEDDINGS_URL === undefined
        ? null
        : {
            url: env.EMBEDDINGS_URL,
            models: env.EMBEDDINGS_MODEL,
            prefixes: env.EMBEDDINGS_PREFIXES,
            apiKey: env.EMBEDDINGS_API_KEY ?? null
          },
    publicUrl: env.PUBLIC_URL?.replace(/\/$/, '') ?? null,
    logLevel: env.LOG_LEVEL,
    trustProxy: trustProxy(env.TRUST_PROXY),
    frameAncestors: env.FRAME_ANCESTORS?.split(/[\s,]+/) ?? [],
    rateLimit: env.RATE_LIMIT,
    queryLogDays: env.QUERY_LOG_DAYS,
    metricsToken: env.METRICS_TOKEN ?? null,
    sessionSecret: env.SESSION_SECRET ?? null,
    keyFile: env.KEY_FILE === undefined ? join(dataDir, 'field.key') : resolve(env.KEY_FILE),
    sampleData: env.SAMPLE_DATA,
    mail: env.SMTP_URL === undefined ? null : { url: env.SMTP_URL, from: env.MAIL_FROM ?? senderOf(env.SMTP_URL) },
    webhook:
      env.WEBHOOK_URL === undefined || env.WEBHOOK_SECRET === undefined
        ? null
        : { url: env.WEBHOOK_URL, secret: env.WEBHOOK_SECRET },
    backupDir: env.BACKUP_DIR === undefined ? null : resolve(env.BACKUP_DIR),
    retentionDays: env.RETENTION_DAYS,
    today: env.TODAY ?? null,
    version
  }
}

function withoutUser(node: string): string {
  const url = new URL(node)
  url.username = ''
  url.password = ''
  return url.href
}

/** User and password of the first node that names one: a cluster has the same users on every node. */
function userOf(nodes: readonly string[]): ElasticsearchAddress['auth'] {
  const url = nodes.map((node) => new URL(node)).find(({ username }) => username !== '')
  if (url === undefined) return null
  return { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
}

/** The mail server's own user where that is an address. */
function senderOf(smtpUrl: string): string {
  const { username, hostname } = new URL(smtpUrl)
  const user = decodeURIComponent(username)
  return user.includes('@') ? user : `zhengxun@${hostname}`
}

function trustProxy(value: string | undefined): Config['trustProxy'] {
  if (value === undefined || value === '0') return false
  if (value === '1' || value === 'true') return true
  return /^\d+$/.test(value) ? (_, hop) => hop < Number(value) : value
}
