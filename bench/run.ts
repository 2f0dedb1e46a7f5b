import { readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { BadInput } from './bad-input.ts'

/** What a bench gets from the command line: `--top-k 5` as topK '5', a flag as true, several values as a list. */
export type BenchOptions = { json: boolean } & Record<string, unknown>

interface Bench {
  /** One sentence: the question it answers. */
  describe: string
  /** Talks on standard error while it runs. */
  run(options: BenchOptions): Promise<Record<string, unknown>>
}

const NAMES = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3))

async function load(name: string): Promise<Bench | null> {
  if (name === 'run' || !NAMES.includes(name)) return null
  const module = (await import(`./${name}.ts`)) as Partial<Bench>
  return module.describe !== undefined && module.run !== undefined ? (module as Bench) : null
}

function read(args: string[]): { name: string | undefined; options: BenchOptions } {
  const { tokens } = parseArgs({ args, strict: false, allowPositionals: true, tokens: true })
  const options: BenchOptions = { json: false }
  let name: string | undefined
  let last: string | undefined
  for (const token of tokens) {
    if (token.kind === 'option') {
      last = token.name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
      options[last] = token.value ?? true
    } else if (token.kind === 'positional') {
      if (last === undefined) name = token.value
      else {
        const before = options[last]
        options[last] = before === true ? token.value : [before, token.value].flat()
      }
    }
  }
  options.json = options.json !== false
  return { name, options }
}

function show(result: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(result)) {
    if (Array.isArray(value) && typeof value[0] === 'object') {
      console.log(`\n${key}`)
      console.table(value)
    } else console.log(`${key}: ${typeof value === 'object' ? JSON.stringify(value) : value}`)
  }
}

const { name, options } = read(process.argv.slice(2))
if (name === undefined) {
  console.log('npm run bench -- NAME [--option value …] [--json]\n')
  for (const each of NAMES) {
    const bench = await load(each)
    if (bench !== null) console.log(`  ${each.padEnd(10)} ${bench.describe}`)
  }
} else {
  const bench = await load(name)
  if (bench === null) {
    console.error(`No bench ${name}; without a name they are listed.`)
    process.exit(2)
  }
  const result = await bench.run(options).catch((error: unknown) => {
    if (!(error instanceof BadInput)) throw error
    console.error(error.message)
    process.exit(2)
  })
  if (options.json) console.log(JSON.stringify(result))
  else show(result)
}
