import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { verifyCluster } from '../../../src/operations/verify-cluster.ts'
import type { ElasticsearchEngine } from '../../../src/search/elasticsearch/engine.ts'
import { elasticsearch, newAlias, openOn, until } from '../../elasticsearch/cluster.ts'
import { type Fault, proxyTo } from '../../elasticsearch/proxy.ts'
import { absent } from '../../peers.ts'
import { temporaryFolder } from '../../test-app.ts'
import { type Bank, entry, openBank, query } from '../engine-contract.ts'

t.setTimeout(600_000)

const BANK = Array.from({ length: 60 }, (_, at) => entry(`q${at}`, { question: `补贴 ${at}`, answer: '按 标准 发放' }))
const ASKED = { tokens: query('补贴 7 标准'), limit: 5 }
const keys = async (engine: ElasticsearchEngine) => {
  const { hits, degraded } = await engine.search(ASKED)
  return { keys: hits.map(({ key }) => key), degraded }
}

t.test('what can go wrong with a cluster', { skip: absent('Elasticsearch'), timeout: 600_000 }, async (t) => {
  const cluster = await elasticsearch(t)
  const [node] = cluster.nodes
  const url = node?.url as string
  const api = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    if (!answer.ok && answer.status !== 404) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as Record<string, unknown>
  }
  const opened = async (t: Test, nodes: readonly string[] = [url], bank?: Bank) => {
    const own = bank ?? (await openBank(t, BANK))
    const alias = newAlias()
    const engine = await openOn(t, nodes, own, { alias })
    return { bank: own, engine, alias, index: engine.indexer.state?.standing?.name as string }
  }

  const ways: [string, Fault | 'refused', RegExp][] = [
    ['connection refused', 'refused', /连不上/],
    ['a connection that is cut', { kind: 'reset' }, /连不上/],
    ['a server that hangs', { kind: 'hang' }, /没有按时应答/],
    ['a server that takes five seconds', { kind: 'slow', ms: 5000 }, /没有按时应答/],
    ['429', { kind: 'status', status: 429, type: 'es_rejected_execution_exception' }, /429/],
    ['503', { kind: 'status', status: 503, type: 'no_shard_available_action_exception' }, /503/],
    ['401', { kind: 'status', status: 401, type: 'security_exception' }, /401/],
    ['403', { kind: 'status', status: 403, type: 'security_exception' }, /403/],
    ['another product', { kind: 'nameless' }, /不是 Elasticsearch/]
  ]
  for (const [name, fault, told] of ways) {
    await t.test(`${name}: the in-process index answers the same, nobody waits, and it ends by itself`, async (t) => {
      const proxy = await proxyTo(t, url)
      const { engine } = await opened(t, [proxy.url])
      const well = await keys(engine)
      t.equal(well.degraded, false)
      if (fault === 'refused') await proxy.stop()
      else proxy.fault = fault
      for (let asked = 0; asked < 5; asked++) t.same(await keys(engine), { ...well, degraded: true })
      await until('told', () => told.test(engine.problem()?.message ?? ''))
      t.ok((engine.problem()?.remedy.length ?? 0) > 4, 'and what to do is said')
      // Once it is open no question waits for the cluster; five took at most three tries of 1.5 s.
      const before = performance.now()
      for (let asked = 0; asked < 20; asked++) t.same(await keys(engine), { ...well, degraded: true })
      t.ok(performance.now() - before < 1000, 'twenty questions are not held up by a cluster that fails')
      if (fault === 'refused') await proxy.restart()
      else proxy.fault = { kind: 'none' }
      await until('closed again', async () => !(await keys(engine)).degraded)
      t.same(await keys(engine), well)
      await until('well again', () => engine.problem() === null)
    })
  }

  await t.test('a partial answer is asked for once more, and not given', async (t) => {
    const proxy = await proxyTo(t, url)
    const { engine } = await opened(t, [proxy.url])
    const well = await keys(engine)
    proxy.only = /_search/
    for (const missing of [{ _shards: { total: 2, successful: 1, failed: 1 } }, { timed_out: true }]) {
      let spoilt = 1
      proxy.fault = { kind: 'rewrite', body: (body) => (spoilt-- > 0 ? { ...body, ...missing } : body) }
      t.same(await keys(engine), well, 'the second is whole')
      spoilt = 99
      t.same(await keys(engine), { ...well, degraded: true }, 'none is whole')
    }
  })

  await t.test(
    'more questions at once than a cluster should have: the others are answered in the process',
    async (t) => {
      const proxy = await proxyTo(t, url)
      const { engine } = await opened(t, [proxy.url])
      const well = await keys(engine)
      proxy.only = /_search/
      proxy.fault = { kind: 'slow', ms: 300 }
      const answers = await Promise.all(Array.from({ length: 60 }, () => keys(engine)))
      t.equal(answers.filter(({ degraded }) => !degraded).length, 16)
      for (const answer of answers) t.same(answer.keys, well.keys)
    }
  )

  await t.test('another major version is named', async (t) => {
    const proxy = await proxyTo(t, url)
    const { engine } = await opened(t, [proxy.url])
    proxy.only = /^\/$/
    proxy.fault = { kind: 'version', number: '9.1.0' }
    engine.indexer.poke()
    await until('told', () => /9\.1\.0 版，本程序只配 8\.x/.test(engine.problem()?.message ?? ''))
  })

  await t.test('starts with the cluster down, and goes to it when it comes', async (t) => {
    const proxy = await proxyTo(t, url)
    await proxy.stop()
    const bank = await openBank(t, BANK)
    const opening = openOn(t, [proxy.url], bank)
    await wait(1500)
    await proxy.restart()
    const engine = await opening
    await until('asked', async () => !(await keys(engine)).degraded)
  })

  await t.test('TLS is verified, and by the CA file it passes; the password is sent and never told', async (t) => {
    const folder = temporaryFolder(t)
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
    const names = ['-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert]
    execFileSync('openssl', [...request, ...names], { stdio: 'ignore' })
    const proxy = await proxyTo(t, url, { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') })
    proxy.authorization = `Basic ${Buffer.from('sample:secret words').toString('base64')}`
    const bank = await openBank(t, BANK)
    const auth = { username: 'sample', password: 'secret words' }
    const distrusting = openOn(t, [proxy.url], bank, { auth, waitMs: 4000 })
    await t.rejects(distrusting, /证书没有通过验证/)
    const engine = await openOn(t, [proxy.url], bank, { auth, ca: cert })
    t.equal((await keys(engine)).degraded, false)
    t.same([...proxy.authorizations], [proxy.authorization])
    const wrong = openOn(t, [proxy.url], bank, { auth: { apiKey: 'no-such-key' }, ca: cert, waitMs: 4000 })
    const refused = await wrong.catch((error: Error) => error)
    t.match(refused, { message: /401/ })
    t.notMatch(JSON.stringify(refused), /secret words|no-such-key/)
  })

  await t.test('an index deleted under us is built again by itself', async (t) => {
    const { engine, index, bank } = await opened(t)
    await api('DELETE', `/${index}`)
    t.equal((await keys(engine)).degraded, true)
    // A change meanwhile must not make an index without our mapping.
    await engine.apply(...(await bank.change('qa', 'new', [entry('new', { question: '育儿 假期' })])))
    await until('asked again', async () => !(await keys(engine)).degraded)
    t.not(engine.indexer.state?.standing?.name, index)
    t.same(Object.keys(await api('GET', `/${index}*`)).includes(index), false)
    t.same(
      (await engine.search({ tokens: query('育儿'), limit: 3 })).hits.map(({ key }) => key),
      ['qa/new']
    )
  })

  await t.test('an alias that points at nothing, or at two, is put back', async (t) => {
    const { engine, index, alias } = await opened(t)
    const well = await keys(engine)
    await api('POST', '/_aliases', { actions: [{ remove: { index, alias } }] })
    t.same(await keys(engine), { ...well, degraded: true })
    await until('put back', async () => !(await keys(engine)).degraded)
    await api('PUT', `/${alias}-foreign`, { mappings: { properties: { key: { type: 'keyword' } } } })
    await api('PUT', `/${alias}-foreign/_doc/1?refresh=true`, { key: 'qa/1' })
    await api('POST', '/_aliases', { actions: [{ add: { index: `${alias}-foreign`, alias } }] })
    engine.indexer.poke()
    await until('put back', async () => Object.keys(await api('GET', `/_alias/${alias}`)).join() === index)
    await until('asked again', async () => !(await keys(engine)).degraded)
    t.same(await keys(engine), well)
  })

  await t.test('an index set to read-only is named, and what waits is taken in when it may', async (t) => {
    const { engine, index, bank } = await opened(t)
    await api('PUT', `/${index}/_settings`, { 'index.blocks.read_only_allow_delete': true })
    const changed = engine.apply(...(await bank.change('qa', 'new', [entry('new', { question: '育儿 假期' })])))
    await until('told', () => /只读/.test(engine.problem()?.message ?? ''))
    await api('PUT', `/${index}/_settings`, { 'index.blocks.read_only_allow_delete': null })
    await changed
    t.same(
      (await engine.search({ tokens: query('育儿'), limit: 3 })).hits.map(({ key }) => key),
      ['qa/new']
    )
    await until('well again', () => engine.problem() === null)
  })

  await t.test('a red index is named and not asked', async (t) => {
    const { engine, index } = await opened(t)
    const well = await keys(engine)
    await api('POST', `/${index}/_close`)
    await api('PUT', `/${index}/_settings`, { 'index.routing.allocation.require._name': 'nobody' })
    await api('POST', `/${index}/_open?wait_for_active_shards=0`)
    engine.indexer.poke()
    await until('told', () => /red/.test(engine.problem()?.message ?? ''))
    t.same(await keys(engine), { ...well, degraded: true })
    await api('PUT', `/${index}/_settings`, { 'index.routing.allocation.require._name': null })
    await until('asked again', async () => !(await keys(engine)).degraded)
  })

  await t.test('an index whose mapping is not ours is built anew', async (t) => {
    const { engine, index, bank } = await opened(t)
    const well = await keys(engine)
    await api('PUT', `/${index}/_mapping`, { properties: { stray: { type: 'keyword' } } })
    engine.indexer.poke()
    await until('another stands', () => ![index, undefined].includes(engine.indexer.state?.standing?.name))
    await until('asked again', async () => !(await keys(engine)).degraded)
    // An older program's: another schema, other fields.
    const old = engine.indexer.state?.standing?.name as string
    await bank.db.updateTable('search_indexes').set({ identity: '0/test' }).where('name', '=', old).execute()
    engine.indexer.poke()
    await until('another stands', () => ![old, undefined].includes(engine.indexer.state?.standing?.name))
    await until('asked again', async () => !(await keys(engine)).degraded)
    t.same(await keys(engine), well)
  })

  await t.test('verify finds what is missing, too much or changed, and repairs it', async (t) => {
    const { engine, index, bank, alias } = await opened(t)
    const address = { nodes: [url], auth: null, ca: null, alias, shards: 1 }
    t.same(await verifyCluster(bank.db, address, false), [])
    await api('DELETE', `/${index}/_doc/${encodeURIComponent('qa/q7')}`)
    const body = (await api('GET', `/${index}/_doc/${encodeURIComponent('qa/q1')}`))._source as object
    await api('PUT', `/${index}/_doc/${encodeURIComponent('qa/stray')}`, { ...body, key: 'qa/stray' })
    await api('PUT', `/${index}/_doc/${encodeURIComponent('qa/q2')}`, { ...body, key: 'qa/q2' })
    const named = [/ 缺 1 条（qa\/q7）/, / 多出 1 条（qa\/stray）/, / 与数据库不同 1 条（qa\/q2）/]
    const found = await verifyCluster(bank.db, address, false)
    t.match(
      found,
      named.map((what) => ({ what, remedy: /--repair/ }))
    )
    t.match(
      await verifyCluster(bank.db, address, true),
      named.map((what) => ({ what, remedy: /已按数据库改好/ }))
    )
    t.same(await verifyCluster(bank.db, address, false), [])
    // What is repaired follows the feed as before.
    await engine.apply(...(await bank.change('qa', 'q7', [entry('q7', { question: '育儿 假期' })])))
    t.same(
      (await engine.search({ tokens: query('育儿'), limit: 3 })).hits.map(({ key }) => key),
      ['qa/q7']
    )
  })

  await t.test('an entry the cluster refuses is written down, told, and forgotten once it is taken in', async (t) => {
    const { engine, bank, alias } = await opened(t)
    // No day at all: the one field the cluster reads strictly.
    await engine.apply(...(await bank.change('qa', 'bad', [entry('bad', { question: '坏 日期', date: '某日' })])))
    const address = { nodes: [url], auth: null, ca: null, alias, shards: 1 }
    t.match(await verifyCluster(bank.db, address, false), [{ what: /集群不收 qa\/bad/ }])
    t.same((await keys(engine)).degraded, false, 'the others are found as before')
    await engine.apply(...(await bank.change('qa', 'bad', [entry('bad', { question: '好 日期', date: '2026-02-28' })])))
    t.same(await verifyCluster(bank.db, address, false), [])
  })
})
