// npm test [-- FILES…]: runs tap, one line a test file, what failed in full, and the counts on the last line.
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { absentPeers } from '../test/peers.ts'

const root = join(import.meta.dirname, '..')
const TAP = join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs')
const BUILT = join(root, 'node_modules', '@tapjs', 'test', 'test-built', 'dist', 'esm', 'index.js')

interface Counts {
  pass: number
  fail: number
  skip: number
}

// As tap comes, it has the TypeScript plugin that .taprc turns off.
if (readFileSync(BUILT, 'utf8').includes('@tapjs/typescript')) {
  console.log('tap build …')
  const built = spawnSync(process.execPath, [TAP, 'build'], { cwd: root, stdio: 'inherit' })
  if (built.status !== 0) finish(1, { pass: 0, fail: 1, skip: 0 })
}

const { code, counts } = await run(process.argv.slice(2))
if (counts.pass + counts.fail === 0) {
  console.log('No test was run.')
  counts.fail = 1
}
finish(code !== 0 ? code : Math.min(counts.fail, 1), counts)

async function run(files: readonly string[]): Promise<{ code: number; counts: Counts }> {
  const tap = spawn(process.execPath, [TAP, 'run', '--reporter=tap', ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = new Promise<number>((resolve) => {
    tap.on('close', (status) => resolve(status ?? 1))
  })
  const counts: Counts = { pass: 0, fail: 0, skip: 0 }
  let block: string[] = []
  for await (const line of createInterface({ input: tap.stdout })) {
    const result = /^(not )?ok \d+ - (.*)$/.exec(line)
    const total = /^# \{ (.*) \}$/.exec(line)
    if (result !== null) {
      const mark = result[1] !== undefined ? '✗' : line.includes('# SKIP') ? '-' : '✓'
      console.log(`${mark} ${result[2]}`)
      if (result[1] !== undefined) for (const trouble of troubles(block)) console.log(trouble)
      block = []
    } else if (total !== null) {
      for (const [, name, count] of (total[1] as string).matchAll(/(\w+): (\d+)/g)) {
        if (name !== undefined && name in counts) counts[name as keyof Counts] = Number(count)
      }
    } else if (line.startsWith('    ')) block.push(line)
    // How a file ended that failed as a whole; its own words are on standard error.
    else if (/^ {2}(?:exitCode|signal|timeout|expired|error):(?! null)/.test(line)) console.log(line)
  }
  return { code: await ended, counts }
}

/** A file's output without what passed. */
function troubles(block: readonly string[]): string[] {
  return block.filter((line) => !/^\s*$|^\s+(?:ok \d|\d+\.\.\d|# time=)/.test(line))
}

function finish(code: number, { pass, fail, skip }: Counts): never {
  const absent = absentPeers()
  const required = absent.length > 0 && process.env.REQUIRE_PEERS === '1'
  if (absent.length > 0)
    console.log(`Absent peers: ${absent.join(', ')}${required ? '; REQUIRE_PEERS=1' : '; their tests are skipped'}`)
  console.log(`${pass} passed, ${fail + (required ? absent.length : 0)} failed, ${skip} skipped`)
  process.exit(required && code === 0 ? 1 : code)
}
