/** A research as a task: the same that was cut off goes on, by what its journal has of plan, sources and answer; its time and its budget are held, and it is ended. */
import type { MeshNode } from '../../../mesh/index.js'
import type { Task } from '../../../mesh/task/task.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Workspace } from '../../../sandbox/workspace.js'
import { cutsOff, wasWithdrawn } from '../job/job.js'
import { type Allowed, type Asked, askedOf, letGo, takeUp } from '../job/take-up.js'
import type { ResearchResult } from './research.js'

export interface KeptResearch {
  allowed?: Allowed | undefined
  signal: AbortSignal
  progress: (text: string) => void
}

/** `files`: relative to the folder of `workspace`; null: there are none. The same words that are asked as a request are another task. */
export const researchOf = (
  question: string,
  { workspace, files, urls }: { workspace: Workspace | null; files: readonly string[]; urls: readonly string[] },
  subject: string,
): Asked => ({ ...askedOf(`research: ${question}`, workspace, () => [...files], JSON.stringify(urls)), subject })

/** Rejects with what `takeUp` and `work` reject with, and with BUDGET_SPENT when its time is over. */
export async function keepResearch(
  node: MeshNode,
  tasks: Tasks,
  asked: Asked,
  { allowed, signal, progress }: KeptResearch,
  work: (task: Task, signal: AbortSignal) => Promise<ResearchResult>,
): Promise<ResearchResult> {
  const task = await takeUp(node, tasks, asked, progress, allowed)
  try {
    const result = await task.inTime(signal, (until) => work(task, until))
    await task.end({ ok: true, answer: result.answer })
    return result
  } catch (thrown) {
    const { code, message, retry } = ClawmeshError.from(thrown)
    if (wasWithdrawn(signal) || !(retry || cutsOff.has(code)))
      await task.end({ ok: false, answer: message }).catch(() => undefined)
    throw thrown
  } finally {
    await letGo(node, task.id)
  }
}
