import { Worker } from 'node:worker_threads'

/**
 * Starts a module of ours in a thread of its own.
 * @param file the module's address: `new URL('./some-worker.ts', import.meta.url)`
 */
export function startWorker(file: URL, workerData: unknown): Worker {
  const module = JSON.stringify(file.href)
  // tsx does not reach into worker threads by itself.
  const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  const start = file.pathname.endsWith('.ts')
    ? `import(${tsx}).then(({ register }) => { register(); return import(${module}) })`
    : `import(${module})`
  return new Worker(start, { eval: true, execArgv: [], workerData })
}
