import { ClawmeshError } from '../../../policies/errors.js'

export interface GatewayAddress {
  host: string
  port: number
}

const addressForm = /^(?:\[([0-9a-f:]+)\]:|([^:\s]+):)?(\d{1,5})$/i
/** Whole, since a name may begin like an address: "127.evil.example". */
const loopbackForm = /^(127(\.\d{1,3}){3}|localhost|::1)$/i

/** "PORT" or "HOST:PORT". The host must be this machine alone: the gateway speaks no TLS, so keys and prompts would cross the network in the clear. */
export function parseGatewayAddress(given: string): GatewayAddress {
  const [, bracketed, plain, digits] = addressForm.exec(given) ?? []
  const host = bracketed ?? plain ?? '127.0.0.1'
  if (digits === undefined || Number(digits) > 65_535)
    throw new ClawmeshError('USAGE', `"${given}" is no address for the gateway.`, {
      hint: 'Give --gateway a port, or HOST:PORT, for example 8080 or 127.0.0.1:8080.',
    })
  if (!loopbackForm.test(host))
    throw new ClawmeshError('USAGE', `The gateway cannot listen at ${host}: it has no TLS yet.`, {
      hint: 'Let it listen at 127.0.0.1, and put an SSH tunnel or a server that speaks TLS before it.',
    })
  return { host, port: Number(digits) }
}

/** Whether a Host header names this machine: a page whose name was pointed at 127.0.0.1 (DNS rebinding) sends its own name. */
export const namesThisMachine = (host: string): boolean =>
  loopbackForm.test(host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'))
