/** What a mesh on this machine stands on: its authority, an embedded broker on its store, and a connection with every right on it. */
import { existsSync, rmSync } from 'node:fs'
import { createUser } from '@nats-io/nkeys'
import { type Addresses, addressesOf } from '../mesh/address.js'
import { type Broker, startBroker } from '../mesh/broker/broker.js'
import { type Authority, openAuthority } from '../mesh/seal/authority.js'
import { connectNats, type NatsTransport } from '../mesh/transport/nats.js'
import { ClawmeshError } from '../policies/errors.js'
import { writeAccess } from './audit/access.js'
import type { Config } from './config.js'
import type { DataFolder } from './data-folder.js'

export interface GroundOptions {
  config: Config
  folder: DataFolder
  /** 0: any free port. */
  port: number
  progress: (text: string) => void
  /** The broker could not be kept running. */
  onFailure?: (error: ClawmeshError) => void
  /** Aborted: what is being started is not wanted any more, and whoever starts it rejects with the reason. */
  signal?: AbortSignal
}

export interface Ground {
  readonly authority: Authority
  readonly addresses: Addresses
  readonly broker: Broker
  readonly transport: NatsTransport
  /** Credentials of the broker's two users; new each time it is started. */
  readonly seeds: { authority: string; member: string }
  close(): Promise<void>
}

export async function openGround({
  config,
  folder,
  port,
  progress,
  onFailure,
  signal,
}: GroundOptions): Promise<Ground> {
  refuseWithoutAuthority(folder)
  const authority = openAuthority(folder.authority, Date.now())
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const users = { authority: createUser(), member: createUser(), auditor: createUser() }
  const seeds = { authority: seedOf(users.authority), member: seedOf(users.member) }
  const broker = await startBroker({
    folder: folder.broker,
    port,
    users: {
      authority: users.authority.getPublicKey(),
      member: users.member.getPublicKey(),
      auditor: users.auditor.getPublicKey(),
    },
    addresses,
    search: {
      named: config.natsServer,
      searchPath: config.searchPath,
      cache: config.cache,
      releases: config.natsReleases,
      progress,
      ...(signal ? { signal } : {}),
    },
    onRestart: (reason) => progress(`the broker is started again: ${reason}`),
    ...(onFailure ? { onFailure } : {}),
  })
  try {
    signal?.throwIfAborted()
    const transport = await connectNats({ servers: [broker.url], seed: seeds.authority, name: 'authority' })
    writeAccess(folder.auditAccess, { url: broker.url, seed: seedOf(users.auditor) })
    const close = async () => {
      rmSync(folder.auditAccess, { force: true })
      await transport.close()
      await broker.stop()
    }
    return { authority, addresses, broker, transport, seeds, close }
  } catch (error) {
    await broker.stop()
    throw error
  }
}

/** A new authority would know neither the nodes of the old one nor their trail. */
function refuseWithoutAuthority({ path, authority, nodes }: DataFolder): void {
  if (existsSync(authority) || nodes().length === 0) return
  throw new ClawmeshError(
    'UNAUTHENTIC',
    `The data folder ${path} holds nodes, but the keys of their authority are gone.`,
    {
      hint: `Restore ${authority} from a backup, or start a new mesh in another folder with --data.`,
    },
  )
}

const seedOf = (user: ReturnType<typeof createUser>) => new TextDecoder().decode(user.getSeed())
