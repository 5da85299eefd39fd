/** The NATS servers that a mesh stands on: brokers of its own, or servers that somebody else runs and that know the mesh. */
import type { BrokerBinary } from '../mesh/broker/binary.js'
import { brokersKept, startBrokers } from '../mesh/broker/brokers.js'
import type { LeafListener } from '../mesh/broker/config.js'
import { moveBrokers } from '../mesh/broker/move.js'
import { ClawmeshError } from '../policies/errors.js'
import { isLoopback, ownAddresses, recallListen } from './authority/address.js'
import { type BrokerTls, openBrokerTls } from './authority/tls.js'
import type { Config } from './config.js'
import type { DataFolder } from './data-folder.js'
import { openOutside, type Standing } from './outside.js'

export interface Servers {
  /** For clients on this machine. */
  readonly urls: string[]
  /** Of our own brokers. */
  readonly ports: number[]
  readonly version: string
  readonly source: BrokerBinary['source'] | 'outside'
  /** On how many of them each stream and bucket is kept. */
  readonly replicas: number
  readonly tls: BrokerTls | undefined
  stop(): Promise<void>
}

export interface ServersOptions {
  config: Config
  folder: DataFolder
  /** Where the broker listens; 127.0.0.1 if left out. Anything beyond loopback speaks TLS. */
  host?: string
  /** 0: any free port. Of several brokers, the first one's. */
  port: number
  /** Of all of them, where they were before; counted on from the first if left out. */
  ports?: readonly number[] | undefined
  /** As many as there are if left out, and one for a new mesh; from one to several, what is stored is carried over. */
  brokers?: number | undefined
  /** Servers that somebody else runs, instead of brokers of its own; where they were before if left out. */
  nats?: string[] | undefined
  /** Where servers of other sites find it; nowhere if left out. */
  leaf?: LeafListener | undefined
  /** HOST:PORT at which others find it. */
  advertise?: string | undefined
  progress: (text: string) => void
  /** The broker could not be kept running. */
  onFailure?: (error: ClawmeshError) => void
  /** Aborted: what is being started is not wanted any more, and whoever starts it rejects with the reason. */
  signal?: AbortSignal
}

export async function openServers(options: ServersOptions, standing: Standing): Promise<Servers> {
  const { folder } = options
  const outside = options.nats ?? recallListen(folder.authority).nats
  const kept = brokersKept(folder.broker)
  if (outside === undefined) return startOwn(options, standing, options.brokers ?? kept ?? 1)
  if (kept === undefined) {
    const found = await openOutside(outside, folder.authority, standing)
    return { ...found, urls: outside, ports: [], source: 'outside', tls: undefined, stop: async () => undefined }
  }
  throw new ClawmeshError('USAGE', `The mesh in ${folder.path} keeps what it stores on brokers of its own.`, {
    hint: 'Leave --nats out to go on with them, or begin a new mesh in another folder with --data.',
  })
}

async function startOwn(options: ServersOptions, standing: Standing, count: number): Promise<Servers> {
  const { config, folder, host = '127.0.0.1', port, leaf, progress, onFailure, signal } = options
  const { authority, accounts, register } = standing
  const tls =
    isLoopback(host) && isLoopback(leaf?.host ?? host)
      ? undefined
      : await openBrokerTls(folder.authority, authority.mesh, Date.now(), addressesShown(options))
  const ours = {
    name: `clawmesh-${authority.mesh}`,
    folder: folder.broker,
    claims: () => accounts.claims(register.revokedUsers()),
    search: {
      named: config.natsServer,
      searchPath: config.searchPath,
      cache: config.cache,
      releases: config.natsReleases,
      progress,
      ...(signal ? { signal } : {}),
    },
  }
  if (count > 1 && brokersKept(folder.broker) === 1) {
    const administrators = [await accounts.administrator('mesh'), await accounts.administrator('audit')]
    const aside = await moveBrokers({ ...ours, count, administrators, progress })
    progress(`all of it is on ${count} brokers; the store of the one lies in ${aside}: remove it when all is well`)
  }
  const brokers = await startBrokers({
    ...ours,
    host,
    ports: portsFor(count, port, options.ports),
    tls: tls?.files,
    leaf,
    onRestart: (reason) => progress(`${count === 1 ? 'the' : 'a'} broker is started again: ${reason}`),
    ...(onFailure ? { onFailure } : {}),
  })
  const { urls, ports, stop, binary } = brokers
  return { urls, ports, stop, tls, replicas: count, version: binary.version, source: binary.source }
}

function addressesShown({ host, leaf, advertise }: ServersOptions): string[] {
  const named = [host, leaf?.host, advertise?.replace(/:\d+$/, '')]
  const found = named.flatMap((place) => (place === undefined || place === '0.0.0.0' ? [] : [place]))
  return [...new Set(['127.0.0.1', ...ownAddresses(), ...found])]
}

const portsFor = (count: number, first: number, known: readonly number[] | undefined): number[] =>
  Array.from({ length: count }, (_, index) => known?.[index] ?? (first === 0 ? 0 : first + index))
