/**
 * One life of a program that does a task of many steps, each with an effect: a line in a file. It dies by its own hand after so many of the moments at which a
 * crash could matter: before and after each write of the journal, before and after each effect.
 *
 *     node task-life.js FOLDER BROKER_URL USER TASK MOMENTS
 *
 * Ends with 0 when the task has ended, with 3 and the step's name on stdout when a step is in doubt.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { Tasks } from '../../mesh/task/tasks.js'
import { connectNats } from '../../mesh/transport/nats.js'
import type { Bucket } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'

export const stepCount = 100
export const stepName = (number: number) => `step-${number}`
/** A line may stand twice only for these. */
export const isRepeatable = (number: number) => number % 2 === 0

const userSchema = z.object({ token: z.string(), seed: z.string() })

async function live([folder = '', url = '', user = '', id = '', moments = '']: string[]): Promise<void> {
  let left = Number(moments)
  const moment = () => {
    left -= 1
    if (left === 0) process.kill(process.pid, 'SIGKILL')
  }
  const authority = openAuthority(join(folder, 'authority'), Date.now())
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const transport = await connectNats({ servers: [url], user: userSchema.parse(JSON.parse(user)), name: 'task-life' })
  const real = await transport.bucket(addresses.tasks)
  const bucket: Bucket = {
    put: (key, value) => real.put(key, value),
    get: (key) => real.get(key),
    delete: (key) => real.delete(key),
    purge: (keys) => real.purge(keys),
    watch: (changed, keys) => real.watch(changed, keys),
    swap: async (key, value, revision) => {
      moment()
      const written = await real.swap(key, value, revision)
      moment()
      return written
    },
  }
  const tasks = new Tasks(bucket, { transport, addresses, key: authority.tasksKey, by: String(process.pid) })
  const task = await tasks.resume(id)
  for (let number = 0; number < stepCount; number += 1) {
    await task.step(stepName(number), { result: z.number(), repeatable: isRepeatable(number) }, async () => {
      moment()
      const file = openSync(join(folder, 'effects'), 'a')
      writeSync(file, `${stepName(number)}\n`)
      fsyncSync(file)
      closeSync(file)
      moment()
      return number
    })
  }
  await task.end('all done')
}

if (process.argv[1]?.endsWith('task-life.js')) {
  await live(process.argv.slice(2)).then(
    () => process.exit(0),
    (error: unknown) => {
      if (!(error instanceof ClawmeshError) || error.code !== 'IN_DOUBT') throw error
      process.stdout.write(String(error.data['step']))
      process.exitCode = 3
      process.stdout.end(() => process.exit())
    },
  )
}
