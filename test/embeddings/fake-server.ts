import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** What the server is asked, and how it answers; each may be changed while it runs. */
export interface FakeServer {
  /** Base URL, ends in `/v1`. */
  url: string
  /** Every text embedded, prefix included, in order. */
  embedded: string[]
  /** Texts of each request. */
  batches: string[][]
  authorization: string | undefined
  dimension: number
  /** Vectors of another seed are another model's. */
  seed: number
  /** Answers in place of the vectors; returns false to leave it to them. */
  misbehave: (response: ServerResponse, texts: readonly string[]) => boolean
}

/** An embeddings server in which texts that share characters are near; it can be made to fail in every way there is. */
export async function fakeServer(t: Test): Promise<FakeServer> {
  const fake: FakeServer = {
    url: '',
    embedded: [],
    batches: [],
    authorization: undefined,
    dimension: 48,
    seed: 1,
    misbehave: () => false
  }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part: Buffer) => {
      body += part
    })
    request.on('end', () => {
      fake.authorization = request.headers.authorization
      const { input } = JSON.parse(body) as { input: string[] }
      fake.batches.push(input)
      if (fake.misbehave(response, input)) return
      fake.embedded.push(...input)
      const data = input.map((text, index) => ({ index, embedding: vectorOf(text, fake) }))
      // Not in order: the index counts.
      send(response, 200, JSON.stringify({ object: 'list', data: data.reverse() }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  return fake
}

export function send(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string> = {}
): true {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
  return true
}

/** Adds up a direction for each character. */
export function vectorOf(text: string, { dimension, seed }: Pick<FakeServer, 'dimension' | 'seed'>): number[] {
  const vector = new Array<number>(dimension).fill(0.01)
  for (const character of text) {
    let state = Math.imul((character.codePointAt(0) as number) + seed * 7919, 2654435761)
    for (let i = 0; i < dimension; i++) {
      state = Math.imul(state ^ (state >>> 15), 2246822519) + 374761393
      vector[i] = (vector[i] as number) + (state >> 8) / 2 ** 23
    }
  }
  return vector
}

/** The ways to fail, by name. */
export const MISBEHAVIOURS: Record<string, FakeServer['misbehave']> = {
  hangs: () => true,
  'sends headers and hangs': (response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).write('{"data":[')
    return true
  },
  'answers with NaN': (response) => send(response, 200, '{"data":[{"index":0,"embedding":[NaN,1]}]}'),
  'answers with null': (response, texts) =>
    send(response, 200, JSON.stringify({ data: texts.map((_, index) => ({ index, embedding: [null, 1] })) })),
  'answers with zeros': (response, texts) =>
    send(
      response,
      200,
      JSON.stringify({ data: texts.map((_, index) => ({ index, embedding: new Array(48).fill(0) })) })
    ),
  'answers with numbers too large': (response, texts) =>
    send(response, 200, JSON.stringify({ data: texts.map((_, index) => ({ index, embedding: [1e300, 1e300] })) })),
  'answers in another dimension': (response, texts) =>
    send(response, 200, JSON.stringify({ data: texts.map((_, index) => ({ index, embedding: [1, 2, 3] })) })),
  'answers with too few vectors': (response) => send(response, 200, '{"data":[]}'),
  'answers something else': (response) => send(response, 200, '{"ok":true}'),
  'answers HTML': (response) =>
    send(response, 200, '<!doctype html><title>Welcome</title>', { 'content-type': 'text/html' }),
  'answers 401': (response) => send(response, 401, '{"error":{"message":"Incorrect API key: sk-1234"}}'),
  'answers 404': (response) => send(response, 404, '{"error":{"message":"no such model"}}'),
  'answers 429': (response) => send(response, 429, '{"error":{"message":"slow down"}}', { 'retry-after': '1' }),
  'answers 500': (response) => send(response, 500, 'Internal Server Error'),
  redirects: (response) => send(response, 302, '', { location: '/login' }),
  'dies in the middle': (response) => {
    response
      .writeHead(200, { 'content-type': 'application/json', 'content-length': '100000' })
      .write('{"data":[{"index":0,')
    setTimeout(() => response.destroy(), 10)
    return true
  }
}
