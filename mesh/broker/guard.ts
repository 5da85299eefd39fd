/**
 * Runs a foreign program so that it cannot outlive this process: not after a crash, not after kill -9. A small shell holds the reading end of
 * our pipe; when we are gone the pipe ends and the shell kills the program. Works wherever there is a POSIX shell.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { ClawmeshError } from '../../policies/errors.js'

const script = `
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
( read -r _ <&3; kill -9 "$program" 2>/dev/null ) &
watcher=$!
printf '%s\\n' "$program"
exec 1>&-
wait "$program"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"
`

export interface Guarded {
  /** Of the program itself. */
  readonly pid: number
  /** Resolves to its exit status when it has ended, by whatever cause. */
  readonly ended: Promise<number>
  kill(signal: NodeJS.Signals): void
}

export async function spawnGuarded(command: string, args: string[]): Promise<Guarded> {
  // A session of its own: Ctrl-C at the terminal reaches us alone, and we end the program in good order.
  const shell = spawn('/bin/sh', ['-c', script, 'clawmesh-guard', command, ...args], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  const pid = await firstLine(shell, command)
  const ended = new Promise<number>((resolve) => {
    shell.once('exit', async (code) => {
      // If somebody killed the shell the program may still run: it must be gone, with its port and its files, before anybody starts another.
      endProcess(pid, 'SIGKILL')
      shell.stdin?.destroy()
      await gone(pid)
      resolve(code ?? 1)
    })
  })
  return { pid, ended, kill: (signal) => endProcess(pid, signal) }
}

async function firstLine(shell: ChildProcess, command: string): Promise<number> {
  const failed = new Promise<never>((_, reject) => {
    shell.once('error', reject)
    shell.once('exit', (code) => reject(new Error(`ended at once with status ${code}`)))
  })
  try {
    if (!shell.stdout) throw new Error('no output')
    const lines = createInterface({ input: shell.stdout })[Symbol.asyncIterator]()
    const line = await Promise.race([lines.next(), failed])
    return Number(line.value)
  } catch (cause) {
    throw new ClawmeshError('INTERNAL', `Could not start ${command} under /bin/sh.`, { cause })
  }
}

/** A process that nobody reaps stays in the table for ever; it holds nothing any more. */
async function gone(pid: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function endProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended already.
  }
}
