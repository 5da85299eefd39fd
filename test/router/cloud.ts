/** A provider on this machine that records every byte it is sent, headers too, and answers as it is told. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Cloud {
  /** With `/v1`. */
  readonly url: string
  /** Everything that arrived, a text for each request: request line, headers, body. */
  readonly sent: string[]
  /** What the next requests are answered with. */
  answer: (body: string, response: ServerResponse) => void
  close(): Promise<void>
}

export async function openCloud(): Promise<Cloud> {
  const sent: string[] = []
  const server = createServer((request, response) => {
    void receive(request).then((body) => {
      sent.push(`${request.method} ${request.url}\n${request.rawHeaders.join('\n')}\n\n${body}`)
      cloud.answer(body, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cloud: Cloud = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    sent,
    answer: (_, response) => streamChunks(response, ['ok']),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
  return cloud
}

async function receive(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString('utf8')
}

/** In the form of OpenAI. */
export function streamChunks(response: ServerResponse, texts: readonly string[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const text of texts)
    response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: text }, finish_reason: null }] })}\n\n`)
  response.end('data: [DONE]\n\n')
}
