import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { openFieldKey, SealBroken } from '../../src/accounts/field-key.ts'
import { BadSecretFile } from '../../src/accounts/secret-file.ts'
import { temporaryFolder } from '../test-app.ts'

const CONTEXT = 'ZX-SC01-20261124-0001-3/phone'

t.test('what is sealed opens again, and two seals of one text differ', async (t) => {
  const key = openFieldKey(join(temporaryFolder(t), 'field.key'))
  for (const text of ['', '13800000000', '示例市民😀', 'x'.repeat(10_000)]) {
    const sealed = key.seal(text, CONTEXT)
    t.equal(key.open(sealed, CONTEXT), text)
    t.not(key.seal(text, CONTEXT), sealed)
    if (text !== '') t.notMatch(sealed, text)
  }
})

t.test('a changed byte, a shortened text and another place are refused', async (t) => {
  const key = openFieldKey(join(temporaryFolder(t), 'field.key'))
  const sealed = key.seal('13800000000', CONTEXT)
  const [id, body] = sealed.split('.') as [string, string]
  const bytes = Buffer.from(body, 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] as number) ^ 1
    t.throws(() => key.open(`${id}.${changed.toString('base64url')}`, CONTEXT), SealBroken, `byte ${at}`)
  }
  t.throws(() => key.open(`${id}.${bytes.subarray(0, -1).toString('base64url')}`, CONTEXT), SealBroken)
  for (const broken of ['', 'x', `${id}.`, `${id}.AAAA`, body]) t.throws(() => key.open(broken, CONTEXT), SealBroken)
  t.throws(() => key.open(sealed, CONTEXT.replace('phone', 'name')), SealBroken, 'another field')
  t.throws(() => key.open(sealed, CONTEXT.replace('0001', '0002')), SealBroken, 'another consultation')
})

t.test(
  'another key refuses by naming the key it lacks; a new key on top still opens what the old one sealed',
  async (t) => {
    const folder = temporaryFolder(t)
    const file = join(folder, 'field.key')
    const other = join(folder, 'other.key')
    const sealed = openFieldKey(file).seal('13800000000', CONTEXT)
    t.throws(() => openFieldKey(other).open(sealed, CONTEXT), { message: /没有编号 [0-9a-f]{8} 的密钥/ })

    writeFileSync(file, readFileSync(other, 'utf8') + readFileSync(file, 'utf8'))
    const rotated = openFieldKey(file)
    t.equal(rotated.open(sealed, CONTEXT), '13800000000')
    t.equal(openFieldKey(other).open(rotated.seal('新', CONTEXT), CONTEXT), '新')
  }
)

t.test('the key file is made for its owner alone', async (t) => {
  const file = join(temporaryFolder(t), 'deep', 'field.key')
  openFieldKey(file)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(readFileSync(file, 'utf8'), /^[0-9a-f]{64}\n$/)
})

t.test('a key file others may read, one too short, and one that is none are refused in plain words', async (t) => {
  const file = join(temporaryFolder(t), 'field.key')
  openFieldKey(file)
  chmodSync(file, 0o640)
  t.throws(() => openFieldKey(file), { name: 'BadSecretFile', message: /权限 640.*chmod 600/ })
  chmodSync(file, 0o600)
  for (const content of ['', 'abc', `${'0'.repeat(63)}\n`, 'z'.repeat(64)]) {
    writeFileSync(file, content)
    t.throws(() => openFieldKey(file), { message: /64 位十六进制/ }, `“${content.slice(0, 5)}”`)
  }
  const folder = join(temporaryFolder(t), 'field.key')
  mkdirSync(folder, { mode: 0o700 })
  t.throws(() => openFieldKey(folder), BadSecretFile)
  const blocked = join(file, 'field.key')
  t.throws(() => openFieldKey(blocked), BadSecretFile, 'under a file')
})

t.test('programs that start together share one key and leave no draft', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'field.key')
  const source = fileURLToPath(new URL('../../src/accounts/secret-file.ts', import.meta.url))
  // Each waits for the same moment, so that none finds the file ready.
  const start = Date.now() + 1500
  const program = `import { openSecretFile } from ${JSON.stringify(source)}
    while (Date.now() < ${start}) {}
    process.stdout.write(openSecretFile(${JSON.stringify(file)})[0].toString('hex'))`
  const run = promisify(execFile)
  const options = ['--import', 'tsx', '--input-type=module', '-e', program]
  const keys = await Promise.all(Array.from({ length: 4 }, async () => (await run(process.execPath, options)).stdout))
  t.equal(new Set(keys).size, 1)
  t.equal(`${keys[0]}\n`, readFileSync(file, 'utf8'))
  t.same(readdirSync(folder), ['field.key'])
})
