import t from 'tap'
import { BadConfig, readConfig } from '../src/config.ts'

t.test('without settings there are sensible ones', async (t) => {
  t.match(readConfig({}), {
    host: '127.0.0.1',
    port: 8080,
    rateLimit: 600,
    database: { kind: 'sqlite' },
    today: null,
    publicUrl: null
  })
  t.match(readConfig({ PORT: '', DATABASE_URL: '' }), { port: 8080, database: { kind: 'sqlite' } }, 'empty is absent')
})

t.test('every bad setting is named at once', async (t) => {
  const bad = { PORT: 'abc', DATABASE_URL: 'mysql://x', LOG_LEVEL: 'loud', TODAY: '2026-02-30' }
  try {
    readConfig(bad)
    t.fail('a bad setting was taken')
  } catch (error) {
    t.ok(error instanceof BadConfig)
    for (const name of Object.keys(bad)) t.match((error as Error).message, name)
  }
})

t.test('a fixed clock has to be asked for twice', async (t) => {
  t.throws(() => readConfig({ TODAY: '2026-11-23' }), /TODAY/)
  t.equal(readConfig({ TODAY: '2026-11-23', ALLOW_TODAY: '1' }).today, '2026-11-23')
})

t.test(
  'an embeddings server is named by the base of its API; models and prefixes for questions and passages',
  async (t) => {
    const read = (more: NodeJS.ProcessEnv = {}) =>
      readConfig({ EMBEDDINGS_URL: 'http://127.0.0.1:8000/v1', ...more }).embeddings
    t.equal(readConfig({ EMBEDDINGS_MODEL: 'm' }).embeddings, null)
    t.same(read(), {
      url: 'http://127.0.0.1:8000/v1',
      models: { query: 'e5-query', passage: 'e5-passage' },
      prefixes: { query: '', passage: '' },
      apiKey: null
    })
    t.equal(read({ EMBEDDINGS_URL: 'https://a.example/api/v1/' })?.url, 'https://a.example/api/v1')
    t.same(read({ EMBEDDINGS_MODEL: 'bge-m3' })?.models, { query: 'bge-m3', passage: 'bge-m3' })
    t.same(read({ EMBEDDINGS_MODEL: 'a, b' })?.models, { query: 'a', passage: 'b' })
    t.same(read({ EMBEDDINGS_PREFIXES: 'query: ,passage: ' })?.prefixes, { query: 'query: ', passage: 'passage: ' })
    t.same(read({ EMBEDDINGS_PREFIXES: '为这个句子生成表示：,' })?.prefixes, {
      query: '为这个句子生成表示：',
      passage: ''
    })
    t.equal(read({ EMBEDDINGS_API_KEY: 'sk-1' })?.apiKey, 'sk-1')
    const bad = {
      EMBEDDINGS_URL: [
        'localhost:8000/v1',
        'ftp://a/v1',
        'http://a',
        'http://a/v1/embeddings',
        'http://a/xv1',
        'http://a/v1?x=/v1',
        'http://u:p@a/v1'
      ],
      EMBEDDINGS_MODEL: ['a,b,c', ',b', 'a,'],
      EMBEDDINGS_PREFIXES: ['a,b,c'],
      EMBEDDINGS_API_KEY: ['two words', 'line\nend']
    }
    for (const [name, values] of Object.entries(bad)) {
      for (const value of values)
        t.throws(() => read({ [name]: value }), { message: new RegExp(name) }, `${name}=${value}`)
    }
    t.throws(() => read({ EMBEDDINGS_URL: 'http://a/v2' }), { message: /ends in \/v1/ })
  }
)
