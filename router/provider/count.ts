import { z } from 'zod'

/** Tokens, as a provider says them. What can be no count is as if it had said nothing. */
export const count = z.int().nonnegative().nullish().catch(undefined)
