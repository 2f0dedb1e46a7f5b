// npm run bundle [-- FOLDER]: one archive that starts on a machine of the same system with Node alone, without a registry or a compiler.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from './build.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const system = `${process.platform}-${process.arch}-node${process.versions.node.split('.')[0]}`
const name = `zhengxun-${version}-${system}`
const dist = resolve(process.argv[2] ?? join(root, 'dist'))
const folder = join(dist, name)

const PROGRAM = ['src', 'indexer', 'templates', 'corpus', 'scripts', 'docs', 'deploy', 'LICENSE', 'CHANGELOG.md']
const PROGRAM_FILES = /^(?:README.*|package\.json|package-lock\.json|tsconfig\.json|\.npmrc)$/
/** Of the largest packages, what runs: sources, what the compiler left and builds for browsers are many times as large. */
const PARTS = {
  'better-sqlite3': ['package.json', 'LICENSE', 'lib', 'build/Release/better_sqlite3.node'],
  exceljs: ['package.json', 'LICENSE', 'excel.js', 'lib'],
  nodejieba: [
    'package.json',
    'LICENSE',
    'index.js',
    'build/Release/nodejieba.node',
    'submodules/cppjieba/dict',
    'submodules/cppjieba/LICENSE'
  ]
}
const START = `#!/bin/sh
# 启动政询：只需要 Node.js。 Starts zhengxun; needs Node.js only.
cd "\${0%/*}" || exit 1
node scripts/setup.mjs && exec node scripts/start.mjs
`
/** Never read by a running program. */
const UNREAD = /(?:\.map|\.d\.[cm]?ts|\.tsbuildinfo)$/
const UNREAD_FOLDERS = /^(?:tests?|__tests__|\.github|benchmarks?|examples?|docs?)$/

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

for (const item of [...PROGRAM, ...readdirSync(root).filter((file) => PROGRAM_FILES.test(file))]) {
  cpSync(join(root, item), join(folder, item), { recursive: true, filter: (path) => !path.endsWith(`${sep}test.ts`) })
}
cpSync(await build(), join(folder, 'build'), { recursive: true, verbatimSymlinks: true })
const packages = copyPackages()
for (const stamp of ['.zhengxun-lock', '.zhengxun-native']) {
  cpSync(join(root, 'node_modules', stamp), join(folder, 'node_modules', stamp))
}
writeFileSync(join(folder, 'BUNDLE'), `${system}\n`)
writeFileSync(join(folder, 'start.sh'), START, { mode: 0o755 })

const archive = `${folder}.tar.gz`
execFileSync('tar', [
  '-czf',
  archive,
  '-C',
  dirname(folder),
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  basename(folder)
])
rmSync(folder, { recursive: true })
console.log(`${packages} packages, ${(statSync(archive).size / 1e6).toFixed(1)} MB`)
console.log(archive)

/** What the lockfile says the program needs, out of what is installed. */
function copyPackages() {
  const { packages: locked } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  let copied = 0
  for (const [path, { dev, optional }] of Object.entries(locked)) {
    if (path === '' || dev === true || path.includes('node_modules/@types/')) continue
    if (existsSync(join(root, path, 'package.json'))) {
      copyPackage(path)
      copied++
    } else if (optional !== true) {
      console.error(
        `${path} 没有安装，与 package-lock.json 不符：请先运行 npm ci。 ${path} is not installed: run npm ci first.`
      )
      process.exit(1)
    }
  }
  return copied
}

function copyPackage(path) {
  const from = join(root, path)
  const to = join(folder, path)
  const parts = PARTS[path.slice('node_modules/'.length)]
  if (parts !== undefined) {
    for (const part of parts) cpSync(join(from, part), join(to, part), { recursive: true })
    return
  }
  cpSync(from, to, {
    recursive: true,
    filter: (file) => {
      const inside = relative(from, file)
      // Packages within are listed by the lockfile themselves.
      return inside !== 'node_modules' && !UNREAD.test(file) && !UNREAD_FOLDERS.test(inside)
    }
  })
}
