/**
 * The brokers of a mesh: one, or several on this machine that keep every stream and bucket together, so that any one of them can die.
 *
 * 1. Each has a store of its own, and a store is never taken for that of another: from one to several, what is stored is carried over (move.ts).
 * 2. A broker that dies is started again at its port. Of several, one that cannot be kept running leaves the others to go on without it.
 */
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ClawmeshError } from '../../policies/errors.js'
import { hex, randomBytes } from '../seal/keys.js'
import { type BrokerBinary, findBroker } from './binary.js'
import { type Broker, type BrokerOptions, startBroker } from './broker.js'
import type { ClusterSeat } from './config.js'

export interface BrokersOptions extends Omit<BrokerOptions, 'port' | 'seat' | 'binary'> {
  /** Of each broker; 0: any free port. As many as there are brokers. */
  ports: readonly number[]
  /** What they call themselves among each other; the same at each start. */
  name: string
}

export interface Brokers {
  readonly binary: BrokerBinary
  /** For clients on this machine. */
  readonly urls: string[]
  readonly ports: number[]
  readonly members: readonly Broker[]
  stop(): Promise<void>
}

/** One, or enough that the loss of one leaves more than half. */
export const brokerCounts = [1, 3, 5] as const

export async function startBrokers(options: BrokersOptions): Promise<Brokers> {
  const { folder, ports, name, leaf, ...common } = options
  const kept = brokersKept(folder)
  if (kept !== undefined && kept !== ports.length) throw otherCount(folder, kept, ports.length)
  const binary = await findBroker(options.search)
  const seats = ports.length === 1 ? [undefined] : await takeSeats(name, ports.length)
  const started = await Promise.allSettled(
    ports.map((port, index) =>
      startBroker({
        ...common,
        port,
        binary,
        seat: seats[index],
        leaf: leaf && { ...leaf, port: leaf.port + index },
        folder: seats[index] ? join(folder, `${index + 1}`) : folder,
      }),
    ),
  )
  const members = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const stop = async () => {
    await Promise.all(members.map((member) => member.stop()))
  }
  const failed = started.find((result) => result.status === 'rejected')
  if (failed) {
    await stop()
    throw failed.reason
  }
  return { binary, urls: members.map(({ url }) => url), ports: members.map(({ port }) => port), members, stop }
}

/** How many brokers have their stores in this folder; undefined if none ever ran there. */
export function brokersKept(folder: string): number | undefined {
  if (existsSync(join(folder, 'store'))) return 1
  const stores = existsSync(folder) ? readdirSync(folder).filter((name) => existsSync(join(folder, name, 'store'))) : []
  return stores.length > 0 ? stores.length : undefined
}

function otherCount(folder: string, kept: number, wanted: number): ClawmeshError {
  const say = (count: number) => `${count} broker${count === 1 ? '' : 's'}`
  return new ClawmeshError(
    'USAGE',
    `The mesh in ${folder} keeps what it stores on ${say(kept)}, and cannot be changed to ${wanted}.`,
    {
      hint: `Leave --brokers out to go on with ${say(kept)}, or begin a new mesh in another folder with --data.`,
    },
  )
}

async function takeSeats(name: string, count: number): Promise<ClusterSeat[]> {
  const ports = await freePorts(count)
  const secret = hex(randomBytes(24))
  return ports.map((port, index) => ({ cluster: name, name: `${name}-${index + 1}`, port, ports, secret }))
}

/** Ports of loopback that nobody has now. Each broker must know those of the others before it starts. */
async function freePorts(count: number): Promise<number[]> {
  const probes = await Promise.all(
    Array.from({ length: count }, async () => {
      const probe = createServer()
      await new Promise<void>((resolve, reject) => {
        probe.once('error', reject)
        probe.listen(0, '127.0.0.1', resolve)
      })
      return probe
    }),
  )
  const ports = probes.map((probe) => {
    const address = probe.address()
    if (address === null || typeof address === 'string') throw new Error('a socket without a port')
    return address.port
  })
  await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))))
  return ports
}
