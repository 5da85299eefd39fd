import { ClawmeshError } from '../../../policies/errors.js'

export interface GatewayAddress {
  host: string
  port: number
}

const addressForm = /^(?:\[([0-9a-f:]+)\]:|([^:\s]+):)?(\d{1,5})$/i
/** Whole, since a name may begin like an address: "127.evil.example". */
const loopbackForm = /^(127(\.\d{1,3}){3}|localhost|::1)$/i

/** "PORT" or "HOST:PORT". The host must be this machine alone: without TLS keys and prompts would cross the network in the clear. */
export function parseGatewayAddress(given: string): GatewayAddress {
  const { host, port } = parse(given, '--gateway a port, or HOST:PORT, for example 8090 or 127.0.0.1:8090.')
  if (loopbackForm.test(host)) return { host, port }
  throw new ClawmeshError('USAGE', `The gateway cannot listen at ${host} without TLS.`, {
    hint: `Use --gateway-listen ${given}, which speaks TLS, or let it listen at 127.0.0.1.`,
  })
}

/** The same for a gateway that speaks TLS, at any address of this machine. */
export const parseGatewayListen = (given: string): GatewayAddress =>
  parse(given, '--gateway-listen HOST:PORT, for example 0.0.0.0:8443 for all addresses of this machine.')

function parse(given: string, form: string): GatewayAddress {
  const [, bracketed, plain, digits] = addressForm.exec(given) ?? []
  if (digits === undefined || Number(digits) > 65_535)
    throw new ClawmeshError('USAGE', `"${given}" is no address for the gateway.`, { hint: `Give ${form}` })
  return { host: bracketed ?? plain ?? '127.0.0.1', port: Number(digits) }
}

/** Whether a Host header names this machine: a page whose name was pointed at 127.0.0.1 (DNS rebinding) sends its own name. */
export const namesThisMachine = (host: string): boolean =>
  loopbackForm.test(host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'))
