import { createServer as createHttp, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { text } from 'node:stream/consumers'
import type { Socket } from 'node:net'
import type { Test } from 'tap'

/** What the proxy does to the requests that come from now on. */
export type Fault =
  | { kind: 'none' }
  /** Takes the request and never answers. */
  | { kind: 'hang' }
  | { kind: 'slow'; ms: number }
  /** Answers in the server's stead, as a server of Elasticsearch words it. */
  | { kind: 'status'; status: number; type: string }
  /** Cuts the connection. */
  | { kind: 'reset' }
  /** Answers without the header a genuine server names itself by. */
  | { kind: 'nameless' }
  | { kind: 'version'; number: string }
  /** Changes what a search answers. */
  | { kind: 'rewrite'; body: (body: Record<string, unknown>) => unknown }

export interface Proxy {
  url: string
  fault: Fault
  /** Only paths that match are touched; all by default. */
  only: RegExp
  /** Requests since it was last set, faulty ones included. */
  seen: number
  /** When set, requests must carry it. */
  authorization: string | null
  /** Authorization headers that came. */
  authorizations: Set<string>
  /** Refuses connections. */
  stop(): Promise<void>
  restart(): Promise<void>
}

/** A proxy of the test's own before a real server, by which everything between us and it can go wrong. */
export async function proxyTo(t: Test, target: string, tls?: { key: string; cert: string }): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let server: Server
  let port = 0
  const listen = async () => {
    server = tls === undefined ? createHttp(handle) : (createHttps(tls, handle) as unknown as Server)
    server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => {})
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    port = (server.address() as { port: number }).port
  }
  const proxy: Proxy = {
    url: '',
    fault: { kind: 'none' },
    only: /./,
    seen: 0,
    authorization: null,
    authorizations: new Set(),
    async stop() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
    restart: listen
  }
  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    proxy.seen++
    const { authorization } = incoming.headers
    if (authorization !== undefined) proxy.authorizations.add(authorization)
    const refused = proxy.authorization !== null && authorization !== proxy.authorization
    const faulty = proxy.only.test(incoming.url ?? '')
    const fault: Fault = refused
      ? { kind: 'status', status: 401, type: 'security_exception' }
      : faulty
        ? proxy.fault
        : { kind: 'none' }
    const named = { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' }
    switch (fault.kind) {
      case 'hang':
        return
      case 'reset':
        incoming.socket.destroy()
        return
      case 'status': {
        const error = { type: fault.type, reason: fault.type }
        outgoing.writeHead(fault.status, named).end(JSON.stringify({ error, status: fault.status }))
        return
      }
      case 'version':
        outgoing.writeHead(200, named).end(JSON.stringify({ name: 'n', version: { number: fault.number } }))
        return
      case 'slow':
        await new Promise((resolve) => setTimeout(resolve, fault.ms))
    }
    const to = request(new URL(incoming.url ?? '/', target), { method: incoming.method, headers: incoming.headers })
    to.on('error', () => outgoing.destroy())
    to.on('response', async (answer) => {
      const headers = { ...answer.headers }
      if (fault.kind === 'nameless') delete headers['x-elastic-product']
      if (fault.kind !== 'rewrite') {
        outgoing.writeHead(answer.statusCode ?? 500, headers)
        answer.pipe(outgoing)
        return
      }
      const body = JSON.stringify(fault.body(JSON.parse(await text(answer))))
      outgoing.writeHead(200, { ...named, 'content-type': String(headers['content-type']) }).end(body)
    })
    incoming.pipe(to)
  }
  await listen()
  proxy.url = `${tls === undefined ? 'http' : 'https'}://localhost:${port}`
  t.teardown(() => proxy.stop().catch(() => {}))
  return proxy
}
