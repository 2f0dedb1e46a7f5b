import { openDatabase } from '../../src/database/open.ts'
import { openEmbeddedEngine } from '../../src/search/embedded/engine.ts'
import { measure } from './measure.ts'

/** Our own engine, through its port, on a database of the same entries beside the entries file. */
await measure(async ({ entries, limit }) => {
  const address = { kind: 'sqlite', file: `${entries}.sqlite` } as const
  const db = await openDatabase(address)
  const engine = openEmbeddedEngine({ db, address })
  const rows = await db.selectFrom('entries').select('key').orderBy('key').execute()
  const numbers = new Map(rows.map(({ key }, number) => [key, number]))
  await engine.firstIndex
  return async ([words = [], bigrams = [], characters = []]) => {
    const { hits: found } = await engine.search({ tokens: { words, bigrams, characters }, limit })
    return found.map(({ key, score }) => ({ entry: numbers.get(key) as number, score }))
  }
})
