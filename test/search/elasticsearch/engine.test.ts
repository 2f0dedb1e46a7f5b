import t from 'tap'
import { elasticsearch, openOn } from '../../elasticsearch/cluster.ts'
import { absent } from '../../peers.ts'
import { engineContract } from '../engine-contract.ts'

t.setTimeout(600_000)

t.test('one node', { skip: absent('Elasticsearch'), timeout: 600_000 }, async (t) => {
  const cluster = await elasticsearch(t)
  const nodes = cluster.nodes.map(({ url }) => url)

  await t.test('keeps the contract of every engine', async (t) =>
    engineContract(t, (t, bank) => openOn(t, nodes, bank))
  )
})
