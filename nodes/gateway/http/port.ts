/** The port of the gateway, looked at before anything else is started for it. */
import { createServer } from 'node:net'
import { ClawmeshError } from '../../../policies/errors.js'
import type { GatewayAddress } from './address.js'

export function cannotListen({ host, port }: GatewayAddress, cause: unknown): ClawmeshError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new ClawmeshError('PORT_TAKEN', `The gateway cannot listen at ${host}:${port}: ${why}.`, {
    hint: 'Give --gateway another port: 0 takes any that is free, none does without a gateway.',
    cause,
  })
}

/** Rejects with PORT_TAKEN where nobody could listen now. */
export async function checkFree({ host, port }: GatewayAddress): Promise<void> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, resolve)
    })
  } catch (cause) {
    throw cannotListen({ host, port }, cause)
  }
  await new Promise((resolve) => server.close(resolve))
}
