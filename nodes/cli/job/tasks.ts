/** `clawmesh tasks …`: what was asked, how far it came, and the word of a person where nobody else can know. */

import { resolve } from 'node:path'
import type { TaskInfo } from '../../../mesh/task/record.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { answerInterruption, interruptions, isQuestion } from '../../agents/agent/journal.js'
import { notRunning, openLiveGround } from '../../authority/live.js'
import { readConfig } from '../../config.js'
import { personHere } from '../approve/inbox.js'
import { asPerson } from '../approve/person.js'
import { type Command, text, type Values } from '../command.js'
import { readDuration } from '../duration.js'
import { onGround } from '../on-ground.js'
import { dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'

const person = 'a person at the command line'

const common: Command['options'] = {
  data: dataOption,
  json: jsonOption,
}

export const tasksList: Command = {
  name: 'tasks list',
  usage: '[--json]',
  help: 'Lists the tasks of a mesh that runs here, or that does not: when each began, how far it came, how it ended.',
  options: common,
  run: (_, values) =>
    withTasks(values, async (tasks) => {
      const all = await tasks.list()
      print(values, { tasks: all }, all.map(line).join('\n') || 'There are no tasks.')
    }),
}

export const tasksShow: Command = {
  name: 'tasks show',
  usage: 'ID [--json]',
  help: 'Shows one task: what was asked, each step and its state, the outcome, and of its budget what is spent, set aside and left.',
  options: common,
  takes: 'id of a task',
  run: (id, values) =>
    withTasks(values, async (tasks) => {
      const task = await find(tasks, id)
      const waiting = task.state === 'damaged' ? [] : await interruptions(tasks, task.id)
      const steps = task.steps.map(({ name, state }) => {
        const asks = waiting.find(({ question }) => question === name)
        return asks ? `  waits     ${name} ${JSON.stringify(asks.call.arguments)}` : `  ${state.padEnd(8)}  ${name}`
      })
      const outcome = task.outcome === undefined ? [] : [`  outcome: ${JSON.stringify(task.outcome)}`]
      print(
        values,
        { task, waiting },
        [line(task), `  asked: ${JSON.stringify(task.facts)}`, ...budgetLines(task), ...steps, ...outcome].join('\n'),
      )
    }),
}

export const tasksSettle: Command = {
  name: 'tasks settle',
  usage: 'ID --step NAME --as done|again [--result JSON]',
  help: 'Says what became of a step in doubt, after you have looked: it was done, with this result, or it is to be done again.',
  options: {
    ...common,
    step: { type: 'string', value: 'NAME', help: 'the step in doubt' },
    as: { type: 'string', value: 'done|again', help: 'what became of it' },
    result: { type: 'string', value: 'JSON', help: 'what it would have given (default: null)' },
  },
  takes: 'id of a task',
  run: (id, values) =>
    withTasks(values, async (tasks) => {
      const { id: found } = await find(tasks, id)
      const step = text(values, 'step')
      const verdict = readVerdict(values)
      if (step === undefined)
        throw new ClawmeshError('USAGE', '--step is missing.', { hint: 'tasks show ID names them.' })
      if (isQuestion(step) && verdict !== 'again')
        throw new ClawmeshError('USAGE', `"${step}" is a question of a run, and answered in somebody's name.`, {
          hint: `\`clawmesh tasks answer ${found} --as allow|refuse --question "${step}"\``,
        })
      const task = await tasks.resume(found)
      await task.settle(step, verdict, person)
      print(
        values,
        { id: found },
        `Step "${step}" of task ${found} is settled. Ask for the same again, and the task goes on.`,
      )
    }),
}

export const tasksAnswer: Command = {
  name: 'tasks answer',
  usage: 'ID --as allow|refuse [--question NAME] [--by NAME]',
  help: 'Answers what the run of an agent waits for: whether it may make a call. In any order where it asks several, whether it is under way or not. In your name and on record, where the mesh runs.',
  options: {
    ...common,
    as: { type: 'string', value: 'allow|refuse', help: 'the answer' },
    question: { type: 'string', value: 'NAME', help: 'which one, where it waits for several: tasks show names them' },
    by: { type: 'string', value: 'NAME', help: 'who answers (default: your name on this machine)' },
  },
  takes: 'id of a task',
  run: async (id, values) => {
    const answer = text(values, 'as')
    if (answer !== 'allow' && answer !== 'refuse')
      throw new ClawmeshError('USAGE', '--as must be allow or refuse.', { hint: tasksAnswer.usage })
    const by = text(values, 'by')?.trim() ?? personHere()
    const path = resolve(text(values, 'data') ?? readConfig().data)
    const ground = await openLiveGround(path)
    if (!ground) throw notRunning(path)
    try {
      const { transport, addresses, authority } = ground
      const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by })
      const { id: found } = await find(tasks, id)
      const question = text(values, 'question')
      await asPerson(values, (node) => answerInterruption(node, tasks, { id: found, question, answer, by }))
      const left = (await interruptions(tasks, found)).length
      const then = left === 0 ? 'Give the task again under its id, and it goes on.' : `It waits for ${left} more.`
      print(values, { id: found, left }, `Answered. ${then}`)
      return 0
    } finally {
      await ground.close()
    }
  },
}

export const tasksCancel: Command = {
  name: 'tasks cancel',
  usage: 'ID',
  help: 'Ends a task that was cut off or is under way: it does not go on, and whoever does it now records nothing more.',
  options: common,
  takes: 'id of a task',
  run: (id, values) =>
    withTasks(values, async (tasks) => {
      const { id: found } = await find(tasks, id)
      const task = await tasks.resume(found)
      await task.end({ ok: false, answer: `cancelled by ${person}` })
      print(values, { id: found }, `Task ${found} is cancelled.`)
    }),
}

export const tasksForget: Command = {
  name: 'tasks forget',
  usage: 'ID | --before AGE',
  help: 'Removes a task that has ended, or all that began longer ago than that and have ended. What they did stays on the audit trail.',
  options: { ...common, before: { type: 'string', value: 'AGE', help: 'for example 30d' } },
  takes: 'id of a task',
  run: (id, values) =>
    withTasks(values, async (tasks) => {
      const before = text(values, 'before')
      if ((id === undefined) === (before === undefined))
        throw new ClawmeshError('USAGE', 'Say which task, or --before when.', { hint: tasksForget.usage })
      const forgotten = before === undefined ? [await find(tasks, id)] : await endedBefore(tasks, before)
      for (const task of forgotten) await tasks.forget(task.id)
      const said = forgotten.length === 1 ? `Task ${forgotten[0]?.id} is` : `${forgotten.length} tasks are`
      print(values, { ids: forgotten.map((task) => task.id) }, `${said} forgotten.`)
    }),
}

async function endedBefore(tasks: Tasks, age: string): Promise<TaskInfo[]> {
  const limit = Date.now() - readDuration(age, 'before')
  return (await tasks.list()).filter(({ state, begunAt }) => state === 'ended' && begunAt < limit)
}

const withTasks = (values: Values, use: (tasks: Tasks) => Promise<void>): Promise<number> =>
  onGround(values, async ({ transport, addresses, authority }) =>
    use(await openTasks({ transport, addresses, key: authority.tasksKey, by: person })),
  )

const find = async (tasks: Tasks, id: string | undefined): Promise<TaskInfo> => only(await tasks.list(), id)

/** The task whose id begins so. */
export function only(tasks: readonly TaskInfo[], id: string | undefined): TaskInfo {
  if (id === undefined)
    throw new ClawmeshError('USAGE', 'Which task?', { hint: '`clawmesh tasks list` has their ids.' })
  const found = tasks.filter((task) => task.id.startsWith(id))
  const [first, another] = found
  if (first && !another) return first
  throw new ClawmeshError('USAGE', `${another ? 'More than one task begins' : 'No task begins'} with "${id}".`, {
    hint: '`clawmesh tasks list` has their ids.',
  })
}

function readVerdict(values: Values): { done: unknown } | 'again' {
  const said = text(values, 'as')
  if (said === 'again') return 'again'
  if (said !== 'done')
    throw new ClawmeshError('USAGE', '--as must be done or again.', {
      hint: 'Look at what the step should have done first.',
    })
  try {
    return { done: JSON.parse(text(values, 'result') ?? 'null') as unknown }
  } catch (cause) {
    throw new ClawmeshError('USAGE', '--result is no JSON.', { hint: 'For example: --result \'"sent"\'', cause })
  }
}

const line = ({ id, begunAt, state, steps, facts, outcome }: TaskInfo): string => {
  const done = steps.filter((step) => step.state === 'done').length
  return `${id}  ${new Date(begunAt).toISOString()}  ${endOf(state, outcome).padEnd(10)}  ${done} of ${steps.length} steps done  ${requestOf(facts)}`
}

/** A line for what is limited. */
export function budgetLines({ budget, until }: Pick<TaskInfo, 'budget' | 'until'>): string[] {
  const ends = until === undefined ? [] : [`  time      until ${new Date(until).toISOString()}`]
  if (!budget) return ends
  const { limit, spent, reserved, left } = budget
  const of = (what: 'tokens' | 'money' | 'ms', words: (amount: number) => string): string[] => {
    if (limit[what] === undefined) return []
    const [used, aside, rest] = [spent, reserved, left].map((amounts) => words(amounts[what] ?? 0))
    return [`  budget    ${words(limit[what])}: ${used} spent, ${aside} set aside, ${rest} left`]
  }
  return [
    ...of('tokens', (amount) => `${amount} tokens`),
    ...of('money', (amount) => `${amount.toFixed(4)} of the price table's currency`),
    ...of('ms', (amount) => `${(amount / 1000).toFixed(1)} s`),
    ...ends,
  ]
}

/** As people say it: whether it ended well. */
const endOf = (state: TaskInfo['state'], outcome: unknown): string => {
  if (state !== 'ended' || typeof outcome !== 'object' || outcome === null || !('ok' in outcome)) return state
  return outcome.ok === true ? 'done' : 'failed'
}

const requestOf = (facts: unknown): string =>
  typeof facts === 'object' && facts !== null && 'request' in facts ? String(facts.request).slice(0, 60) : ''

function print(values: Values, object: object, words: string): void {
  process.stdout.write(values['json'] ? `${JSON.stringify({ ok: true, ...object })}\n` : `${printable(words)}\n`)
}
