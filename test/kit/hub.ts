/** A model hub on loopback in the layout of Hugging Face's, which can be told to misbehave. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface HubRepository {
  files: Record<string, Buffer>
  /** Files that the hub lists by git's id alone, as it does small ones. */
  small?: readonly string[]
  licence?: Record<string, string>
}

/** Answers instead of the hub; undefined lets it answer. */
export type Misbehaviour = (
  request: IncomingMessage,
  response: ServerResponse,
  content: Buffer | undefined,
) => Promise<boolean> | boolean

export interface TestHub {
  url: string
  commit: string
  /** Paths that were asked for, with the range if one was. */
  asked: string[]
  misbehave(how: Misbehaviour | undefined): void
  close(): Promise<void>
}

export const commit = '0123456789abcdef0123456789abcdef01234567'

export async function serveHub(
  name: string,
  { files, small = [], licence = { license: 'apache-2.0' } }: HubRepository,
): Promise<TestHub> {
  const asked: string[] = []
  let misbehaviour: Misbehaviour | undefined
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://hub').pathname)
    asked.push([path, request.headers.range ?? ''].join(' ').trim())
    const content = files[path.replace(`/${name}/resolve/${commit}/`, '')]
    if (await misbehaviour?.(request, response, content)) return
    if (path === `/api/models/${name}/revision/main` || path === `/api/models/${name}/revision/${commit}`)
      response.end(
        JSON.stringify({
          sha: commit,
          cardData: licence,
          siblings: Object.entries(files).map(([file, bytes]) => list(file, bytes, small)),
        }),
      )
    else if (content) give(request, response, content)
    else response.writeHead(404).end('not found')
  })
  server.unref()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    commit,
    asked,
    misbehave: (how) => {
      misbehaviour = how
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export function give(request: IncomingMessage, response: ServerResponse, content: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? Number.NaN)
  if (Number.isNaN(from)) return void response.writeHead(200, { 'content-length': content.length }).end(content)
  if (from >= content.length) return void response.writeHead(416).end()
  const range = `bytes ${from}-${content.length - 1}/${content.length}`
  response
    .writeHead(206, { 'content-range': range, 'content-length': content.length - from })
    .end(content.subarray(from))
}

function list(rfilename: string, content: Buffer, small: readonly string[]): object {
  const blobId = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
  const lfs = { sha256: createHash('sha256').update(content).digest('hex'), size: content.length, pointerSize: 130 }
  return { rfilename, size: content.length, blobId, ...(small.includes(rfilename) ? {} : { lfs }) }
}
