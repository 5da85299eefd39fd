/** What was asked, done to its end: also where this node is cut off from the mesh meanwhile, as when a cluster of brokers takes long to choose a leader. */
import type { MeshNode } from '../../../mesh/index.js'
import type { Task } from '../../../mesh/task/task.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Job, type JobResult, runJob } from './job.js'
import { type Asked, hold, letGo, livingSince, takeUp } from './take-up.js'

const timesAtMost = 3

/**
 * `onTask` is called with the task whenever it is taken up, before anything of it is done. What it recorded is not done again, and where another node has taken it
 * over it is left to that one (FENCED): another task would do the same by a budget of its own. Rejects with what `takeUp` and `runJob` reject with.
 */
export async function doAsked(
  node: MeshNode,
  tasks: Tasks,
  asked: Asked,
  job: Job,
  onTask: (task: Task) => void,
): Promise<JobResult> {
  let task = await takeUp(node, tasks, asked, job.progress, job.allowed)
  for (let times = 1; ; times += 1) {
    onTask(task)
    try {
      return await runJob(node, task, job)
    } catch (thrown) {
      const { code, message } = ClawmeshError.from(thrown)
      if (code !== 'UNREACHABLE' || times === timesAtMost || job.signal.aborted) throw thrown
      job.progress(`${message} The task goes on.`)
      task = await goOnWith(node, tasks, task.id)
    }
  }
}

/** The very task, unless it is in other hands by now, or was ended by them. */
async function goOnWith(node: MeshNode, tasks: Tasks, id: string): Promise<Task> {
  if (!(await hold(node, id, livingSince(node)))) throw leftTo(id, 'Another supervisor goes on with')
  try {
    if (await tasks.hasEnded(id)) throw leftTo(id, 'Another supervisor has ended')
    return await tasks.resume(id)
  } catch (error) {
    await letGo(node, id)
    throw error
  }
}

const leftTo = (id: string, who: string): ClawmeshError =>
  new ClawmeshError('FENCED', `${who} task ${id}.`, { hint: `\`clawmesh tasks show ${id}\` says what comes of it.` })
