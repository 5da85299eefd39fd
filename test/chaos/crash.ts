/**
 * The crash matrix: a task of many steps on a mesh of real processes, in which one of them is killed with -9 at every step: the worker that has the effects, the
 * supervisor of the task, the authority (the command `up`, and with it the broker), or the broker alone. At which of six moments of the step, a seed says.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installation } from '../../mesh/installation.js'
import { leaseMs } from '../../mesh/lease.js'
import { openTasks, type Tasks } from '../../mesh/task/tasks.js'
import { openLiveGround } from '../../nodes/authority/live.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { seededRandom, wholeBelow } from '../kit/random.js'
import { command } from '../nodes/command.js'
import { isRepeatable, stepName } from './crash-supervisor.js'
import { effectsFile } from './crash-worker.js'
import { moments, nameVictim, type Victim, victims, writePlan } from './doom.js'

export interface Crashed {
  victim: Victim
  kills: number
  /** Of the supervisor. */
  lives: number
  inDoubt: number
  /** The longest time without a step that was done, in milliseconds. */
  stillMs: number
  /** What is wrong; nothing if all promises held. */
  faults: string[]
}

const program = (name: string) => fileURLToPath(new URL(`${name}.js`, import.meta.url))
const upWithinMs = 60_000
/** No step takes longer, whoever dies meanwhile. */
const hangsAfterMs = 120_000

export async function crashAtEveryStep(victim: Victim, steps: number, seed: number): Promise<Crashed> {
  const random = seededRandom(seed * victims.length + victims.indexOf(victim))
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  writePlan(folder, { victim, at: Array.from({ length: steps }, () => pick(random)) })
  const up = [join(installation, 'dist', 'nodes', 'cli', 'main.js'), 'up', '--data', data, '--model', 'shipped']
  const authority = new Kept('authority', up, /The mesh is up/, folder)
  const worker = new Kept('worker', [program('crash-worker'), data, folder], /ready/, folder, authority)
  const result: Crashed = { victim, kills: 0, lives: 0, inDoubt: 0, stillMs: 0, faults: [] }
  const { faults } = result
  try {
    await worker.isUp()
    const id = await withTasks(authority, data, async (tasks) => (await tasks.begin({ request: 'crash' })).id)
    /** Steps that were recorded as done, with how often they had had their effect when that was first seen. */
    const settled = new Map<string, number>()
    for (let hasEnded = false; !hasEnded; ) {
      await worker.isUp()
      result.lives += 1
      const { status, said, stderr, stillMs, hung } = await live(folder, [data, folder, id, String(steps)])
      result.stillMs = Math.max(result.stillMs, Math.round(stillMs))
      if (hung) faults.push(`life ${result.lives} hung`)
      if (status === 1) faults.push(`life ${result.lives} failed: ${stderr}`)
      if (faults.length > 0 || result.lives > 4 * steps + 10) break
      // What a dead supervisor had asked for is cancelled when the others have missed it; only then can one see what became of it.
      if (status === 3) await new Promise((resolve) => setTimeout(resolve, leaseMs + 1000))
      const effects = countEffects(folder)
      for (const [step, count] of settled)
        if (effects.get(step) !== count) faults.push(`${step} was recorded and had its effect again`)
      await withTasks(authority, data, async (tasks) => {
        const info = (await tasks.list()).find((task) => task.id === id)
        for (const { name, state } of info?.steps ?? []) if (state === 'done') settled.set(name, effects.get(name) ?? 0)
        hasEnded = info?.state === 'ended'
        if (status !== 3 || hasEnded) return
        // In doubt: look, as a person would, and say what is so.
        result.inDoubt += 1
        const verdict = effects.has(said) ? { done: 0 } : ('again' as const)
        await (await tasks.resume(id)).settle(said, verdict, 'the test')
      })
    }
    const effects = countEffects(folder)
    for (let step = 0; step < steps && faults.length === 0; step += 1) {
      if (existsSync(join(folder, `killed-${step}`))) result.kills += 1
      const count = effects.get(stepName(step)) ?? 0
      if (count === 0) faults.push(`${stepName(step)} was lost`)
      if (count > 1 && !isRepeatable(step)) faults.push(`${stepName(step)} had its effect ${count} times`)
    }
    if (faults.length === 0 && result.kills !== steps) faults.push(`only ${result.kills} of ${steps} were killed`)
    await worker.end()
    await authority.end()
    const { status, stderr } = await command('audit', 'verify', '--data', data)
    if (status !== 0) faults.push(`the audit trail: ${stderr}`)
    return result
  } finally {
    await worker.end()
    await authority.end()
    if (faults.length === 0) rmSync(folder, { recursive: true, force: true })
    else faults.push(`all of it is kept in ${folder}`)
  }
}

/** Two at a time: they wait more than they work. */
export async function soakCrash(steps: number, seed: number): Promise<boolean> {
  let clean = true
  const one = async (victim: Victim) => {
    const { faults, ...figures } = await crashAtEveryStep(victim, steps, seed)
    clean &&= faults.length === 0
    process.stdout.write(`seed ${seed} ${JSON.stringify(figures)}: ${faults.join('; ') || 'clean'}\n`)
  }
  await Promise.all([one('authority').then(() => one('worker')), one('broker').then(() => one('supervisor'))])
  return clean
}

/** A process that is started again whenever it has died, when the one that it needs is up. */
class Kept {
  readonly #victim: Victim
  readonly #args: string[]
  readonly #ready: RegExp
  readonly #folder: string
  readonly #needs: Kept | undefined
  readonly #kept: Promise<void>
  #child: ChildProcess | undefined
  #said = ''
  #isEnding = false

  constructor(victim: Victim, args: string[], ready: RegExp, folder: string, needs?: Kept) {
    this.#victim = victim
    this.#args = args
    this.#ready = ready
    this.#folder = folder
    this.#needs = needs
    this.#kept = this.#keep()
  }

  async isUp(): Promise<void> {
    await this.#needs?.isUp()
    await eventually(() => {
      const lives = this.#child?.exitCode === null && this.#child.signalCode === null
      if (!lives || !this.#ready.test(this.#said)) throw new Error(`the ${this.#victim} is not up: ${this.#said}`)
    }, upWithinMs)
  }

  async end(): Promise<void> {
    this.#isEnding = true
    this.#child?.kill('SIGTERM')
    await this.#kept
  }

  async #keep(): Promise<void> {
    while (!this.#isEnding) {
      await this.#needs?.isUp().catch(() => undefined)
      if (this.#isEnding) return
      this.#said = ''
      const child = spawn(process.execPath, this.#args, { stdio: ['ignore', 'pipe', 'pipe'] })
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          this.#said += text
        })
      this.#child = child
      if (child.pid !== undefined) nameVictim(this.#folder, this.#victim, child.pid)
      await once(child, 'exit')
    }
  }
}

interface Life {
  status: number | null
  said: string
  stderr: string
  stillMs: number
  hung: boolean
}

async function live(folder: string, args: string[]): Promise<Life> {
  const child = spawn(process.execPath, [program('crash-supervisor'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  if (child.pid !== undefined) nameVictim(folder, 'supervisor', child.pid)
  const life: Life = { status: null, said: '', stderr: '', stillMs: 0, hung: false }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    life.said += text
  })
  const timer = setTimeout(() => {
    life.hung = true
    child.kill('SIGKILL')
  }, hangsAfterMs)
  let last = performance.now()
  const moves = () => {
    life.stillMs = Math.max(life.stillMs, performance.now() - last)
    last = performance.now()
    timer.refresh()
  }
  // It says each step that is done.
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    life.stderr += text
    moves()
  })
  await once(child, 'close')
  moves()
  clearTimeout(timer)
  life.status = child.exitCode
  return life
}

async function withTasks<T>(authority: Kept, data: string, use: (tasks: Tasks) => Promise<T>): Promise<T> {
  await authority.isUp()
  const ground = await openLiveGround(data)
  if (!ground) throw new Error('no mesh runs')
  try {
    const { transport, addresses, authority } = ground
    return await use(await openTasks({ transport, addresses, key: authority.tasksKey, by: 'the test' }))
  } finally {
    await ground.close()
  }
}

function countEffects(folder: string): Map<string, number> {
  const file = effectsFile(folder)
  const counts = new Map<string, number>()
  for (const line of existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []) {
    if (line === '') continue
    const step = stepName(Number(line))
    counts.set(step, (counts.get(step) ?? 0) + 1)
  }
  return counts
}

function pick(random: () => number) {
  const moment = moments[wholeBelow(random, moments.length)]
  if (!moment) throw new Error('no such moment')
  return moment
}
