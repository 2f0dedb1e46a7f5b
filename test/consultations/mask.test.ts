import t from 'tap'
import { maskPersonalData } from '../../src/consultations/mask.ts'

t.test('phones, identity numbers, cards and addresses are taken out however they are grouped', async (t) => {
  const masked: [string, string][] = [
    ['我电话13800000000找我', '我电话〔电话〕找我'],
    ['138 0000 0000', '〔电话〕'],
    ['138-0000-0000', '〔电话〕'],
    ['+86 13800000000', '〔电话〕'],
    ['１３８００００００００', '〔电话〕'],
    ['023-00000101', '〔电话〕'],
    ['身份证500105199001010011怎么换', '身份证〔证件号〕怎么换'],
    ['500105 19900101 001X', '〔证件号〕'],
    ['卡号6222 0000 0000 0000 000', '卡号〔号码〕'],
    ['发到a.b@example.invalid', '发到〔邮箱〕']
  ]
  for (const [given, wanted] of masked) t.equal(maskPersonalData(given), wanted, given)
})

t.test('amounts, years, document numbers and short numbers stay', async (t) => {
  for (const text of ['补贴20000000元', '2026年11月23日', '〔2021〕39号', '打12345', '交1200元还是1500元']) {
    t.equal(maskPersonalData(text), text)
  }
})
