/** `clawmesh approve …`: the questions of a mesh, and a person's answers to them, from any machine of it. */
import type { MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { approvalsName, DecideApproval, ListApprovals, RevokeGrant } from '../../approvals/messages.js'
import type { Decision, View } from '../../approvals/question.js'
import { type Command, text, type Values } from '../command.js'
import { jsonOption } from '../options.js'
import { printable } from '../printable.js'
import { stopWhenUnread } from '../stop.js'
import { isTerminal, progress } from '../terminal.js'
import { answerAtTerminal, followQuestions, personHere } from './inbox.js'
import { asPerson, personOptions } from './person.js'
import { allowing } from './reach.js'
import { detail, grantLine, line, verdictLine } from './words.js'

const options: Command['options'] = { ...personOptions, json: jsonOption }

export const approveFollow: Command = {
  name: 'approve follow',
  usage: '[--join INVITATION] [--json]',
  help: 'Shows held actions as they come, and asks about each at a terminal, until Ctrl-C. Elsewhere it prints each question and answer as a line.',
  options: { ...options, json: { type: 'boolean', help: 'one JSON object a line, and nothing is asked' } },
  run: (_, values) => {
    const signal = stopWhenUnread()
    return asPerson(values, async (node) => {
      progress('following held actions; Ctrl-C ends it')
      const isJson = values['json'] === true
      const answering = isTerminal && !isJson ? answerAtTerminal(node) : undefined
      if (answering) await ended(signal)
      else await followQuestions(node, undefined, signal, (view) => say(isJson ? JSON.stringify(view) : line(view)))
      answering?.end()
      return 0
    })
  },
}

export const approveList: Command = {
  name: 'approve list',
  usage: '[--all] [--json]',
  help: 'Lists the held actions that wait for a person, and the answers that stand.',
  options: { ...options, all: { type: 'boolean', help: 'also those that were answered' } },
  run: (_, values) =>
    asPerson(values, async (node) => {
      const state = values['all'] === true ? 'all' : 'open'
      const listed = await node.ref(approvalsName).ask(ListApprovals, { state })
      const { questions, grants } = listed
      const words = [...questions.map(line), ...grants.map(grantLine)].join('\n') || 'Nothing is held.'
      say(values['json'] ? JSON.stringify({ ok: true, ...listed }) : words)
      return 0
    }),
}

export const approveShow: Command = {
  name: 'approve show',
  usage: 'ID [--json]',
  help: 'Shows one held action: by whom, the exact arguments, what a yes adds to the policy.',
  options,
  takes: 'id of a question',
  run: (id, values) =>
    asPerson(values, async (node) => {
      const view = await find(node, id)
      say(values['json'] ? JSON.stringify({ ok: true, question: view }) : detail(view))
      return 0
    }),
}

export const approveAllow: Command = {
  name: 'approve allow',
  usage: 'ID [--for session|15m|3x]',
  help: 'Allows a held action: this once, or also what else its task asks for of the kind, what comes of the kind within a time, or so many of the kind.',
  options: {
    ...options,
    for: { type: 'string', value: 'session|TIME|NUMBERx', help: 'how far the yes reaches (default: this once)' },
  },
  takes: 'id of a question',
  run: (id, values) => decide(id, values, allowing(text(values, 'for'))),
}

export const approveRefuse: Command = {
  name: 'approve refuse',
  usage: 'ID [--for session]',
  help: 'Refuses a held action, or all that its task asks for.',
  options: { ...options, for: { type: 'string', value: 'session', help: 'all that the task asks for from now on' } },
  takes: 'id of a question',
  run: (id, values) => {
    const reach = text(values, 'for')
    if (reach !== undefined && reach !== 'session')
      throw new ClawmeshError('USAGE', `A refusal is not for "${reach}".`, {
        hint: 'Give --for session, or leave it out.',
      })
    return decide(id, values, { answer: 'refuse', reach: reach ?? 'once' })
  },
}

export const approveRevoke: Command = {
  name: 'approve revoke',
  usage: 'ID',
  help: 'Ends an answer that stands: what comes is asked again.',
  options,
  takes: 'id of the question that it answered',
  run: (given, values) =>
    asPerson(values, async (node) => {
      const { questions, grants } = await node.ref(approvalsName).ask(ListApprovals, { state: 'all' })
      const isNamed = ({ id }: { id: string }) => given !== undefined && id.startsWith(given)
      if (!grants.some(isNamed) && questions.some(isNamed)) throw standsNoMore(only(questions, given))
      const { id } = only(grants, given)
      await node.ref(approvalsName).ask(RevokeGrant, { id, by: personHere() })
      say(values['json'] ? JSON.stringify({ ok: true, id }) : 'It stands no more.')
      return 0
    }),
}

function decide(given: string | undefined, values: Values, decision: Decision): Promise<number> {
  return asPerson(values, async (node) => {
    const { id } = await find(node, given)
    const view = await node.ref(approvalsName).ask(DecideApproval, { id, decision, by: personHere() })
    // What belongs to no task has no session.
    const isForOnce = decision.reach === 'session' && view.verdict?.reach === 'once'
    const word = isForOnce ? `${verdictLine(view)}, for this once: it belongs to no task` : verdictLine(view)
    say(values['json'] ? JSON.stringify({ ok: true, question: view }) : word)
    return 0
  })
}

/** Of a question that no answer which stands is one to. */
function standsNoMore({ id, verdict }: View): ClawmeshError {
  if (!verdict)
    return new ClawmeshError('NOT_FOUND', `${id} is not answered yet: no answer stands by it.`, {
      hint: `\`clawmesh approve refuse ${id}\` refuses it.`,
    })
  const why =
    verdict.reach === 'once'
      ? 'it was for that one action alone'
      : verdict.reach === 'session'
        ? 'its task or its time has ended, it was revoked, or the mesh was started anew since'
        : 'its time or its uses are over, it was revoked, or the mesh was started anew since'
  return new ClawmeshError('NOT_FOUND', `No answer stands by ${id} any more: ${why}.`, {
    hint: 'There is nothing to end: what comes of the kind is asked again.',
  })
}

async function find(node: MeshNode, id: string | undefined): Promise<View> {
  const { questions } = await node.ref(approvalsName).ask(ListApprovals, { state: 'all' })
  return only(questions, id)
}

function only<T extends { id: string }>(all: T[], id: string | undefined): T {
  const hint = '`clawmesh approve list` has their ids.'
  if (id === undefined) throw new ClawmeshError('USAGE', 'Which one?', { hint })
  const [found, another] = all.filter((one) => one.id.startsWith(id))
  if (found && !another) return found
  throw new ClawmeshError('NOT_FOUND', `${another ? 'More than one begins' : 'None begins'} with "${id}".`, { hint })
}

const ended = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

function say(text: string): void {
  process.stdout.write(`${printable(text)}\n`)
}
