/**
 * Which task a request is: one that was cut off goes on, whatever else was asked before; otherwise a new one begins. A task is done by one supervisor at a time: meanwhile it
 * has a name in the mesh, and the journal itself is fenced.
 */
import { createHash, randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { MeshNode } from '../../../mesh/index.js'
import type { Peer } from '../../../mesh/seal/incarnation.js'
import type { Amounts } from '../../../mesh/task/budget.js'
import type { TaskInfo } from '../../../mesh/task/record.js'
import type { Task } from '../../../mesh/task/task.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { timeOver } from '../../../mesh/task/time.js'
import { failoverMs } from '../../../mesh/transport/transport.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { lastingWorkspaceId, type Workspace } from '../../../sandbox/workspace.js'
import { listed } from './plan.js'

/** What a task of this kind is about, as its journal keeps it. */
export interface Asked {
  request: string
  workspace: string
  /** Hash of what the answer depends on: whose files they are, each one's path, size and time of change, and the policy. */
  basis: string
  /** Whom it is about: the same for another person is another task. */
  subject?: string | undefined
}

/** `workspace`: null where it is about no files. */
export function askedOf(request: string, workspace: Workspace | null, files: () => string[], policy = ''): Asked {
  const hash = createHash('sha256').update(policy)
  const { folder } = workspace ?? { folder: '' }
  if (workspace) hash.update(`\0${lastingWorkspaceId(workspace)}`)
  for (const file of listed(files)) {
    const { size, mtimeMs } = statSync(join(folder, file), { throwIfNoEntry: false }) ?? { size: -1, mtimeMs: 0 }
    hash.update(`\0${file}\0${size}\0${mtimeMs}`)
  }
  return { request, workspace: folder, basis: hash.digest('hex') }
}

const ofAsked = z.object({
  request: z.string(),
  workspace: z.string(),
  basis: z.string(),
  subject: z.string().optional(),
})

/** What a task may use: it begins with that, and goes on with what it began with. */
export interface Allowed {
  budget?: Amounts | undefined
  /** From its beginning to its end, whatever it waits for. */
  ms?: number | undefined
}

/** Whoever has beaten so often since lives. Who died has not, however long this process or the broker stood still meanwhile. */
const beatsOfLiving = 3
/** By then a run that died has lost its names, whatever stood still. */
const forgottenMs = failoverMs

/** Whether a node has lived on since this was called. */
export function livingSince({ directory }: MeshNode): (node: Peer) => boolean {
  const before = directory.beats()
  return ({ id, certificate: { holder } }) => {
    const newest = directory.newestOf(holder)
    return newest?.run === id && newest.beat >= (before.get(id) ?? 0) + beatsOfLiving
  }
}

/**
 * Goes on with what was asked before and cut off; otherwise begins. What was begun on other files or under another policy is not gone on with, and what is
 * being done elsewhere is left alone. `runJob` is to follow, and lets go of it. `allowed` is for one that begins; one that goes on keeps its own, and what may use more than that is
 * not gone on with.
 */
export async function takeUp(
  node: MeshNode,
  tasks: Tasks,
  asked: Asked,
  progress: (text: string) => void,
  { budget, ms }: Allowed = {},
): Promise<Task> {
  const end = ms === undefined ? undefined : Date.now() + ms
  const livesOn = livingSince(node)
  for (const { id, budget: own, until: ends } of (await tasks.list()).filter((info) => isCutOff(info, asked))) {
    if (!isWithin(own?.limit, budget) || (end ?? Number.POSITIVE_INFINITY) < (ends ?? Number.POSITIVE_INFINITY)) {
      progress(`task ${id} was cut off, and may use more than is given now: this is another`)
      continue
    }
    if (!(await hold(node, id, livesOn))) {
      progress(`the same is being done as task ${id} already: this is another`)
      continue
    }
    try {
      const task = await goOn(tasks, id, asked, progress)
      if (task) return task
    } catch (error) {
      await letGo(node, id)
      throw error
    }
    await letGo(node, id)
  }
  const id = randomUUID()
  await hold(node, id)
  return tasks.begin({ ...asked }, id, { budget, until: end })
}

/** What is not limited is more than any amount. */
export const isWithin = (own: Amounts = {}, given: Amounts = {}): boolean =>
  (['tokens', 'money', 'ms'] as const).every(
    (kind) => (own[kind] ?? Number.POSITIVE_INFINITY) <= (given[kind] ?? Number.POSITIVE_INFINITY),
  )

/** Undefined where it is not to be gone on with, or has ended while its name was waited for. */
async function goOn(
  tasks: Tasks,
  id: string,
  asked: Asked,
  progress: (text: string) => void,
): Promise<Task | undefined> {
  const info = (await tasks.list()).find((one) => one.id === id && isCutOff(one, asked))
  if (!info) return undefined
  if (info.until !== undefined && info.until <= Date.now()) {
    const { message } = timeOver(id, info.until)
    progress(`${message} It is begun anew.`)
    await (await tasks.resume(id)).end({ ok: false, answer: message })
    return undefined
  }
  if (ofAsked.parse(info.facts).basis === asked.basis) {
    const done = info.steps.filter((step) => step.state === 'done').length
    progress(`this was asked before and cut off: task ${id} goes on, ${done} of its steps are done`)
    return tasks.resume(id)
  }
  progress(`task ${id} was cut off, and the files or the policy have changed since: it is begun anew`)
  const task = await tasks.resume(id)
  await task.end({ ok: false, answer: 'The files or the policy changed before it could go on.' })
  return undefined
}

function isCutOff({ state, facts }: TaskInfo, asked: Asked): boolean {
  const before = ofAsked.safeParse(facts).data
  const isSame =
    before?.request === asked.request && before.workspace === asked.workspace && before.subject === asked.subject
  return isSame && (state === 'unfinished' || state === 'in doubt')
}

const nameOf = (task: string) => `task/${task}`

/** False if another node that does tasks has it, and `livesOn`; left out: has it now. What others call themselves keeps nobody from a task. */
export async function hold(
  { directory, self }: MeshNode,
  task: string,
  livesOn: (node: Peer) => boolean = () => true,
): Promise<boolean> {
  const isFree = () => {
    const holder = directory.locate(nameOf(task))
    return !holder || holder.id === self.id || !holder.certificate.roles.includes('supervisor') || undefined
  }
  const isHeld = () => {
    const holder = directory.locate(nameOf(task))
    return holder && livesOn(holder) ? false : undefined
  }
  if (!(await directory.wait(() => isFree() ?? isHeld(), forgottenMs))) return false
  try {
    await directory.claim(nameOf(task))
    return true
  } catch (error) {
    if (ClawmeshError.from(error).code !== 'DENIED') throw error
    return isFree() ?? false
  }
}

/** It is done, or somebody else may go on with it. */
export const letGo = ({ directory }: MeshNode, task: string): Promise<void> =>
  directory.release(nameOf(task)).catch(() => undefined)
