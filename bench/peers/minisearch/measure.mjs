import MiniSearch from 'minisearch'
import { measure, rows } from '../measure.ts'

/** MiniSearch with the same tokens and boosts. */
await measure(async (order) => {
  const fields = order.columns.map((_, i) => `c${i}`)
  const index = new MiniSearch({ fields, tokenize: (text) => text.split(' '), processTerm: (term) => term })
  let id = 0
  for await (const columns of rows(order)) {
    index.add({ id: id++, ...Object.fromEntries(columns.map((text, i) => [`c${i}`, text])) })
  }
  const boost = Object.fromEntries(order.columns.map((column, i) => [`c${i}`, column.boost]))
  return (question) => {
    const queries = question.map((tokens, unit) => ({
      combineWith: 'OR',
      queries: tokens,
      fields: fields.filter((_, i) => order.columns[i].unit === unit),
      boost
    }))
    const found = index.search({ combineWith: 'OR', queries }).slice(0, order.limit)
    return found.map(({ id: entry, score }) => ({ entry, score }))
  }
})
