/** The processes of one command, as the kernel shows them: all that it started and all that those started, also after their parents died. */
import { readFileSync, readlinkSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { childrenOf } from '../kit/children.js'

/** What a process of the main job can be. */
export const kinds = [
  'command',
  'broker',
  'guard',
  'watcher',
  'worker node',
  'model node',
  'model',
  'launcher',
  'sandbox',
  'tool',
] as const
export type Kind = (typeof kinds)[number]

export interface Seen {
  readonly pid: number
  readonly parent: number
  /** In clock ticks since the machine began: a process id alone may be given to another one later. */
  readonly born: string
}

export class ProcessTree {
  readonly #root: number
  readonly #seen = new Map<number, Seen>()
  readonly #watch: NodeJS.Timeout

  constructor(root: number) {
    this.#root = root
    this.#note(root, 0)
    this.look()
    this.#watch = setInterval(() => this.look(), 15)
  }

  /** Follows every process seen so far to its children. */
  look(): void {
    const open = [...this.#seen.values()].filter(isAlive).map(({ pid }) => pid)
    for (let parent = open.pop(); parent !== undefined; parent = open.pop()) {
      for (const child of childrenOf(parent)) {
        if (this.#note(child, parent)) open.push(child)
      }
    }
  }

  living(): Seen[] {
    this.look()
    return [...this.#seen.values()].filter(isAlive)
  }

  ofKind(kind: Kind): Seen[] {
    return this.living().filter((process) => this.kindOf(process) === kind)
  }

  /** Undefined while a process is between fork and exec, or gone. */
  kindOf({ pid, parent }: Seen): Kind | undefined {
    if (pid === this.#root) return 'command'
    const line = read(`/proc/${pid}/cmdline`).split('\0')
    const [program = ''] = line
    if (basename(program) === 'nats-server') return 'broker'
    if (line.includes('clawmesh-guard')) return parent === this.#root ? 'guard' : 'watcher'
    if (line.some((word) => word.endsWith('nodes/boot.js')))
      return nodeName(pid).startsWith('model') ? 'model node' : 'worker node'
    if (line.some((word) => word.endsWith('onnx/child.js'))) return 'model'
    if (line.includes('--jitless')) return 'tool'
    if (basename(program) === 'clawmesh-sandbox')
      return read(`/proc/${parent}/cmdline`).includes('boot.js') ? 'launcher' : 'sandbox'
    return undefined
  }

  close(): void {
    clearInterval(this.#watch)
  }

  /** True if it was not known. */
  #note(pid: number, parent: number): boolean {
    const born = bornAt(pid)
    if (born === undefined || this.#seen.get(pid)?.born === born) return false
    this.#seen.set(pid, { pid, parent, born })
    return true
  }
}

/** A dead process that nobody has asked after yet has ended. */
export const isAlive = ({ pid, born }: Seen): boolean => bornAt(pid) === born

function bornAt(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`)
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === '' || state === 'Z' || state === 'X' ? undefined : rest[18]
}

/** A node's log goes to the folder that bears its name. */
function nodeName(pid: number): string {
  try {
    return basename(dirname(readlinkSync(`/proc/${pid}/fd/1`)))
  } catch {
    return ''
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
