import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'

/** Jars of the node, built once by Maven. */
const BUILT = fileURLToPath(new URL('../../var/elasticsearch', import.meta.url))
const HOME = join(BUILT, 'home')
const POM = fileURLToPath(new URL('./pom.xml', import.meta.url))

/** Whether a node can be started here: built already, or to be built. */
export function elasticsearchHome(onPath: (program: string) => string | null): string | null {
  if (onPath('java') === null) return null
  return existsSync(join(HOME, 'lib', 'node.jar')) || (onPath('mvn') !== null && onPath('javac') !== null) ? HOME : null
}

export interface ElasticsearchNode {
  name: string
  url: string
  port: number
  /** As a power cut would. */
  kill(): Promise<void>
  /** Hangs: takes connections and answers nothing. */
  freeze(): void
  thaw(): void
  /** Starts it again on its own data. */
  start(): Promise<void>
}

export interface ElasticsearchCluster {
  nodes: readonly ElasticsearchNode[]
  /** For ELASTICSEARCH_URL. */
  url: string
  /** Resolves when so many nodes have found each other and every shard has a place. */
  settled(nodes?: number): Promise<void>
  close(): Promise<void>
}

/** The client compiler alone starts three times as fast, which tests gain by; both reach the speed that benches are about. */
const JIT = { quick: ['-XX:TieredStopAtLevel=1'], full: [] } as const
type Jit = keyof typeof JIT

/** Held while a cluster runs: two would not leave room for anything else on a small machine. */
const LOCK_PORT = 19_290
const FIRST_PORT = 19_291
const START_WITHIN_MS = 120_000

/**
 * Starts a cluster of real nodes on loopback, each with 512 MB of heap; it ends with the process that started it.
 * @param folder for the nodes' data
 */
export async function startElasticsearch(folder: string, count = 1, jit: Jit = 'quick'): Promise<ElasticsearchCluster> {
  const lock = await takeLock()
  if (!existsSync(join(HOME, 'lib', 'node.jar'))) {
    execFileSync('mvn', ['-q', '-B', '-f', POM, `-Doutput=${BUILT}`, 'package'], {
      stdio: ['ignore', 'ignore', 'inherit']
    })
  }
  const names = Array.from({ length: count }, (_, at) => `n${at + 1}`)
  const nodes = names.map((name, at) => openNode(join(folder, name), name, at, names, jit))
  await Promise.all(nodes.map((node) => node.start()))
  const cluster: ElasticsearchCluster = {
    nodes,
    url: nodes.map(({ url }) => url).join(','),
    async settled(wanted = count) {
      for (const until = Date.now() + START_WITHIN_MS; ; ) {
        for (const { url } of nodes) if (await isSettled(url, wanted)) return
        if (Date.now() > until) throw new Error(`no ${wanted} nodes`)
        await wait(100)
      }
    },
    async close() {
      await Promise.all(nodes.map((node) => node.kill()))
      await new Promise((resolve) => lock.close(resolve))
      rmSync(folder, { recursive: true, force: true })
    }
  }
  await cluster.settled()
  return cluster
}

async function isSettled(url: string, nodes: number): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/_cluster/health`, { signal: AbortSignal.timeout(2000) })
    const health = (await answer.json()) as { number_of_nodes: number; status: string; initializing_shards: number }
    const isPlaced = nodes === 1 ? health.status !== 'red' : health.status === 'green'
    return health.number_of_nodes === nodes && isPlaced
  } catch {
    return false
  }
}

async function takeLock(): Promise<Server> {
  for (;;) {
    const server = createServer()
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(LOCK_PORT, '127.0.0.1', () => resolve(true))
    })
    if (taken) return server.unref()
    await wait(200)
  }
}

function openNode(data: string, name: string, at: number, masters: readonly string[], jit: Jit): ElasticsearchNode {
  const port = FIRST_PORT + at
  const transport = (other: number) => 19_391 + other
  const url = `http://127.0.0.1:${port}`
  const alone = masters.length === 1
  const settings = [
    `node.name=${name}`,
    `cluster.name=zhengxun-test-${masters.length}`,
    `http.port=${port}`,
    `transport.port=${transport(at)}`,
    ...(alone
      ? ['discovery.type=single-node']
      : [
          `discovery.seed_hosts=${masters.map((_, other) => `127.0.0.1:${transport(other)}`).join(',')}`,
          `cluster.initial_master_nodes=${masters.join(',')}`
        ])
  ]
  let running: ChildProcess | null = null
  const node: ElasticsearchNode = {
    name,
    url,
    port,
    async kill() {
      const child = running
      if (child === null || child.exitCode !== null || child.signalCode !== null) return
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.ref()
      child.kill('SIGKILL')
      await ended
    },
    freeze: () => void running?.kill('SIGSTOP'),
    thaw: () => void running?.kill('SIGCONT'),
    async start() {
      mkdirSync(join(data, 'tmp'), { recursive: true })
      const log = openSync(join(data, 'log'), 'a')
      const java = ['-Xms512m', '-Xmx512m', '-XX:+UseG1GC', ...JIT[jit], `-Djava.io.tmpdir=${data}/tmp`]
      const quiet = [
        '-Dlog4j2.disable.jmx=true',
        '-Dio.netty.noUnsafe=true',
        '-Dio.netty.recycler.maxCapacityPerThread=0'
      ]
      const main = ['-cp', `${HOME}/lib/*`, 'zhengxun.test.NodeProcess', HOME, data, ...settings]
      const opened = ['--add-opens=java.base/java.io=ALL-UNNAMED', '-Dfile.encoding=UTF-8']
      const child = spawn('java', [...java, ...quiet, ...opened, ...main], {
        stdio: ['pipe', log, log],
        cwd: dirname(data)
      })
      running = child
      child.unref()
      ;(child.stdin as unknown as { unref(): void }).unref()
      for (const until = Date.now() + START_WITHIN_MS; ; ) {
        if (child.exitCode !== null)
          throw new Error(`${name} ended:\n${readFileSync(join(data, 'log'), 'utf8').slice(-2000)}`)
        const answers = await fetch(url, { signal: AbortSignal.timeout(1000) }).then(
          ({ ok }) => ok,
          () => false
        )
        if (answers) return
        if (Date.now() > until) throw new Error(`${name} does not answer`)
        await wait(100)
      }
    }
  }
  return node
}
