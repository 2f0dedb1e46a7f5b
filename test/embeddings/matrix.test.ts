import t from 'tap'
import { type DotMachine, plainMachine, simdMachine } from '../../src/embeddings/dot-product.ts'
import { Matrix } from '../../src/embeddings/matrix.ts'
import { cosineOf, quantise } from '../../src/embeddings/quantise.ts'
import { SemanticIndex } from '../../src/embeddings/semantic-index.ts'

/** A generator of its own, so that every run sees the same vectors (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function unitVector(dimension: number, component: () => number): Float32Array {
  const vector = Float32Array.from({ length: dimension }, component)
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}

function productsOf(matrix: Matrix, query: Int16Array): number[] {
  const all: number[] = []
  matrix.multiply(query, (products, first) => {
    products.forEach((product, at) => {
      all[first + at] = product
    })
  })
  return all
}

const machines: Record<string, () => DotMachine | null> = { SIMD: simdMachine, plain: plainMachine }

for (const [name, open] of Object.entries(machines)) {
  t.test(`products by ${name} are those of the numbers, in every dimension`, async (t) => {
    const random = randomNumbers(1)
    for (const dimension of [1, 3, 32, 33, 384, 1024]) {
      const machine = open()
      if (machine === null) return t.fail('no SIMD here')
      const matrix = new Matrix(dimension, machine)
      const make = () => quantise(unitVector(dimension, () => random() - 0.5))
      // More than one tile, and more than one step of growth.
      const vectors = Array.from({ length: dimension <= 33 ? 20_000 : 300 }, make)
      for (const vector of vectors) matrix.add(vector)
      const query = make()
      t.same(
        productsOf(matrix, query),
        vectors.map((vector) => dot(vector, query)),
        `${dimension} dimensions`
      )
      t.equal(matrix.product(7, query), dot(vectors[7] as Int16Array, query))
    }
  })
}

t.test('the longest and the most opposed vectors do not run over', async (t) => {
  for (const dimension of [1, 384, 4096]) {
    const matrix = new Matrix(dimension)
    const vector = quantise(new Float32Array(dimension).fill(1))
    const opposed = vector.map((value) => -value)
    matrix.add(vector)
    matrix.add(opposed)
    const [same = 0, opposite = 0] = productsOf(matrix, vector)
    t.ok(Math.abs(cosineOf(same) - 1) < 0.01 && Math.abs(cosineOf(opposite) + 1) < 0.01, `${dimension} dimensions`)
  }
})

t.test('a freed row counts for nothing and is used again', async (t) => {
  const matrix = new Matrix(2)
  const [east, north] = [quantise(Float32Array.of(1, 0)), quantise(Float32Array.of(0, 1))]
  const row = matrix.add(east)
  matrix.add(east)
  matrix.remove(row)
  t.same(productsOf(matrix, east), [0, 32767 ** 2])
  t.equal(matrix.add(north), row)
  t.equal(matrix.count, 2)
  t.same(productsOf(matrix, north), [32767 ** 2, 0])
  t.throws(() => matrix.add(new Int16Array(3)), RangeError)
})

const DIMENSION = 384
const VECTORS = 8000
const QUESTIONS = 40
const AT = 50

/** Share of the exact 50 nearest that the index names. */
function recall(vectors: readonly Float32Array[], questions: readonly Float32Array[]): number {
  const index = new SemanticIndex(DIMENSION)
  vectors.forEach((vector, at) => {
    const entry = { key: `qa/${at}`, kind: 'qa' as const, id: String(at), anchor: null }
    index.replace(entry.key, [{ entry, questions: [quantise(vector)], answers: [] }])
  })
  let found = 0
  for (const question of questions) {
    const exact = vectors
      .map((vector, at) => ({ at, cosine: dot(vector, question) }))
      .sort((a, b) => b.cosine - a.cosine)
      .slice(0, AT)
    const named = new Set(index.nearest(quantise(question), AT).map(({ id }) => Number(id)))
    for (const { at } of exact) if (named.has(at)) found++
  }
  return found / (questions.length * AT)
}

t.test('recall@50 against exact float is at least 0.99, also where all vectors lie close together', async (t) => {
  const random = randomNumbers(2)
  const scattered = (count: number) => Array.from({ length: count }, () => unitVector(DIMENSION, () => random() - 0.5))
  const far = recall(scattered(VECTORS), scattered(QUESTIONS))
  // As e5 has it: every text within a cosine of 0.8 to 1 of every other, in clusters of paraphrases.
  const centres = scattered(80)
  const common = scattered(1)[0] as Float32Array
  const near = (count: number) =>
    Array.from({ length: count }, (_, at) => {
      const centre = centres[at % centres.length] as Float32Array
      let i = 0
      return unitVector(DIMENSION, () => {
        const value = (common[i] as number) + 0.4 * (centre[i] as number) + 0.02 * (random() - 0.5)
        i++
        return value
      })
    })
  const close = recall(near(VECTORS), near(QUESTIONS))
  t.comment(`recall@50: scattered ${far}, clustered ${close}`)
  t.ok(far >= 0.99, String(far))
  t.ok(close >= 0.99, String(close))
})

t.test('an entry counts with its nearest text; what is dropped or replaced is gone', async (t) => {
  const index = new SemanticIndex(3)
  const entry = (key: string) => ({ key, kind: 'qa' as const, id: key.slice(3), anchor: null })
  const vector = (...numbers: number[]) => quantise(Float32Array.from(numbers))
  index.replace('qa/a', [
    { entry: entry('qa/a'), questions: [vector(1, 0, 0), vector(0, 1, 0)], answers: [vector(0, 0, 1)] }
  ])
  index.replace('qa/b', [{ entry: entry('qa/b'), questions: [vector(1, 1, 0)], answers: [] }])
  index.replace('document/c', [
    {
      entry: { key: 'document/c#p-0', kind: 'document', id: 'c', anchor: 'p-0' },
      questions: [],
      answers: [vector(0, 1, 1)]
    },
    {
      entry: { key: 'document/c#p-1', kind: 'document', id: 'c', anchor: 'p-1' },
      questions: [],
      answers: [vector(0, -1, 0)]
    }
  ])
  const keys = (query: Int16Array, limit = 10) => index.nearest(query, limit).map(({ key }) => key)
  const north = vector(0, 1, 0)
  t.same(keys(north, 2), ['qa/a', 'document/c#p-0'])
  t.same(keys(north), ['qa/a', 'document/c#p-0', 'qa/b', 'document/c#p-1'], 'at equal nearness by key')
  t.same(keys(north, 0), [])
  const close = (a: number | null | undefined, b: number) =>
    t.ok(Math.abs((a ?? Number.NaN) - b) < 0.001, `${a} is ${b}`)
  close(index.of('qa/a', vector(0, 1, 1))?.question, Math.SQRT1_2)
  close(index.of('qa/a', vector(0, 1, 1))?.answer, Math.SQRT1_2)
  close(index.of('document/c#p-1', north)?.answer, -1)
  t.equal(index.of('qa/b', north)?.answer, null)
  t.equal(index.of('qa/x', north), null)

  index.drop('document/c')
  index.replace('qa/a', [{ entry: entry('qa/a'), questions: [vector(0, 0, 1)], answers: [] }])
  t.same(keys(north), ['qa/b', 'qa/a'])
  t.equal(index.of('document/c#p-0', north), null)
  index.replace('qa/d', [{ entry: entry('qa/d'), questions: [north], answers: [north] }])
  t.same(keys(north, 1), ['qa/d'])
})

t.test('after any changes the index names what a plain search names', async (t) => {
  const random = randomNumbers(3)
  const index = new SemanticIndex(16)
  const held = new Map<string, Int16Array[]>()
  const make = () => quantise(unitVector(16, () => random() - 0.5))
  for (let turn = 0; turn < 6000; turn++) {
    const key = `qa/${Math.floor(random() * 900)}`
    if (random() < 0.3) {
      index.drop(key)
      held.delete(key)
      continue
    }
    const vectors = Array.from({ length: 1 + Math.floor(random() * 4) }, make)
    const entry = { key, kind: 'qa' as const, id: key.slice(3), anchor: null }
    index.replace(key, [{ entry, questions: vectors.slice(0, 1), answers: vectors.slice(1) }])
    held.set(key, vectors)
  }
  for (let question = 0; question < 20; question++) {
    const query = make()
    const wanted = [...held]
      .map(([key, vectors]) => ({ key, best: Math.max(...vectors.map((vector) => dot(vector, query))) }))
      .sort((a, b) => b.best - a.best || (a.key < b.key ? -1 : 1))
      .slice(0, 30)
    t.same(
      index.nearest(query, 30).map(({ key }) => key),
      wanted.map(({ key }) => key)
    )
  }
})
