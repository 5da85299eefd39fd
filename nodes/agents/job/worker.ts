/** A worker agent: asks a model what to do, has it done in the sandbox, reports. Thoughts and what came of them are recorded. */

import { z } from 'zod'
import { type ToolCall, toolCallSchema } from '../../../inference/tool.js'
import { actor, type Context, type MeshNode, message, on } from '../../../mesh/index.js'
import { pause } from '../../../mesh/task/pause.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { actionOutcomeSchema } from '../../../sandbox/service.js'
import { act } from '../act.js'
import { tokensOf } from '../model/costs.js'
import { billShape, type PricedUse, Uses } from '../model/price.js'
import { openSession } from '../model/privacy.js'
import { type Thinking, think } from '../model/think.js'
import { offeredTools } from '../tools.js'
import { longestPart } from './plan.js'
import { checkSum } from './sum.js'
import { votes } from './voter.js'
import { worded } from './wording.js'

export const reportSchema = z.object({
  worker: z.string(),
  /** On whose machine, and so in whose folder, it was done. */
  node: z.string(),
  call: toolCallSchema,
  outcome: actionOutcomeSchema,
  /** What the choice of the call took. */
  ...billShape,
})
export type Report = z.output<typeof reportSchema>

/** One thing to do, said in words. */
export const DoPart = message('worker.do', {
  request: z.object({
    words: z.string().min(1).max(longestPart),
    /** Whose files it is about; see `workspaceId`. */
    workspace: z.string(),
  }),
  reply: reportSchema,
  from: ['supervisor'],
  to: ['worker'],
})

type Asked = z.output<typeof DoPart.request>

const instructions =
  'You are a worker of a mesh of agents. Choose the one tool that does what the person asks and call it. Copy file names exactly as they stand in the request.'

const thinkAgainMs = 150
const unusableAnswers = 3
const failuresAllowed = 4
/** A temperature at which a second answer differs from the first. */
const freely = 0.7
const partsAtOnce = 2

export function worker(node: MeshNode) {
  return actor(
    'worker',
    (self) => {
      const doPart = async ({ words, workspace }: Asked, context: Context): Promise<Report> => {
        const recordAs = { trace: context.trace, actor: self.name }
        await node.audit.record({ kind: 'thought.asked', ...recordAs, facts: { words } })
        const { call, tokens, uses } = await chooseCall(node, self.name, words, context)
        await node.audit.record({ kind: 'thought.answered', ...recordAs, facts: { words, call } })
        const acted = await act(node, call, context, { workspace })
        return { worker: self.name, call, ...acted, tokens, uses }
      }
      return [on(DoPart, doPart), votes(node, doPart)]
    },
    { args: z.unknown(), concurrency: partsAtOnce },
  )
}

/**
 * Asks a model for a tool call. A failure on the way (a model's process that died) is asked again, of any node that serves a model, until the deadline. An
 * answer that cannot be used would come out the same again: the next ones are drawn more freely, and after a few the model is not up to it, which nobody
 * needs to find out once more.
 */
async function chooseCall(
  node: MeshNode,
  actor: string,
  words: string,
  context: Context,
): Promise<{ call: ToolCall; tokens: number | null; uses: PricedUse[] }> {
  const wording = worded(words)
  const messages = [
    { role: 'system' as const, content: instructions },
    { role: 'user' as const, content: wording.words },
  ]
  const { deadline, signal, trace, grant } = context
  const session = await openSession(node, trace)
  /** Who gave each answer that cannot be used. */
  const unusable: string[] = []
  let asked = ''
  let tokens: number | null = 0
  const uses = new Uses()
  const onUse: Thinking['onUse'] = (use) => {
    uses.add(use)
    const used = tokensOf(use.usage)
    tokens = tokens === null || used === null ? null : tokens + used
  }
  const onModel = (model: string) => {
    asked = model
  }
  for (let failures = 0; ; ) {
    const request = {
      messages,
      tools: offeredTools,
      maxTokens: 400,
      ...(unusable.length === 0 ? { temperature: 0 } : { temperature: freely, seed: unusable.length }),
    }
    try {
      const thinking = { session, actor, deadline, signal, trace, grant, onUse, onModel }
      const { calls } = await think(node, request, thinking)
      const call = calls[0] && wording.meant(calls[0])
      if (call) {
        checkSum(words, call)
        return { call, tokens, uses: uses.all }
      }
      throw new ClawmeshError('MODEL_FAILED', 'The model answered without choosing a tool.', {
        data: { unusable: true },
      })
    } catch (error) {
      const failure = ClawmeshError.from(error)
      if (failure.data['unusable'] === true) unusable.push(asked)
      else if (failure.code === 'MODEL_FAILED') failures += 1
      if (unusable.length === unusableAnswers) throw unsuited(unusable, failure)
      if (failures === failuresAllowed || !failure.retry || node.now() + thinkAgainMs > deadline) throw failure
      await pause(thinkAgainMs, signal)
    }
  }
}

function unsuited(models: readonly string[], { message }: ClawmeshError): ClawmeshError {
  const whose = [...new Set(models)].join(' and ')
  return new ClawmeshError(
    'MODEL_UNSUITED',
    `${models.length} answers of ${whose} cannot be used. The last: ${message}`,
    {
      hint: 'Say the request in other words, or serve a more capable model: a node is started with `--model DIR|URL`.',
    },
  )
}
