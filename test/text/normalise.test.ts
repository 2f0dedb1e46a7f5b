import fc from 'fast-check'
import t from 'tap'
import { documentNumbersOf, fold, normalise, numeralValue, yearsOf } from '../../src/text/normalise.ts'

t.test('width, case, blanks and traditional characters make no difference', async (t) => {
  t.equal(normalise('Ｗｈａｔ？'), 'what?')
  t.equal(normalise('醫療保險轉移'), '医疗保险转移')
  t.equal(normalise('３，０００元'), '3000元')
  t.equal(normalise(' 公租房\u3000\n怎么\u200b申请 '), '公租房 怎么 申请')
})

t.test('Chinese numerals before a measure are Arabic; in words they stay', async (t) => {
  const same: [string, string][] = [
    ['第二十三条', '第23条'],
    ['二〇二一年十一月', '2021年11月'],
    ['五个工作日', '5个工作日'],
    ['一万五千元', '15000元'],
    ['三百五十元', '350元'],
    ['10万元', '100000元'],
    ['百分之五十', '50%'],
    ['二十多岁', '20多岁']
  ]
  for (const [given, wanted] of same) t.equal(normalise(given), wanted)
  for (const word of ['一次性补贴', '统一办理', '万一', '五里店', '三峡', '四川', '九龙坡'])
    t.equal(normalise(word), word)
})

t.test('a document number is the same with any bracket, another bracket, or none', async (t) => {
  for (const written of [
    '江北府办〔2021〕39号',
    '江北府办[2021]39号',
    '江北府办(2021)39 号',
    '江北府办（２０２１）39号',
    '江北府办202139号',
    '江北府办2021年第39号'
  ]) {
    t.same(documentNumbersOf(normalise(written)), ['2021-39号'], written)
  }
  t.same(documentNumbersOf(normalise('渝府办发2021100号')), ['2021-100号'])
  t.same(documentNumbersOf(normalise('我家住2021号楼')), [])
})

t.test('years are found, document numbers and amounts are not taken for years', async (t) => {
  t.same(yearsOf(normalise('二〇一九年的低保标准')), [2019])
  t.same(yearsOf(normalise('2026年度')), [2026])
  t.same(yearsOf(normalise('渝府办发〔2021〕100号')), [])
  t.same(yearsOf(normalise('补2000元')), [])
})

t.test('numerals have the value people mean', async (t) => {
  const values: [string, number | null][] = [
    ['十', 10],
    ['二十', 20],
    ['一百零五', 105],
    ['三百五', 350],
    ['一万五', 15000],
    ['二〇二六', 2026],
    ['两千', 2000],
    ['一亿', 1e8],
    ['39', 39],
    ['二三百万', null]
  ]
  for (const [numeral, value] of values) t.equal(numeralValue(numeral), value, numeral)
})

t.test('any text is normalised once and for all, without control characters', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      const once = normalise(text)
      return normalise(once) === once && !/[\u0000-\u001f\u007f]/.test(once)
    }),
    { numRuns: 500 }
  )
})

t.test('folding keeps every position', async () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => fold(text).length === text.length))
})
