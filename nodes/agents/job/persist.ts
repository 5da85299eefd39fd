/** What was asked, done to its end: also where this node is cut off from the mesh meanwhile, as when a cluster of brokers takes long to choose a leader. */
import type { MeshNode } from '../../../mesh/index.js'
import type { Task } from '../../../mesh/task/task.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Job, type JobResult, runJob } from './job.js'
import { type Asked, takeUp } from './take-up.js'

const timesAtMost = 3

/**
 * `onTask` is called with the task whenever it is taken up, before anything of it is done. What it recorded is not done again, and where another node has taken it
 * over it is left to that one. Rejects with what `takeUp` and `runJob` reject with.
 */
export async function doAsked(
  node: MeshNode,
  tasks: Tasks,
  asked: Asked,
  job: Job,
  onTask: (task: Task) => void,
): Promise<JobResult> {
  for (let times = 1; ; times += 1) {
    const task = await takeUp(node, tasks, asked, job.progress, job.allowed)
    onTask(task)
    try {
      return await runJob(node, task, job)
    } catch (thrown) {
      const { code, message } = ClawmeshError.from(thrown)
      if (code !== 'UNREACHABLE' || times === timesAtMost || job.signal.aborted) throw thrown
      job.progress(`${message} The task goes on.`)
    }
  }
}
