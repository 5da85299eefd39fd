/**
 * Workers kept prepared by a daemon of this process (launcher/pool.c), one for each action, none used twice. This process then never
 * forks an action, and most of what an action waits for is done before it comes.
 *
 *     const pool = new Pool({ signal })
 *     await launch(plan, { pool })
 *
 * The daemon starts with the first action and ends with this process, by the signal, or by close(); its workers and their actions end with
 * it. One that has ended is started again for the next action. One that keeps ending is not: then each action is refused, since nothing
 * ever runs without its sandbox.
 *
 * What holds:
 *   1. A connection is a worker, for one action. Those that wait (`spares`) have been told nothing yet.
 *   2. Only this process can connect: the socket lies in a folder of its own, which is gone when the daemon is up (an open descriptor is
 *      left to connect by), and the daemon asks the kernel who is there.
 *   3. Neither the daemon nor a spare keeps this process from ending.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClawmeshError } from '../policies/errors.js'
import type { Worker } from './exchange.js'
import { FrameReader } from './frames.js'
import { closeGroups, groupWords, openGroups } from './groups.js'
import { type Launcher, spawnLauncher } from './launcher.js'
import { failure } from './report.js'

export interface PoolOptions {
  /** How many workers wait prepared; 2 unless said otherwise. */
  readonly idle?: number
  /** Ends the pool. */
  readonly signal?: AbortSignal
  /** Another build of the launcher. */
  readonly program?: string
  /** Whether its actions are in control groups, where there can be some; true unless said otherwise. */
  readonly grouped?: boolean
}

/** A daemon that lived less long has not proved itself; this many of them in a row are enough. */
const provedMs = 10_000
const mostFailures = 3
/** After so many failures nothing is tried for this long. */
const restMs = 30_000

/** It has nothing to do before it is up. */
const startMs = 5000

/** The action that has just got a worker needs the processor more than the next one does. */
const refillMs = 3

/** Of the kernel; Node does not name it. */
const O_PATH = 0o10000000

interface Daemon extends Launcher {
  /** What of the socket can be connected to, though it has no name any more. */
  readonly place: FileHandle
  readonly spares: Set<Socket>
  refill: NodeJS.Timeout | undefined
  ended: boolean
}

export class Pool {
  #options: PoolOptions
  #daemon: Promise<Daemon> | undefined
  #failures = 0
  #restUntil = 0
  #closed = false

  constructor(options: PoolOptions = {}) {
    this.#options = options
    options.signal?.addEventListener('abort', () => this.close(), { once: true })
    if (options.signal?.aborted) this.close()
  }

  /** The process of the daemon, where there is one. */
  async pid(): Promise<number | undefined> {
    return (await this.#daemon)?.process.pid
  }

  /** @throws ClawmeshError SANDBOX_FAILED where there can be no daemon */
  async worker(): Promise<Worker> {
    for (let tries = 1; ; tries += 1) {
      const starting = this.#running()
      const daemon = await starting
      try {
        const socket = takeFirst(daemon.spares) ?? (await connected(daemon))
        this.#refill(daemon)
        return { socket: socket.ref(), kill: () => socket.destroy() }
      } catch (cause) {
        // It has ended, and its last sign has not come through yet. Nothing was asked of it.
        this.#forget(starting)
        end(daemon)
        if (tries === mostFailures)
          throw new ClawmeshError('SANDBOX_FAILED', 'The sandbox daemon does not answer, so nothing was run.', {
            hint: 'Try again; start the node again if it stays so.',
            cause,
          })
      }
    }
  }

  /** Ends the daemon and, with it, whatever it runs. */
  close(): void {
    this.#closed = true
    this.#daemon?.then(end, () => undefined)
  }

  #running(): Promise<Daemon> {
    if (this.#closed)
      throw new ClawmeshError('SANDBOX_FAILED', 'The sandbox of this node has ended, so nothing was run.', {
        hint: 'Ask another node, or start this one again.',
      })
    if (performance.now() < this.#restUntil)
      throw new ClawmeshError(
        'SANDBOX_FAILED',
        `The sandbox daemon ended ${mostFailures} times in a row, so nothing is run for now.`,
        { hint: `See the log and the memory of the machine; it is tried again within ${restMs / 1000} seconds.` },
      )
    if (this.#daemon) return this.#daemon
    const begun = performance.now()
    const starting = start(this.#options)
    const over = () => {
      this.#forget(starting)
      this.#count(performance.now() - begun)
    }
    this.#daemon = starting
    starting.then((daemon) => {
      daemon.process.once('exit', () => {
        end(daemon)
        over()
      })
      if (this.#closed) end(daemon)
    }, over)
    return starting
  }

  #forget(starting: Promise<Daemon>): void {
    if (this.#daemon === starting) this.#daemon = undefined
  }

  #count(livedMs: number): void {
    if (this.#closed) return
    this.#failures = livedMs < provedMs ? this.#failures + 1 : 0
    if (this.#failures < mostFailures) return
    this.#failures = 0
    this.#restUntil = performance.now() + restMs
  }

  /** One after another, so that preparing them never takes more than one processor. */
  #refill(daemon: Daemon): void {
    const { idle = 2 } = this.#options
    if (daemon.ended || daemon.refill || daemon.spares.size >= idle) return
    daemon.refill = setTimeout(async () => {
      const spare = await connected(daemon).catch(() => undefined)
      daemon.refill = undefined
      if (!spare) return
      if (daemon.ended) return void spare.destroy()
      daemon.spares.add(spare.unref())
      spare.on('error', () => undefined)
      // It was told nothing, so whatever it says, or its end, means that it is of no use.
      spare.once('readable', () => daemon.spares.delete(spare) && spare.destroy())
      this.#refill(daemon)
    }, refillMs).unref()
  }
}

async function start({ program, grouped = true }: PoolOptions): Promise<Daemon> {
  const groups = grouped ? await openGroups() : {}
  const folder = mkdtempSync(join(tmpdir(), 'clawmesh-pool-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  try {
    const launcher = await spawnLauncher(['--pool', ...groupWords(groups)], {
      cwd: folder,
      ...(program && { program }),
    })
    try {
      await ready(launcher)
      const place = await open(join(folder, 'socket'), O_PATH)
      if (launcher.process.exitCode !== null || launcher.process.signalCode !== null) throw endedAtOnce()
      launcher.process.unref()
      launcher.control.unref()
      return { ...launcher, place, spares: new Set(), refill: undefined, ended: false }
    } catch (error) {
      launcher.control.destroy()
      throw error
    }
  } catch (error) {
    await closeGroups(groups)
    throw error
  } finally {
    process.off('exit', remove)
    remove()
  }
}

function end(daemon: Daemon): void {
  if (daemon.ended) return
  daemon.ended = true
  clearTimeout(daemon.refill)
  daemon.control.destroy()
  for (const spare of daemon.spares) spare.destroy()
  daemon.place.close().catch(() => undefined)
}

function takeFirst(spares: Set<Socket>): Socket | undefined {
  const [first] = spares
  if (first) spares.delete(first)
  return first?.removeAllListeners('readable')
}

function connected({ place, ended }: Daemon): Promise<Socket> {
  return new Promise((settle, fail) => {
    if (ended) throw endedAtOnce()
    const socket = connect(`/proc/self/fd/${place.fd}`)
    socket.once('error', fail)
    socket.once('connect', () => {
      socket.off('error', fail)
      settle(socket)
    })
  })
}

/** The daemon's first words: that it listens, or why it cannot. */
function ready({ process, control }: Launcher): Promise<void> {
  const frames = new FrameReader()
  return new Promise((settle, fail) => {
    const late = setTimeout(() => {
      process.kill('SIGKILL')
      fail(failure('pool', 'the daemon does not come up'))
    }, startMs)
    control.on('error', fail)
    control.once('close', () => {
      clearTimeout(late)
      fail(endedAtOnce())
    })
    control.on('data', (piece: Buffer) => {
      clearTimeout(late)
      for (const { bytes } of frames.read(piece)) {
        const [word, stage = '', ...reason] = String(bytes).split(' ')
        if (word === 'ready') settle()
        else fail(failure(stage, reason.join(' ')))
      }
    })
  })
}

const endedAtOnce = () => failure('pool', 'the daemon ended at once')
