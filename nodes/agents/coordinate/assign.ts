/** Who does a part: by skill, by what the machine has, by how much each has to do. Pure. */
import { z } from 'zod'
import { hardwareAdvertSchema } from '../../../inference/hardware.js'

export const partSchema = z.object({
  /** What is to be done, in words. */
  task: z.string().min(1),
  /** A skill that the worker must have. */
  skill: z.string().optional(),
  /** What the machine of the worker must have. */
  needs: z
    .object({
      /** Bytes of memory in all. */
      memory: z.number().positive().optional(),
      /** Bytes of memory of one accelerator; 0: any accelerator will do. */
      accelerator: z.number().nonnegative().optional(),
      sandbox: z.boolean().optional(),
    })
    .optional(),
  /** Doing it twice would do harm: it is given to one worker and, whatever comes of it, to no other. */
  once: z.boolean().optional(),
})
export type Part = z.output<typeof partSchema>

export interface Candidate {
  /** The actor. */
  name: string
  skills: readonly string[]
  /** What its node says of itself; undefined while it runs nowhere. */
  advert: Readonly<Record<string, unknown>> | undefined
  /** Parts that it is at work on. */
  load: number
}

/** The least busy of those who can do it and have not tried, or why there is none. */
export function assign(
  part: Part,
  candidates: readonly Candidate[],
  tried: ReadonlySet<string>,
): string | { why: string } {
  const skilled = candidates.filter(({ skills }) => part.skill === undefined || skills.includes(part.skill))
  if (skilled.length === 0)
    return { why: part.skill === undefined ? 'there are no workers' : `no worker is skilled in ${part.skill}` }
  const fitting = skilled.filter(({ advert }) => fits(part.needs, advert))
  if (fitting.length === 0) return { why: 'no worker with the skill runs on a machine that has what it needs' }
  const [best] = fitting
    .filter(({ name }) => !tried.has(name))
    .sort((a, b) => a.load - b.load || a.name.localeCompare(b.name, 'en', { numeric: true }))
  return best?.name ?? { why: 'every worker that can do it has tried' }
}

/** What a machine does not say it has, it has not. */
function fits(needs: Part['needs'], advert: Candidate['advert']): boolean {
  if (!needs) return true
  const hardware = hardwareAdvertSchema.safeParse(advert?.['hardware']).data
  const { memory, accelerator, sandbox } = needs
  const largest = Math.max(-1, ...(hardware?.accelerators ?? []).map((each) => each.memory?.value.total ?? 0))
  return (
    (memory === undefined || (hardware?.memory.value.total ?? 0) >= memory) &&
    (accelerator === undefined || largest >= accelerator) &&
    (sandbox !== true || advert?.['sandbox'] === true)
  )
}
