/** A request to a mesh that runs: workers on the machines that can act, a task that is taken up or begun, and the job until its end. */
import { isHost, type MeshNode, supervise } from '../../../mesh/index.js'
import type { Task } from '../../../mesh/task/task.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Prices } from '../../../policies/prices.js'
import { type Workspace, workspaceId } from '../../../sandbox/workspace.js'
import type { DataSubject } from '../../data-subject.js'
import { noSandbox, sandboxesOf } from '../act.js'
import { spread } from '../spread.js'
import type { JobResult } from './job.js'
import { doAsked } from './persist.js'
import { type Allowed, askedOf } from './take-up.js'

export interface Requested {
  request: string
  workspace: Workspace
  files: () => string[]
  signal: AbortSignal
  progress: (text: string) => void
  /** Of the names of its actors: nobody else in the mesh may have them. */
  prefix: string
  /** Whom it is about; left out: nobody. */
  subject?: DataSubject | undefined
  /** What its task may use, if it begins. */
  allowed?: Allowed | undefined
  /** By which a budget of money is held; see `Job`. */
  prices?: Prices | undefined
  /** Called when it stands in the journal, before anything of it is done; again where it goes on after this node was cut off. */
  onTask?: (task: Task) => void
}

/** Three make a vote; more are of use where there are more machines. */
const [workersAtLeast, workersAtMost] = [3, 8]
/** How long workers may take to be seen, by one who has just joined. */
const lookMs = 3000

/** Rejects with UNREACHABLE if no node takes work, or none has the files that it is about, and with what `doAsked` rejects with. */
export async function doRequest(node: MeshNode, tasks: Tasks, requested: Requested): Promise<JobResult> {
  const { request, workspace, files, signal, progress, prefix, subject, allowed, prices, onTask } = requested
  const about = workspaceId(workspace)
  await waitForFiles(node, workspace, about)
  const places = await workPlaces(node, 'worker')
  const asked = { ...askedOf(request, workspace, files), subject: subject?.name }
  const count = Math.min(workersAtMost, Math.max(workersAtLeast, places.length))
  const workers = Array.from({ length: count }, (_, index) => `${prefix}-worker-${index + 1}`)
  progress(`${count} workers on ${places.join(', ')}`)
  const supervisor = await supervise(node, {
    name: `${prefix}-supervisor`,
    children: spread(
      workers.map((name) => ({ name, definition: 'worker' })),
      places,
    ),
    onRestart: (child, where, reason) => progress(`${child} goes on on ${where}: ${reason}`),
    onGiveUp: (_, error) => progress(error.message),
  })
  try {
    const job = { request, workspace: about, files, workers, signal, progress, allowed, prices }
    return await doAsked(node, tasks, asked, job, (task) => {
      subject?.file(task.id)
      onTask?.(task)
    })
  } finally {
    await supervisor.stop().catch(() => undefined)
  }
}

/** Nodes that actors of this definition can be put on, whether or not they can act: a program that has the role may host others, or none. Rejects with UNREACHABLE if there are none. */
export async function workPlaces(node: MeshNode, definition: string): Promise<string[]> {
  const able = () =>
    node.nodes().filter((each) => each.roles.includes('worker') && !each.draining && isHost(each, definition))
  await node.directory.wait(() => able()[0], lookMs)
  const places = able().map(({ name }) => name)
  if (places.length > 0) return places
  throw new ClawmeshError('UNREACHABLE', 'No node of the mesh takes work.', {
    hint: 'Start `clawmesh up` with --workspace DIR, or let a machine join that offers one.',
  })
}

/** A part that only finds out on its way that nobody has its files would be tried again for long. */
async function waitForFiles(node: MeshNode, { folder }: Workspace, about: string): Promise<void> {
  const having = () => sandboxesOf(node).find(({ advert }) => advert['workspace'] === about)
  if (await node.directory.wait(having, lookMs)) return
  const drained = node.nodes().filter(({ advert, draining }) => draining && advert['workspace'] === about)
  if (drained.length > 0) {
    const names = drained.map(({ name }) => name).join(', ')
    throw new ClawmeshError('UNREACHABLE', `The files of ${folder} are on ${names}, which takes no work now.`, {
      hint: `It is being drained: \`clawmesh nodes undrain ${drained[0]?.name}\` has it take work again.`,
    })
  }
  const others = sandboxesOf(node).map(({ name }) => name)
  if (others.length === 0) throw noSandbox()
  throw new ClawmeshError('UNREACHABLE', `No node that can act has ${folder} as its workspace.`, {
    hint: `Those that can act have other files: ${others.join(', ')}. A folder that several machines have is named on each of them: --shared NAME.`,
  })
}
