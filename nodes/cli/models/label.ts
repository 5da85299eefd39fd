/** `clawmesh label …`: how sensitive a file or a task is, and the word of a person that brings down what the rules say of the one, or what the other has seen. */
import { existsSync, readFileSync } from 'node:fs'
import type { SigningKey } from '../../../mesh/seal/keys.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { sensitivityOfFile } from '../../../policies/router.js'
import { type Category, categories, type Label, labels, type Sensitivity } from '../../../policies/router-label.js'
import { lowerFile, spelled } from '../../../policies/router-lowering.js'
import { joinSensitivity } from '../../../router/label.js'
import { labelKept, lowerRun, type WordOfPerson } from '../../agents/agent/label.js'
import { notRunning, openLiveGround } from '../../authority/live.js'
import { dataPaths } from '../../data-folder.js'
import { changeRulesOfMesh, rulesOfMesh } from '../../router-rules.js'
import { personHere } from '../approve/inbox.js'
import { asPerson } from '../approve/person.js'
import { type Command, type Option, text, type Values } from '../command.js'
import { only } from '../job/tasks.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'
import { progress } from '../terminal.js'

const task: Option = { type: 'string', value: 'ID', help: 'a task whose run is kept, instead of a file' }
const shared: Record<'data' | 'json', Option> = { data: dataOption, json: jsonOption }

export const labelShow: Command = {
  name: 'label show',
  usage: 'FILE | --task ID [--data DIR] [--json]',
  help: 'Says how sensitive a file of the workspace is: by its path, as the router rules have it, and by what is found in it. Run it in the workspace. Or what the run of a task has seen.',
  options: { task, ...shared },
  takes: 'a path in the workspace',
  run: async (path, values) => {
    if (taskOf(path, values) !== undefined) return showTask(values)
    const { rules } = rulesOfMesh(dataFolder(values))
    const byPath = sensitivityOfFile(rules, required(path))
    const [{ classify }, { settingsOf }] = await Promise.all([
      import('../../../router/classify.js'),
      import('../../../router/settings.js'),
    ])
    const byContent = existsSync(required(path)) ? classify(read(required(path)), settingsOf(rules)) : undefined
    const whole = joinSensitivity([byPath, byContent].filter((each) => each !== undefined))
    const found = byContent && { label: byContent.label, categories: byContent.categories }
    if (values['json']) print({ ok: true, path, ...whole, byPath: byPath ?? null, byContent: found ?? null })
    else
      process.stdout.write(
        [
          `Label    ${spelled(whole)}`,
          `Path     ${byPath ? spelled(byPath) : 'the rules say nothing of it'}`,
          `Content  ${found ? spelled(found) : 'it is not here to be read'}`,
          '',
        ].join('\n'),
      )
    return 0
  },
}

export const labelLower: Command = {
  name: 'label lower',
  usage: 'FILE | --task ID --to LABEL --reason TEXT [--keep CATEGORIES] [--by NAME] [--data DIR]',
  help: 'Brings down what the router rules say of a file or folder, from the next start of the mesh on, or what the run of a task has seen, at once. In your name and on record, where the mesh runs.',
  options: {
    task,
    to: { type: 'string', value: labels.join('|'), help: 'what it is from now on' },
    reason: { type: 'string', value: 'TEXT', help: 'why, for the record' },
    keep: { type: 'string', value: 'LIST', help: 'categories that it is still of (default: none)' },
    by: { type: 'string', value: 'NAME', help: 'who answers for it (default: your name on this machine)' },
    ...shared,
  },
  takes: 'a path in the workspace',
  run: async (given, values) => {
    const wantedTask = taskOf(given, values)
    const path = wantedTask === undefined ? required(given) : ''
    const to: Sensitivity = { label: wanted(values), categories: kept(values) }
    const reason = text(values, 'reason')?.trim() ?? ''
    const person = text(values, 'by')?.trim() ?? personHere()
    if (reason === '' || person === '') {
      throw new ClawmeshError('USAGE', 'A label is lowered by a person, for a reason, and one of them is missing.', {
        hint: labelLower.usage,
      })
    }
    const data = dataFolder(values)
    // Whoever holds the mesh's own keys may change its rules; an approver elsewhere, or an agent, may not.
    if (!existsSync(dataPaths(data).authority)) {
      throw new ClawmeshError('DENIED', `There is no mesh in ${data}, and only who holds its keys lowers a label.`, {
        hint: 'Type it where the mesh was made, or name its data folder with --data.',
      })
    }
    if (wantedTask !== undefined) return lowerTask(values, wantedTask, { to, person, reason })
    const { from } = await changeRulesOfMesh(data, async (written) => {
      const lowered = lowerFile(written, path, to, `${person}: ${reason}`)
      const facts = { path, from: spelled(lowered.from), to: spelled(to), reason }
      await asPerson(values, (node) => node.audit.intend({ kind: 'label.lowered', trace: '', actor: person, facts }))
      return lowered
    })
    if (values['json']) print({ ok: true, path, from, to, by: person })
    else progress(`${path} is ${spelled(to)} from the next start of the mesh on; it was ${spelled(from)}.`)
    return 0
  },
}

/** Undefined where a file is meant. */
function taskOf(path: string | undefined, values: Values): string | undefined {
  const id = text(values, 'task')
  if (id !== undefined && path !== undefined)
    throw new ClawmeshError('USAGE', 'Which of the two, the file or the task?', { hint: 'Name one of them.' })
  return id
}

async function showTask(values: Values): Promise<number> {
  return withKeys(values, async (tasks, root) => {
    const { id } = only(await tasks.list(), text(values, 'task') ?? '')
    const { now, refused } = labelKept(await tasks.read(id), root.publicKey)
    if (values['json']) print({ ok: true, task: id, ...now?.seen, after: now?.after ?? null, refused })
    else {
      process.stdout.write(`Label    ${now ? spelled(now.seen) : 'its journal keeps none'}\n`)
      if (now) process.stdout.write(`After    ${printable(now.after)}\n`)
      for (const { step, why } of refused) process.stdout.write(`Refused  ${printable(`${step}: ${why}`)}\n`)
    }
    return 0
  })
}

async function lowerTask(values: Values, given: string, word: WordOfPerson): Promise<number> {
  return withKeys(values, async (tasks, root) => {
    const { id } = only(await tasks.list(), given)
    const from = await asPerson(values, (node) => lowerRun(node.audit, tasks, root, id, word))
    const { to, person } = word
    if (values['json']) print({ ok: true, task: id, from, to, by: person })
    else
      progress(
        `Task ${id} is ${spelled(to)} from now on; it was ${spelled(from)}. Give it again under its id, and it goes on.`,
      )
    return 0
  })
}

/** The tasks of the mesh that runs here, and the key that nobody else holds. */
async function withKeys<T>(values: Values, use: (tasks: Tasks, root: SigningKey) => Promise<T>): Promise<T> {
  const data = dataFolder(values)
  const ground = await openLiveGround(data)
  if (!ground) throw notRunning(data)
  try {
    const { transport, addresses, authority } = ground
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: personHere() })
    return await use(tasks, authority.root)
  } finally {
    await ground.close()
  }
}

function wanted(values: Values): Label {
  const label = labels.find((each) => each === text(values, 'to'))
  if (label) return label
  throw new ClawmeshError('USAGE', '--to is not said, or is no label.', { hint: `Labels: ${labels.join(', ')}.` })
}

function kept(values: Values): Category[] {
  const named = (text(values, 'keep') ?? '').split(',').filter((each) => each !== '')
  const stray = named.find((each) => !categories.includes(each as Category))
  if (stray !== undefined)
    throw new ClawmeshError('USAGE', `${stray} is no category.`, { hint: `There are ${categories.join(', ')}.` })
  return categories.filter((category) => named.includes(category))
}

function required(path: string | undefined): string {
  if (path !== undefined) return path
  throw new ClawmeshError('USAGE', 'Which file?', { hint: 'Give its path in the workspace.' })
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ClawmeshError('USAGE', `${path} cannot be read: ${(cause as Error).message}.`, {
      hint: 'Give the path of a text file.',
      cause,
    })
  }
}

const print = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`)
