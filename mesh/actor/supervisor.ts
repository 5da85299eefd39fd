/**
 * Keeps children running somewhere in the mesh. A child that crashes is started again on another node if there is one; the children of a node that
 * is lost are started elsewhere; too many restarts in too short a time end the supervisor's patience, and it says so.
 *
 *     await joinMesh({ …, hosts: (node) => [clerk, supervisor(node, 'office', { children: [{ name: 'clerk-1', definition: 'clerk' }] })] })
 *     await supervise(node, { name: 'house', children: [{ name: 'office-1', definition: 'office' }] })
 *
 * A supervisor can be the child of another one, on another machine too. Where its patience ends it stops its children and goes down itself: the one above
 * starts it afresh, or loses its own patience. Where nobody is above, the child is given up, which is an event of the audit trail and `onGiveUp`.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import type { MeshNode } from '../node.js'
import { type ActorDefinition, actor, on } from './actor.js'
import { type SuperviseOptions, Supervision, type Supervisor } from './supervision.js'
import { ActorDown } from './system.js'

/** Rejects if a child can be started nowhere. */
export async function supervise(node: MeshNode, options: SuperviseOptions): Promise<Supervisor> {
  const supervision = new Supervision(node, options)
  await node.spawn(actor(options.name, () => [hearing(supervision)]))
  await supervision.startAll()
  return supervision
}

/** A supervisor that another one starts, on a node that hosts it; its children are started once it stands. The node needs the role supervisor. */
export function supervisor(
  node: MeshNode,
  definition: string,
  plan: Omit<SuperviseOptions, 'name' | 'onGiveUp'>,
): ActorDefinition<unknown> {
  return actor(
    definition,
    (self) => {
      const escalate = (error: ClawmeshError) =>
        self.crash(
          new ClawmeshError(error.code, `Supervisor "${self.name}" gave up: ${error.message}`, { cause: error }),
        )
      const supervision = new Supervision(node, { ...plan, name: self.name }, escalate)
      self.signal.addEventListener('abort', () => void supervision.end())
      // Whoever gave the order waits for this one, not for those below it.
      setImmediate(() => void supervision.startAll().catch((error: unknown) => supervision.giveUpAll(error)))
      return [hearing(supervision)]
    },
    { args: z.unknown() },
  )
}

const hearing = (supervision: Supervision) =>
  on(ActorDown, ({ name, run, reason }) => {
    supervision.down(name, run, `it crashed: ${reason}`)
    return null
  })
