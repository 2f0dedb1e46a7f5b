import fc from 'fast-check'
import t from 'tap'
import { storedLength } from '../../../src/search/embedded/bm25.ts'
import { StringTable } from '../../../src/search/embedded/string-table.ts'
import { Top } from '../../../src/search/embedded/top.ts'

t.test('a string table numbers strings as they come, and reads them back from its buffers', async (t) => {
  const string = fc.string({ unit: 'grapheme', maxLength: 4 })
  fc.assert(
    fc.property(fc.array(string, { maxLength: 300 }), string, (strings, other) => {
      const table = new StringTable()
      const numbers = strings.map((each) => table.intern(each))
      const distinct = [...new Set(strings)]
      const copy = new StringTable(table.parts())
      for (const each of [table, copy]) {
        t.equal(each.size, distinct.length)
        t.ok(distinct.every((text, number) => each.at(number) === text && each.find(text) === number))
        t.equal(each.find(other), distinct.indexOf(other))
      }
      t.same(
        numbers,
        strings.map((text) => distinct.indexOf(text))
      )
      t.equal(copy.intern('一个新的字符串'), distinct.length)
    })
  )
})

t.test('the top is what sorting everything gives, whatever the floor was primed with', async (t) => {
  const scores = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 900 })
  fc.assert(
    fc.property(scores, fc.integer({ min: 1, max: 70 }), fc.integer({ min: 0, max: 300 }), (list, limit, primed) => {
      const top = new Top((a, b) => a < b)
      const array = Float32Array.from(list)
      top.start(limit)
      const entries = Int32Array.from(list.keys())
      top.prime(array, entries, Math.min(primed, list.length), null)
      // Backwards, so that entries level with the floor have to push others out.
      for (let entry = list.length - 1; entry >= 0; entry--) {
        if ((array[entry] as number) >= top.floor) top.offer(entry, array[entry] as number)
      }
      const sorted = list
        .map((score, entry) => ({ entry, score }))
        .sort((a, b) => b.score - a.score || a.entry - b.entry)
      t.same(
        top.finish((entry, score) => ({ entry, score })),
        sorted.slice(0, limit)
      )
    })
  )
})

t.test('field lengths are rounded as Lucene stores them', async (t) => {
  // SmallFloat.byte4ToInt(SmallFloat.intToByte4(length)), Lucene 9.12.
  const lucene = [
    [0, 0],
    [23, 23],
    [39, 39],
    [40, 40],
    [41, 40],
    [42, 42],
    [55, 54],
    [56, 56],
    [59, 56],
    [100, 96],
    [1000, 984],
    [65535, 61464]
  ]
  t.same(
    lucene.map(([length = 0]) => storedLength(length)),
    lucene.map(([, stored]) => stored)
  )
})
