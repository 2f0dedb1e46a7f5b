import { rmSync } from 'node:fs'
import t from 'tap'
import { bankFolder, openFolder } from '../../bench/bank.ts'
import { measureCorpus } from '../../bench/judged.ts'

/** Topics with fewer answerable questions say nothing by themselves. */
const LEAST_JUDGED = 5

// Percentages, below what `npm run bench -- judged` measures: the gate catches what breaks, the bench says how good it is.
const LEAST = {
  ownWordingsHit1: 99,
  ownWordingsHit3: 100,
  apart: 99,
  hit1: 70,
  hit1OfTopic: 40,
  precision: 90
}
const MOST_FALSE_ANSWERS = 5

const folder = await bankFolder({ corpus: true, records: [] })
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const parts = await openFolder(folder)
t.teardown(() => parts.close())
const figures = await measureCorpus(parts)

t.test('an entry is found by its own wordings, and before its neighbours', async (t) => {
  t.ok(figures.ownWordings > 0)
  t.ok(figures.ownWordingsHit1 >= LEAST.ownWordingsHit1, `first: ${figures.ownWordingsHit1}`)
  t.ok(figures.ownWordingsHit3 >= LEAST.ownWordingsHit3, `in three: ${figures.ownWordingsMissed.join('; ')}`)
  t.ok(figures.neighbours.pairs > 0)
  t.ok(figures.neighbours.apart >= LEAST.apart, `not apart: ${figures.neighbours.missed.join('; ')}`)
})

t.test('everyday questions find their entry, in every topic', async (t) => {
  t.ok(figures.hit1 >= LEAST.hit1, `first right: ${figures.hit1}`)
  for (const { group, answerable, hit1 } of figures.byTopic) {
    if (answerable >= LEAST_JUDGED) t.ok(hit1 >= LEAST.hit1OfTopic, `${group}: ${hit1}`)
  }
  t.same(
    figures.byHalf.map(({ answerable }) => answerable > 0),
    [true, true]
  )
})

t.test('what is answered at once is right, and what the bank cannot answer is not answered', async (t) => {
  const { right, wrong, chooseHolds, chooseMisses, escalated } = figures.answerableBy
  t.equal(right + wrong + chooseHolds + chooseMisses + escalated, figures.answerable, 'each question counted once')
  t.ok(right > 0, 'something is answered at once')
  t.ok(figures.precision >= LEAST.precision, `right: ${figures.precision}; wrong: ${figures.wrongAnswers.join('; ')}`)
  t.ok(
    figures.falseAnswers <= MOST_FALSE_ANSWERS,
    `answered: ${figures.falseAnswers}; ${figures.wrongAnswers.join('; ')}`
  )
})
