import t from 'tap'
import { openRouter } from '../../src/matching/routing.ts'
import { normalise } from '../../src/text/normalise.ts'
import { openSegmenter } from '../../src/text/segment.ts'

const { tokens } = openSegmenter({ words: [], synonyms: [] })
const known = (unit: string, text: string) => ({ unit, ...tokens(text) })
const TEXTS = [
  known('mzj', '最低生活保障、临时救助和特困供养'),
  known('mzj', '婚姻登记'),
  known('ybj', '医疗保险的参保、报销和异地就医备案'),
  known('zjw', '公共租赁住房的申请和轮候'),
  known('zjw', '老旧小区加装电梯怎么申请')
]
const router = await openRouter(TEXTS)
const first = (question: string) => router.likely(tokens(question), 3)[0]?.unit ?? null

t.test('a duty’s word finds its unit, and so does a question it was asked before', async (t) => {
  t.equal(first('住院的报销比例是多少'), 'ybj')
  t.equal(first('我们小区想装电梯'), 'zjw')
  t.equal(first('结婚登记要带什么'), 'mzj')
})

t.test('probabilities fall, add up to one at most, and three are given at most', async (t) => {
  const likely = router.likely(tokens('低保户申请公租房'), 3)
  t.same(likely.map(({ unit }) => unit).sort(), ['mzj', 'ybj', 'zjw'])
  t.same(
    likely.map(({ probability }) => probability),
    likely.map(({ probability }) => probability).toSorted((a, b) => b - a)
  )
  t.ok(likely.reduce((sum, { probability }) => sum + probability, 0) <= 1 + 1e-9)
})

t.test('nothing in common is no unit, and hostile input is none either', async (t) => {
  for (const text of ['', '？！', 'zzz qqq', '\u0000']) t.same(router.likely(tokens(text), 3), [], JSON.stringify(text))
  t.doesNotThrow(() => router.likely(tokens('低保'.repeat(5000)), 3))
  t.same((await openRouter([])).likely({ text: normalise('低保'), words: ['低保'] }, 3), [])
})

t.test('the same texts teach the same, level units stand by code', async (t) => {
  const again = await openRouter(TEXTS)
  t.same(again.likely(tokens('公租房'), 3), router.likely(tokens('公租房'), 3))
  const twins = await openRouter([known('b', '低保'), known('a', '低保')])
  t.same(
    twins.likely(tokens('低保'), 2).map(({ unit }) => unit),
    ['a', 'b']
  )
})
