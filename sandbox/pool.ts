/**
 * Workers kept prepared by a daemon of this process (launcher/pool.c), one for each action, none used twice. This process then never
 * forks an action, and most of what an action waits for is done before it comes.
 *
 *     const pool = new Pool({ signal })
 *     await launch(plan, { pool })
 *
 * The daemon starts with the first action and ends with this process, by the signal, or by close(); its workers and their actions end with
 * it. One that has ended is started again for the next action. One that keeps ending is not: then each action is refused, since nothing
 * ever runs without its sandbox. Only this process can connect: the socket lies in a folder of its own, which is gone when the daemon is
 * up (an open descriptor is left to connect by), and the daemon asks the kernel who is there.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClawmeshError } from '../policies/errors.js'
import { FrameReader } from './frames.js'
import type { Worker } from './launch.js'
import { type Launcher, spawnLauncher } from './launcher.js'
import { failure } from './report.js'

export interface PoolOptions {
  /** How many workers wait prepared. */
  readonly idle?: number
  /** Ends the pool. */
  readonly signal?: AbortSignal
  /** Another build of the launcher. */
  readonly program?: string
}

/** A daemon that lived less long has not proved itself; this many of them in a row are enough. */
const provedMs = 10_000
const mostFailures = 3
/** After so many failures nothing is tried for this long. */
const restMs = 30_000

/** Of the kernel; Node does not name it. */
const O_PATH = 0o10000000

interface Daemon {
  /** What of the socket can be connected to, though it has no name any more. */
  readonly place: FileHandle
  readonly launcher: Launcher
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
  get pid(): Promise<number | undefined> {
    return Promise.resolve(this.#daemon).then((daemon) => daemon?.launcher.process.pid)
  }

  /** @throws ClawmeshError SANDBOX_FAILED where there can be no daemon */
  async worker(): Promise<Worker> {
    for (let tries = 1; ; tries += 1) {
      const daemon = await this.#running()
      try {
        const socket = await connected(`/proc/self/fd/${daemon.place.fd}`)
        return { socket, kill: () => socket.destroy() }
      } catch (cause) {
        // It has ended, and its last sign has not come through yet. Nothing was asked of it.
        this.#forget(daemon)
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
    this.#daemon?.then(
      (daemon) => this.#forget(daemon),
      () => undefined,
    )
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
        {
          hint: `See the log and the memory of the machine; it is tried again within ${restMs / 1000} seconds.`,
        },
      )
    if (this.#daemon) return this.#daemon
    const begun = performance.now()
    const daemon = this.#start()
    this.#daemon = daemon
    daemon.then(
      ({ launcher }) => launcher.process.once('exit', () => this.#count(performance.now() - begun)),
      () => {
        if (this.#daemon === daemon) this.#daemon = undefined
        this.#count(0)
      },
    )
    return daemon
  }

  #count(livedMs: number): void {
    if (this.#closed) return
    this.#failures = livedMs < provedMs ? this.#failures + 1 : 0
    if (this.#failures < mostFailures) return
    this.#failures = 0
    this.#restUntil = performance.now() + restMs
  }

  async #start(): Promise<Daemon> {
    const { idle = 4, program } = this.#options
    const folder = mkdtempSync(join(tmpdir(), 'clawmesh-pool-'))
    const remove = () => rmSync(folder, { recursive: true, force: true })
    process.once('exit', remove)
    try {
      const launcher = await spawnLauncher(['--pool', String(idle)], { cwd: folder, ...(program && { program }) })
      await ready(launcher.control)
      const daemon: Daemon = { launcher, place: await open(join(folder, 'socket'), O_PATH), ended: false }
      launcher.process.once('exit', () => this.#forget(daemon))
      // It is there for the actions: it keeps nobody from ending.
      launcher.process.unref()
      launcher.control.unref()
      if (this.#closed) this.#forget(daemon)
      return daemon
    } finally {
      process.off('exit', remove)
      remove()
    }
  }

  #forget(daemon: Daemon): void {
    if (daemon.ended) return
    daemon.ended = true
    this.#daemon = undefined
    daemon.launcher.control.destroy()
    daemon.place.close().catch(() => undefined)
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((settle, fail) => {
    const socket = connect(path)
    socket.once('error', fail)
    socket.once('connect', () => {
      socket.off('error', fail)
      settle(socket)
    })
  })
}

/** The daemon's first words: that it listens, or why it cannot. */
function ready(control: Socket): Promise<void> {
  const frames = new FrameReader()
  return new Promise((settle, fail) => {
    control.on('error', fail)
    control.once('close', () => fail(failure('pool', 'the daemon ended at once')))
    control.on('data', (piece: Buffer) => {
      for (const { bytes } of frames.read(piece)) {
        const [word, stage = '', ...reason] = String(bytes).split(' ')
        if (word === 'ready') settle()
        else fail(failure(stage, reason.join(' ')))
      }
    })
  })
}
