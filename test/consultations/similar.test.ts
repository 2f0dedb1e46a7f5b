import t from 'tap'
import { normalOf, PROPOSED_FROM, similarTickets } from '../../src/consultations/similar.ts'
import { DISTRICT, qa } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

/** A question, and another that the same answer serves. */
const SAME: readonly [string, string][] = [
  ['我妈退休了医保怎么转到江北来', '退休了，医保咋个转到江北来'],
  ['高龄津贴多少钱', '高龄补贴有好多'],
  ['我的医保卡里的钱可以给我爸妈用吗', '我医保卡里的钱能给爸妈用吗'],
  ['我租的公租房合同要到期了，续租啷个办', '公租房合同到期了怎么续租'],
  ['想给小区装电梯怎么申请补贴', '小区加装电梯，补贴怎么申请'],
  ['人才公寓怎么申请', '人才公寓要怎样申请'],
  ['七十多岁能考驾照吗', '70多岁还能考驾照吗'],
  ['无房证明在哪里打', '打无房证明到哪里']
]

const APART: readonly [difference: string, one: string, other: string][] = [
  ['another aspect', '高龄津贴什么时候发', '高龄津贴申请要什么材料'],
  ['another aspect', '老年人优待证怎么办', '老年人优待证有什么用'],
  ['another place', '成都的公租房怎么申请', '公租房怎么申请'],
  ['another place', '渝北区的人才公寓怎么申请', '江北区的人才公寓怎么申请'],
  ['another year', '2026年居民医保交多少钱', '2027年居民医保交多少钱'],
  ['another number', '我61岁能考驾照吗', '我75岁能考驾照吗'],
  ['another audience', '低保户居民医保交多少钱', '居民医保交多少钱'],
  ['another audience', '退休人员医保怎么转到江北', '在职职工医保怎么转到江北'],
  ['lost, not first', '护照怎么办，多少钱', '护照丢了怎么补，要多少钱'],
  ['another matter', '结婚登记要带什么', '离婚登记要带什么'],
  ['another matter', '二手房过户怎么办', '二手车过户怎么办'],
  ['another matter', '医保怎么转', '公租房怎么申请']
]

t.test('open tickets that ask the same', async (t) => {
  const records = [
    ...DISTRICT,
    qa({ id: 's-1', question: '公租房怎么申请', answer: '在网上申请。', unit: 'mzj' }),
    qa({ id: 's-2', question: '居民医保怎么参保', answer: '到社区参保。', unit: 'mzj' })
  ]
  const { parts } = await testApp(t, { records })
  const ask = (question: string, ...open: string[]) =>
    similarTickets(
      parts,
      question,
      open.map((text, at) => ({ number: `JB-${at}`, question: text })),
      3
    )

  t.test('in everyday words it is proposed, whichever came first', async (t) => {
    for (const [one, other] of SAME) {
      t.equal(ask(one, other).length, 1, `${one} | ${other}`)
      t.same(ask(other, one), ask(one, other))
    }
  })

  t.test('what needs another answer is not, however alike the words', async (t) => {
    for (const [difference, one, other] of APART) {
      t.same(ask(one, other), [], `${difference}: ${one} | ${other}`)
      t.same(ask(other, one), [], `${difference}: ${other} | ${one}`)
    }
  })

  t.test('the surest stands first, level ones by number, no more than asked for', async (t) => {
    const [asked] = SAME.map(([one]) => one)
    const open = ['公租房怎么申请', '医保咋个转到江北来，我妈退休了', `${asked}`, `${asked}？`, '高龄津贴多少钱']
    const found = ask(`${asked}`, ...open)
    t.same(
      found.map(({ number }) => number),
      ['JB-2', 'JB-3', 'JB-1']
    )
    for (const { probability, similarity } of found) {
      t.ok(probability >= PROPOSED_FROM && probability <= 1)
      t.ok(similarity > 0 && similarity <= 1 + 1e-6)
    }
    t.same(similarTickets(parts, `${asked}`, [{ number: 'JB-9', question: `${asked}` }], 0), [])
  })

  t.test('a change of the bank changes what words weigh, and nothing is kept from before', async (t) => {
    const before = ask('人才公寓怎么申请', '人才公寓要怎样申请')[0]?.similarity
    await parts.engine.rebuild()
    t.equal(ask('人才公寓怎么申请', '人才公寓要怎样申请')[0]?.similarity, before)
  })

  t.test('hostile input proposes nothing and takes no time', async (t) => {
    const long = '公租房申请'.repeat(2000)
    const hostile = ['', ' ', '？！', '😀😀', '\u0000', '\ud83d', 'a'.repeat(10_000), '谢谢'.repeat(5000)]
    const started = performance.now()
    for (const text of hostile)
      t.same(ask(text, '公租房怎么申请', '', '😀', '？'), [], JSON.stringify(text.slice(0, 12)))
    t.same(ask('公租房怎么申请', ...hostile), [])
    // Words said two thousand times are the words of the other: whether it is proposed does not matter.
    t.doesNotThrow(() => ask(long, ...new Array<string>(300).fill(`${long}怎么`)))
    t.ok(performance.now() - started < 2000)
  })
})

t.test('politeness and signs make no other question', async (t) => {
  const same = [
    '医保怎么转',
    '请问，医保怎么转？',
    '您好！我想问一下医保怎么转，谢谢',
    ' 醫保怎麼轉😀',
    '医保，怎么转。。。谢谢您！'
  ]
  for (const text of same) t.equal(normalOf(text), '医保怎么转', text)
})

t.test('what says something is kept', async (t) => {
  t.equal(normalOf('老师资格证怎么考'), '老师资格证怎么考')
  t.not(normalOf('医保怎么转出'), normalOf('医保怎么转'))
  t.not(normalOf('缴1.5%还是15%'), normalOf('缴15%还是15%'))
  t.not(normalOf('渝府发〔2021〕39号'), normalOf('渝府发〔202〕139号'))
  t.equal(normalOf('你好'), '你好')
  t.equal(normalOf('？😀'), '')
  t.equal(normalOf(''), '')
  t.equal(typeof normalOf(`${'谢谢'.repeat(5000)}x`), 'string')
})
