import t from 'tap'
import type { Document, Qa } from '../../src/content/kinds.ts'
import { cutPassages } from '../../src/documents/passages.ts'
import { cutText, documentTexts, qaTexts, questionText } from '../../src/embeddings/texts.ts'
import { document, qa } from '../sample-records.ts'

const sentence = (length: number) => `${'字'.repeat(length - 1)}。`

t.test('a text is cut at ends of sentences, into about equal chunks of at most 300 characters', async (t) => {
  t.same(cutText(''), [])
  t.same(cutText(' \n '), [])
  t.same(cutText('一句。'), ['一句。'])
  t.same(cutText(sentence(300)), [sentence(300)])
  t.same(
    cutText(sentence(100).repeat(4)).map((chunk) => chunk.length),
    [200, 200],
    'not 300 and a rest that says little'
  )
  const long = cutText([130, 250, 40, 290, 10, 299, 7].map(sentence).join(''))
  t.ok(long.every((chunk) => chunk.length <= 300 && chunk.endsWith('。')))
  t.equal(long.join('').length, 1026, 'nothing is lost')
})

t.test('a sentence without an end is cut at a comma, or where it must be', async (t) => {
  const commas = cutText(`${'字'.repeat(200)}，${'字'.repeat(200)}`)
  t.same(
    commas.map((chunk) => chunk.length),
    [201, 200]
  )
  const none = cutText('字'.repeat(700))
  t.ok(none.every((chunk) => chunk.length <= 300))
  t.equal(none.join('').length, 700)
  t.equal(cutText('字'.repeat(10_000)).length, 12, 'what comes later is found by its words')
})

t.test('what would end a text early, or is no text, is left out', async (t) => {
  t.equal(questionText('怎么\u0000办\n理\ud800？ '), '怎么 办 理\ufffd？')
  t.equal(questionText(' \u0001 '), '')
  t.equal(questionText('问'.repeat(2000)).length, 480)
  t.same(cutText('一\u0000二'), ['一 二'])
})

t.test('of a Q&A entry: question and variants as questions, all the answer says as passages', async (t) => {
  const record = qa({
    id: 'a',
    question: '怎么办',
    variants: ['如何办理', '怎么办', ' '],
    answer: '到**大厅**办。',
    materials: ['身份证'],
    steps: ['取号', '办理'],
    fee: '不收费',
    place: '一楼',
    duration: '当场'
  })
  t.same(qaTexts(record.content as Qa), [
    {
      key: 'qa/a',
      kind: 'qa',
      id: 'a',
      anchor: null,
      questions: ['怎么办', '如何办理'],
      answers: ['到大厅办。 身份证 取号 办理 不收费 一楼 当场']
    }
  ])
})

t.test('of a document: each passage; a short one under its title and heading', async (t) => {
  const record = document({
    id: 'd',
    title: '高龄津贴办法',
    body: `# 高龄津贴办法\n## 第一章 总则\n第一条 每月一百元。\n第二条 ${sentence(200)}\n`
  })
  const content = record.content as Document
  const item = { content } as Parameters<typeof documentTexts>[0]
  const texts = documentTexts(item, cutPassages(content.body))
  t.match(texts, [
    { key: 'document/d#art-1', kind: 'document', id: 'd', anchor: 'art-1', questions: [] },
    { key: 'document/d#art-2' }
  ])
  t.same(texts[0]?.answers, ['高龄津贴办法 第一章 总则 第一条 每月一百元。'])
  t.same(texts[1]?.answers, [`第二条 ${sentence(200)}`])
})
