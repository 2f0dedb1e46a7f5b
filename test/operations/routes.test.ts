import t from 'tap'
import { DISTRICT } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

t.test('alive, ready with the parts named, and described', async (t) => {
  const { app } = await testApp(t, { records: DISTRICT })
  t.same((await app.inject('/healthz')).json(), { status: 'alive' })
  t.match((await app.inject('/readyz')).json(), {
    status: 'ready',
    parts: { database: { ok: true }, engine: { ok: true, detail: null } }
  })
  const paths = Object.keys((await app.inject('/openapi.json')).json().paths)
  for (const path of [
    '/api/v1/answers',
    '/api/v1/suggestions',
    '/api/v1/qa/{id}',
    '/api/v1/documents/{id}',
    '/api/v1/units',
    '/api/v1/zones',
    '/api/v1/zones/{zone}',
    '/healthz',
    '/readyz',
    '/metrics'
  ]) {
    t.ok(paths.includes(path), path)
  }
})

t.test('figures are for the machine itself, or for who has the token', async (t) => {
  const { app } = await testApp(t, { records: DISTRICT })
  await app.inject('/api/v1/answers?q=%E5%8C%BB%E4%BF%9D')
  const figures = await app.inject('/metrics')
  t.equal(figures.statusCode, 200)
  t.match(figures.body, /zhengxun_request_seconds_count\{route="\/api\/v1\/answers",status="2xx"\} 1/)
  t.notMatch(figures.body, /医保|%E5/, 'no question among the figures')
  t.equal((await app.inject({ url: '/metrics', remoteAddress: '10.0.0.9' })).statusCode, 404)
  t.equal((await app.inject({ url: '/metrics', headers: { 'x-forwarded-for': '10.0.0.9' } })).statusCode, 404)
  const guarded = await testApp(t, { environment: { METRICS_TOKEN: 'a-long-enough-token' } })
  t.equal((await guarded.app.inject('/metrics')).statusCode, 404)
  const authorization = 'Bearer a-long-enough-token'
  t.equal((await guarded.app.inject({ url: '/metrics', headers: { authorization } })).statusCode, 200)
})

t.test('headers keep foreign content out and do not break a kiosk on plain HTTP', async (t) => {
  const { app } = await testApp(t, { records: DISTRICT })
  const { headers } = await app.inject('/')
  const policy = String(headers['content-security-policy'])
  t.match(policy, /default-src 'self'/)
  t.match(policy, /frame-ancestors 'none'/)
  t.notMatch(policy, /unsafe-inline|upgrade-insecure-requests/)
  t.equal(headers['strict-transport-security'], undefined)
  t.match(headers['x-request-id'], /^[0-9a-f-]{36}$/)
  const secure = await testApp(t, { environment: { PUBLIC_URL: 'https://example.invalid' } })
  t.match((await secure.app.inject('/')).headers['strict-transport-security'], /max-age/)
})

t.test('too many requests from one address are told so, in Chinese; assets are not counted', async (t) => {
  const { app } = await testApp(t, { records: DISTRICT, environment: { RATE_LIMIT: '3' } })
  for (let i = 0; i < 3; i++) t.equal((await app.inject('/api/v1/zones')).statusCode, 200)
  const refused = await app.inject('/api/v1/zones')
  t.equal(refused.statusCode, 429)
  t.match(refused.json(), { status: 429, detail: /稍等/ })
  t.equal((await app.inject('/assets/style.css')).statusCode, 200)
  t.equal((await app.inject('/healthz')).statusCode, 200)
  t.equal((await app.inject({ url: '/api/v1/zones', remoteAddress: '10.0.0.7' })).statusCode, 200)
})
