import t from 'tap'
import { cutPassages, plainText } from '../../src/documents/passages.ts'

const RULE = `# 示例办法
前言一段。
## 第一章 总则
第一条 为了示例，制定本办法。
第二条 本办法适用于示例。
（一）第一种；
（二）第二种。
## 第二章 办理
第三条 依照第一条的规定办理。
第三条之一 另行规定的，从其规定。
第三条规定的事项不另行通知。
`

t.test('a document is cut at headings and clauses, and nothing is lost', async (t) => {
  const passages = cutPassages(RULE)
  t.same(
    passages.map(({ anchor, clause, heading }) => [anchor, clause, heading]),
    [
      ['p-0', null, ''],
      ['art-1', '第一条', '第一章 总则'],
      ['art-2', '第二条', '第一章 总则'],
      ['art-3', '第三条', '第二章 办理'],
      ['art-3.1', '第三条之一', '第二章 办理']
    ]
  )
  t.match(passages[2]?.text, /（一）第一种；\n（二）第二种。$/)
  t.match(passages[4]?.text, /第三条规定的事项不另行通知。$/, 'a sentence that begins with a reference is no clause')
  const kept = passages.map(({ text }) => text).join('\n')
  for (const line of RULE.split('\n').filter((line) => line !== '' && !line.startsWith('#')))
    t.ok(kept.includes(line), line)
})

t.test('a notice is cut at its numbered headings', async (t) => {
  const passages = cutPassages(
    '# 通知\n## 一、谁能办\n本区户籍老人。\n## 二、怎么办\n到街道。\n三、附则\n自发布之日起施行。'
  )
  t.same(
    passages.map(({ clause }) => clause),
    ['一、', '二、', '三、']
  )
})

t.test('a repeated clause number gets an anchor of its own', async (t) => {
  t.same(
    cutPassages('第一条 甲。\n第一条 乙。').map(({ anchor }) => anchor),
    ['art-1', 'art-1-2']
  )
})

t.test('long text is cut at paragraphs, a table stays whole', async (t) => {
  const table = [
    '| 项 | 值 |',
    '| --- | --- |',
    ...Array.from({ length: 60 }, (_, at) => `| 第${at}项 | 很长很长很长的内容${at} |`)
  ].join('\n')
  const passages = cutPassages(`第一条 ${'字'.repeat(500)}\n${'词'.repeat(500)}\n${table}`)
  t.equal(passages.filter(({ text }) => text.includes('|')).length, 1)
  t.ok(passages.length >= 2)
})

t.test('long documents are paged by chapter, short ones are one page', async (t) => {
  const chapters = Array.from({ length: 5 }, (_, at) => `## 第${at + 1}章\n第${at + 1}条 ${'内容'.repeat(400)}`).join(
    '\n'
  )
  t.same([...new Set(cutPassages(chapters).map(({ chapter }) => chapter))], [0, 1, 2, 3, 4])
  t.same([...new Set(cutPassages(RULE).map(({ chapter }) => chapter))], [0])
})

t.test('plain text drops Markdown marks and keeps the words of a table', async (t) => {
  t.equal(plainText('**重点** 见[这里](/x)\n| 甲 | 乙 |\n| --- | --- |\n| 1 | 2 |'), '重点 见这里\n甲　乙\n1　2')
})
