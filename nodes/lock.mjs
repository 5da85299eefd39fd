// @ts-check
/**
 * A file that names its living holder. What a dead one left is taken over. Plain JavaScript, because the setup of a fresh clone takes a lock before
 * anything is compiled.
 *
 * 1. That a holder lives is the kernel's word: it keeps a named pipe open for reading, and the pipe can be opened for writing exactly as long as it does.
 *    That holds however it ends, also when it is only stopped, and between containers. Process ids are used again, and each container counts its own.
 * 2. The file appears with its content in one step and after the pipe, so nobody ever reads half a name and takes its holder for dead.
 * 3. Only one process at a time may remove a dead holder's file, and it looks again before it does: otherwise the slower of two would remove the lock
 *    that the faster has just taken.
 *
 * The kernel is that of one machine: two machines on one network folder do not see each other.
 */
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { closeSync, constants, linkSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

/** @typedef {{ release(): void }} Lock */

/** How long the removal of a dead holder's file may take another process. */
const turnMs = 2000

const mkfifo = ['/usr/bin/mkfifo', '/bin/mkfifo', 'mkfifo']

/**
 * The lock, or the process that has it, by the number that its own container knows it by. Throws where the folder cannot hold a named pipe.
 * @param {string} path
 * @returns {Lock | { holder: number }}
 */
export function takeLock(path) {
  for (const until = performance.now() + turnMs; ; ) {
    const found = read(path)
    if (found === undefined) {
      const lock = create(path)
      if (lock) return lock
      continue
    }
    if (lives(path, found)) return { holder: parse(found).pid }
    const turn = takeLock(`${path}.turn`)
    if ('release' in turn) {
      if (read(path) === found) {
        rmSync(path, { force: true })
        rmSync(pipeOf(path, found), { force: true })
      }
      turn.release()
    } else if (performance.now() > until) {
      return turn
    } else {
      // Its holder is about to remove the file: a matter of microseconds, unless it is stopped just there.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

/**
 * Undefined if somebody else was faster.
 * @param {string} path
 * @returns {Lock | undefined}
 */
function create(path) {
  const content = `${process.pid} ${randomUUID()}`
  const pipe = pipeOf(path, content)
  const draft = `${pipe}.new`
  makePipe(pipe)
  const held = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
  let isHeld = true
  const release = () => {
    if (!isHeld) return
    isHeld = false
    closeSync(held)
    rmSync(pipe, { force: true })
  }
  try {
    writeFileSync(draft, content, { mode: 0o600 })
    linkSync(draft, path)
  } catch (error) {
    release()
    if (codeOf(error) === 'EEXIST') return undefined
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
  return {
    release: () => {
      // Only while it is ours: given back, it may be another's.
      if (isHeld) rmSync(path, { force: true })
      release()
    },
  }
}

/** @param {string} pipe */
function makePipe(pipe) {
  for (const program of mkfifo) {
    const { error, status, stderr } = spawnSync(program, ['-m', '600', '--', pipe], { encoding: 'utf8' })
    if (error && codeOf(error) === 'ENOENT') continue
    if (status === 0) return
    throw new Error(`No lock can be made: ${error?.message ?? (stderr.trim() || `${program} ended with ${status}`)}`)
  }
  throw new Error('No lock can be made: there is no mkfifo on this machine')
}

/**
 * @param {string} path
 * @returns {string | undefined}
 */
function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/**
 * @param {string} path
 * @param {string} content
 */
function lives(path, content) {
  try {
    closeSync(openSync(pipeOf(path, content), constants.O_WRONLY | constants.O_NONBLOCK))
    return true
  } catch (error) {
    // Nobody reads it, or it is gone with its holder. Where we may not look, somebody else may live.
    return !['ENXIO', 'ENOENT'].includes(codeOf(error))
  }
}

/**
 * @param {string} path
 * @param {string} content
 */
const pipeOf = (path, content) => `${path}.${parse(content).id}`

/** @param {string} content */
function parse(content) {
  const [, pid, id] = /^(\d+) ([0-9a-f-]{36})$/.exec(content) ?? []
  // What a crash of the machine left half written was nobody's for long.
  return { pid: Number(pid ?? 0), id: id ?? 'nobody' }
}

/** @param {unknown} error */
const codeOf = (error) => (error instanceof Error && 'code' in error ? String(error.code) : '')
