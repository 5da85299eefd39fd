/**
 * A file that names the living process that holds it. What a dead process left is taken over.
 *
 * 1. The file appears with its content in one step, so nobody ever reads half a name and takes its holder for dead.
 * 2. Only one process at a time may remove a dead holder's file, and it looks again before it does: otherwise the slower of two would remove the lock
 *    that the faster has just taken.
 */
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

export interface Lock {
  release(): void
}

/** How long the removal of a dead holder's file may take another process. */
const turnMs = 2000

/** The lock, or the process that has it. */
export function takeLock(path: string): Lock | { holder: number } {
  for (const until = performance.now() + turnMs; ; ) {
    if (create(path)) return { release: () => rmSync(path, { force: true }) }
    const found = read(path)
    if (found === undefined) continue
    if (lives(found)) return { holder: processOf(found) }
    const turn = takeLock(`${path}.turn`)
    if ('release' in turn) {
      if (read(path) === found) rmSync(path, { force: true })
      turn.release()
    } else if (performance.now() > until) {
      return turn
    } else {
      // Its holder is about to remove the file: a matter of microseconds, unless it is stopped just there.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

function create(path: string): boolean {
  const draft = `${path}.${process.pid}.new`
  writeFileSync(draft, `${process.pid} ${bornAt(process.pid)}`, { mode: 0o600 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

const processOf = (content: string) => Number(content.split(' ')[0])

function lives(content: string): boolean {
  const pid = processOf(content)
  return Number.isInteger(pid) && pid > 0 && isAlive(pid) && bornAt(pid) === content.split(' ')[1]
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** When a process began, where the system says so: a process id alone may have been given to another one since. Empty for one that has ended. */
function bornAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A process that has ended and waits to be collected holds nothing.
    return fields[0] === 'Z' ? '' : (fields[19] ?? '')
  } catch {
    return ''
  }
}
