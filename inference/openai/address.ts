import { ClawmeshError } from '../../policies/errors.js'
import { refuseElsewhere } from '../loopback.js'

/** The base URL of a server, up to and with `/v1`. Throws DENIED for any but this machine itself, USAGE for what is no URL. */
export function localBase(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:')
    throw new ClawmeshError('USAGE', `"${url}" is not the URL of a model server.`, {
      hint: 'Give it as http://127.0.0.1:11434.',
    })
  refuseElsewhere(parsed.hostname, parsed.host)
  const path = parsed.pathname.replace(/\/+$/, '')
  return `${parsed.protocol}//${parsed.host}${path.endsWith('/v1') ? path : `${path}/v1`}`
}
