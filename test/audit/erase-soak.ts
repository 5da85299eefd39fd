/** `npm run soak -- erase`: an erasure that is killed at any moment has not begun, or is finished by doing it again; nobody else loses anything. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { openAuthority } from '../../mesh/seal/authority.js'
import { readTrail, strictReader } from '../../nodes/audit/read.js'
import { openLiveSource } from '../../nodes/audit/source.js'
import { dataSubject } from '../../nodes/data-subject.js'
import type { Site } from '../../nodes/site.js'
import { program } from '../kit/command.js'
import { temporaryFolder } from '../kit/mesh.js'
import { seededRandom } from '../kit/random.js'
import { beginSite } from './site.js'

/** How much of its time an erasure removes, from its event on. */
const removesShare = 0.2

export async function soakErase(count: number, seed: number): Promise<boolean> {
  const data = temporaryFolder()
  const random = seededRandom(seed)
  const { site, close } = await beginSite(data)
  const faults: string[] = []
  const cut = { before: 0, inBetween: 0, after: 0 }
  try {
    await begin(site, 'keeper')
    await begin(site, 'first')
    const begun = performance.now()
    if ((await erase(data, 'first')) !== 0) faults.push('an erasure that nobody killed failed')
    const usualMs = performance.now() - begun
    for (let number = 1; number <= count; number += 1) {
      const name = `person-${number}`
      const tasks = [await begin(site, name), await begin(site, name)]
      // Most of its time it starts; every other one is killed as it removes.
      const moment =
        number % 2 === 0
          ? setTimeout(random() * usualMs)
          : intended(data).then(() => setTimeout(random() * usualMs * removesShare))
      await erase(data, name, moment)
      const { readable, known } = await lookAt(site, data, name)
      const state = readable === 2 && known === 2 ? 'before' : readable === 0 && known === 0 ? 'after' : 'inBetween'
      cut[state] += 1
      if (readable === 1) faults.push(`${name}: one of its events can be read, and the other not`)
      if (readable === 0 && known > 0) faults.push(`${name}: its key went before its tasks did`)
      const status = await erase(data, name)
      // 2: it was done.
      if (status !== (state === 'after' && !hasFile(data, name) ? 2 : 0))
        faults.push(`${name}: done again, it ended with ${status}`)
      const left = await lookAt(site, data, name)
      if (left.readable + left.known > 0 || hasFile(data, name))
        faults.push(`${name}: ${JSON.stringify(left)} after it was done again`)
      if ((await site.tasks.list()).some(({ id }) => tasks.includes(id))) faults.push(`${name}: a task is left`)
      if ((await lookAt(site, data, 'keeper')).readable !== 1) faults.push(`${name}: somebody else lost an event`)
    }
  } finally {
    const { verdict } = await close()
    faults.push(...verdict.faults.map(({ place, what }) => `${place}: ${what}`))
    rmSync(data, { recursive: true, force: true })
  }
  for (const fault of faults) process.stdout.write(`${fault}\n`)
  process.stdout.write(
    `${count} erasures killed: ${cut.before} had not begun to remove, ${cut.inBetween} were cut in between, ${cut.after} were done; ${faults.length} faults\n`,
  )
  return faults.length === 0
}

async function begin({ node, tasks, ground }: Site, name: string): Promise<string> {
  const subject = dataSubject(node, ground.authority.subjects, name)
  const task = await tasks.begin({ request: `of ${name}`, subject: name })
  subject.file(task.id)
  await node.audit.intend({ kind: 'task.started', trace: task.id, actor: 'soak', facts: { of: name } })
  return task.id
}

/** Resolves to the status; null if it was killed. */
async function erase(data: string, name: string, killAt?: Promise<unknown>): Promise<number | null> {
  const child = spawn(process.execPath, [program, 'audit', 'erase', name, '--yes', '--data', data], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = once(child, 'exit')
  if (killAt) {
    await Promise.race([ended, killAt])
    child.kill('SIGKILL')
  }
  const [status]: unknown[] = await ended
  return typeof status === 'number' ? status : null
}

/** Resolves when the next erasure stands on the stream. */
async function intended(data: string): Promise<void> {
  const source = await openLiveSource(data)
  if (!source) throw new Error('the mesh does not run')
  const { authority, log } = source
  const stop = new AbortController()
  const strict = strictReader(authority.root.publicKey)
  const after = await log.last()
  for await (const events of readTrail({ log, authority, after: 0, follow: stop.signal, ...strict }))
    if (events.some((event) => event.sequence > after && event.open().kind === 'subject.erased')) break
  stop.abort()
  await source.close()
}

/** How many of a person's events can be read, and how many tasks are known. */
async function lookAt({ tasks }: Site, data: string, name: string): Promise<{ readable: number; known: number }> {
  const source = await openLiveSource(data)
  if (!source) throw new Error('the mesh does not run')
  const { authority, log } = source
  let readable = 0
  for await (const events of readTrail({ log, authority, after: 0, ...strictReader(authority.root.publicKey) }))
    readable += events.filter((event) => event.open().facts['of'] === name).length
  await source.close()
  const known = (await tasks.list()).filter(({ facts }) => Object(facts).subject === name).length
  return { readable, known }
}

const hasFile = (data: string, name: string) =>
  openAuthority(join(data, 'authority'), Date.now()).subjects.idsOf(name).length > 0
