/**
 * A sandbox node as an actor. Callers name a tool and its arguments; workspace and policy are the node's own, so no caller can loosen them. What is
 * intended is on the audit stream before it happens; what came of it is recorded after.
 */
import { relative } from 'node:path'
import { z } from 'zod'
import { actor, allows, type Grant, type MeshNode, message, on } from '../mesh/index.js'
import { ClawmeshError } from '../policies/errors.js'
import type { PolicyInForce } from '../policies/in-force.js'
import type { Profile } from '../policies/profile.js'
import { accessSchema, askPerson } from './approval.js'
import { governedEgress } from './egress/governed.js'
import { type Resolve, resolver } from './egress/resolve.js'
import { Pool } from './pool.js'
import { type Files, runTool, type ToolOutcome } from './run.js'

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
  request: z.object({
    tool: z.string(),
    args: z.record(z.string(), z.unknown()),
    /** Whether it may use what network the policy lets through: not where what has led to it may not leave. */
    network: z.boolean().default(true),
  }),
  reply: actionOutcomeSchema,
  from: ['supervisor'],
  granted: { roles: ['worker'], use: ({ tool }) => ({ can: 'act', on: tool }) },
  to: ['sandbox'],
})

export const sandboxName = (node: string) => `sandbox/${node}`

const actionsAtOnce = 4

export interface SandboxServiceOptions {
  workspace: string
  /** One for good, or what says which is in force: it is asked for each action. */
  profile: Profile | (() => PolicyInForce)
  /** Where names lead; left out, whatever this machine asks. */
  resolve?: Resolve
}

export function sandboxService(node: MeshNode, options: SandboxServiceOptions) {
  const { workspace, profile: given, resolve = resolver() } = options
  const now = () => (typeof given === 'function' ? given() : { profile: given, policy: undefined })
  return actor(
    'sandbox',
    ({ name, signal: stopped }) => {
      const pool = new Pool({ signal: stopped })
      return [
        on(RunAction, async ({ tool, args, network }, { signal, trace, deadline, grant }): Promise<ActionOutcome> => {
          const { profile, policy } = now()
          // Every decision says what it was made under.
          const under = policy ? { policy: { ...policy } } : {}
          const record = { trace, actor: name }
          try {
            const outcome = await runTool({
              tool,
              args,
              workspace,
              profile,
              signal,
              pool,
              objection: (need, root) => grant && beyondGrant(grant, need, root),
              ...(network
                ? {
                    egress: governedEgress(node, resolve, {
                      tool,
                      args,
                      workspace,
                      trace,
                      actor: name,
                      signal,
                      deadline,
                    }),
                  }
                : {}),
              ask: async ({ missing }) => {
                const question = { node: node.name, tool, args: { ...args }, missing: [...missing], workspace }
                await node.audit.record({ kind: 'action.held', ...record, facts: { tool, args, missing, ...under } })
                const { answer, by } = await askPerson(node, question, { signal, deadline, trace })
                await node.audit.record({
                  kind: 'approval.answered',
                  ...record,
                  facts: { tool, args, missing, answer, by, ...under },
                })
                return answer
              },
              before: ({ need, granted }) => {
                if (now().profile !== profile) throw policyChanged(tool)
                return node.audit.intend({
                  kind: 'action.intended',
                  ...record,
                  facts: { tool, args, need, granted, ...under },
                })
              },
            })
            await node.audit.record({
              kind: 'action.ended',
              ...record,
              facts: { tool, args, outcome: factsOf(outcome), ...under },
            })
            return toWire(outcome)
          } catch (error) {
            const { code, message: reason } = ClawmeshError.from(error)
            await node.audit.record({
              kind: 'action.ended',
              ...record,
              facts: { tool, args, outcome: { status: 'error', code, reason }, ...under },
            })
            throw error
          }
        }),
      ]
    },
    { args: z.undefined(), concurrency: actionsAtOnce },
  )
}

/** What a person allowed was on top of a policy that holds no more. */
const policyChanged = (tool: string): ClawmeshError =>
  new ClawmeshError('DENIED', `The policy changed while ${tool} waited: nothing was run.`, {
    hint: 'Ask for it again.',
  })

/** Files by their real paths: those of the workspace are named from there, others whole. */
function beyondGrant({ id, terms }: Grant, { read, write }: Files, workspace: string): string | undefined {
  const named = (path: string) => {
    const inside = relative(workspace, path)
    return inside === '..' || inside.startsWith('../') ? path : inside || '.'
  }
  const uses = [
    ...read.map((path) => ({ can: 'read', on: named(path) })),
    ...write.map((path) => ({ can: 'write', on: named(path) })),
  ]
  const objection = uses.map((use) => allows(terms, use)).find((reason) => reason !== undefined)
  return objection && `grant ${id}: ${objection}`
}

const factsOf = (outcome: ToolOutcome) =>
  outcome.status === 'done' ? { status: 'done', summary: outcome.result.summary, usage: outcome.usage } : { ...outcome }

const toWire = (outcome: ToolOutcome): ActionOutcome => actionOutcomeSchema.parse(outcome)
