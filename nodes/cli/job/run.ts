/** `clawmesh run`: hands a request to the mesh that runs here, and to whatever machines have joined it. */

import { realpathSync } from 'node:fs'
import { openTasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { planRequest } from '../../agents/job/plan.js'
import { doRequest } from '../../agents/job/request.js'
import { notRunning, openLiveGround } from '../../authority/live.js'
import { accountName, dataSubject } from '../../data-subject.js'
import { joinAsGuest } from '../../member/guest.js'
import { recallOffer, workspaceOf } from '../../member/offer.js'
import { checkWorkspace, listFiles } from '../../workspace.js'
import { type Answering, answerAtTerminal } from '../approve/inbox.js'
import { type Command, text, type Values } from '../command.js'
import { explain, failureOf } from '../failure.js'
import { pricesOf } from '../models/prices.js'
import { dataFolder, dataOption, subjectOption } from '../options.js'
import { stopOnSignal } from '../stop.js'
import { progress } from '../terminal.js'
import { allowedOptions, readAllowed } from './allowed.js'
import { passNotesOn } from './introduce.js'
import { printAnswer, summariseParts } from './report.js'

export const run: Command = {
  name: 'run',
  usage: '"REQUEST" [--workspace DIR] [--tokens N] [--cost AMOUNT] [--time TIME] [--json]',
  help: 'Has the mesh that runs here do a request, on all machines that joined it. Actions that need a yes are asked for here if this is a terminal, and wherever approvers are (docs/approvals.md).',
  options: {
    workspace: {
      type: 'string',
      value: 'DIR',
      help: 'the folder that the request is about (default, and the only one where it has one: that of `clawmesh up`)',
    },
    ...allowedOptions,
    data: dataOption,
    subject: subjectOption,
    json: { type: 'boolean', help: 'print one JSON object as the last line' },
  },
  takes: 'request',
  run: runRequest,
}

async function runRequest(request: string | undefined, values: Values): Promise<number> {
  if (request === undefined)
    throw new ClawmeshError('USAGE', 'What is to be done?', {
      hint: 'For example: `clawmesh run "how many lines has notes.txt"`',
    })
  const data = dataFolder(values)
  const ground = await openLiveGround(data)
  if (!ground) throw notRunning(data)
  try {
    const { workspace: offered } = recallOffer(data, {})
    const workspace = workspaceOf(data, text(values, 'workspace'))
    if (!workspace)
      throw new ClawmeshError('USAGE', 'No workspace is named, and `clawmesh up` offers none.', {
        hint: 'Start it with `clawmesh up --workspace DIR`, or name the folder with --workspace.',
      })
    const { folder } = workspace
    checkWorkspace(folder)
    if (offered !== undefined && realpathSync(folder) !== realpathSync(offered))
      throw new ClawmeshError('USAGE', `The mesh works on ${offered}, not on ${folder}.`, {
        hint: 'Leave --workspace out, or start the mesh with that one: `clawmesh up --workspace DIR`.',
      })
    const files = () => listFiles(folder)
    const allowed = readAllowed(values)
    const prices = pricesOf(values)
    planRequest(request, files)
    const stop = stopOnSignal()
    const { node, end } = await joinAsGuest(ground, data, ['supervisor', 'gateway'])
    try {
      const { transport, addresses, authority } = ground
      const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: node.name })
      passNotesOn(node, progress)
      let answering: Answering | undefined
      const subject = dataSubject(node, authority.subjects, text(values, 'subject') ?? accountName())
      const asked = { request, workspace, files, signal: stop.signal, progress, subject, allowed, prices }
      const result = await doRequest(node, tasks, {
        ...asked,
        prefix: node.name,
        onTask: ({ id }) => {
          answering?.end()
          answering = answerAtTerminal(node, id)
        },
      }).finally(() => answering?.end())
      const { error } = result
      const { answer, task } = result
      const summary = { ok: error === undefined, answer, task, parts: summariseParts(result) }
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
