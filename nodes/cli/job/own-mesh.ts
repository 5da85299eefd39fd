/**
 * A mesh of a command's own, on this machine: nodes with workers and sandboxes, and one with a model.
 *
 *     const site = await startOwnMesh({ config, folder, port: 0, names: ['worker-1'], sandbox, model: undefined, onFailure })
 *     const { result, trail } = await workAndDrain(site, signal, () => …)
 */
import { ClawmeshError } from '../../../policies/errors.js'
import { type NodePlan, planInference } from '../../process/plan.js'
import { type Site, type SiteOptions, startSite } from '../../site.js'
import type { AuditTrail } from '../../trail.js'
import { progress } from '../terminal.js'

const drainWithinMs = 20_000

export interface OwnMesh extends Omit<SiteOptions, 'nodes' | 'progress'> {
  /** Of the nodes that work. */
  names: readonly string[]
  sandbox: NonNullable<NodePlan['sandbox']>
  /** As `--model` names it. */
  model: string | undefined
}

export function startOwnMesh({ names, sandbox, model, ...options }: OwnMesh): Promise<Site> {
  const inference = planInference({ model }, options.config)
  return startSite({
    ...options,
    nodes: [
      ...names.map((name) => ({ name, roles: ['worker', 'sandbox'] as const, plan: { sandbox } })),
      { name: 'model-1', roles: ['inference'] as const, plan: { inference } },
    ],
    progress,
  })
}

/** The mesh is drained and its trail read, however the work ends; then what it ended with, or why the signal cut it short. */
export async function workAndDrain<T>(
  site: Site,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<{ result: T; trail: AuditTrail }> {
  const settled = await work().then(
    (result) => ({ result }),
    (error: unknown) => ({ failure: signal.aborted ? signal.reason : error }),
  )
  progress('draining')
  const trail = await closeInTime(site)
  if ('failure' in settled) throw settled.failure
  return { result: settled.result, trail }
}

/** A broker that no longer answers must not hold up the end. What is left when this process ends ends with it. */
export async function closeInTime(site: Site, withinMs = drainWithinMs): Promise<AuditTrail> {
  const late = new ClawmeshError('BROKER_UNAVAILABLE', `The mesh did not drain within ${withinMs / 1000} s.`, {
    hint: 'Nothing recorded is lost: the next start sends what the audit stream lacks.',
  })
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late), withinMs)
  })
  return Promise.race([site.close(), limit]).finally(() => clearTimeout(timer))
}
