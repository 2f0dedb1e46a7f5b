import Sqlite from 'better-sqlite3'
import { measure, rows } from './measure.ts'

/** SQLite's own full-text index, every column weighted by bm25(). */
await measure(async (order) => {
  const names = order.columns.map((_, i) => `c${i}`)
  const db = new Sqlite(':memory:')
  db.exec(
    `create virtual table entries using fts5(${names.join(', ')}, content='', tokenize="unicode61 tokenchars '.%-'")`
  )
  const insert = db.prepare(
    `insert into entries (rowid, ${names.join(', ')}) values (?, ${names.map(() => '?').join(', ')})`
  )
  db.exec('begin')
  let number = 0
  for await (const columns of rows(order)) insert.run(number++, ...columns)
  db.exec("commit; insert into entries (entries) values ('optimize')")
  const weights = order.columns.map(({ boost }) => boost).join(', ')
  const select = db.prepare<[string, number], { entry: number; score: number }>(
    `select rowid as entry, -bm25(entries, ${weights}) as score from entries where entries match ? order by bm25(entries, ${weights}) limit ?`
  )
  return (question) => {
    const groups = question.flatMap((tokens, unit) => {
      const columns = names.filter((_, i) => order.columns[i]?.unit === unit)
      const any = tokens.map((token) => `"${token}"`).join(' OR ')
      return any === '' ? [] : [`{${columns.join(' ')}} : (${any})`]
    })
    return groups.length === 0 ? [] : select.all(groups.join(' OR '), order.limit)
  }
})
