import { z } from 'zod'
import { actor, message, on } from '../../mesh/index.js'

export const Echo = message('bench.echo', { request: z.instanceof(Uint8Array), reply: z.instanceof(Uint8Array) })
export const echo = actor('echo', () => [on(Echo, (bytes) => bytes)], {
  args: z.undefined(),
  mailbox: 4096,
  concurrency: 512,
})
