import t from 'tap'
import { THRESHOLDS } from '../../src/matching/confidence.ts'
import { decide } from '../../src/matching/decide.ts'
import { AT } from '../../src/matching/features.ts'
import { answerSentence, highlight } from '../../src/matching/highlight.ts'
import { match } from '../../src/matching/match.ts'
import { DISTRICT, qa } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

const sure = { kind: 'qa', confidence: 0.99, validity: 'current', isOverdue: false, placeConflict: false } as const
const doubtful = { ...sure, confidence: (THRESHOLDS.answer + THRESHOLDS.choose) / 2 }
const no = { ...sure, confidence: 0.01 }

t.test('sure answers, doubtful offers two to five, hopeless goes to the unit', async (t) => {
  t.same(decide([sure, no]), { decision: 'answer', offered: 2 })
  t.same(decide([doubtful, no, no]), { decision: 'choose', offered: 2 })
  t.same(decide(new Array(9).fill(doubtful)), { decision: 'choose', offered: 5 })
  t.equal(decide([no, no]).decision, 'escalate')
  t.equal(decide([]).decision, 'escalate')
  t.equal(decide([doubtful]).decision, 'escalate', 'one doubtful candidate is no choice')
})

t.test('what is not in force, past its review, or of another place, is never the answer', async (t) => {
  t.equal(decide([{ ...sure, isOverdue: true }, no]).decision, 'choose')
  for (const validity of ['repealed', 'expired', 'pending'] as const) {
    t.not(decide([{ ...sure, validity }, no]).decision, 'answer', validity)
  }
  t.equal(decide([{ ...sure, validity: 'amended' }]).decision, 'answer', 'amended is in force')
  t.equal(
    decide([
      { ...sure, placeConflict: true },
      { ...sure, placeConflict: true }
    ]).decision,
    'escalate'
  )
})

t.test('a passage must be surer than an entry that somebody wrote as an answer', async (t) => {
  const between = (THRESHOLDS.answer + THRESHOLDS.answerPassage) / 2
  t.equal(decide([{ ...sure, confidence: between }]).decision, 'answer')
  t.not(decide([{ ...sure, kind: 'document', confidence: between }, no]).decision, 'answer')
})

t.test(
  'candidates: the nearer wording first, each document once, confidence a probability that falls with a conflict',
  async (t) => {
    const records = [
      ...DISTRICT,
      qa({ id: 'gj-1', question: '高龄津贴怎么申请', answer: '到社区申请。', unit: 'mzj' }),
      qa({ id: 'gj-2', question: '高龄津贴什么时候发', answer: '每季度发。', unit: 'mzj' })
    ]
    const { parts } = await testApp(t, { records })
    const first = async (text: string) => (await match(parts, text)).candidates[0]
    t.equal((await first('高龄津贴咋个申请嘛'))?.hit.id, 'gj-1')
    t.equal((await first('高龄津贴哪个时候发哦'))?.hit.id, 'gj-2')
    const { candidates } = await match(parts, '医保转移')
    t.equal(new Set(candidates.map(({ hit }) => `${hit.kind}/${hit.id}`)).size, candidates.length)
    for (const { confidence } of candidates) t.ok(confidence >= 0 && confidence <= 1)
    const here = await first('公租房怎么申请')
    const there = await first('成都的公租房怎么申请')
    t.equal(here?.features[AT.placeConflict], 0)
    t.equal(there?.features[AT.placeConflict], 1)
    t.ok((there?.confidence ?? 1) < (here?.confidence ?? 0), 'another city is not so sure')
  }
)

t.test('marks stand where the words are, in the text as it is shown', async (t) => {
  const text = '請到ＹＢ窗口辦理醫保，医保卡带上。'
  const marks = highlight(text, ['医保', '医保卡', 'yb', '的'])
  t.same(
    marks.map(({ start, end }) => text.slice(start, end)),
    ['ＹＢ', '醫保', '医保卡']
  )
  t.same(highlight('', ['医保']), [])
})

t.test('of a passage the sentence that answers is marked, and none where none does', async (t) => {
  const text = '第三条 申请公租房应当满十八周岁。每人每月收入不超过四千元的，可以申请。其他由街道解释。'
  const [range] = answerSentence(text, '公租房每人每月收入不超过多少') ?? []
  t.equal(text.slice(range?.start, range?.end), '每人每月收入不超过四千元的，可以申请。')
  t.equal(answerSentence(text, '天气'), null)
})
