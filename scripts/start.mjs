// npm start: load the corpus into an empty database, then serve. The service itself never imports the indexer.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from './build.mjs'

const built = await build()
const load = (file) => import(pathToFileURL(join(built, file)).href)
const { explainStart, serve } = await load('src/server.js')
try {
  const { loadIfEmpty } = await load('indexer/cli.js')
  await loadIfEmpty(process.env)
  await serve(process.env)
} catch (error) {
  console.error(explainStart(error))
  process.exit(1)
}
