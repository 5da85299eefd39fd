/** How a machine logs into an MCP server, as a person says it of the server. */
import { z } from 'zod'

/** Its number at the authorization server. */
const client = z.string().min(1)
/** The authorization server that the client is registered with, as it calls itself. */
const issuer = z.url()
const scope = z.string().min(1).optional()

/** The identity provider of an organisation, as it calls itself, and the client that people log into there. */
const idp = z.strictObject({ issuer, client })
export type Idp = z.output<typeof idp>

export const loginSchema = z.discriminatedUnion('as', [
  z.strictObject({
    as: z.literal('person'),
    /** Or the https address of a document about it; it registers itself where there is none. */
    client: client.optional(),
    /** No other is asked, where it is said. */
    issuer: issuer.optional(),
    scope,
  }),
  /** A person of an organisation, whose identity provider decides what its people may use. */
  z.strictObject({ as: z.literal('employee'), client, issuer, idp }),
  z.strictObject({
    as: z.literal('program'),
    client,
    issuer,
    scope,
    /** The secret is a private key, for this algorithm. */
    signs: z.enum(['ES256', 'RS256', 'EdDSA']).optional(),
  }),
  z.strictObject({ as: z.literal('token') }),
])
export type Login = z.output<typeof loginSchema>
/** In which way. */
export type LoginOf<As extends Login['as']> = Extract<Login, { as: As }>
