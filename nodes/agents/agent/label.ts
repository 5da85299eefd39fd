/** How sensitive is what the run of a kept task has seen, and the word of a person that brings it down. */
import { z } from 'zod'
import type { SigningKey } from '../../../mesh/seal/keys.js'
import type { Task } from '../../../mesh/task/task.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Sensitivity, sensitivitySchema } from '../../../policies/router-label.js'
import { spelled } from '../../../policies/router-lowering.js'
import type { RouterAudit } from '../../../router/audit.js'
import { loweringSchema, readLowering, type SignedLowering, signLowering, within } from '../../../router/lowering.js'

export interface SeenByRun {
  /** The last step that is done, and what the run had seen by then. */
  readonly after: string
  readonly seen: Sensitivity
}

export interface KeptLabel {
  /** By the steps after which they count, in the order in which they were said. */
  readonly lowerings: ReadonlyMap<string, readonly SignedLowering[]>
  /** What would lower it and was said by nobody who may: by step, and why. */
  readonly refused: readonly { readonly step: string; readonly why: string }[]
  /** Undefined where no step is done that says what it saw. */
  readonly now: SeenByRun | undefined
}

const prefix = 'label lowered '
const keptSchema = z.looseObject({ seen: sensitivitySchema })

/** What the journal of a run says of its label. Whatever is written there, only what the holder of the root key signed brings it down. */
export function labelKept(task: Pick<Task, 'id' | 'begunAt' | 'results'>, rootKey: Uint8Array): KeptLabel {
  const lowerings = new Map<string, SignedLowering[]>()
  const refused: { step: string; why: string }[] = []
  let now: SeenByRun | undefined
  for (const { step, result } of task.results) {
    if (!step.startsWith(prefix)) {
      const seen = keptSchema.safeParse(result).data?.seen
      if (seen) now = { after: step, seen }
      continue
    }
    try {
      const lowering = readLowering(result, { task: task.id, begunAt: task.begunAt, rootKey })
      const { after, from, to } = lowering.terms
      lowerings.set(after, [...(lowerings.get(after) ?? []), lowering])
      if (now?.after === after && within(now.seen, from)) now = { after, seen: to }
    } catch (cause) {
      refused.push({ step, why: ClawmeshError.from(cause).message })
    }
  }
  return { lowerings, refused, now }
}

export interface WordOfPerson {
  readonly to: Sensitivity
  readonly person: string
  readonly reason: string
}

/**
 * Lowers what a kept run is said to have seen; what stands in its texts is found again whenever they are read. Whoever does the task now is cut off: given again
 * under its id, it goes on. Rejects with NOT_FOUND, with USAGE where the task has ended or nothing would come down, and as the audit trail does: what is not on
 * record lowers nothing.
 */
export async function lowerRun(
  audit: RouterAudit,
  tasks: Tasks,
  root: SigningKey,
  id: string,
  { to, person, reason }: WordOfPerson,
): Promise<Sensitivity> {
  const task = await tasks.resume(id)
  const { now } = labelKept(task, root.publicKey)
  if (!now)
    throw new ClawmeshError(
      'USAGE',
      `Task ${id} has seen nothing that its journal keeps, so there is nothing to lower.`,
      {
        hint: 'Only runs of agents that are kept under an id of their own keep a label.',
      },
    )
  const { after, seen: from } = now
  const wire = signLowering({ task: id, begunAt: task.begunAt, after, from, to, person, reason }, root)
  const count = task.results.filter(({ step }) => step.startsWith(prefix)).length
  const facts = { task: id, after, from: spelled(from), to: spelled(to), reason }
  await audit.intend({ kind: 'label.lowered', trace: id, actor: person, facts })
  await task.step(`${prefix}${count + 1}`, { result: loweringSchema, repeatable: true }, async () => wire)
  return from
}
