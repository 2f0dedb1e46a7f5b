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
