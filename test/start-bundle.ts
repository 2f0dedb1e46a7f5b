// Starts an unpacked bundle with nothing but Node on its path, asks it a question, stops it; prints what came as JSON.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

const [folder, question] = process.argv.slice(2) as [string, string]
const START_WITHIN_MS = 120_000

const bin = join(folder, '..', 'bin')
mkdirSync(bin)
symlinkSync(process.execPath, join(bin, 'node'))
const service = spawn(join(folder, 'start.sh'), {
  cwd: '/',
  env: { PATH: bin, HOME: bin, PORT: '0', LOG_LEVEL: 'warn', npm_config_registry: 'http://127.0.0.1:9' },
  stdio: ['ignore', 'pipe', 'pipe']
})
let output = ''
service.stdout.on('data', (text) => {
  output += text
})
service.stderr.on('data', (text) => {
  output += text
})
const ended = once(service, 'exit')

const answer = await ask()
service.kill('SIGTERM')
const [code, signal] = await ended
console.log(JSON.stringify({ output, answer, code, signal }))

async function ask(): Promise<unknown> {
  for (const until = Date.now() + START_WITHIN_MS; Date.now() < until && service.exitCode === null; ) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    const address = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0]
    if (address === undefined) continue
    const ready = await fetch(`${address}/readyz`)
    if (ready.status !== 200) continue
    return await (await fetch(`${address}/api/v1/answers?q=${encodeURIComponent(question)}`)).json()
  }
  return null
}
