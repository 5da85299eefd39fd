/**
 * A mesh on NATS servers that somebody else runs. Our accounts are signed by an operator of our own: theirs adds it to the servers' configuration, from a file that
 * we write, and is asked for nothing else. Whether the servers honour it is looked at before anything begins.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createUser } from '@nats-io/nkeys'
import type { Addresses } from '../mesh/address.js'
import type { BrokerAccounts, RevokedUsers } from '../mesh/broker/accounts.js'
import { type Examined, examineServers, reachesAudit } from '../mesh/broker/examine.js'
import { seedOf } from '../mesh/broker/keys.js'
import { writeWhole } from '../mesh/disk.js'
import type { Authority } from '../mesh/seal/authority.js'
import { connectNats } from '../mesh/transport/nats.js'
import { ClawmeshError } from '../policies/errors.js'
import { isLoopback } from './authority/address.js'
import type { Register } from './authority/register.js'

export interface Standing {
  authority: Authority
  accounts: BrokerAccounts
  addresses: Addresses
  register: Register
}

/** A clustered server keeps each stream on so many. */
const clusteredReplicas = 3

/** "nats://127.0.0.1:4222,tls://nats.example:4222": in the clear on this machine alone. */
export function parseServers(given: string): string[] {
  return given.split(',').map((word) => {
    const [, scheme = '', host = '', port = '4222'] =
      /^(nats|tls):\/\/([^:/\s@]+)(?::(\d{1,5}))?\/?$/.exec(word.trim()) ?? []
    if (host === '')
      throw new ClawmeshError('USAGE', `"${word}" is no address of a NATS server.`, {
        hint: 'Give --nats tls://HOST:PORT, or several with commas between them; users and passwords have no place in it.',
      })
    if (scheme === 'nats' && !isLoopback(host))
      throw new ClawmeshError('USAGE', `${word} would be spoken to in the clear, over a network.`, {
        hint: `Give tls://${host}:${port}, and have the server speak TLS.`,
      })
    return `${scheme}://${host}:${port}`
  })
}

export const configurationFile = (folder: string): string => join(folder, 'outside.conf')

/** What the servers' operator adds to their configuration; written anew whenever it has changed. */
export async function writeConfiguration(
  folder: string,
  accounts: BrokerAccounts,
  revoked: RevokedUsers,
): Promise<string> {
  const { operator, key, accounts: tokens } = await accounts.claimsOutside(revoked)
  const file = configurationFile(folder)
  const lines = [
    '# What a nats-server in operator mode needs to be told of this mesh, beside what it has. It holds no secret.',
    "# Any from 2.9 on: our key beside your operator's own (and its signing keys), instead of a line `operator`.",
    `trusted: [ ${key} ]`,
    '# From 2.10 on, instead of that, also: operator: [ YOURS, OURS ], where ours is',
    `# ${operator}`,
    '# Our accounts, beside yours.',
    'resolver_preload {',
    ...Object.entries(tokens).map(([account, token]) => `  ${account}: ${token}`),
    '}',
  ]
  writeWhole(file, `${lines.join('\n')}\n`)
  return file
}

/** Rejects with DENIED if the servers do not know the mesh, and BROKER_UNAVAILABLE if they do not do what it needs. */
export async function openOutside(
  urls: string[],
  folder: string,
  standing: Standing,
): Promise<{ version: string; replicas: number }> {
  const { accounts, addresses, register } = standing
  const file = await writeConfiguration(folder, accounts, register.revokedUsers())
  const administrator = await accounts.administrator('mesh')
  try {
    const connection = await connectNats({ servers: urls, user: administrator, name: 'authority' })
    await connection.close()
  } catch (error) {
    throw error instanceof ClawmeshError && error.code === 'DENIED' ? unknown(urls, file, error) : error
  }
  const { member, holder } = await probe(standing)
  const audit = await accounts.administrator('audit')
  const examined = await examineServers({ servers: urls, addresses, mesh: administrator, audit, member, holder })
  const replicas = examined.isClustered ? clusteredReplicas : 1
  if (examined.shortcomings.length === 0) {
    // The stream must stand before anybody can try whether it is reached.
    const records = await connectNats({ servers: urls, user: audit, name: 'authority' })
    await records.provideAudit(addresses, replicas).finally(() => records.close())
    if (!(await reachesAudit(urls, member, addresses.audit(holder))))
      examined.shortcomings.push('the audit service does not reach from one account to the other')
  }
  if (examined.shortcomings.length > 0) throw unsuited(urls, examined, file)
  return { version: examined.version, replicas }
}

/** A member that is none: nobody has its certificate. */
async function probe({ accounts, addresses }: Standing) {
  const holder = randomUUID().replaceAll('-', '')
  const user = createUser()
  const token = await accounts.memberToken({ holder, name: 'examiner', roles: ['worker'] }, user.getPublicKey())
  return { holder, member: { token, seed: seedOf(user), inbox: addresses.repliesTo(holder) } }
}

const unknown = (urls: string[], file: string, cause: Error) =>
  new ClawmeshError('DENIED', `The NATS servers at ${urls.join(', ')} do not know this mesh.`, {
    hint: `Give ${file} to whoever runs them: it holds what they add to their configuration, and no secret. Then start again.`,
    cause,
  })

const unsuited = (urls: string[], { shortcomings }: Examined, file: string) =>
  new ClawmeshError(
    'BROKER_UNAVAILABLE',
    `The NATS servers at ${urls.join(', ')} do not do for a mesh: ${shortcomings.join('; ')}.`,
    { hint: `docs/brokers.md says what they need; ${file} holds what they must be told of this mesh.` },
  )
