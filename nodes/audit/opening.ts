import { z } from 'zod'

/** Where the chains stand at some place of the stream: all that a reader needs to go on from there. */
export const openingSchema = z.object({
  /** The first 16 hex digits of SHA-256 over the root's public key. */
  mesh: z.string(),
  /** The stream message that was read last, perhaps not to its end; 0 for none. */
  after: z.number().int().nonnegative(),
  heads: z.array(
    z.object({
      certificate: z.string(),
      key: z.string(),
      first: z.number().int(),
      next: z.number().int(),
      hash: z.string(),
    }),
  ),
})
export type Opening = z.output<typeof openingSchema>
export type Place = Pick<Opening, 'after' | 'heads'>
