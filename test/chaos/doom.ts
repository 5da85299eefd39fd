/** Which process is killed at which moment of which step of a task: written down before it begins, read by the programs in which those moments come. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { childrenOf } from '../kit/children.js'
import { eventually } from '../kit/eventually.js'

export const victims = ['worker', 'supervisor', 'authority', 'broker'] as const
export type Victim = (typeof victims)[number]

/** Of one step, in order. The third and the fourth come in the worker, the others in the supervisor. */
export const moments = [
  'before it is begun',
  'when it is begun',
  'before its effect',
  'after its effect',
  'when it is answered',
  'when it is done',
] as const
export type Moment = (typeof moments)[number]

const planSchema = z.object({ victim: z.enum(victims), at: z.array(z.enum(moments)) })
export type Plan = z.output<typeof planSchema>

const comesBackMs = 60_000

const planFile = (folder: string) => join(folder, 'plan.json')
const pidFile = (folder: string, victim: Victim) => join(folder, `${victim}.pid`)

export const writePlan = (folder: string, plan: Plan): void => writeFileSync(planFile(folder), JSON.stringify(plan))

/** The process that is this now. */
export function nameVictim(folder: string, victim: Victim, pid: number): void {
  const file = pidFile(folder, victim)
  writeFileSync(`${file}.new`, String(pid))
  renameSync(`${file}.new`, file)
}

/** Throws where it is none: process 0 would be whoever kills, and all beside it. */
const readPid = (folder: string, victim: Victim): number =>
  z.coerce
    .number()
    .int()
    .positive()
    .parse(readFileSync(pidFile(folder, victim), 'utf8'))

/** In the programs of the task: `at` is called at each moment, and kills once for each step, before it returns. */
export class Doom {
  readonly #folder: string
  readonly #plan: Plan

  constructor(folder: string) {
    this.#folder = folder
    this.#plan = planSchema.parse(JSON.parse(readFileSync(planFile(folder), 'utf8')))
  }

  get victim(): Victim {
    return this.#plan.victim
  }

  async at(step: number, moment: Moment): Promise<void> {
    // A step that was in doubt and then settled may have passed its moment by: then it is its end.
    if (this.#plan.at[step] !== moment && moment !== 'when it is done') return
    try {
      writeFileSync(join(this.#folder, `killed-${step}`), moment, { flag: 'wx' })
    } catch {
      return
    }
    // One that was killed a step ago may not be there again.
    await eventually(() => process.kill(this.#pid(), 'SIGKILL'), comesBackMs)
  }

  #pid(): number {
    const { victim } = this.#plan
    return victim === 'broker' ? brokerOf(readPid(this.#folder, 'authority')) : readPid(this.#folder, victim)
  }
}

/** The nats-server below a process; throws if it has none. */
function brokerOf(pid: number): number {
  for (const below = childrenOf(pid); below.length > 0; ) {
    const next = below.shift() ?? 0
    if (read(`/proc/${next}/comm`) === 'nats-server\n') return next
    below.push(...childrenOf(next))
  }
  throw new Error('no broker runs')
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
