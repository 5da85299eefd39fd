/** A node of this machine, made a member by the authority of this machine, and where its files are. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Credentials, enrol, readCredentials, writeCredentials } from '../../mesh/seal/credentials.js'
import type { Role } from '../../policies/roles.js'
import type { DataPaths } from '../data-folder.js'
import type { Ground } from '../ground.js'
import { chainFile } from '../trail.js'
import { type Access, brokerSeed, publicKeyOf, writeAccess } from './access.js'

export interface NodeFiles {
  credentials: string
  access: string
  chain: string
}

export const nodeFiles = (folder: DataPaths, name: string): NodeFiles => ({
  credentials: join(folder.node(name), 'credentials.json'),
  access: join(folder.node(name), 'access.json'),
  chain: chainFile(folder, name),
})

type EnrolmentGround = Pick<Ground, 'authority' | 'accounts' | 'addresses' | 'register'> & {
  servers: string[]
  tls: { authority: string } | undefined
}

/** A node that ran here before keeps its keys, so its audit chain goes on, and its labels where none are said; its certificate is new each time. */
export async function enrolHere(
  ground: EnrolmentGround,
  folder: DataPaths,
  name: string,
  roles: readonly Role[],
  labels = ground.register.member(name)?.labels,
): Promise<{ credentials: Credentials; access: Access }> {
  const { authority, accounts, addresses, register, servers, tls } = ground
  const files = nodeFiles(folder, name)
  const now = Date.now()
  const signing = existsSync(files.credentials) ? readCredentials(files.credentials, undefined).signing : undefined
  const credentials = enrol(authority, { name, roles, labels, ...(signing && { signing }) }, now)
  const { holder } = credentials.certificate
  const seed = brokerSeed(files.access)
  const brokerKey = publicKeyOf(seed)
  await register.admit({ name, holder, roles: [...roles], labels, brokerKeys: [brokerKey], since: now })
  const token = await accounts.memberToken(credentials.certificate, brokerKey)
  const access: Access = {
    servers,
    user: { token, seed, inbox: addresses.repliesTo(holder) },
    tlsAuthority: tls?.authority,
  }
  writeCredentials(files.credentials, credentials)
  writeAccess(files.access, access)
  return { credentials, access }
}
