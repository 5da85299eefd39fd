/** The process that holds the keys, as the one that started it sees it: two pipes, and its end. */
import { spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

export interface Channel {
  readonly input: Writable
  readonly output: Readable
  /** How it ended, in words; rejects where it never ran. */
  readonly ended: Promise<string>
  /** Ends it at once. */
  stop(): void
  /** Whether it keeps this process from ending; where that cannot be told it does, until it is stopped. */
  hold?(isAsked: boolean): void
}

export interface HolderProgram {
  /** The module that Node is to run; it takes no arguments. */
  readonly module: string
  /** Where it has to send to. */
  readonly urls: readonly string[]
}

export type StartHolder = (program: HolderProgram) => Promise<Channel>

/** A process of its own and nothing more: nothing keeps it from connecting elsewhere, or from reading what its user may. */
export const plainly =
  (env: Readonly<Record<string, string>> = {}): StartHolder =>
  async ({ module }) => {
    const child = spawn(process.execPath, [module], { cwd: '/', env, stdio: ['pipe', 'pipe', 'ignore'] })
    const ended = new Promise<string>((settle, fail) => {
      child.once('error', fail)
      child.once('exit', (status, signal) =>
        settle(signal ? `signal ${signal} ended it` : `it ended with status ${status}`),
      )
    })
    ended.catch(() => undefined)
    return {
      input: child.stdin,
      output: child.stdout,
      ended,
      stop: () => void child.kill('SIGKILL'),
      hold: (isAsked) => {
        for (const part of [child, child.stdin, child.stdout] as { ref?(): void; unref?(): void }[])
          isAsked ? part.ref?.() : part.unref?.()
      },
    }
  }
