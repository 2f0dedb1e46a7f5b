import { Client, ClusterConnectionPool, errors } from '@elastic/elasticsearch'
import { readFileSync } from 'node:fs'
import { ClusterProblem } from './problem.ts'

/** Where the cluster is and how we come in. */
export interface ElasticsearchAddress {
  /** Every node we may ask, without user and password. */
  nodes: readonly string[]
  auth: { apiKey: string } | { username: string; password: string } | null
  /** PEM file of the authority that signed the nodes' certificates; null = those the system trusts. */
  ca: string | null
  /** Searched under this name; indexes are named after it. */
  alias: string
  /** Of a new index. */
  shards: number
}

/** Client 8 is served by servers of 8 only. */
const MAJOR = '8'

/**
 * Passes over nodes that failed, asks them by a ping of its own after a second, and gives any when all have failed. The
 * client's own pool weighs such nodes down until it gives none at all, and rests them for a minute and more.
 */
class Nodes extends ClusterConnectionPool {
  override resurrectTimeout = 1000
  override resurrectTimeoutCutoff = 3
}

/** @throws {ClusterProblem} when the CA file cannot be read */
export function openClient(address: ElasticsearchAddress): Client {
  return new Client({
    nodes: [...address.nodes],
    ConnectionPool: Nodes,
    ...(address.auth === null ? {} : { auth: address.auth }),
    ...(address.ca === null ? {} : { tls: { ca: readCa(address.ca), rejectUnauthorized: true } }),
    // Every caller says how long it waits and how often it tries.
    maxRetries: 0,
    redaction: { type: 'remove' }
  })
}

function readCa(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new ClusterProblem(
      `ELASTICSEARCH_CA 指的证书文件读不出来：${(error as Error).message}`,
      '请核对路径和读取权限'
    )
  }
}

/** @throws {ClusterProblem} when the server is no Elasticsearch 8 */
export async function mustBeOurs(client: Client): Promise<void> {
  const { version } = await client.info({}, { requestTimeout: 3000 })
  if (version.number.split('.')[0] !== MAJOR) {
    throw new ClusterProblem(
      `Elasticsearch 是 ${version.number} 版，本程序只配 ${MAJOR}.x`,
      `请把 ELASTICSEARCH_URL 指到 ${MAJOR}.x 的集群，或换用配它的程序版本`
    )
  }
}

/** OpenSSL's and Node's words for it. */
const CERTIFICATE = /certificate|CERT_|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO|altnames/i

/** What an operator reads of a failure: never an address with a password in it, never a body. */
export function problemOf(error: unknown): ClusterProblem {
  if (error instanceof ClusterProblem) return error
  if (error instanceof errors.ProductNotSupportedError) {
    return new ClusterProblem(
      '对方不是 Elasticsearch（没有产品标头）',
      '请核对 ELASTICSEARCH_URL；经过代理时，代理不得去掉 x-elastic-product 标头'
    )
  }
  if (error instanceof errors.TimeoutError) {
    return new ClusterProblem('Elasticsearch 没有按时应答', '请看各节点的负载、垃圾回收日志和网络')
  }
  if (error instanceof errors.ResponseError) return ofStatus(error)
  const text = error instanceof Error ? causesOf(error) : String(error)
  if (CERTIFICATE.test(text)) {
    return new ClusterProblem(
      `Elasticsearch 的证书没有通过验证（${text}）`,
      '请用 ELASTICSEARCH_CA 指明签发机构的证书，并核对节点名与证书是否一致、是否过期'
    )
  }
  return new ClusterProblem(`连不上 Elasticsearch（${text}）`, '请核对 ELASTICSEARCH_URL、节点是否在运行、网络和防火墙')
}

/** Codes and messages of an error and what it was caused by. */
function causesOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException
  const own = code === undefined || error.message.includes(code) ? error.message : `${code} ${error.message}`
  const deeper = error.cause instanceof Error ? error.cause : (error as { meta?: { error?: unknown } }).meta?.error
  return deeper instanceof Error && deeper !== error ? `${own}: ${causesOf(deeper)}` : (own.split('\n')[0] ?? own)
}

function ofStatus(error: errors.ResponseError): ClusterProblem {
  const { statusCode } = error
  const { type, reason } = reasonOf(error)
  switch (statusCode) {
    case 401:
      return new ClusterProblem(
        'Elasticsearch 不认这把钥匙（401）',
        '请核对 ELASTICSEARCH_API_KEY 或地址里的用户名和密码'
      )
    case 403:
      return type === 'cluster_block_exception'
        ? readOnly()
        : new ClusterProblem('Elasticsearch 不许这把钥匙做这件事（403）', '请按 docs/cluster.zh.md 的角色给足权限')
    case 429:
      return type === 'cluster_block_exception'
        ? readOnly()
        : new ClusterProblem('Elasticsearch 忙不过来（429）', '请看各节点的负载，或增加节点')
    default:
      return new ClusterProblem(
        `Elasticsearch 报错（${statusCode}${type === null ? '' : ` ${type}`}${reason === null ? '' : `：${reason}`}）`,
        '请看各节点的日志和集群健康状况'
      )
  }
}

export function readOnly(): ClusterProblem {
  return new ClusterProblem(
    'Elasticsearch 的索引被设成了只读，新的改动写不进去',
    '多半是磁盘快满：请腾出空间，再取消索引的 index.blocks.read_only_allow_delete'
  )
}

function reasonOf({ body }: errors.ResponseError): { type: string | null; reason: string | null } {
  const error = (body as { error?: { type?: unknown; reason?: unknown } } | null)?.error
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 200) : null)
  return { type: text(error?.type), reason: text(error?.reason) }
}

/** Whether what was asked for is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof errors.ResponseError && error.statusCode === 404
}
