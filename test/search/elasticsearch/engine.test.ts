import t from 'tap'
import { elasticsearch, openOn } from '../../elasticsearch/cluster.ts'
import { absent } from '../../peers.ts'
import { engineContract, entry, openBank } from '../engine-contract.ts'

t.setTimeout(600_000)

t.test('one node', { skip: absent('Elasticsearch'), timeout: 600_000 }, async (t) => {
  const cluster = await elasticsearch(t)
  const nodes = cluster.nodes.map(({ url }) => url)

  await t.test('keeps the contract of every engine', async (t) =>
    engineContract(t, (t, bank) => openOn(t, nodes, bank))
  )

  await t.test('the longest question, every character another', async (t) => {
    const bank = await openBank(t, [entry('1', { question: '补贴 标准' }), entry('2', { question: '执照' })])
    const engine = await openOn(t, nodes, bank)
    const longest = Array.from({ length: 500 }, (_, at) => String.fromCodePoint(0x4e00 + at))
    const asked = { words: [...longest, '补贴'], bigrams: longest, characters: longest }
    t.match(await engine.search({ tokens: asked, limit: 5 }), { degraded: false, hits: [{ key: 'qa/1' }] })
  })
})
