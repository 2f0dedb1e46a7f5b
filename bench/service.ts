import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'

/** A port nobody listens on now. */
export async function freePort(): Promise<number> {
  return await new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** Starts a server process of ours or of the peer's; resolves at its first right answer. */
export async function startProcess(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  path: string,
  /** A program that runs it and watches: `strace` with its options. */
  under: readonly string[] = []
): Promise<{ child: ChildProcess; origin: string; tookMs: number; stop: () => Promise<void> }> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const started = performance.now()
  const [program = process.execPath, ...rest] = [...under, process.execPath, ...args]
  const child = spawn(program, rest, {
    env: { ...process.env, ...environment, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  for (;;) {
    const right = await fetch(origin + path).then(
      async (response) => response.ok && ((await response.json()) as { hits: unknown[] }).hits.length > 0,
      () => false
    )
    if (right) break
    if (child.exitCode !== null) throw new Error(`${args.join(' ')} ended with ${child.exitCode}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const tookMs = performance.now() - started
  return {
    child,
    origin,
    tookMs,
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve())
        child.kill('SIGTERM')
      })
  }
}
