/**
 * Keeps one node process running on this machine: starts it, starts it again when it dies, has it drain (SIGTERM) at the end. The child watches the
 * pipe to us and ends at once when we do, however we end.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ClawmeshError, type ErrorCode, errorCodes } from '../../policies/errors.js'
import { type NodePlan, type NodeReport, nodeReportSchema } from './plan.js'

const entry = fileURLToPath(new URL('./boot.js', import.meta.url))
const startTimeoutMs = 30_000
const drainTimeoutMs = 8000
/** At first, when what fails may well be the person's mistake. */
const startsAllowed = 3
/** What says that the mesh is away, or that it may be. */
const isAway = new Set<ErrorCode>(['UNREACHABLE', 'BROKER_UNAVAILABLE'])
/** Between starts of one that waits for it. */
const waitMs = 2000
const restartsAllowed = 5
const restartWindowMs = 30_000

export interface KeeperOptions {
  name: string
  plan: NodePlan
  logFolder: string
  onRestart?: (name: string, reason: string) => void
  onGiveUp?: (name: string, error: ClawmeshError) => void
  /** Whatever the node says: that it is ready, each time; that it lost the mesh, or has it again. */
  onReport?: (report: NodeReport) => void
  /** It was of the mesh before: one that is away when it starts is waited for, and not taken for a mistake. */
  waits?: boolean
  /** Aborted before the node is ready: it is ended, and the reason is what is told. */
  signal?: AbortSignal
}

export interface KeptNode {
  readonly name: string
  readonly pid: number | undefined
  stop(): Promise<void>
}

/** Resolves when the node says that it is ready; rejects with its own error if it cannot be. */
export async function keepNode(options: KeeperOptions): Promise<KeptNode> {
  let child = startProcess(options)
  let said = ''
  for (let start = 1; ; start += 1) {
    try {
      await ready(child, options)
      break
    } catch (error) {
      const { code, message, retry } = ClawmeshError.from(error)
      if (options.signal?.aborted || !retry) throw error
      if (start >= startsAllowed && !(options.waits && isAway.has(code))) throw error
      if (message !== said) options.onRestart?.(options.name, `did not come up (${message})`)
      said = message
      if (start >= startsAllowed) await after(waitMs)
      child = startProcess(options)
    }
  }
  let stopping = false
  const deaths: number[] = []

  const keep = async (): Promise<void> => {
    for (;;) {
      const farewell = lastWords(child, options)
      const reason = await ending(child)
      if (stopping) return
      const told = farewell()
      if (told?.code === 'DENIED') throw told
      const now = performance.now()
      deaths.push(now)
      if (deaths.filter((time) => now - time < restartWindowMs).length > restartsAllowed) {
        throw new ClawmeshError(
          'RESTARTS_EXHAUSTED',
          `Node "${options.name}" died ${deaths.length} times; the last time it ${reason}.`,
          { hint: `Its log is ${logOf(options)}.` },
        )
      }
      options.onRestart?.(options.name, reason)
      child = startProcess(options)
      // One that does not come up has ended; it is tried again like one that died later, unless it was told that it may not.
      await ready(child, options).catch((error: unknown) => {
        if (ClawmeshError.from(error).code === 'DENIED') throw error
      })
    }
  }
  const kept = keep().catch((error: unknown) => options.onGiveUp?.(options.name, ClawmeshError.from(error)))

  return {
    name: options.name,
    get pid() {
      return child.pid
    },
    stop: async () => {
      stopping = true
      child.kill('SIGTERM')
      const giveUp = setTimeout(() => child.kill('SIGKILL'), drainTimeoutMs)
      await kept
      clearTimeout(giveUp)
    },
  }
}

function startProcess(options: KeeperOptions): ChildProcess {
  const log = openSync(logOf(options), 'a', 0o600)
  // A session of its own: Ctrl-C at the terminal reaches us alone, and we drain the nodes in good order.
  const child = fork(entry, [], { stdio: ['ignore', log, log, 'ipc'], detached: true })
  closeSync(log)
  // What goes wrong with the pipe to it is seen by its end.
  child.on('error', () => child.kill('SIGKILL'))
  child.on('message', (message) => {
    const report = nodeReportSchema.safeParse(message).data
    if (report) options.onReport?.(report)
  })
  return child
}

/** Rejects, and sees to its end, if the node cannot be made ready. */
async function ready(child: ChildProcess, options: KeeperOptions): Promise<void> {
  try {
    await firstReport(child, options)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

function firstReport(child: ChildProcess, options: KeeperOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      clearTimeout(timer)
      child.removeListener('message', onMessage)
      child.removeListener('exit', onExit)
      options.signal?.removeEventListener('abort', onAbort)
      if (error) reject(error)
      else resolve()
    }
    const failed = (why: string) =>
      new ClawmeshError('UNREACHABLE', `Node "${options.name}" ${why}.`, { hint: `Its log is ${logOf(options)}.` })
    const onExit = () => settle(failed('ended before it was ready'))
    const onAbort = () => settle(options.signal?.reason)
    const onMessage = (message: unknown) => {
      const failure = failureIn(message, options)
      if (failure || nodeReportSchema.safeParse(message).data?.type === 'ready') settle(failure)
    }
    const timer = setTimeout(() => settle(failed('was not ready in time')), startTimeoutMs)
    if (options.signal?.aborted) return onAbort()
    options.signal?.addEventListener('abort', onAbort)
    child.once('exit', onExit)
    child.on('message', onMessage)
    // The pipe breaks when the process was killed before it could read.
    child.send(options.plan, (error) => error && settle(failed('ended before it was ready')))
  })
}

/** What a node that was up says of its own end: to be asked when it has ended. */
function lastWords(child: ChildProcess, options: KeeperOptions): () => ClawmeshError | undefined {
  let told: ClawmeshError | undefined
  child.on('message', (message) => {
    told ??= failureIn(message, options)
  })
  return () => told
}

function failureIn(message: unknown, { name }: KeeperOptions): ClawmeshError | undefined {
  const report = nodeReportSchema.safeParse(message)
  if (!report.success || report.data.type !== 'failed') return undefined
  const { code, message: text, hint } = report.data
  return new ClawmeshError(code in errorCodes ? (code as ErrorCode) : 'INTERNAL', text, { hint, data: { node: name } })
}

function ending(child: ChildProcess): Promise<string> {
  const describe = (code: number | null, signal: string | null) =>
    signal ? `was ended by ${signal}` : `ended with status ${code}`
  if (child.exitCode !== null || child.signalCode !== null)
    return Promise.resolve(describe(child.exitCode, child.signalCode))
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(describe(code, signal))))
}

const logOf = ({ logFolder }: KeeperOptions) => join(logFolder, 'node.log')
