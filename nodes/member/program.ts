/**
 * A program of one's own as a node of a mesh that runs.
 *
 *     const { node, close } = await joinByInvitation({ data: 'greeter', invitation: process.argv[2] })
 *     await node.spawn(greeter)
 */
import { resolve } from 'node:path'
import { openChain } from '../../mesh/audit/chain.js'
import { type JoinOptions, joinMesh, type MeshNode } from '../../mesh/index.js'
import { readCredentials } from '../../mesh/seal/credentials.js'
import { connectNats } from '../../mesh/transport/nats.js'
import type { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import { readInvitation } from '../authority/invitation.js'
import { openDataFolder } from '../data-folder.js'
import { readAccess } from './access.js'
import { freshened, keepCertified } from './certified.js'
import { joinedAs } from './joined.js'
import { nodeFiles } from './member.js'
import { machineName } from './offer.js'

export interface Program extends Pick<JoinOptions, 'hosts' | 'advert'> {
  /** A folder of the program's own, which is made: its keys, its audit chain. */
  data: string
  /** As `clawmesh invite` prints it. Left out: the program goes on as the node that it was made before. */
  invitation?: string | undefined
  /** The name of the node, where the invitation names none; that of the machine if left out. */
  name?: string
  /** What it wants to be; it gets those of them that the invitation is for. */
  roles?: Role[]
  /** Told of a certificate that could not be renewed; it is tried again. */
  onWarning?: (error: ClawmeshError) => void
}

/** Throws USAGE, DATA_IN_USE, DENIED for an invitation that has ended or was used, UNREACHABLE, and what `joinMesh` throws. */
export async function joinByInvitation(program: Program): Promise<{ node: MeshNode; close(): Promise<void> }> {
  const { invitation, name = machineName(), roles = ['worker'], hosts = [], advert = {} } = program
  const invited = invitation === undefined ? undefined : readInvitation(invitation, Date.now())
  const folder = openDataFolder(resolve(program.data))
  try {
    const files = nodeFiles(folder, await joinedAs(folder, invited, { name, roles }))
    const earlier = readCredentials(files.credentials, undefined)
    const transport = await connectNats({ ...readAccess(files.access), name: earlier.certificate.holder })
    const credentials = await freshened(earlier, files, transport).catch(async (error: unknown) => {
      await transport.close()
      throw error
    })
    const node = await joinMesh({ credentials, transport, chain: openChain(files.chain), hosts, advert })
    const end = keepCertified(node, credentials, files, transport, program.onWarning ?? (() => undefined))
    const close = async () => {
      end()
      try {
        await node.close()
      } finally {
        folder.release()
      }
    }
    return { node, close }
  } catch (error) {
    folder.release()
    throw error
  }
}
