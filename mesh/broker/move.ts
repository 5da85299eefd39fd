/**
 * Carries all that a mesh stores from one broker to several. Its store is not taken over by servers of a cluster: so each stream is read from it as a snapshot and made
 * anew on them, and only when all are there is the old store set aside.
 *
 * 1. What the mesh goes by is whether `store` is there. It is renamed last, in one step: whatever ends this before leaves the mesh on its one broker, whole.
 * 2. Nothing else is connected meanwhile: the brokers listen on loopback, at ports that nobody knows.
 */
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { NatsConnection } from '@nats-io/transport-node'
import { connectOnce } from '../transport/nats.js'
import type { BrokerUser } from './accounts.js'
import { type Brokers, type BrokersOptions, startBrokers } from './brokers.js'
import { restore, type Snapshot, streamNames, takeSnapshot } from './snapshot.js'

export interface MoveOptions extends Omit<BrokersOptions, 'ports' | 'host' | 'tls' | 'leaf'> {
  /** How many there are to be. */
  count: number
  /** Users with every right in each account that stores something. */
  administrators: readonly BrokerUser[]
  progress: (text: string) => void
}

/** Where the store of the one broker is left: nobody uses it again. */
const asideAs = 'store-of-one-broker'

/** Resolves to where the old store lies. Rejects with nothing changed. */
export async function moveBrokers({ count, administrators, progress, ...common }: MoveOptions): Promise<string> {
  const { folder } = common
  const [work, aside] = [join(folder, 'moving'), join(folder, asideAs)]
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true, mode: 0o700 })
  try {
    const snapshots: Snapshot[][] = []
    await withBrokers({ ...common, ports: [0] }, async (brokers) => {
      for (const [account, user] of administrators.entries())
        await withConnection(brokers, user, async (connection) => {
          const taken: Snapshot[] = []
          for (const stream of await streamNames(connection))
            taken.push(await takeSnapshot(connection, stream, join(work, `${account}.${stream}`)))
          snapshots.push(taken)
        })
    })
    progress(`carrying ${snapshots.flat().length} streams over to ${count} brokers`)
    const made = join(work, 'brokers')
    await withBrokers({ ...common, folder: made, ports: new Array<number>(count).fill(0) }, async (brokers) => {
      for (const [account, user] of administrators.entries())
        await withConnection(brokers, user, async (connection) => {
          for (const snapshot of snapshots[account] ?? []) await restore(connection, snapshot)
        })
    })
    for (let number = 1; number <= count; number += 1) {
      const place = join(folder, String(number))
      rmSync(place, { recursive: true, force: true })
      renameSync(join(made, String(number)), place)
    }
    rmSync(aside, { recursive: true, force: true })
    renameSync(join(folder, 'store'), aside)
    return aside
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function withBrokers(options: BrokersOptions, use: (brokers: Brokers) => Promise<void>): Promise<void> {
  const brokers = await startBrokers(options)
  try {
    await use(brokers)
  } finally {
    await brokers.stop()
  }
}

async function withConnection(
  { urls }: Brokers,
  user: BrokerUser,
  use: (connection: NatsConnection) => Promise<void>,
): Promise<void> {
  const connection = await connectOnce({ servers: urls, user, name: 'authority' })
  try {
    await use(connection)
  } finally {
    await connection.close()
  }
}
