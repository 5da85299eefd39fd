/** Looks at the mesh with the access of a node of this machine, and without taking part. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Addresses, addressesOf } from '../../mesh/address.js'
import { Directory } from '../../mesh/directory.js'
import { type Credentials, readCredentials } from '../../mesh/seal/credentials.js'
import { beginIncarnation } from '../../mesh/seal/incarnation.js'
import { connectNats, type NatsTransport } from '../../mesh/transport/nats.js'
import { ClawmeshError } from '../../policies/errors.js'
import { readConfig } from '../config.js'
import { isDataFolder, isRunning } from '../data-folder.js'
import { readAccess } from './access.js'

export interface Outlook {
  readonly directory: Directory
  readonly transport: NatsTransport
  readonly addresses: Addresses
  readonly credentials: Credentials
}

/** The data folder that was named, or that of the person's own node that runs. Throws UNREACHABLE where none does. */
export function runningData(named: string | undefined): string {
  const config = readConfig()
  const folders = named === undefined ? [config.data, join(config.data, '..', 'joined')] : [resolve(named)]
  const data = folders.find(isRunning)
  if (data !== undefined) return data
  throw new ClawmeshError('UNREACHABLE', `No node runs in ${folders.join(' or ')}.`, {
    hint: howToStart(folders),
  })
}

/** By what lies there: a mesh that was made here is not joined, and a node that joined one is none. */
function howToStart(folders: readonly string[]): string {
  const made = folders.filter((folder) => existsSync(join(folder, 'authority', 'authority.json')))
  const joined = folders.filter((folder) => isDataFolder(folder) && !made.includes(folder))
  const ways = [...(made.length > 0 ? ['`clawmesh up`'] : []), ...(joined.length > 0 ? ['`clawmesh join`'] : [])]
  return ways.length > 0
    ? `Start it: ${ways.join(' or ')}.`
    : 'Make a mesh with `clawmesh up`, or join one with `clawmesh join`; or name the data folder of one with --data.'
}

/** `data`: the data folder of a mesh or of a node that joined one. Throws UNREACHABLE, BROKER_UNAVAILABLE, DENIED (it was revoked). */
export async function lookAtMesh<T>(
  data: string,
  use: (outlook: Outlook) => Promise<T> | T,
  now: () => number = Date.now,
): Promise<T> {
  const own = join(data, 'nodes', newestMember(data))
  const credentials = readCredentials(join(own, 'credentials.json'), undefined)
  const { mesh, meshKey, rootKey } = credentials
  const addresses = addressesOf(mesh, meshKey)
  const transport = await connectNats({ ...readAccess(join(own, 'access.json')), name: 'onlooker' })
  try {
    const bucket = await transport.bucket(addresses.directory)
    const self = beginIncarnation(credentials)
    const directory = new Directory({ bucket, addresses, meshKey, rootKey, self, now })
    await directory.observe()
    try {
      return await use({ directory, transport, addresses, credentials })
    } finally {
      directory.leave()
    }
  } finally {
    await transport.close()
  }
}

/** The node that was last let in: the others of this folder may be of earlier runs. */
export function newestMember(data: string): string {
  const folder = join(data, 'nodes')
  const [newest] = (existsSync(folder) ? readdirSync(folder) : [])
    .map((name) => ({ name, access: join(folder, name, 'access.json') }))
    .filter(({ access }) => existsSync(access))
    .sort((a, b) => statSync(b.access).mtimeMs - statSync(a.access).mtimeMs)
  if (newest) return newest.name
  throw new ClawmeshError('UNREACHABLE', `No node of ${folder} belongs to a mesh yet.`, {
    hint: 'Try again in a moment, when it has come up.',
  })
}
