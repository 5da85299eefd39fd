import { isIPv4 } from 'node:net'
import { ClawmeshError } from '../../policies/errors.js'

/** The base URL of a server, up to and with `/v1`. Throws DENIED for any but this machine itself, USAGE for what is no URL. */
export function localBase(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:')
    throw new ClawmeshError('USAGE', `"${url}" is not the URL of a model server.`, {
      hint: 'Give it as http://127.0.0.1:11434.',
    })
  if (!isLoopback(parsed.hostname))
    throw new ClawmeshError('DENIED', `The model server ${parsed.host} is not on this machine.`, {
      hint: 'A prompt may leave the machine only where the privacy router has judged it, and this path does not pass it. Use a server on 127.0.0.1.',
      data: { host: parsed.host },
    })
  const path = parsed.pathname.replace(/\/+$/, '')
  return `${parsed.protocol}//${parsed.host}${path.endsWith('/v1') ? path : `${path}/v1`}`
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
}
