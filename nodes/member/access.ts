/** How a node of this machine reaches the broker: kept beside its credentials, readable by its owner alone. */
import { existsSync, readFileSync } from 'node:fs'
import { createUser, fromSeed } from '@nats-io/nkeys'
import { z } from 'zod'
import { seedOf } from '../../mesh/broker/keys.js'
import { writeWhole } from '../../mesh/disk.js'
import type { NatsAccess } from '../../mesh/transport/nats.js'
import { ClawmeshError } from '../../policies/errors.js'

const accessSchema = z.object({
  servers: z.array(z.string()),
  user: z.object({ token: z.string(), seed: z.string(), inbox: z.string().exactOptional() }),
  tlsAuthority: z.string().optional(),
})
export type Access = NatsAccess

export function readAccess(file: string): Access {
  try {
    return accessSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new ClawmeshError('UNAUTHENTIC', `${file} cannot be read.`, {
      hint: 'Let this node join the mesh again.',
      cause,
    })
  }
}

export const writeAccess = (file: string, access: Access): void => writeWhole(file, JSON.stringify(access, null, 2))

/** The seed of a node's user on the broker: the one it had, or a new one. */
export const brokerSeed = (file: string): string =>
  existsSync(file) ? readAccess(file).user.seed : seedOf(createUser())

export const publicKeyOf = (seed: string): string => fromSeed(Buffer.from(seed)).getPublicKey()
