import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { temporaryFolder } from './test-app.ts'

// Copying, packing and unpacking 100 MB.
t.setTimeout(300_000)

const local = (path: string) => fileURLToPath(new URL(path, import.meta.url))
/** Only the loopback, as on a machine in a hall without internet; for others than root in a user namespace. */
const WITHOUT_NETWORK = [
  'unshare',
  ...(process.getuid?.() === 0 ? [] : ['-r']),
  '-n',
  'sh',
  '-c',
  'ip link set lo up && exec "$@"',
  'sh'
]

t.test('the bundle starts from an empty folder with Node alone, without network, registry or compiler', async (t) => {
  const folder = temporaryFolder(t)
  execFileSync(process.execPath, [local('../scripts/bundle.mjs'), folder])
  const [archive, ...others] = readdirSync(folder)
  t.same(others, [])
  t.match(archive, new RegExp(`^zhengxun-\\d+\\.\\d+\\.\\d+-${process.platform}-${process.arch}-node\\d+\\.tar\\.gz$`))
  execFileSync('tar', ['-xzf', join(folder, archive as string), '-C', folder])
  const unpacked = join(folder, (archive as string).replace('.tar.gz', ''))
  t.notOk(readdirSync(join(unpacked, 'node_modules')).includes('typescript'), 'no development packages')

  const start = [process.execPath, '--import=tsx', local('./start-bundle.ts'), unpacked, '我妈退休了医保怎么转到江北来']
  const isolated = spawnSync(WITHOUT_NETWORK[0] as string, [...WITHOUT_NETWORK.slice(1), 'true']).status === 0
  if (!isolated) t.comment('no network namespace here: started with the registry unreachable only')
  const [program, ...args] = isolated ? [...WITHOUT_NETWORK, ...start] : start
  const { output, answer, code, signal } = JSON.parse(execFileSync(program as string, args, { encoding: 'utf8' }))
  t.match(answer, { decision: /answer|choose/, hits: [{ kind: 'qa', title: /医保/ }] }, output)
  t.same({ code, signal }, { code: 0, signal: null }, output)
  t.notMatch(output, /npm (?:ci|install|warn|error)|node-gyp|首次/)
})
