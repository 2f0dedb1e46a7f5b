// Installs what is missing and builds the native packages; Node's own modules only, for nothing else may be there yet.
// Touches no network when nothing is missing. Called by npm start, npm test and the other commands.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const LEAST_NODE = [20, 19]
/** Packages with native code: their install scripts fetch Node's headers, so they are built here instead. */
const NATIVE = ['better-sqlite3', 'nodejieba']
const stamp = join(root, 'node_modules', '.zhengxun-lock')

function fail(message) {
  console.error(message)
  process.exit(1)
}

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
}

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < LEAST_NODE[0] || (major === LEAST_NODE[0] && minor < LEAST_NODE[1])) {
  fail(
    `需要 Node.js ${LEAST_NODE.join('.')} 或更新版本，这里是 ${process.version}。 Node.js ${LEAST_NODE.join('.')} or newer is needed.`
  )
}

// A bundle carries its dependencies and no development ones: npm is never asked.
const bundle = existsSync(join(root, 'BUNDLE')) ? readFileSync(join(root, 'BUNDLE'), 'utf8').trim() : null

const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')
const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8').trim() : ''
if (installed !== lock && bundle === null) {
  console.log('正在安装依赖（仅首次）… Installing dependencies (first time only)…')
  const npm = process.env.npm_execpath
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
  const result = npm === undefined ? run('npm', args) : run(process.execPath, [npm, ...args])
  if (result.status !== 0) fail('依赖没有装好：请检查到 npm 源的网络，或改用离线包（npm run bundle）。 npm ci failed.')
}

/** A package loads when a process of its own can open its binary: a broken binary may end the process that tries. */
function loads(name) {
  const test = {
    'better-sqlite3': "new (require('better-sqlite3'))(':memory:').close()",
    nodejieba: `require('module')._load(${JSON.stringify(join(root, 'node_modules/nodejieba/build/Release/nodejieba.node'))})`
  }[name]
  return run(process.execPath, ['-e', test], { stdio: 'ignore' }).status === 0
}

/** Lockfile, Node version and platform for which the binaries were last seen to load: spares a process each at every start. */
const seen = `${lock} ${process.version} ${process.platform}-${process.arch}`
const seenFile = join(root, 'node_modules', '.zhengxun-native')
if (!existsSync(seenFile) || readFileSync(seenFile, 'utf8') !== seen) {
  for (const name of NATIVE) {
    if (loads(name)) continue
    if (bundle !== null) {
      const here = `${process.platform}-${process.arch}-node${major}`
      fail(
        `这个离线包是给 ${bundle} 做的，这里是 ${here}，${name} 不能加载。 This bundle was made for ${bundle}, this is ${here}: ${name} does not load.`
      )
    }
    console.log(`正在编译 ${name}（仅首次）… Building ${name} (first time only)…`)
    const built = build(name)
    if (built.status !== 0 || !loads(name)) {
      console.error(
        String(built.stdout ?? '')
          .split('\n')
          .slice(-15)
          .join('\n')
      )
      console.error(
        String(built.stderr ?? '')
          .split('\n')
          .slice(-15)
          .join('\n')
      )
      fail(
        `${name} 没有编译成功：需要 C++ 编译工具（Debian/Ubuntu: apt install build-essential python3）。 ${name} needs build-essential and python3.`
      )
    }
  }
  remember(seenFile, seen)
}
if (installed !== lock) remember(stamp, lock)

/** Where the program's folder may not be written, as under a service user, every start looks again. */
function remember(file, text) {
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EROFS') throw error
  }
}

function build(name) {
  // npm's own node-gyp, with the headers beside the node binary when they are there: nothing is downloaded then.
  const gyp = findGyp()
  if (gyp === null) return { status: 1, stderr: 'npm 自带的 node-gyp 不在。 node-gyp of npm not found.' }
  const prefix = dirname(dirname(process.execPath))
  const headers = existsSync(join(prefix, 'include', 'node', 'node.h')) ? [`--nodedir=${prefix}`] : []
  return spawnSync(process.execPath, [gyp, 'rebuild', '--release', ...headers], {
    cwd: join(root, 'node_modules', name),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024
  })
}

function findGyp() {
  const prefix = dirname(dirname(process.execPath))
  const npm = process.env.npm_execpath
  const places = [
    ...(npm === undefined ? [] : [join(dirname(npm), '..')]),
    join(prefix, 'lib', 'node_modules', 'npm'),
    join(dirname(process.execPath), 'node_modules', 'npm'),
    '/usr/share/nodejs/npm'
  ]
  for (const place of places) {
    const gyp = join(place, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js')
    if (existsSync(gyp)) return gyp
  }
  const beside = '/usr/share/nodejs/node-gyp/bin/node-gyp.js'
  return existsSync(beside) ? beside : null
}
