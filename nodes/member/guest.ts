/** A node of its own for a command, for as long as it runs, on the machine of the authority; of several commands at once, each has one. */
import { join } from 'node:path'
import { openChain } from '../../mesh/audit/chain.js'
import { joinMesh, type MeshNode } from '../../mesh/index.js'
import { connectNats } from '../../mesh/transport/nats.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import type { LiveGround } from '../authority/live.js'
import { readConfig } from '../config.js'
import { dataPaths } from '../data-folder.js'
import { takeLock } from '../lock.mjs'
import { openTraces } from '../traces.js'
import { enrolHere, nodeFiles } from './member.js'

const guestsAtMost = 32

export async function joinAsGuest(
  ground: LiveGround,
  data: string,
  roles: readonly Role[],
): Promise<{ node: MeshNode; end: () => Promise<void> }> {
  for (let number = 1; number <= guestsAtMost; number += 1) {
    const name = `runner-${number}`
    const folder = dataPaths(data)
    const files = nodeFiles(folder, name)
    const lock = takeLock(`${files.chain}.lock`)
    if (!('release' in lock)) continue
    try {
      const { credentials, access } = await enrolHere(ground, folder, name, roles)
      const transport = await connectNats({ ...access, name: credentials.certificate.holder })
      const node = await joinMesh({
        credentials,
        transport,
        chain: openChain(files.chain),
        spans: openTraces(readConfig().traces, name),
      })
      const end = async () => {
        await node.close()
        lock.release()
      }
      return { node, end }
    } catch (error) {
      lock.release()
      // A name that is somebody else's, from before such names were kept free.
      if (!(error instanceof ClawmeshError && error.code === 'DENIED' && number < guestsAtMost)) throw error
    }
  }
  throw new ClawmeshError('DATA_IN_USE', `${guestsAtMost} commands are under way in ${join(data, 'nodes')} already.`, {
    hint: 'Wait until one has ended.',
  })
}
