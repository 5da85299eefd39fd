/** Does one task through many deaths of its program and of the broker, and says what became of each of its steps. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addressesOf } from '../../mesh/address.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { openTasks } from '../../mesh/task/tasks.js'
import { natsMesh } from '../kit/mesh.js'
import { seededRandom, wholeBelow } from '../kit/random.js'
import { isRepeatable, stepCount, stepName } from './task-life.js'

export interface Survived {
  lives: number
  brokerDeaths: number
  inDoubt: number
  /** What is wrong; nothing if all promises held. */
  faults: string[]
}

const life = fileURLToPath(new URL('task-life.js', import.meta.url))

/** A life ends after up to `moments` moments. The broker dies every few seconds: more often, and it is given up, as it should be. */
const brokerLivesMs = 7000

export async function surviveDeaths(seed: number, moments: number): Promise<Survived> {
  const random = seededRandom(seed)
  const mesh = await natsMesh(undefined, (folder) => openAuthority(join(folder, 'authority'), Date.now()))
  const { folder, authority, broker } = mesh
  const faults: string[] = []
  try {
    mkdirSync(folder, { recursive: true })
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const transport = await mesh.connectAsAuthority()
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: 'the test' })
    const { id } = await tasks.begin({})
    /** Steps that were recorded as done, with how often they had had their effect by then. */
    const settled = new Map<string, number>()
    let [lives, brokerDeaths, inDoubt] = [0, 0, 0]
    let brokerBorn = 0
    const user = await mesh.accounts.administrator('mesh')
    for (;;) {
      lives += 1
      const args = [life, folder, broker.url, JSON.stringify(user), id, String(1 + wholeBelow(random, moments))]
      const ending = run(args)
      if (performance.now() - brokerBorn > brokerLivesMs) {
        brokerBorn = performance.now()
        brokerDeaths += 1
        process.kill(broker.pid, 'SIGKILL')
      }
      const { status, said } = await ending
      const effects = countEffects(folder)
      for (const [step, count] of settled)
        if (effects.get(step) !== count) faults.push(`${step} was recorded and had its effect again`)
      const info = (await tasks.list()).find((task) => task.id === id)
      for (const { name, state } of info?.steps ?? []) if (state === 'done') settled.set(name, effects.get(name) ?? 0)
      // The last life may have died between the record of the end and its own.
      if (status === 0 || info?.state === 'ended') break
      if (status !== 3) continue
      // In doubt: look, as a person would, and say what is so.
      inDoubt += 1
      const task = await tasks.resume(id)
      await task.settle(said, effects.has(said) ? { done: 0 } : 'again', 'the test')
    }
    const effects = countEffects(folder)
    for (let number = 0; number < stepCount; number += 1) {
      const count = effects.get(stepName(number)) ?? 0
      if (count === 0) faults.push(`${stepName(number)} was lost`)
      if (count > 1 && !isRepeatable(number)) faults.push(`${stepName(number)} had its effect ${count} times`)
    }
    await transport.close()
    return { lives, brokerDeaths, inDoubt, faults }
  } finally {
    await mesh.close()
  }
}

/** Of each seed a task whose lives are short, and one whose lives are long. */
export async function soakTask(count: number, seed: number): Promise<boolean> {
  let clean = true
  for (let number = seed; number < seed + count; number += 1) {
    for (const moments of [12, 120]) {
      const { lives, brokerDeaths, inDoubt, faults } = await surviveDeaths(number, moments)
      clean &&= faults.length === 0
      process.stdout.write(
        `seed ${number}: ${lives} lives, ${brokerDeaths} deaths of the broker, ${inDoubt} steps in doubt: ${faults.join('; ') || 'clean'}\n`,
      )
    }
  }
  return clean
}

function run(args: string[]): Promise<{ status: number | null; said: string }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, said }))
  })
}

function countEffects(folder: string): Map<string, number> {
  const file = join(folder, 'effects')
  const counts = new Map<string, number>()
  for (const line of existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [])
    if (line) counts.set(line, (counts.get(line) ?? 0) + 1)
  return counts
}
