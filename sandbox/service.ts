/**
 * A sandbox node as an actor. Callers name a tool and its arguments; workspace and policy are the node's own, so no caller can loosen them. What is
 * intended is on the audit stream before it happens; what came of it is recorded after.
 */
import { availableParallelism } from 'node:os'
import { relative } from 'node:path'
import { z } from 'zod'
import { actor, allows, type Context, type Grant, type MeshNode, message, on } from '../mesh/index.js'
import { ClawmeshError } from '../policies/errors.js'
import type { PolicyInForce } from '../policies/in-force.js'
import type { Profile } from '../policies/profile.js'
import { answerOf } from './answer.js'
import { accessSchema, askOnRecord } from './approval.js'
import { governedEgress } from './egress/governed.js'
import { type Resolve, resolver } from './egress/resolve.js'
import { governedOpens } from './opens/governed.js'
import type { ToolOutcome } from './outcome.js'
import { Pool } from './pool.js'
import { type Files, runTool } from './run.js'
import { type Turn, Turns } from './turns.js'
import { type Workspace, workspaceId } from './workspace.js'

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
    /** Which files are meant, as `workspaceId` names them: a node that has others refuses it. Left out: those that the node has. */
    workspace: z.string().optional(),
    /** Whether it may use what network the policy lets through: not where what has led to it may not leave. */
    network: z.boolean().default(true),
  }),
  reply: actionOutcomeSchema,
  from: ['supervisor'],
  granted: { roles: ['worker'], use: ({ tool }) => ({ can: 'act', on: tool }) },
  to: ['sandbox'],
})

export const sandboxName = (node: string) => `sandbox/${node}`

/** Two for each core: one that waits for the disk or for its own input leaves the core to another. */
const runningAtOnce = Math.max(4, 2 * availableParallelism())
/** With those that wait for a turn, or for a person. */
const inHandAtOnce = 128

export interface SandboxServiceOptions {
  /** The folder; `shared`: the name that a person gave to its files where other machines have them, too. */
  workspace: string
  shared?: string | undefined
  /** One for good, or what says which is in force: it is asked for each action. */
  profile: Profile | (() => PolicyInForce)
  /** Its actions have no namespaces: each says so, in its summary or reason and in its events. */
  degraded?: boolean
  /** Where names lead; left out, whatever this machine asks. */
  resolve?: Resolve
}

export function sandboxService(node: MeshNode, options: SandboxServiceOptions) {
  const { workspace, shared, profile: given, degraded = false, resolve = resolver() } = options
  const now = () => (typeof given === 'function' ? given() : { profile: given, policy: undefined })
  return actor(
    'sandbox',
    ({ name, signal: stopped }) => {
      const pool = new Pool({ signal: stopped })
      const turns = new Turns(runningAtOnce)
      const run = async (request: z.output<typeof RunAction.request>, context: Context): Promise<ActionOutcome> => {
        const { tool, args, network } = request
        const isMeant = () => {
          if (request.workspace !== undefined && request.workspace !== idOf({ folder: workspace, shared }))
            throw notMeant(node.name)
        }
        isMeant()
        const { signal, trace, deadline, grant } = context
        const { profile, policy } = now()
        const stillHolds = (then: string) => {
          if (now().profile !== profile) throw policyChanged(`while ${tool} ${then}`)
        }
        // Every decision says what it was made under.
        const under = { ...(policy && { policy: { ...policy } }), ...(degraded && { sandbox: 'degraded' as const }) }
        const action = { tool, args, workspace, trace, actor: name, signal, deadline, under }
        const governed = {
          ...action,
          stillHolds: () =>
            stillHolds('ran: it connects nowhere any more, and opens nothing that it was not started with'),
        }
        const ended = (outcome: Record<string, unknown>) =>
          node.audit.record({ kind: 'action.ended', trace, actor: name, facts: { tool, args, outcome, ...under } })
        let turn: Turn | undefined
        const aside = <T>(wait: () => Promise<T>) => (turn ? turn.aside(wait) : wait())
        try {
          const outcome = await runTool({
            tool,
            args,
            workspace,
            profile,
            signal,
            pool,
            degraded,
            objection: (need, root) => grant && beyondGrant(grant, need, root),
            egress: network ? governedEgress(node, resolve, { ...governed, aside }) : undefined,
            opens: governedOpens(node, { ...governed, aside }),
            ask: async ({ missing }) =>
              answerOf(await askOnRecord(node, { tool, args: { ...args }, missing: [...missing], workspace }, action)),
            // From here on it takes up the machine. A person may have thought for minutes before.
            before: async ({ need, granted }) => {
              turn = await turns.take(signal)
              isMeant()
              stillHolds('waited: nothing was run')
              const facts = { tool, args, need, granted, ...under }
              await node.audit.intend({ kind: 'action.intended', trace, actor: name, facts })
              // Writing it down takes time.
              stillHolds('waited: nothing was run')
              isMeant()
            },
          })
          turn?.end()
          await ended(factsOf(outcome))
          return toWire(degraded ? saidOf(outcome) : outcome)
        } catch (error) {
          const { code, message: reason } = ClawmeshError.from(error)
          await ended({ status: 'error', code, reason })
          throw error
        } finally {
          turn?.end()
        }
      }
      return [on(RunAction, run)]
    },
    { args: z.undefined(), concurrency: inHandAtOnce },
  )
}

/** What a person allowed was on top of a policy that holds no more. */
const policyChanged = (when: string): ClawmeshError =>
  new ClawmeshError('DENIED', `The policy changed ${when}.`, {
    hint: 'Ask for it again.',
  })

/** Undefined where it is not there. */
function idOf(workspace: Workspace): string | undefined {
  try {
    return workspaceId(workspace)
  } catch {
    return undefined
  }
}

const notMeant = (name: string): ClawmeshError =>
  new ClawmeshError('DENIED', `The files that this is about are not those of node "${name}", or not any more.`, {
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
  outcome.status === 'done'
    ? { status: 'done', summary: outcome.result.summary, usage: outcome.usage, deeds: outcome.deeds }
    : { ...outcome }

/** Whoever sees what came of an action sees what it was held by. */
function saidOf(outcome: ToolOutcome): ToolOutcome {
  const said = (text: string) => `${text} (degraded sandbox)`
  if (outcome.status !== 'done') return { ...outcome, reason: said(outcome.reason) }
  return { ...outcome, result: { ...outcome.result, summary: said(outcome.result.summary) } }
}

const toWire = (outcome: ToolOutcome): ActionOutcome => actionOutcomeSchema.parse(outcome)
