import t from 'tap'
import { type EmbeddingsAddress, EmbeddingsFailed, openEmbeddingsClient } from '../../src/embeddings/client.ts'
import { type FakeServer, fakeServer, MISBEHAVIOURS, send, vectorOf } from './fake-server.ts'

const address = (fake: Pick<FakeServer, 'url'>, more: Partial<EmbeddingsAddress> = {}): EmbeddingsAddress => ({
  url: fake.url,
  models: { query: 'e5-query', passage: 'e5-passage' },
  prefixes: { query: '', passage: '' },
  apiKey: null,
  ...more
})

async function failure(promise: Promise<unknown>): Promise<EmbeddingsFailed> {
  try {
    await promise
  } catch (error) {
    if (error instanceof EmbeddingsFailed) return error
    throw error
  }
  throw new Error('It did not fail')
}

t.test('vectors come in the order of the texts, each of length 1', async (t) => {
  const fake = await fakeServer(t)
  const client = openEmbeddingsClient(address(fake))
  const texts = ['医保怎么转', '公租房怎么申请', '医']
  const vectors = await client.embed('query', texts, 1000)
  for (const [at, text] of texts.entries()) {
    const wanted = vectorOf(text, fake)
    const length = Math.hypot(...wanted)
    t.ok(vectors[at]?.every((value, i) => Math.abs(value - (wanted[i] as number) / length) < 1e-6))
  }
  t.equal(fake.authorization, undefined)
})

t.test('the model and the prefix follow the role, and the key goes along', async (t) => {
  const fake = await fakeServer(t)
  const client = openEmbeddingsClient(
    address(fake, { prefixes: { query: 'query: ', passage: 'passage: ' }, apiKey: 'sk-secret' })
  )
  await client.embed('query', ['问'], 1000)
  await client.embed('passage', ['答'], 1000)
  t.same(fake.embedded, ['query: 问', 'passage: 答'])
  t.equal(fake.authorization, 'Bearer sk-secret')
})

t.test('whatever the server does wrong is told in a way an operator understands', async (t) => {
  const fake = await fakeServer(t)
  const client = openEmbeddingsClient(address(fake, { apiKey: 'sk-secret' }))
  const told: Record<string, [string, RegExp]> = {
    hangs: ['timeout', /200 毫秒/],
    'sends headers and hangs': ['timeout', /200 毫秒/],
    'answers with NaN': ['answer', /不是 JSON/],
    'answers with null': ['answer', /不是向量/],
    'answers with zeros': ['answer', /全是零/],
    'answers with numbers too large': ['answer', /过大/],
    'answers with too few vectors': ['answer', /2 段文字得到 0 个向量/],
    'answers something else': ['answer', /不是向量/],
    'answers HTML': ['answer', /不是 JSON（<!doctype html>.*EMBEDDINGS_URL/],
    'answers 401': ['denied', /401：请检查 EMBEDDINGS_API_KEY/],
    'answers 404': ['unknown', /404.*EMBEDDINGS_MODEL.*no such model/],
    'answers 429': ['busy', /429.*slow down/],
    'answers 500': ['server', /500.*Internal Server Error/],
    redirects: ['unknown', /302.*EMBEDDINGS_URL/],
    'dies in the middle': ['unreachable', /连接中断/]
  }
  for (const [name, [kind, message]] of Object.entries(told)) {
    fake.misbehave = MISBEHAVIOURS[name] as FakeServer['misbehave']
    const error = await failure(client.embed('query', ['甲', '乙'], 200))
    t.equal(error.kind, kind, name)
    t.match(error.message, message)
    t.notMatch(error.message, /sk-/, 'no key, not even in part')
    t.equal(error.retryAfterMs, name === 'answers 429' ? 1000 : null)
  }
  fake.misbehave = () => false
  t.equal((await client.embed('query', ['甲'], 1000)).length, 1, 'and it works once the server does')
})

t.test('indexes that repeat, dimensions that differ and an endless answer are refused', async (t) => {
  const fake = await fakeServer(t)
  const client = openEmbeddingsClient(address(fake))
  const answers: Record<string, unknown> = {
    重复: [
      { index: 0, embedding: [1] },
      { index: 0, embedding: [1] }
    ],
    长短不一: [
      { index: 0, embedding: [1] },
      { index: 1, embedding: [1, 2] }
    ]
  }
  for (const [message, data] of Object.entries(answers)) {
    fake.misbehave = (response) => send(response, 200, JSON.stringify({ data }))
    t.match((await failure(client.embed('query', ['甲', '乙'], 1000))).message, message)
  }
  fake.misbehave = (response) => {
    response.writeHead(200)
    const more = () => {
      while (!response.destroyed && response.write(' '.repeat(1_000_000)));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
    return true
  }
  t.match((await failure(client.embed('query', ['甲'], 20_000))).message, /过长/)
  fake.misbehave = (response) =>
    send(response, 200, JSON.stringify({ data: [{ embedding: [0, 2] }, { embedding: [3, 0] }] }))
  t.same(await client.embed('query', ['甲', '乙'], 1000), [Float32Array.of(0, 1), Float32Array.of(1, 0)], 'no index')
})

t.test('Retry-After may be a date', async (t) => {
  const fake = await fakeServer(t)
  const client = openEmbeddingsClient(address(fake))
  const retry = async (header: string) => {
    fake.misbehave = (response) => send(response, 429, '', { 'retry-after': header })
    return (await failure(client.embed('query', ['甲'], 1000))).retryAfterMs
  }
  const ms = (await retry(new Date(Date.now() + 60_000).toUTCString())) ?? 0
  t.ok(ms > 50_000 && ms <= 60_000, `${ms} ms`)
  t.equal(await retry('Mon, 01 Jan 2024 00:00:00 GMT'), 0)
  t.equal(await retry('soon'), null)
})

t.test('nobody there, and a client that was closed', async (t) => {
  const client = openEmbeddingsClient(address({ url: 'http://127.0.0.1:2/v1' }))
  t.match(await failure(client.embed('query', ['甲'], 1000)), { kind: 'unreachable', message: /ECONNREFUSED/ })
  const fake = await fakeServer(t)
  fake.misbehave = () => true
  const closing = openEmbeddingsClient(address(fake))
  const underWay = failure(closing.embed('query', ['甲'], 60_000))
  closing.close()
  t.ok(await underWay)
  t.ok(await failure(closing.embed('query', ['甲'], 60_000)))
})
