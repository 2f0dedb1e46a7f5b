import t from 'tap'
import { registered, service } from '../../consultations/people.ts'
import { until } from '../../elasticsearch/cluster.ts'
import { readConfig } from '../../../src/config.ts'

t.setTimeout(120_000)

// Nobody listens on the discard port.
const NOWHERE = 'http://127.0.0.1:9'

t.test('with a cluster that is not there the service starts, answers, registers, and says what is wrong', async (t) => {
  const made = await service(t, { ELASTICSEARCH_URL: `${NOWHERE},http://localhost:9` })
  const { app, call, tokens } = made
  const question = encodeURIComponent('结婚登记要带什么')
  const { body } = await call(null, 'GET', `/answers?q=${question}`)
  t.match(body, { degraded: true, hits: [{ id: 'hunyin-001' }] })
  const page = await app.inject(`/z/XZZX01/ask?q=${question}`)
  t.match(page.body, /检索服务正在恢复/)
  t.notMatch(page.body, /Elasticsearch|ECONNREFUSED/, 'citizens are told what concerns them')
  const { number } = await registered(made, '示例：路灯坏了找谁修')
  t.equal((await call(tokens.clerk, 'GET', `/tickets/${number}`)).status, 200)
  await until('told', async () => /连不上/.test((await app.inject('/readyz')).json().parts.elasticsearch.detail))
  const ready = await app.inject('/readyz')
  t.equal(ready.statusCode, 200)
  t.match(ready.json(), { status: 'degraded', parts: { engine: { ok: true }, elasticsearch: { ok: false } } })
  const metrics = await app.inject('/metrics')
  t.match(metrics.body, /zhengxun_elasticsearch_well 0/)
  t.match(metrics.body, /zhengxun_fallback_questions_total [1-9]/)
})

t.test('settings of the cluster', async (t) => {
  const { elasticsearch } = readConfig({ ELASTICSEARCH_URL: 'https://me:a%20b@one:9200, https://two:9200' })
  t.match(elasticsearch, { nodes: ['https://one:9200/', 'https://two:9200/'], alias: 'zhengxun', shards: 1 })
  t.same(elasticsearch?.auth, { username: 'me', password: 'a b' })
  t.equal(readConfig({}).elasticsearch, null)
  const bad: [NodeJS.ProcessEnv, RegExp][] = [
    [{ ELASTICSEARCH_URL: 'one:9200' }, /ELASTICSEARCH_URL/],
    [{ ELASTICSEARCH_URL: 'http://me:x@one:9200', ELASTICSEARCH_API_KEY: 'k' }, /not both/],
    [{ ELASTICSEARCH_URL: 'http://one:9200', ELASTICSEARCH_API_KEY: 'a b' }, /ELASTICSEARCH_API_KEY/],
    [{ ELASTICSEARCH_URL: 'http://one:9200', ELASTICSEARCH_INDEX: 'A*' }, /ELASTICSEARCH_INDEX/],
    [{ ELASTICSEARCH_URL: 'http://one:9200', ELASTICSEARCH_SHARDS: '0' }, /ELASTICSEARCH_SHARDS/]
  ]
  for (const [environment, says] of bad) t.throws(() => readConfig(environment), says)
  const refused = (() => {
    try {
      return readConfig({ ELASTICSEARCH_URL: 'http://me:geheim@one:9200', ELASTICSEARCH_SHARDS: '0' })
    } catch (error) {
      return error as Error
    }
  })()
  t.match(refused, { message: /SHARDS/ })
  t.notMatch((refused as Error).message, /geheim/)
})

t.test('a CA file that cannot be read stops the start with a sentence', async (t) => {
  await t.rejects(service(t, { ELASTICSEARCH_URL: NOWHERE, ELASTICSEARCH_CA: '/no/such.pem' }), /ELASTICSEARCH_CA/)
})
