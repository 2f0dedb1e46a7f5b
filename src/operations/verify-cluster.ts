import type { Database } from '../database/open.ts'
import { type ElasticsearchAddress, mustBeOurs, openClient, problemOf } from '../search/elasticsearch/client.ts'
import { compareIndex, standingIndex } from '../search/elasticsearch/compare.ts'
import type { Finding } from './verify.ts'

/** Entries named in one finding. */
const MOST_NAMED = 3

/** Compares the cluster's standing index with the database; with `repair`, makes it what the database says. */
export async function verifyCluster(db: Database, address: ElasticsearchAddress, repair: boolean): Promise<Finding[]> {
  const standing = await standingIndex(db, address.alias)
  if (standing === null) return [{ what: '集群里还没有建好的索引', remedy: '请启动服务，或运行 npm run reindex' }]
  const client = openClient(address)
  try {
    await mustBeOurs(client)
    const found = await compareIndex({ db, client }, standing, repair)
    const remedy = repair ? '已按数据库改好' : '请运行 npm run admin -- verify --repair'
    const findings: Finding[] = []
    const tell = (what: string, keys: readonly string[]) => {
      if (keys.length === 0) return
      const named = keys.slice(0, MOST_NAMED).join('、')
      findings.push({ what: `集群索引 ${standing.name} ${what} ${keys.length} 条（${named}）`, remedy })
    }
    tell('缺', found.missing)
    tell('多出', found.extra)
    tell('与数据库不同', found.changed)
    for (const { key, error } of found.refused) {
      findings.push({ what: `集群不收 ${key}：${error}`, remedy: '请改这条内容，或运行 npm run reindex' })
    }
    return findings
  } catch (error) {
    const { message, remedy } = problemOf(error)
    return [{ what: `集群索引没有核查：${message}`, remedy }]
  } finally {
    await client.close()
  }
}
