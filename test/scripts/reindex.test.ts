import t from 'tap'
import { DISTRICT } from '../sample-records.ts'
import { testApp } from '../test-app.ts'
import { runScript } from './run-script.ts'

t.test('a running service takes in what reindexing has made', async (t) => {
  const { app, parts } = await testApp(t, { records: DISTRICT })
  const first = async () => {
    const response = await app.inject({ url: `/api/v1/answers?live=1&q=${encodeURIComponent('结婚登记要带什么')}` })
    return response.json<{ hits: { id: string }[] }>().hits[0]?.id
  }
  t.equal(await first(), 'hunyin-001')
  await parts.db.deleteFrom('entries').where('key', '=', 'qa/hunyin-001').execute()
  await parts.engine.rebuild()
  t.not(await first(), 'hunyin-001')

  const { code, output, errors } = await runScript('reindex', [], { DATA_DIR: parts.config.dataDir })
  t.equal(code, 0, errors)
  t.match(output, /已重做 7 条记录的 8 条检索词。/)
  await parts.follow()
  t.equal(await first(), 'hunyin-001')
})
