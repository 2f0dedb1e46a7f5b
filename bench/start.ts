import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { serviceFolder } from './bank.ts'
import { percentile, rounded } from './figures.ts'
import { startProcess } from './service.ts'

export const describe = 'How long from the command to the first right answer, above bare Fastify? --rounds 5'

export async function run(options: Record<string, unknown>): Promise<Record<string, unknown>> {
  const rounds = Number(options.rounds ?? 5)
  const data = await serviceFolder()
  const path = `/api/v1/answers?q=${encodeURIComponent(data.questions[0] as string)}`
  const environment = { DATA_DIR: data.folder, LOG_LEVEL: 'silent' }
  const body = join(data.folder, 'answer.json')
  writeFileSync(body, JSON.stringify({ hits: [{}] }))
  const times = { ours: [] as number[], bare: [] as number[] }
  for (let round = 0; round < rounds; round++) {
    for (const [name, args] of [
      ['bare', ['bench/bare.mjs', body]],
      ['ours', ['scripts/start.mjs']]
    ] as const) {
      const { tookMs, stop } = await startProcess(args, environment, path)
      times[name].push(tookMs)
      await stop()
    }
  }
  data.remove()
  const bareMs = percentile(times.bare, 0.5)
  const oursMs = percentile(times.ours, 0.5)
  return {
    bareMs: rounded(bareMs, 0),
    oursMs: rounded(oursMs, 0),
    aboveBareMs: rounded(oursMs - bareMs, 0)
  }
}
