/**
 * What a gateway beyond loopback shows, where nobody gave it a certificate: one by an authority of its own, beside that of the brokers, so that its key opens no
 * way to pass for a broker.
 */
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { writeWhole } from '../../mesh/disk.js'
import { ownAddresses } from './address.js'
import { openTlsAuthority } from './tls.js'

export interface GatewayTls {
  /** PEM: what is shown, and the key to it. */
  readonly certificate: string
  readonly key: string
}

/** `host`: where it listens; `others`: names by which machines find it beside its own. `authority` is the file that clients trust it by. */
export function openGatewayTls(
  folder: string,
  mesh: string,
  { host, others, now }: { host: string; others: readonly string[]; now: number },
): GatewayTls & { authority: string } {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const authority = openTlsAuthority(join(folder, 'gateway-tls.json'), `clawmesh gateway ${mesh}`, now)
  const own = ['0.0.0.0', '::'].includes(host) ? ownAddresses() : [host]
  const names = new Set([...own, ...others, hostname(), 'localhost', '127.0.0.1', '::1'])
  const file = join(folder, 'gateway-authority.crt')
  writeWhole(file, authority.certificate)
  return { ...authority.issue(`clawmesh gateway ${mesh}`, [...names], now), authority: file }
}
