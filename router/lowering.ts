/**
 * A person's word that a line of work is less sensitive than what it has seen, as it is kept beside that work.
 *
 *     const wire = signLowering({ task, begunAt, after: 'thought 2', from, to, person, reason }, root)
 *     const lowering = readLowering(wire, { task, begunAt, rootKey })     // throws UNAUTHENTIC for what was forged
 *     session.bringDown(lowering)
 *
 * 1. It is signed with the root key of the mesh, which no agent and no node holds: whoever may only write where it is kept cannot make one.
 * 2. It is about one task, as it was begun at one time, and about what that had seen after one of its steps. Elsewhere it is worth nothing.
 */
import { z } from 'zod'
import { binary, decode, encode } from '../mesh/codec.js'
import { type SigningKey, sign, verifies } from '../mesh/seal/keys.js'
import { ClawmeshError } from '../policies/errors.js'
import { atLeast, type Sensitivity, sensitivitySchema } from '../policies/router-label.js'
import { spelled } from '../policies/router-lowering.js'

const termsSchema = z.object({
  task: z.string(),
  /** Milliseconds since 1970: another task may be called the same later. */
  begunAt: z.number(),
  /** The step after which it counts. */
  after: z.string(),
  from: sensitivitySchema,
  to: sensitivitySchema,
  /** Who answers for it: a person's name, never an agent's. */
  person: z.string().refine((name) => name.trim() !== ''),
  reason: z.string().refine((reason) => reason.trim() !== ''),
})
export type LoweringTerms = z.output<typeof termsSchema>

export const loweringSchema = z.tuple([binary, binary])
/** What was said, and the signature of it. */
export type LoweringWire = z.output<typeof loweringSchema>

const context = 'label lowered'

/** There is no other way to make one than to read it: the class is not exported. */
class LoweringOf {
  readonly terms: LoweringTerms

  constructor(terms: LoweringTerms) {
    this.terms = terms
  }
}
export type SignedLowering = LoweringOf

/** @throws ClawmeshError USAGE where nothing would come down, or nobody answers for it */
export function signLowering(terms: LoweringTerms, root: SigningKey): LoweringWire {
  const { from, to } = terms
  if (!isLower(to, from))
    throw new ClawmeshError('USAGE', `${spelled(from)} is what it is; ${spelled(to)} is not lower.`, {
      hint: 'Labels rise by themselves.',
    })
  if (!termsSchema.safeParse(terms).success)
    throw new ClawmeshError('USAGE', 'A label is lowered by a person, for a reason, and one of them is missing.', {
      hint: 'Name the person and the reason.',
    })
  const said = encode(terms)
  return [said, sign(context, said, root)]
}

interface About {
  readonly task: string
  readonly begunAt: number
  readonly rootKey: Uint8Array
}

/** @throws ClawmeshError UNAUTHENTIC for what the holder of the root key did not say of this task */
export function readLowering(wire: unknown, { task, begunAt, rootKey }: About): SignedLowering {
  const parts = loweringSchema.safeParse(wire).data
  if (!parts) throw forged('is none')
  const [said, signature] = parts
  if (!verifies(context, said, signature, rootKey)) throw forged('was not signed by the holder of the keys of the mesh')
  const terms = termsSchema.parse(decode(said))
  if (terms.task !== task || terms.begunAt !== begunAt) throw forged('is about another task')
  return new LoweringOf(terms)
}

/** No higher in anything, and lower in something. */
function isLower(to: Sensitivity, from: Sensitivity): boolean {
  return within(to, from) && !within(from, to)
}

export const within = (part: Sensitivity, whole: Sensitivity): boolean =>
  atLeast(whole.label, part.label) && part.categories.every((category) => whole.categories.includes(category))

const forged = (what: string): ClawmeshError =>
  new ClawmeshError('UNAUTHENTIC', `What would lower the label of the task ${what}.`, {
    hint: 'It lowers nothing. `clawmesh label lower --task`, where the keys of the mesh are, does.',
  })
