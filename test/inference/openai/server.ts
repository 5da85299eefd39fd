import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

export type Answer = (response: ServerResponse, body: string) => void | Promise<void>

export interface ModelServer {
  url: string
  /** The bodies of the completions and embeddings that were asked for. */
  asked: string[]
  close(): Promise<void>
}

/** A real HTTP server on loopback that lists models and answers completions as it is told; `props` is what one of llama.cpp says of itself. On a port of its own, if none is named. */
export async function serve(
  models: string | Answer,
  completion: Answer,
  embedding?: Answer,
  props?: string,
  port = 0,
): Promise<ModelServer> {
  const asked: string[] = []
  const server = createServer(async (request, response) => {
    const body = await read(request)
    if (request.url === '/v1/models') {
      if (typeof models === 'string') response.setHeader('content-type', 'application/json').end(models)
      else await models(response, body)
    } else if (request.url === '/v1/chat/completions') {
      asked.push(body)
      await completion(response, body)
    } else if (request.url === '/v1/embeddings' && embedding) {
      asked.push(body)
      await embedding(response, body)
    } else if (request.url === '/props' && props !== undefined) response.end(props)
    else response.writeHead(404).end()
  })
  // A test that fails before it closes the server must not keep its process from ending.
  server.unref()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export function recorded(name: string): Promise<string> {
  return readFile(fileURLToPath(new URL(`../../../../test/inference/fixtures/openai/${name}`, import.meta.url)), 'utf8')
}

/** Sends a recorded stream in pieces of `size` bytes, which cut lines and characters anywhere. */
export function stream(text: string, size = 1_000_000): Answer {
  return async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at += size) {
      response.write(bytes.subarray(at, at + size))
      // Each piece leaves by itself.
      await new Promise(setImmediate)
    }
    response.end()
  }
}

async function read(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString('utf8')
}
