import t from 'tap'
import { KINDS } from '../../src/content/kinds.ts'

t.test('what no database can store is taken out of every text, whole characters stay', async (t) => {
  const topic = KINDS.topic.parse({ id: 'a', name: ' 医\0保\ud83d😀 ', lifeEvents: [], note: '\ude00' })
  t.same(topic, { id: 'a', name: '医保😀', lifeEvents: [], note: '' })
  t.equal(KINDS.topic.safeParse({ id: 'a', name: '\0', lifeEvents: [], note: null }).success, false, 'nothing is left')
})
