import { isIPv4 } from 'node:net'
import { ClawmeshError } from '../policies/errors.js'

/** Throws DENIED for a model server on any machine but this one. `hostname` is as the URL class gives it. */
export function refuseElsewhere(hostname: string, host: string): void {
  if (isLoopback(hostname)) return
  throw new ClawmeshError('DENIED', `The model server ${host} is not on this machine.`, {
    hint: 'A prompt may leave the machine only where the privacy router has judged it, and this path does not pass it. Use a server on 127.0.0.1.',
    data: { host },
  })
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
}
