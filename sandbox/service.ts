/**
 * A sandbox node as an actor. Callers name a tool and its arguments; workspace and policy are the node's own, so no caller can loosen them. What is
 * intended is on the audit stream before it happens; what came of it is recorded after.
 */
import { z } from 'zod'
import { actor, type MeshNode, message, on } from '../mesh/index.js'
import { ClawmeshError } from '../policies/errors.js'
import type { Profile } from '../policies/profile.js'
import { accessSchema, askPerson } from './approval.js'
import { governedEgress } from './egress/governed.js'
import { type Resolve, resolver } from './egress/resolve.js'
import { Pool } from './pool.js'
import { runTool, type ToolOutcome } from './run.js'

const usageSchema = z.object({ wallMs: z.number(), cpuMs: z.number(), maxRssKb: z.number() })

export const actionOutcomeSchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('done'),
    result: z.looseObject({ summary: z.string() }),
    granted: z.array(accessSchema),
    usage: usageSchema,
  }),
  z.object({ status: z.literal('refused'), missing: z.array(accessSchema), reason: z.string() }),
  z.object({ status: z.literal('denied'), missing: z.array(accessSchema), reason: z.string() }),
  z.object({
    status: z.literal('failed'),
    reason: z.string(),
    exitCode: z.number().nullable(),
    signal: z.number().nullable(),
    timedOut: z.boolean(),
    killed: z.boolean(),
    stderr: z.string(),
    usage: usageSchema,
  }),
])
export type ActionOutcome = z.output<typeof actionOutcomeSchema>

export const RunAction = message('sandbox.run', {
  request: z.object({ tool: z.string(), args: z.record(z.string(), z.unknown()) }),
  reply: actionOutcomeSchema,
  from: ['worker', 'supervisor'],
  to: ['sandbox'],
})

export const sandboxName = (node: string) => `sandbox/${node}`

const actionsAtOnce = 4

export interface SandboxServiceOptions {
  workspace: string
  profile: Profile
  /** Where names lead; left out, whatever this machine asks. */
  resolve?: Resolve
}

export function sandboxService(node: MeshNode, { workspace, profile, resolve = resolver() }: SandboxServiceOptions) {
  return actor(
    'sandbox',
    ({ name, signal: stopped }) => {
      const pool = new Pool({ signal: stopped })
      return [
        on(RunAction, async ({ tool, args }, { signal, trace, deadline }): Promise<ActionOutcome> => {
          const record = { trace, actor: name }
          try {
            const outcome = await runTool({
              tool,
              args,
              workspace,
              profile,
              signal,
              pool,
              egress: governedEgress(node, resolve, { tool, args, workspace, trace, actor: name, signal, deadline }),
              ask: async ({ missing }) => {
                const question = { node: node.name, tool, args: { ...args }, missing: [...missing], workspace }
                await node.audit.record({ kind: 'action.held', ...record, facts: { tool, args, missing } })
                const { answer, by } = await askPerson(node, question, { signal, deadline, trace })
                await node.audit.record({
                  kind: 'approval.answered',
                  ...record,
                  facts: { tool, args, missing, answer, by },
                })
                return answer
              },
              before: ({ need, granted }) =>
                node.audit.intend({ kind: 'action.intended', ...record, facts: { tool, args, need, granted } }),
            })
            await node.audit.record({
              kind: 'action.ended',
              ...record,
              facts: { tool, args, outcome: factsOf(outcome) },
            })
            return toWire(outcome)
          } catch (error) {
            const { code, message: reason } = ClawmeshError.from(error)
            await node.audit.record({
              kind: 'action.ended',
              ...record,
              facts: { tool, args, outcome: { status: 'error', code, reason } },
            })
            throw error
          }
        }),
      ]
    },
    { args: z.undefined(), concurrency: actionsAtOnce },
  )
}

const factsOf = (outcome: ToolOutcome) =>
  outcome.status === 'done' ? { status: 'done', summary: outcome.result.summary, usage: outcome.usage } : { ...outcome }

const toWire = (outcome: ToolOutcome): ActionOutcome => actionOutcomeSchema.parse(outcome)
