/**
 * One life of the supervisor of a task: takes it up where it is, and has a worker do its steps, one after the other.
 *
 *     node crash-supervisor.js DATA FOLDER TASK STEPS          says on stderr which steps are done
 *
 * Ends with 0 when the task has ended, with 3 and the step's name on stdout when a step is in doubt, with 4 when something was away that comes back.
 */
import { appendFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { openTasks } from '../../mesh/task/tasks.js'
import { openLiveGround } from '../../nodes/authority/live.js'
import { joinAsGuest } from '../../nodes/member/guest.js'
import { ClawmeshError } from '../../policies/errors.js'
import { HaveEffect } from './crash-worker.js'
import { Doom } from './doom.js'

export const stepName = (step: number) => `step-${step}`
/** Its effect may come twice before it is recorded. */
export const isRepeatable = (step: number) => step % 2 === 0

/** A broker that dies more often than five times in 30 s is given up, as it should be. */
const betweenBrokersMs = 7000

async function live([data = '', folder = '', id = '', steps = '']: string[]): Promise<void> {
  const ground = await openLiveGround(data)
  if (!ground) throw new ClawmeshError('UNREACHABLE', 'no mesh runs')
  const { node } = await joinAsGuest(ground, data, ['supervisor'])
  const { transport, addresses, authority } = ground
  const task = await (await openTasks({ transport, addresses, key: authority.tasksKey, by: node.name })).resume(id)
  const doom = new Doom(folder)
  for (let step = 0; step < Number(steps); step += 1) {
    if (doom.victim === 'broker') await aWhileAfter(join(folder, `killed-${step - 1}`))
    await doom.at(step, 'before it is begun')
    await task.step(stepName(step), { result: z.number(), repeatable: isRepeatable(step) }, async () => {
      await doom.at(step, 'when it is begun')
      const answer = await node.ref('effects').ask(HaveEffect, step, { timeoutMs: 60_000 })
      await doom.at(step, 'when it is answered')
      return answer
    })
    await doom.at(step, 'when it is done')
    appendFileSync(2, `${stepName(step)}\n`)
  }
  await task.end({ ok: true, answer: 'all done' })
}

function aWhileAfter(file: string): Promise<void> {
  const since = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, since + betweenBrokersMs - Date.now())))
}

if (process.argv[1]?.endsWith('crash-supervisor.js'))
  await live(process.argv.slice(2)).then(
    () => process.exit(0),
    (thrown: unknown) => {
      const error = ClawmeshError.from(thrown)
      if (error.code !== 'IN_DOUBT' && !error.retry) throw thrown
      process.stdout.write(error.code === 'IN_DOUBT' ? String(error.data['step']) : error.message)
      process.exitCode = error.code === 'IN_DOUBT' ? 3 : 4
      process.stdout.end(() => process.exit())
    },
  )
