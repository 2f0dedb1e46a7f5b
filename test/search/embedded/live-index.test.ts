import fc from 'fast-check'
import t from 'tap'
import { IndexBuilder } from '../../../src/search/embedded/build.ts'
import { LiveIndex } from '../../../src/search/embedded/live-index.ts'
import { anyFilter, entry, query } from '../engine-contract.ts'

const SIZE = 6000

// Few words everywhere and many words rarely, as language has them.
const word = fc
  .double({ min: 0, max: 1, noNaN: true })
  .map((x) => String.fromCharCode(0x4e00 + Math.floor(600 * x ** 6)))
const words = (least: number, most: number) =>
  fc.array(word, { minLength: least, maxLength: most }).map((list) => list.join(' '))
const day = fc.constantFrom(null, '2025-01-01', '2025-06-30')
const rows = fc.record({
  question: words(2, 8),
  answer: words(0, 20),
  unit: fc.constantFrom('U1', 'U2', null),
  topic: fc.constantFrom('T1', null),
  validFrom: day,
  date: day
})

t.test('leaving out what cannot be among the best changes nothing', async (t) => {
  const builder = new IndexBuilder()
  fc.sample(rows, { numRuns: SIZE, seed: 1 }).forEach((row, at) => {
    builder.add(entry(String(at), row))
  })
  const index = new LiveIndex(builder.finish(1))
  const asked = fc.tuple(words(2, 25), fc.oneof(fc.constant({}), anyFilter), fc.integer({ min: 1, max: 50 }))
  for (const [text, filter, limit] of fc.sample(asked, { numRuns: 150, seed: 2 })) {
    const tokens = query(text)
    // A limit of everything leaves nothing out.
    const all = index.search({ tokens, filter, limit: SIZE })
    t.same(index.search({ tokens, filter, limit }), all.slice(0, limit), `${text} ${JSON.stringify(filter)}`)
    const some = all[limit]
    if (some === undefined) continue
    const sum = index.explain(tokens, some.key).reduce((total, { impact }) => total + impact, 0)
    t.ok(Math.abs(sum - some.score) < 1e-5 * some.score)
  }
})
