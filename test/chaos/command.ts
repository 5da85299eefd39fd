/** The real command, doing its main job in processes of its own, and what it said at its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { installation } from '../../mesh/installation.js'
import { isAlive, ProcessTree, type Seen } from './tree.js'

const summarySchema = z.looseObject({ ok: z.boolean(), answer: z.string(), auditVerified: z.boolean() })
export type Summary = z.output<typeof summarySchema>

export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  /** The last line of its output, if it is what was promised. */
  readonly summary: Summary | undefined
  readonly stderr: string
  readonly wallMs: number
  /** It did not end in time and was killed for it. */
  readonly hung: boolean
  /** Processes of its tree that outlived it. */
  readonly orphans: Seen[]
}

export interface CommandOptions {
  /** Left out: the default one. */
  data?: string
  args?: string[]
  /** After those. */
  more?: string[]
  env?: Record<string, string>
  withinMs?: number
  /** How long the last of its processes may take to be gone after the command itself. */
  afterMs?: number
}

/** `CLAWMESH_TEST_MODEL` names another model folder than the one that ships. */
const modelArgs = process.env['CLAWMESH_TEST_MODEL'] ? ['--model', process.env['CLAWMESH_TEST_MODEL']] : []

export class Command {
  readonly tree: ProcessTree
  readonly #child: ChildProcess
  readonly #options: CommandOptions
  readonly #began = performance.now()
  readonly #closed: Promise<unknown>
  #stdout = ''
  #stderr = ''

  constructor(options: CommandOptions = {}) {
    const { data, args = ['start', '--once', '--json', ...modelArgs], more = [], env = {} } = options
    const folder = data === undefined ? [] : ['--data', data]
    this.#options = options
    this.#child = spawn(
      process.execPath,
      [join(installation, 'dist', 'nodes', 'cli', 'main.js'), ...args, ...more, ...folder],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        // With a stack trace under what should not have happened: those are no clear errors.
        env: { ...process.env, CLAWMESH_DEBUG: '1', ...env },
      },
    )
    this.#closed = once(this.#child, 'exit')
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.tree = new ProcessTree(this.#child.pid ?? 0)
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Milliseconds since it was started. */
  get age(): number {
    return performance.now() - this.#began
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async ended(): Promise<Ended> {
    const { withinMs = 180_000, afterMs = 20_000 } = this.#options
    let hung = false
    const timer = setTimeout(() => {
      hung = true
      this.#child.kill('SIGKILL')
    }, withinMs)
    await this.#closed
    clearTimeout(timer)
    const wallMs = this.age
    const orphans = await this.#orphansAfter(afterMs)
    this.tree.close()
    for (const orphan of orphans) end(orphan)
    const { exitCode: status, signalCode: signal } = this.#child
    return { status, signal, summary: this.#summary(), stderr: this.#stderr, wallMs, hung, orphans }
  }

  async #orphansAfter(withinMs: number): Promise<Seen[]> {
    for (const until = performance.now() + withinMs; performance.now() < until; ) {
      if (this.tree.living().length === 0) return []
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return this.tree.living()
  }

  #summary(): Summary | undefined {
    const last = this.#stdout.trimEnd().split('\n').at(-1) ?? ''
    try {
      return summarySchema.parse(JSON.parse(last))
    } catch {
      return undefined
    }
  }
}

export function end(process_: Seen): void {
  if (!isAlive(process_)) return
  try {
    process.kill(process_.pid, 'SIGKILL')
  } catch {
    // It ended in between.
  }
}

/** Nobody holds the data folder any more. */
export const isReleased = (data: string): boolean => !existsSync(join(data, 'lock'))
