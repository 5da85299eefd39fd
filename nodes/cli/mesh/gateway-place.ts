/** Where the options of `up` have the gateway listen, and what it shows there. */
import { ClawmeshError } from '../../../policies/errors.js'
import type { GatewayTls } from '../../authority/gateway-tls.js'
import { type GatewayAddress, parseGatewayAddress, parseGatewayListen } from '../../gateway/http/address.js'
import { readTls } from '../../gateway/http/tls.js'
import { text, type Values } from '../command.js'

export interface GatewayPlace extends GatewayAddress {
  /** Beyond this machine, and so over TLS. */
  beyond: boolean
  /** What it shows, if that was given. */
  tls?: GatewayTls
}

/** Throws USAGE, before anything is started, for what could not be kept. */
export function gatewayPlace(values: Values): GatewayPlace | undefined {
  const [here, beyond] = [text(values, 'gateway'), text(values, 'gateway-listen')]
  const [certificate, key] = [text(values, 'gateway-certificate'), text(values, 'gateway-key')]
  if (here !== undefined && beyond !== undefined)
    throw new ClawmeshError('USAGE', 'There is one gateway: --gateway or --gateway-listen.', {
      hint: '--gateway-listen is reached from this machine too, as https://localhost.',
    })
  if ((certificate === undefined) !== (key === undefined) || (certificate !== undefined && beyond === undefined))
    throw new ClawmeshError('USAGE', 'A certificate for the gateway needs its key, and --gateway-listen.', {
      hint: 'Give --gateway-listen, --gateway-certificate and --gateway-key together, or --gateway-listen alone: the mesh then signs one.',
    })
  if (beyond === undefined) return here === undefined ? undefined : { ...parseGatewayAddress(here), beyond: false }
  const tls = certificate !== undefined && key !== undefined ? readTls(certificate, key, Date.now()) : undefined
  return { ...parseGatewayListen(beyond), beyond: true, ...(tls ? { tls } : {}) }
}
