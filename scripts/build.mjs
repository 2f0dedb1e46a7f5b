// Transpiles the program once after a change: at run time tsx would ask its loader for each of a thousand modules, which takes
// longer than all else in a start but the segmenter's dictionary. Tests, benches and commands run the sources as they are.
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const target = join(root, 'build')
const SOURCES = ['src', 'indexer']
/** What the program reads beside its sources, by the same relative paths. */
const BESIDE = ['package.json', 'templates', 'corpus']
const RELATIVE_TYPESCRIPT = /(['"])(\.{1,2}\/[^'"\n]+)\.ts\1/g

/** Makes build/ what the sources say, and returns it; does nothing when it is. */
export async function build() {
  const stamp = join(target, 'stamp')
  // A bundle is built where it was packed; its folder may be read-only.
  if (existsSync(join(root, 'BUNDLE')) && existsSync(stamp)) return target
  const files = SOURCES.flatMap((folder) => filesBelow(folder))
  const version = createHash('sha256')
    .update(
      files.map((file) => `${file} ${statSync(join(root, file)).mtimeMs} ${statSync(join(root, file)).size}`).join('\n')
    )
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === version) return target
  const { transform } = await import('esbuild')
  // Built aside and put in place whole: a start that is cut short leaves no half of it.
  const fresh = `${target}.${process.pid}`
  for (const file of files) {
    const to = join(fresh, file.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(to), { recursive: true })
    if (!file.endsWith('.ts')) cpSync(join(root, file), to)
    else {
      const options = {
        loader: 'ts',
        format: 'esm',
        target: 'node20.19',
        sourcemap: 'inline',
        sourcefile: join(root, file)
      }
      const { code } = await transform(readFileSync(join(root, file), 'utf8'), options)
      writeFileSync(to, code.replace(RELATIVE_TYPESCRIPT, '$1$2.js$1'))
    }
  }
  for (const name of BESIDE) symlinkSync(join('..', name), join(fresh, name))
  writeFileSync(join(fresh, 'stamp'), version)
  rmSync(target, { recursive: true, force: true })
  renameSync(fresh, target)
  return target
}

function filesBelow(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return filesBelow(path)
      return entry.name.endsWith('.d.ts') ? [] : [path]
    })
}
