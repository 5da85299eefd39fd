/** How a machine logs into an MCP server, as a person says it of the server. */
import { z } from 'zod'

export const loginSchema = z
  .strictObject({
    as: z.enum(['person', 'program', 'token']),
    /** Its number at the authorization server, or the https address of a document about it; a person's client registers itself where there is none. */
    client: z.string().min(1).optional(),
    /** The authorization server that this client is registered with, as it calls itself. */
    issuer: z.url().optional(),
    scope: z.string().min(1).optional(),
    /** The secret is a private key, for this algorithm. */
    signs: z.enum(['ES256', 'RS256', 'EdDSA']).optional(),
  })
  .refine(({ as, client, issuer }) => as !== 'program' || (client !== undefined && issuer !== undefined), {
    error: 'a program has a client and the issuer that knows it',
  })
export type Login = z.output<typeof loginSchema>
