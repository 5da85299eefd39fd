/** A look at the mesh from a machine of it, without taking part: with the access of a node of the data folder that runs there. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { addressesOf } from '../../mesh/address.js'
import { Directory, type NodeInfo } from '../../mesh/directory.js'
import { readCredentials } from '../../mesh/seal/credentials.js'
import { beginIncarnation } from '../../mesh/seal/incarnation.js'
import { connectNats } from '../../mesh/transport/nats.js'
import { ClawmeshError } from '../../policies/errors.js'
import { readConfig } from '../config.js'
import { isRunning } from '../data-folder.js'
import { readAccess } from './access.js'

/** The nodes of the mesh, by name. `named`: a data folder; the person's own if left out. Throws UNREACHABLE where no node runs. */
export async function lookAtMesh(named: string | undefined): Promise<NodeInfo[]> {
  const config = readConfig()
  const folders = named === undefined ? [config.data, join(config.data, '..', 'joined')] : [resolve(named)]
  const data = folders.find(isRunning)
  if (data !== undefined) return (await look(data)).sort((a, b) => a.name.localeCompare(b.name))
  throw new ClawmeshError('UNREACHABLE', `No node runs in ${folders.join(' or ')}.`, {
    hint: 'Start it with `clawmesh up` or `clawmesh join`, or name its data folder with --data.',
  })
}

async function look(data: string): Promise<NodeInfo[]> {
  const folder = join(data, 'nodes')
  const own = memberOf(folder)
  const credentials = readCredentials(join(folder, own, 'credentials.json'), undefined)
  const { mesh, meshKey, rootKey } = credentials
  const addresses = addressesOf(mesh, meshKey)
  const transport = await connectNats({ ...readAccess(join(folder, own, 'access.json')), name: 'nodes' })
  try {
    const bucket = await transport.bucket(addresses.directory)
    const self = beginIncarnation(credentials)
    const directory = new Directory({ bucket, addresses, meshKey, rootKey, self, now: Date.now })
    await directory.observe()
    const found = directory.nodes()
    directory.leave()
    return found
  } finally {
    await transport.close()
  }
}

/** The node that was last let in: the others of this folder may be of earlier runs. */
function memberOf(folder: string): string {
  const members = (existsSync(folder) ? readdirSync(folder) : [])
    .map((name) => ({ name, access: join(folder, name, 'access.json') }))
    .filter(({ access }) => existsSync(access))
    .sort((a, b) => statSync(b.access).mtimeMs - statSync(a.access).mtimeMs)
  const [newest] = members
  if (newest) return newest.name
  throw new ClawmeshError('UNREACHABLE', `No node of ${folder} belongs to a mesh yet.`, {
    hint: 'Try again in a moment, when it has come up.',
  })
}
