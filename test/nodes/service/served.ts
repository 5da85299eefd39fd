/** A service as a reboot finds it: the command line of its unit, or of its property list, started in its data folder, and every process of it ended at once. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import type { Values } from '../../../nodes/cli/command.js'
import { servicePlan } from '../../../nodes/cli/mesh/service.js'
import { plistOf } from '../../../nodes/service/plist.js'
import { unitOf } from '../../../nodes/service/unit.js'
import { childrenOf } from '../../kit/children.js'
import { eventually } from '../../kit/eventually.js'

/** The unit that `clawmesh service install` would hand to systemd; throws what that says of what cannot run. */
export const unitFor = (command: string | undefined, values: Values): string => unitOf(servicePlan(command, values))

/** The words of its ExecStart, as systemd reads them. */
export function execStart(unit: string): string[] {
  const line = /^ExecStart=(.*)$/m.exec(unit)?.[1] ?? ''
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([quoted]) =>
    String(JSON.parse(quoted)).replaceAll('%%', '%').replaceAll('$$', '$'),
  )
}

/** What a service manager runs. */
export interface Told {
  command: string[]
  environment: Record<string, string>
}

/** As systemd reads a unit. */
export const toldByUnit = (unit: string): Told => ({
  command: execStart(unit),
  environment: Object.fromEntries(
    [...unit.matchAll(/^Environment="(\w+)=(.*)"$/gm)].map(([, key = '', value = '']) => [key, value]),
  ),
})

/** The property list that it would hand to launchd. */
export const listFor = (command: string | undefined, values: Values): string => plistOf(servicePlan(command, values))

const listSchema = z.looseObject({
  ProgramArguments: z.array(z.string()),
  EnvironmentVariables: z.record(z.string(), z.string()),
})

/** As a reader of property lists of others reads one: Python's own. */
export function readList(list: string): z.output<typeof listSchema> {
  const script = 'import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))'
  return listSchema.parse(JSON.parse(execFileSync('python3', ['-c', script], { input: list, encoding: 'utf8' })))
}

export function toldByList(list: string): Told {
  const { ProgramArguments, EnvironmentVariables } = readList(list)
  return { command: ProgramArguments, environment: EnvironmentVariables }
}

export class Served {
  readonly #child: ChildProcess
  said = ''

  constructor({ command: [file = '', ...args], environment }: Told) {
    // What a service manager gives: hardly an environment, and no terminal.
    const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: process.env['HOME'] }
    this.#child = spawn(file, args, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'], env: { ...env, ...environment } })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.said += text
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async heard(pattern: RegExp): Promise<RegExpExecArray> {
    return eventually(() => {
      const found = pattern.exec(this.said)
      if (found) return found
      throw new Error(`${this.said}\n(exit ${this.#child.exitCode})`)
    }, 40_000)
  }

  /** What all its processes have used of the processors so far, in seconds. */
  get processorSeconds(): number {
    return treeOf(this.pid).reduce((sum, pid) => sum + ticksOf(pid), 0) / ticksASecond
  }

  /** As a power cut does: no process of it gets to do anything more. How many there were. */
  async killAll(): Promise<number> {
    const all = treeOf(this.pid)
    for (const pid of all)
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // Gone with its parent.
      }
    await this.#gone(all)
    return all.length
  }

  async stop(): Promise<void> {
    const all = treeOf(this.pid)
    this.#child.kill('SIGTERM')
    await this.#gone(all)
  }

  async #gone(all: number[]): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit')
    await eventually(() => {
      const left = all.filter((pid) => existsSync(`/proc/${pid}/fd/0`))
      if (left.length > 0) throw new Error(`processes are left: ${left}`)
    })
  }
}

/** Of Linux, on every machine that Node runs on. */
const ticksASecond = 100

/** Its own, and those of its children that have ended. */
function ticksOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  } catch {
    return 0
  }
}

const treeOf = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(treeOf)]

/** Milliseconds from now until the gateway answers a request of this key. */
export async function firstServed(url: string, key: string): Promise<number> {
  const began = performance.now()
  for (;;) {
    const answer = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } }).catch(
      () => undefined,
    )
    if (answer?.status === 200) return performance.now() - began
    if (performance.now() - began > 60_000) throw new Error(`not served within a minute: ${answer?.status}`)
    // What looks all the time takes the time of what it waits for.
    await setTimeout(50)
  }
}
