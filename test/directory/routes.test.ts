import t from 'tap'
import { DISTRICT } from '../sample-records.ts'
import { testApp } from '../test-app.ts'

const { app } = await testApp(t, { records: DISTRICT, environment: { TODAY: '2026-11-23', ALLOW_TODAY: '1' } })

t.test('a venue kind decides which areas a zone has', async (t) => {
  const zones = (await app.inject('/api/v1/zones')).json() as { id: string; areas: string[] }[]
  t.same(Object.fromEntries(zones.map(({ id, areas }) => [id, areas.join(' ')])), {
    XZZX01: 'query reading application consultation',
    GYQ01: 'query reading application consultation',
    DAG01: 'query reading',
    SQ01: 'query board'
  })
  t.match((await app.inject('/api/v1/zones/XZZX01')).json(), {
    id: 'XZZX01',
    venueKind: 'SC',
    unit: { id: 'zfb', name: '区政府办公室' }
  })
  t.match((await app.inject('/api/v1/zones/NOWHERE')).json(), { status: 404, code: 'NOT_FOUND' })
})

t.test('units are found by duty and by everyday name', async (t) => {
  const first = async (q: string) => (await app.inject(`/api/v1/units?q=${encodeURIComponent(q)}`)).json()[0]?.id
  t.equal(await first('医保转移'), 'ybj')
  t.equal(await first('婚姻登记'), 'mzj')
  t.equal((await app.inject('/api/v1/units')).json().length, 3)
  t.same((await app.inject(`/api/v1/units?q=${encodeURIComponent('xyz')}`)).json(), [])
})

t.test('an entry and a document show validity, version and what they rest on', async (t) => {
  t.match((await app.inject('/api/v1/qa/yanglao-001')).json(), {
    validity: 'repealed',
    basis: [{ document: 'zc-old', validity: 'repealed', clause: '第一条' }],
    audience: ['person'],
    version: 1,
    retired: false
  })
  const old = (await app.inject('/api/v1/documents/zc-old')).json()
  t.match(old, { validity: 'repealed', successor: 'zc-new', passages: [{ anchor: 'art-1', clause: '第一条' }] })
  t.match((await app.inject('/api/v1/documents/zc-1')).json().issuers, [{ id: 'ybj', name: '区医保局' }])
  t.equal((await app.inject('/api/v1/qa/none')).statusCode, 404)
  t.equal((await app.inject(`/api/v1/documents/${encodeURIComponent('../x')}`)).statusCode, 404)
})

t.test('type-ahead by characters, pinyin and initials', async (t) => {
  const suggest = async (q: string) =>
    ((await app.inject(`/api/v1/suggestions?q=${encodeURIComponent(q)}`)).json() as { id: string }[]).map(
      ({ id }) => id
    )
  t.same(await suggest('公租'), ['zhufang-001'])
  t.same(await suggest('gongzufang'), ['zhufang-001'])
  t.same(await suggest('gzf'), ['zhufang-001'])
  t.same(await suggest('jiehundeng'), ['hunyin-001'], 'an unfinished syllable')
  t.same(await suggest('yibao'), ['yibao-001'], 'from any syllable on')
  t.same(await suggest('iehun'), [], 'not from the middle of a syllable')
  t.same(await suggest(''), [])
  t.same(await suggest('<script>'), [])
})
