// npm start: load the corpus into an empty database, then serve. The service itself never imports the indexer.
import { loadIfEmpty } from '../indexer/cli.ts'
import { explainStart, serve } from '../src/server.ts'

try {
  await loadIfEmpty(process.env)
  await serve(process.env)
} catch (error) {
  console.error(explainStart(error))
  process.exit(1)
}
