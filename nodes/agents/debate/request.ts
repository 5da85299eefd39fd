/** A debate that a person asks a mesh for: debaters on its machines, thinking with its models, and the debate until its end. The same that was cut off before goes on. */
import { randomUUID } from 'node:crypto'
import type { ModelInfo } from '../../../inference/backend.js'
import { DescribeModel, inferenceName } from '../../../inference/service.js'
import { type MeshNode, supervise } from '../../../mesh/index.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { timeOver } from '../../../mesh/task/time.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Prices } from '../../../policies/prices.js'
import type { DataSubject } from '../../data-subject.js'
import { wasWithdrawn } from '../job/job.js'
import { type Allowed, hold, isWithin, letGo, livingSince } from '../job/take-up.js'
import { candidates } from '../model/candidate.js'
import { readPrices } from '../model/costs.js'
import { priced } from '../model/price.js'
import { spread } from '../spread.js'
import { type DebateResult, debate } from './debate.js'
import type { DebaterArgs } from './debater.js'
import { cutOffDebates } from './kept.js'
import { type DebateSpec, debateRules } from './rules.js'

export interface RequestedDebate {
  /** All but who takes part. */
  rules: Omit<DebateSpec, 'voters' | 'judge'>
  agents: number
  /** Nodes that debaters are put on, in turn. */
  places: readonly string[]
  /** Money, and time; tokens are a rule. */
  allowed?: Allowed | undefined
  prices?: Prices | undefined
  subject: DataSubject
  signal: AbortSignal
  progress: (text: string) => void
}

/** Rejects with UNREACHABLE where no model is served, MODEL_UNSUITED where none can do what is asked, and with what `debate` rejects with. */
export async function doDebate(node: MeshNode, tasks: Tasks, requested: RequestedDebate): Promise<DebateResult> {
  const { subject, signal, progress, allowed, prices } = requested
  // Where no model has a price, nobody is asked at all.
  if (allowed?.budget?.money !== undefined) priced(prices ?? readPrices(), candidates(node))
  const minds = await mindsOf(node, requested)
  const specOf = (id: string): DebateSpec => ({
    ...requested.rules,
    voters: Array.from({ length: requested.agents }, (_, index) => ({
      name: `${prefixOf(id)}voter-${index + 1}`,
      model: minds[index % minds.length]?.model,
    })),
    ...(requested.rules.vote === 'judge' ? { judge: `${prefixOf(id)}judge` } : {}),
  })
  const id = await takeUp(node, tasks, (known) => debateRules(specOf(known)), requested)
  const spec = specOf(id)
  const seats = [...spec.voters.map(({ name }) => name), ...(spec.judge === undefined ? [] : [spec.judge])]
  const children = seats.map((name, index) => ({
    name,
    definition: 'debater',
    args: { ...minds[index % minds.length], phrasing: index } satisfies DebaterArgs,
  }))
  const short = (name: string) => name.slice(prefixOf(id).length)
  try {
    subject.file(id)
    const supervisor = await supervise(node, {
      name: `${prefixOf(id)}supervisor`,
      children: spread(children, requested.places),
      onRestart: (child, where, reason) => progress(`${short(child)} goes on on ${where}: ${reason}`),
      onGiveUp: (_, error) => progress(error.message),
    })
    try {
      return await debate(node, spec, {
        signal,
        tasks,
        id,
        subject: subject.name,
        allowed,
        prices,
        onEvent: (event) => {
          if (event.type === 'late') progress(`round ${event.round}: the time is up`)
          else if (event.type === 'voted') progress(`round ${event.round}: ${short(event.voter)} says ${event.answer}`)
          else if (event.type === 'failed')
            progress(`round ${event.round}: ${short(event.voter)} has no vote: ${event.reason}`)
        },
      })
    } finally {
      await supervisor.stop().catch(() => undefined)
      if (wasWithdrawn(signal)) await withdraw(tasks, id)
    }
  } finally {
    await letGo(node, id)
  }
}

/** Several debates of one mesh have actors of their own. */
const prefixOf = (id: string) => `debate-${id.slice(0, 8)}-`

/** As people call one who takes part. */
export const spokenName = (actor: string): string => actor.replace(/^debate-[0-9a-f]{8}-/, '')

/** One that was cut off, unless somebody holds it; otherwise a new one. It is held from here on. */
async function takeUp(
  node: MeshNode,
  tasks: Tasks,
  rulesOf: Parameters<typeof cutOffDebates>[1],
  { subject, progress, allowed = {} }: RequestedDebate,
): Promise<string> {
  const livesOn = livingSince(node)
  const cutOff = () => cutOffDebates(tasks, rulesOf, subject.name)
  const end = Date.now() + (allowed.ms ?? Number.POSITIVE_INFINITY)
  for (const { id, budget, until: ends = Number.POSITIVE_INFINITY } of await cutOff()) {
    if (!isWithin(budget?.limit, allowed.budget) || end < ends) {
      progress(`debate ${id} was cut off, and may use more than is given now: this is another`)
      continue
    }
    if (!(await hold(node, id, livesOn))) {
      progress(`the same is being debated as ${id} already: this is another`)
      continue
    }
    // It may have ended while its name was waited for.
    if ((await cutOff()).some((one) => one.id === id)) {
      if (ends > Date.now()) {
        progress(`this was asked before and cut off: debate ${id} goes on`)
        return id
      }
      const { message } = timeOver(id, ends)
      progress(`${message} It is begun anew.`)
      await (await tasks.resume(id)).end({ ok: false, answer: message })
    }
    await letGo(node, id)
  }
  const id = randomUUID()
  await hold(node, id)
  return id
}

/** What debaters think with: every model of the mesh that holds a conversation, or where there is none one that knows arithmetic. */
async function mindsOf(
  node: MeshNode,
  { rules, progress }: RequestedDebate,
): Promise<Pick<DebaterArgs, 'model' | 'thinks'>[]> {
  const models = await modelsOf(node)
  const [some] = models
  if (!some)
    throw new ClawmeshError('UNREACHABLE', 'No node of the mesh serves a model.', {
      hint: 'Let a machine join that serves one, or run a model server on this one.',
    })
  const conversing = models.filter(({ tools }) => !tools?.includes('calculate'))
  if (conversing.length > 0) return conversing.map(({ name }) => ({ model: name, thinks: 'conversation' }))
  if (rules.vote === 'judge') {
    throw new ClawmeshError('MODEL_UNSUITED', `${some.name} holds no conversation, so it cannot judge.`, {
      hint: 'Take --vote majority or weighted, or run a model server on this machine.',
    })
  }
  progress(`${some.name} can vote on arithmetic alone, and the agents of this debate all think with it`)
  return [{ model: some.name, thinks: 'arithmetic' }]
}

/** Each once, however many nodes serve it; in the order of their names. */
async function modelsOf(node: MeshNode): Promise<ModelInfo[]> {
  const serving = node.nodes().filter(({ roles, draining }) => roles.includes('inference') && !draining)
  const described = await Promise.allSettled(
    serving.map(({ name }) => node.ref(inferenceName(name)).ask(DescribeModel, null)),
  )
  const models = described.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  return [...new Map(models.map((model) => [model.name, model])).values()].sort((a, b) => a.name.localeCompare(b.name))
}

async function withdraw(tasks: Tasks, id: string): Promise<void> {
  try {
    await (await tasks.resume(id)).end({ ok: false, answer: 'It was stopped by a person.' })
  } catch {
    // It had ended by itself, or not begun.
  }
}
