/**
 * One life of a party to mail: the office that keeps it, who sends it, or who takes it. It dies by its own hand after so many of the moments at which a crash could matter.
 *
 *     node mail-life.js FOLDER BROKER_URL office|sender|taker COUNT MOMENTS
 *
 * With 0 moments it lives on. A sender ends with 0 when all is acknowledged.
 */
import { appendFileSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import { actor, joinMesh, type MeshNode, message, nothing, on, serveMail } from '../../mesh/index.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { readCredentials } from '../../mesh/seal/credentials.js'
import { connectNats } from '../../mesh/transport/nats.js'
import type { Bucket } from '../../mesh/transport/transport.js'

const Job = message('test.job', {
  // What does not come whole is a dead letter.
  request: z.tuple([z.number(), z.string()]).refine(([number, filling]) => filling === fillingOf(number)),
  reply: nothing,
})
/** Each third is too large for one record. */
const fillingOf = (number: number) => (number % 3 === 1 ? `${number} `.repeat(150_000) : '')
const userSchema = z.object({ token: z.string(), seed: z.string(), inbox: z.string().optional() })

export const linesIn = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []

async function live([folder = '', url = '', role = '', count = '', moments = '']: string[]): Promise<void> {
  let left = Number(moments)
  const moment = () => {
    left -= 1
    if (left === 0) process.kill(process.pid, 'SIGKILL')
  }
  const connect = (who: string) => {
    const { inbox, ...user } = userSchema.parse(JSON.parse(readFileSync(join(folder, `${who}.user`), 'utf8')))
    return connectNats({ servers: [url], user: inbox === undefined ? user : { ...user, inbox }, name: who })
  }
  const credentials = readCredentials(join(folder, `${role}.credentials`), Date.now())
  const node = await joinMesh({ credentials, transport: await connect(role) })
  if (role === 'office') {
    const authority = openAuthority(join(folder, 'authority'), Date.now())
    const { mail } = addressesOf(authority.mesh, authority.meshKey)
    const real = await (await connect('administrator')).bucket(mail)
    await serveMail(withMoments(node, moment), { bucket: mortal(real, moment), secret: authority.tasksKey })
  }
  if (role === 'taker') await node.spawn(taker(folder, moment))
  if (role === 'sender') {
    const acknowledged = new Set(linesIn(join(folder, 'acknowledged')))
    for (let number = 0; number < Number(count); number += 1) {
      if (acknowledged.has(String(number))) continue
      moment()
      await node.ref('taker').mail(Job, [number, fillingOf(number)], { key: `job ${number}`, timeoutMs: 120_000 })
      moment()
      append(folder, 'acknowledged', String(number))
    }
    process.exit(0)
  }
}

const mortal = (real: Bucket, moment: () => void): Bucket => ({
  put: async (key, value) => {
    moment()
    return real.put(key, value)
  },
  get: (key) => real.get(key),
  delete: (key) => real.delete(key),
  purge: async (keys) => {
    moment()
    await real.purge(keys)
  },
  watch: (changed, keys) => real.watch(changed, keys),
  swap: async (key, value, revision) => {
    moment()
    // Long enough for an answer that did not wait for the broker to be out.
    await setTimeout(5)
    moment()
    const written = await real.swap(key, value, revision)
    moment()
    return written
  },
})

function withMoments(node: MeshNode, moment: () => void): MeshNode {
  const deliver = node.deliver.bind(node)
  return Object.assign(node, {
    deliver: async (...what: Parameters<MeshNode['deliver']>) => {
      moment()
      await deliver(...what)
      moment()
    },
  })
}

/** Notes each delivery, and has its effect once for each id. */
const taker = (folder: string, moment: () => void) =>
  actor('taker', () => [
    on(Job, ([number], { mailed }) => {
      moment()
      appendFileSync(join(folder, 'deliveries'), `${number} ${mailed}\n`)
      const line = `${number} ${mailed}`
      if (!linesIn(join(folder, 'effects')).includes(line)) append(folder, 'effects', line)
      moment()
      return null
    }),
  ])

function append(folder: string, name: string, line: string): void {
  const file = openSync(join(folder, name), 'a')
  writeSync(file, `${line}\n`)
  fsyncSync(file)
  closeSync(file)
}

if (process.argv[1]?.endsWith('mail-life.js')) await live(process.argv.slice(2))
