import t from 'tap'
import { drillCluster } from '../../../bench/drill/cluster.ts'
import { absent } from '../../peers.ts'

t.setTimeout(600_000)

const skip = absent('Elasticsearch') || absent('PostgreSQL')

// The long one is `npm run bench -- drill --only cluster`.
t.test(
  'three nodes: each killed in turn, then all, then rebuilds under load',
  { skip, timeout: 600_000 },
  async (t) => {
    const drilled = await drillCluster({ questions: 2000, swaps: 2 })
    t.ok((drilled.questions as number) >= 2000)
    // Compared as a whole: an empty list as a pattern would match any.
    const { failed, wrongAnswers, swapFailed, swapWrongAnswers, findings, swapsKilledHalfWay } = drilled
    t.same(
      { failed, wrongAnswers, swapFailed, swapWrongAnswers, findings, swapsKilledHalfWay },
      {
        failed: 0,
        wrongAnswers: [],
        swapFailed: 0,
        swapWrongAnswers: [],
        findings: [],
        swapsKilledHalfWay: 1
      }
    )
    t.ok((drilled.edits as number) > 20, 'a clerk edited all the while')
    const kills = drilled.kills as { what: string; fallback: number; breakerClosedMs: number }[]
    t.same(
      kills.map(({ what }) => what),
      ['a data node', 'the master', 'all']
    )
    for (const { what, breakerClosedMs } of kills) t.ok(breakerClosedMs <= 30_000, `${what}: ${breakerClosedMs} ms`)
    t.ok((kills[2]?.fallback ?? 0) > 0, 'with all nodes away the in-process index answered')
  }
)
