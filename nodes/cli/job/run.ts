/** `clawmesh run`: hands a request to the mesh that runs here, and to whatever machines have joined it. */

import { resolve } from 'node:path'
import { type MeshNode, supervise } from '../../../mesh/index.js'
import { openTasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { askedOf, runJob, takeUp } from '../../agents/job.js'
import { planRequest } from '../../agents/plan.js'
import { type LiveGround, notRunning, openLiveGround } from '../../authority/live.js'
import { joinAsGuest } from '../../member/guest.js'
import { recallOffer } from '../../member/offer.js'
import { checkWorkspace, listFiles } from '../../workspace.js'
import { answerAtTerminal } from '../approve/inbox.js'
import { type Command, text, type Values } from '../command.js'
import { explain, failureOf } from '../failure.js'
import { dataFolder, dataOption } from '../options.js'
import { stopOnSignal } from '../stop.js'
import { progress } from '../terminal.js'
import { passNotesOn } from './introduce.js'
import { printAnswer } from './report.js'

/** Three make a vote; more are of use where there are more machines. */
const [workersAtLeast, workersAtMost] = [3, 8]
/** How long workers may take to be seen, by one who has just joined. */
const lookMs = 3000

export const run: Command = {
  name: 'run',
  usage: '"REQUEST" [--workspace DIR] [--json]',
  help: 'Has the mesh that runs here do a request, on all machines that joined it. Actions that need a yes are asked for here if this is a terminal, and wherever approvers are (docs/approvals.md).',
  options: {
    workspace: {
      type: 'string',
      value: 'DIR',
      help: "the folder that the request is about, as it is named here (default: that of `clawmesh up`); each sandbox node works on its own folder's files",
    },
    data: dataOption,
    json: { type: 'boolean', help: 'print one JSON object as the last line' },
  },
  takes: 'request',
  run: runRequest,
}

async function runRequest(request: string | undefined, values: Values): Promise<number> {
  if (request === undefined)
    throw new ClawmeshError('USAGE', 'What is to be done?', { hint: 'clawmesh run "how many lines has notes.txt"' })
  const data = dataFolder(values)
  const ground = await openLiveGround(data)
  if (!ground) throw notRunning(data)
  try {
    const named = text(values, 'workspace') ?? recallOffer(data, {}).workspace
    if (named === undefined)
      throw new ClawmeshError('USAGE', 'No workspace is named, and `clawmesh up` offers none.', {
        hint: 'Start it with `clawmesh up --workspace DIR`, or name the folder with --workspace.',
      })
    const workspace = resolve(named)
    checkWorkspace(workspace)
    const files = () => listFiles(workspace)
    planRequest(request, files)
    const stop = stopOnSignal()
    const { node, end } = await joinAsGuest(ground, data, ['supervisor', 'gateway'])
    try {
      const result = await work(node, ground, { request, workspace, files, signal: stop.signal })
      const { error } = result
      const summary = { ok: error === undefined, answer: result.answer, task: result.task }
      if (values['json'])
        process.stdout.write(`${JSON.stringify(error ? { ...summary, error: failureOf(error) } : summary)}\n`)
      else printAnswer(result)
      return error === undefined ? 0 : explain(error)
    } finally {
      await end()
    }
  } finally {
    await ground.close()
  }
}

interface Asked {
  request: string
  workspace: string
  files: () => string[]
  signal: AbortSignal
}

async function work(node: MeshNode, ground: LiveGround, { request, workspace, files, signal }: Asked) {
  const { transport, addresses, authority } = ground
  const places = await workPlaces(node)
  passNotesOn(node, progress)
  const count = Math.min(workersAtMost, Math.max(workersAtLeast, places.length))
  const workers = Array.from({ length: count }, (_, index) => `${node.name}-worker-${index + 1}`)
  progress(`${count} workers on ${places.join(', ')}`)
  const supervisor = await supervise(node, {
    name: `${node.name}-supervisor`,
    children: workers.map((name, index) => ({
      name,
      definition: 'worker',
      prefers: places[index % places.length] ?? '',
    })),
    onRestart: (child, where, reason) => progress(`${child} goes on on ${where}: ${reason}`),
    onGiveUp: (_, error) => progress(error.message),
  })
  try {
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: node.name })
    const task = await takeUp(tasks, askedOf(request, workspace, files), progress)
    const answering = answerAtTerminal(node, task.id)
    try {
      return await runJob(node, task, { request, files, workers, signal, progress })
    } finally {
      answering.end()
    }
  } finally {
    await supervisor.stop().catch(() => undefined)
  }
}

/** Nodes that can act for a worker, those first. */
async function workPlaces(node: MeshNode): Promise<string[]> {
  const able = () => node.nodes().filter(({ roles, draining }) => roles.includes('worker') && !draining)
  await node.directory.wait(() => able()[0], lookMs)
  const acts = able().filter(({ advert }) => advert['sandbox'] === true)
  const places = (acts.length > 0 ? acts : able()).map(({ name }) => name)
  if (places.length > 0) return places
  throw new ClawmeshError('UNREACHABLE', 'No node of the mesh takes work.', {
    hint: 'Start `clawmesh up` with --workspace DIR, or let a machine join that offers one.',
  })
}
