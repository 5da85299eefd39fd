/**
 * The embedded broker: one nats-server with its store in the data folder, on loopback unless told otherwise. It is started again when it dies, on the same
 * port and the same store, so that its clients find it where they left it.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ClawmeshError } from '../../policies/errors.js'
import type { BrokerClaims } from './accounts.js'
import { type BinarySearch, type BrokerBinary, findBroker } from './binary.js'
import { brokerConfig, type ClusterSeat, type LeafListener } from './config.js'
import { type Guarded, spawnGuarded } from './guard.js'

export interface BrokerOptions {
  folder: string
  /** Where it listens; 127.0.0.1 if left out. */
  host?: string
  /** 0: any free port. */
  port: number
  /** Asked before each start: who was revoked stays so when the broker comes back. */
  claims: () => Promise<BrokerClaims>
  /** Without it, clients connect in the clear: for loopback alone. */
  tls?: { certificate: string; key: string } | undefined
  search: BinarySearch
  /** Found already: nothing is searched for. */
  binary?: BrokerBinary | undefined
  /** Its place among several. */
  seat?: ClusterSeat | undefined
  leaf?: LeafListener | undefined
  onRestart?: (reason: string) => void
  onFailure?: (error: ClawmeshError) => void
}

export interface Broker {
  readonly binary: BrokerBinary
  /** For clients on this machine. */
  readonly url: string
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

const startTimeoutMs = 15_000
const launchesAllowed = 3
const restartsAllowed = 5
const restartWindowMs = 30_000
/** Others go on without it meanwhile. */
const pauseMs = 30_000

export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const binary = options.binary ?? (await findBroker(options.search))
  options.search.signal?.throwIfAborted()
  mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  const { host = loopback } = options
  if (options.port !== 0) await checkFree(host, options.port)
  let server = await launchRepeatedly(binary, options, options.port)
  let stopping = false
  const restarts: number[] = []

  let wake: () => void = () => undefined
  const keepRunning = async (): Promise<void> => {
    const { port } = server
    for (;;) {
      const code = await server.process.ended
      if (stopping) return
      try {
        checkRestarts(restarts, options.folder)
        options.onRestart?.(`nats-server ended with status ${code}`)
        server = await launchRepeatedly(binary, options, port)
      } catch (error) {
        if (!options.seat || stopping) throw error
        options.onRestart?.(`${(error as Error).message} The others go on without it for ${pauseMs / 1000} s`)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, pauseMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        restarts.length = 0
      }
      if (stopping) server.process.kill('SIGTERM')
    }
  }
  const kept = keepRunning().catch((error: unknown) => {
    if (!stopping) options.onFailure?.(ClawmeshError.from(error))
  })

  return {
    binary,
    url: `${options.tls ? 'tls' : 'nats'}://${reachableFrom(host)}:${server.port}`,
    port: server.port,
    get pid() {
      return server.process.pid
    },
    stop: async () => {
      stopping = true
      wake()
      // SIGTERM flushes the store; a server that does not come down is ended.
      server.process.kill('SIGTERM')
      const giveUp = setTimeout(() => server.process.kill('SIGKILL'), 5000)
      await kept
      clearTimeout(giveUp)
    },
  }
}

/** Notes a restart; throws if there were too many of late. */
function checkRestarts(restarts: number[], folder: string): void {
  const now = performance.now()
  restarts.push(now)
  if (restarts.filter((time) => now - time < restartWindowMs).length <= restartsAllowed) return
  throw new ClawmeshError('BROKER_UNAVAILABLE', `nats-server died ${restarts.length} times in a row.`, {
    hint: `Look at the end of ${logFile(folder)} for the reason.`,
  })
}

/** A server that was killed while it came up did not refuse to. */
async function launchRepeatedly(...start: Parameters<typeof launch>): Promise<{ process: Guarded; port: number }> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await launch(...start)
    } catch (error) {
      if (attempt === launchesAllowed) throw error
    }
  }
}

async function launch(
  binary: BrokerBinary,
  options: BrokerOptions,
  port: number,
): Promise<{ process: Guarded; port: number }> {
  const ports = join(options.folder, 'ports')
  rmSync(ports, { recursive: true, force: true })
  mkdirSync(ports, { recursive: true })
  const config = join(options.folder, 'nats-server.conf')
  const store = join(options.folder, 'store')
  const tokens = join(options.folder, 'tokens')
  mkdirSync(tokens, { recursive: true, mode: 0o700 })
  const { host = loopback, tls, seat, leaf } = options
  const claims = await options.claims()
  const settings = {
    host,
    port,
    store,
    tokens,
    portsFolder: ports,
    logFile: logFile(options.folder),
    claims,
    tls,
    seat,
    leaf,
  }
  writeFileSync(config, brokerConfig(settings), { mode: 0o600 })
  const server = await spawnGuarded(binary.path, ['-c', config])
  const listening = await waitForPort(ports, server)
  if (listening !== undefined) return { process: server, port: listening }
  server.kill('SIGKILL')
  const reason = lastError(options.folder)
  throw new ClawmeshError(
    /no space left|quota exceeded/i.test(reason) ? 'DISK_FULL' : 'BROKER_UNAVAILABLE',
    `nats-server did not start: ${reason}`,
    {
      hint: `Its log is ${logFile(options.folder)}.`,
    },
  )
}

/** nats-server writes its ports to a file once it listens; undefined if it ended first or never did. */
async function waitForPort(folder: string, server: Guarded): Promise<number | undefined> {
  let ended = false
  void server.ended.then(() => {
    ended = true
  })
  for (const until = Date.now() + startTimeoutMs; Date.now() < until && !ended; ) {
    const file = readdirSync(folder).find((name) => name.endsWith('.ports'))
    const port = file && /(?:nats|tls):\/\/[^"]*:(\d+)"/.exec(readFileSync(join(folder, file), 'utf8'))?.[1]
    if (port) return Number(port)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return undefined
}

/** nats-server itself only logs that a port is taken; asking first gives the person an answer. */
async function checkFree(host: string, port: number): Promise<void> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject)
    probe.listen(port, host, resolve)
  }).catch((cause: unknown) => {
    throw new ClawmeshError(
      'PORT_TAKEN',
      `Port ${port} on ${host} cannot be used: another program has it, it is no address of this machine, or it needs rights you lack.`,
      {
        hint: 'Choose another one (`start --port PORT`, `up --listen HOST:PORT`), or name none and any free one is taken.',
        cause,
      },
    )
  })
  await new Promise((resolve) => probe.close(resolve))
}

const loopback = '127.0.0.1'

/** Where clients on this machine find a server that listens on `host`. */
const reachableFrom = (host: string) => (host === '0.0.0.0' ? loopback : host)

const logFile = (folder: string) => join(folder, 'nats-server.log')

function lastError(folder: string): string {
  try {
    const lines = readFileSync(logFile(folder), 'utf8').trim().split('\n')
    return (lines.findLast((line) => /\[(FTL|ERR)\]/.test(line)) ?? lines.at(-1) ?? '').replace(
      /^.*\[(FTL|ERR|INF)\] /,
      '',
    )
  } catch {
    return 'it left no log'
  }
}
