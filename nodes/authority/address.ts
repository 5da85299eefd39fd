/** Where the broker of a mesh listens and where others find it: kept in the data folder, so that the mesh is at the same place after a reboot. */
import { existsSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { writeWhole } from '../../mesh/disk.js'
import { ClawmeshError } from '../../policies/errors.js'

const listenSchema = z.object({
  host: z.string(),
  port: z.number().int().min(0).max(65_535),
  /** Of all its brokers, if there are several. */
  ports: z.array(z.number().int()).exactOptional(),
  /** Servers that somebody else runs, instead of brokers of its own. */
  nats: z.array(z.string()).exactOptional(),
  /** Where servers of other sites find it. */
  leaf: z.object({ host: z.string(), port: z.number().int() }).exactOptional(),
  /** HOST:PORT at which other machines find it, before its own addresses. */
  advertise: z.string().optional(),
})
export type Listen = z.output<typeof listenSchema>

/** Servers as the running mesh gives them away, and the TLS authority that they show. */
const reachableSchema = z.object({
  local: z.array(z.string()),
  servers: z.array(z.string()),
  /** They are somebody else's: what changes in our accounts, its operator must tell them. */
  isOutside: z.boolean().default(false),
  tlsAuthority: z.string().optional(),
})
export type Reachable = z.output<typeof reachableSchema>

export const isLoopback = (host: string): boolean => /^127\.|^localhost$|^::1$/.test(host)

const natsPort = 4222
export const leafPort = 7422
const firstStart: Listen = { host: '127.0.0.1', port: 0 }

const listenFile = (authority: string) => join(authority, 'listen.json')
const reachableFile = (authority: string) => join(authority, 'reachable.json')

export function recallListen(authority: string): Listen {
  return read(listenFile(authority), listenSchema) ?? firstStart
}

export const keepListen = (authority: string, listen: Listen): void =>
  writeWhole(listenFile(authority), JSON.stringify(listen, null, 2))

export const readReachable = (authority: string): Reachable | undefined =>
  read(reachableFile(authority), reachableSchema)

export const writeReachable = (authority: string, reachable: Reachable): void =>
  writeWhole(reachableFile(authority), JSON.stringify(reachable, null, 2))

/** "HOST:PORT", or a host alone. */
export function parseHostPort(given: string, option: string, usual = natsPort): { host: string; port: number } {
  const [, host = '', digits] = /^([^:\s]+)(?::(\d{1,5}))?$/.exec(given) ?? []
  const port = digits === undefined ? usual : Number(digits)
  if (host !== '' && port < 65_536) return { host, port }
  throw new ClawmeshError('USAGE', `"${given}" is no address.`, {
    hint: `Give ${option} HOST:PORT, for example 0.0.0.0:${usual} for all addresses of this machine.`,
  })
}

/** Every way to the brokers: at the address that was named, where their ports are counted on from the first, then at each address of this machine that they listen on. */
export function serversOf(
  { host, advertise }: { host: string; advertise?: string | undefined },
  ports: readonly number[],
  tls: boolean,
): string[] {
  const all = host === '0.0.0.0' ? ownAddresses() : [host]
  const named = advertise === undefined ? [] : [parseHostPort(advertise, '--advertise')]
  const places = [
    ...named.flatMap((place) => ports.map((_, index) => `${place.host}:${place.port + index}`)),
    ...all.flatMap((address) => ports.map((port) => `${address}:${port}`)),
  ]
  return places.map((place) => `${tls ? 'tls' : 'nats'}://${place}`)
}

export const ownAddresses = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address)

function read<T>(file: string, schema: z.ZodType<T>): T | undefined {
  if (!existsSync(file)) return undefined
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new ClawmeshError('USAGE', `${file} cannot be read.`, { hint: 'Remove it and start the mesh again.', cause })
  }
}
