/** A current nats-server, built once from its Go module and kept in the cache. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type BrokerBinary, findBroker } from '../../mesh/broker/binary.js'
import { cacheFolder } from '../../nodes/config.js'

const version = '2.14.5'
const buildWithinMs = 10 * 60_000
const askWithinMs = 10_000
const run = promisify(execFile)

const cache = join(cacheFolder(process.env), `built-nats-server-${version}`)
const path = join(cache, 'nats-server')

/** The server, or in words why there is none here. */
export async function currentBroker(): Promise<BrokerBinary | string> {
  if (!existsSync(path)) return 'no current nats-server has been built here; `npm run soak -- current` builds one'
  return findBroker({ named: path, searchPath: '', cache, releases: '', progress: () => undefined })
}

/** Builds it if it is not there; in words why that was not possible, or undefined. Takes two to four minutes on two busy cores. */
export async function buildCurrentBroker(): Promise<string | undefined> {
  if (existsSync(path)) return undefined
  const module = `github.com/nats-io/nats-server/v2@v${version}`
  const draft = join(cache, `draft-${process.pid}`)
  mkdirSync(draft, { recursive: true })
  // A user without a home has no place for Go's caches.
  const env = {
    GOCACHE: join(draft, 'cache'),
    GOMODCACHE: join(draft, 'modules'),
    ...process.env,
    GOFLAGS: '-p=2 -modcacherw',
    GOBIN: draft,
  }
  try {
    await run('go', ['list', '-m', module], { cwd: draft, env, timeout: askWithinMs })
    await run('nice', ['-n', '10', 'go', 'install', module], { cwd: draft, env, timeout: buildWithinMs })
    renameSync(join(draft, 'nats-server'), join(cache, 'nats-server'))
    return undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'there is no Go on this machine'
    return `nats-server ${version} could not be built here: ${(error as Error).message.split('\n').slice(0, 2).join(' ')}`
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}
