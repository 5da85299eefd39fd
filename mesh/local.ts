/** A whole mesh in one process: sealed, supervised and audited like any other, without a broker. */

import { roles } from '../policies/roles.js'
import type { ActorDefinition } from './actor/actor.js'
import { addressesOf } from './address.js'
import { serveMail } from './mail/serve.js'
import { joinMesh, type MeshNode } from './node.js'
import { type Authority, createAuthority } from './seal/authority.js'
import { enrol } from './seal/credentials.js'
import { MemoryBroker } from './transport/memory.js'

export interface LocalMeshOptions {
  /** What its node is called. */
  name?: string
  hosts?: ActorDefinition[]
  /** Join this one rather than a mesh of its own. */
  with?: { authority: Authority; broker: MemoryBroker }
}

export async function localMesh({
  name = 'local',
  hosts = [],
  with: existing,
}: LocalMeshOptions = {}): Promise<MeshNode> {
  const { authority, broker } = existing ?? { authority: createAuthority(), broker: new MemoryBroker() }
  const credentials = enrol(authority, { name, roles: [...roles] }, Date.now())
  const transport = broker.connect()
  const node = await joinMesh({ credentials, transport, hosts })
  // Who joins another one finds its office there.
  if (existing) return node
  const bucket = await transport.bucket(addressesOf(authority.mesh, authority.meshKey).mail)
  await serveMail(node, { bucket, secret: authority.tasksKey })
  return node
}
