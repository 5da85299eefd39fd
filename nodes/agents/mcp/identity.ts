/**
 * Who a person is, by the word of an organisation's identity provider: given once in a browser (OpenID Connect, with a code and PKCE), renewed for as long as the provider does, and changed there for
 * grants to what the person may use elsewhere (ID-JAG, by RFC 8693).
 *
 *     await identity.signIn({ redirect, state, ask })
 *     await identity.grant({ audience: 'https://login.wiki.example', resource: 'https://wiki.example/mcp' })
 *
 * 1. What the provider gave is kept under its name and the client's, and goes to nobody else: where the file of servers names another by now, there is nothing.
 * 2. It is taken on the provider's word alone, straight from it: this machine decides nothing by it, and hands it back to be looked at.
 * 3. What was renewed is in the sealed file before it is used, since the one before may be good no more. It is of the same person.
 */
import {
  exchangeAuthorization,
  type FetchLike,
  OAuthError,
  refreshAuthorization,
  requestJwtAuthorizationGrant,
  startAuthorization,
} from '@modelcontextprotocol/client'
import { z } from 'zod'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Idp } from './login.js'
import type { KeptLogin, LoginFile } from './login-file.js'

/** Of the document in which a provider describes itself (OpenID Connect Discovery): what is used here. */
const describedSchema = z.looseObject({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  response_types_supported: z.array(z.string()).default(['code']),
  scopes_supported: z.array(z.string()).optional(),
  code_challenge_methods_supported: z.array(z.string()).optional(),
  token_endpoint_auth_methods_supported: z.array(z.string()).optional(),
  authorization_response_iss_parameter_supported: z.boolean().optional(),
})

const claimsSchema = z.looseObject({
  iss: z.string(),
  sub: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  /** Seconds since 1970. */
  exp: z.number(),
})
type Claims = z.output<typeof claimsSchema>

/** What it says of a person is renewed so long before it runs out, where it is: clocks differ. */
const marginMs = 60_000

/** A renewal that nobody answers must not keep all later calls waiting. */
const answersWithinMs = 30_000

interface Asked {
  /** Of the client, where the provider sends the person back to. */
  redirect: string
  state: string
  /** Shows the address to the person, and resolves to what came back. */
  ask: (url: URL) => Promise<URLSearchParams>
}

interface Wanted {
  /** The authorization server that is to take the grant, as it calls itself. */
  audience: string
  resource: string
  scope?: string | undefined
}

export class Identity {
  readonly #server: string
  readonly #idp: Idp
  readonly #file: LoginFile
  readonly #fetch: FetchLike
  #renewed: Promise<string | undefined> | undefined

  /** `server`: as the person calls it whose login this is. */
  constructor(server: string, idp: Idp, file: LoginFile, fetch: FetchLike, withinMs = answersWithinMs) {
    this.#server = server
    this.#idp = idp
    this.#file = file
    this.#fetch = within(withinMs, fetch, idp.issuer)
  }

  /** As the provider numbers its people; undefined where nobody is logged in. */
  get person(): string | undefined {
    const { idToken } = this.#kept
    return idToken === undefined ? undefined : claimsOf(idToken)?.sub
  }

  /** Throws UNAUTHENTIC for a provider that is another, or that says what cannot be used; and what `ask` and the SDK throw. */
  async signIn({ redirect, state, ask }: Asked): Promise<void> {
    const metadata = await this.#described()
    const offers = metadata.scopes_supported?.includes('offline_access') ?? true
    const { authorizationUrl, codeVerifier } = await startAuthorization(this.#idp.issuer, {
      metadata,
      clientInformation: this.#client,
      redirectUrl: redirect,
      scope: offers ? 'openid offline_access' : 'openid',
      state,
    })
    const answer = await ask(authorizationUrl)
    const iss = answer.get('iss')
    const { id_token: idToken, refresh_token: refreshToken } = await exchangeAuthorization(this.#idp.issuer, {
      metadata,
      clientInformation: this.#client,
      authorizationCode: answer.get('code') ?? '',
      ...(iss === null ? {} : { iss }),
      codeVerifier,
      redirectUri: redirect,
      fetchFn: this.#fetch,
    })
    if (idToken === undefined) throw this.#unusable('it does not say who the person is')
    this.#keep(idToken, refreshToken)
  }

  /** Undefined where nobody is logged in, or is no more. Throws UNAUTHENTIC where the provider gives none, and UNREACHABLE. */
  async grant({ audience, resource, scope }: Wanted): Promise<string | undefined> {
    const idToken = await this.#current()
    if (idToken === undefined) return undefined
    const { token_endpoint: tokenEndpoint } = await this.#described()
    const { client_id: clientId, client_secret: clientSecret } = this.#client
    const asked = { tokenEndpoint, audience, resource, idToken, clientId, fetchFn: this.#fetch }
    const more = { ...(clientSecret === undefined ? {} : { clientSecret }), ...(scope === undefined ? {} : { scope }) }
    try {
      return (await requestJwtAuthorizationGrant({ ...asked, ...more })).jwtAuthGrant
    } catch (cause) {
      if (cause instanceof ClawmeshError) throw cause
      throw this.#unusable(`it gives no grant for ${resource}: ${(cause as Error).message.slice(0, 500)}`, cause)
    }
  }

  async #current(): Promise<string | undefined> {
    const { idToken, refreshToken } = this.#kept
    const leftMs = (idToken === undefined ? 0 : (claimsOf(idToken)?.exp ?? 0) * 1000) - Date.now()
    if (refreshToken === undefined) return leftMs > 0 ? idToken : undefined
    if (leftMs > marginMs) return idToken
    // One for all calls: many a provider takes a token that comes twice for a stolen one.
    this.#renewed ??= this.#renew(refreshToken).finally(() => {
      this.#renewed = undefined
    })
    return this.#renewed
  }

  async #renew(refreshToken: string): Promise<string | undefined> {
    const metadata = await this.#described()
    const { person } = this
    try {
      const { id_token: idToken, refresh_token: next } = await refreshAuthorization(this.#idp.issuer, {
        metadata,
        clientInformation: this.#client,
        refreshToken,
        fetchFn: this.#fetch,
      })
      // Somebody has logged in or out meanwhile.
      if (this.#kept.refreshToken !== refreshToken) return this.#kept.idToken
      if (idToken === undefined) return undefined
      if (claimsOf(idToken)?.sub !== person) throw this.#unusable('it renews the login of another person')
      this.#keep(idToken, next)
      return idToken
    } catch (cause) {
      if (!(cause instanceof OAuthError)) throw cause
      if (cause.code === 'invalid_grant') return undefined
      throw this.#unusable(`it does not renew the login: ${cause.message.slice(0, 500)}`, cause)
    }
  }

  get #kept(): NonNullable<KeptLogin['identity']> {
    const { identity } = this.#file.read()
    return identity?.issuer === this.#idp.issuer && identity.client === this.#idp.client ? identity : this.#idp
  }

  get #client() {
    const { secret } = this.#kept
    return { client_id: this.#idp.client, ...(secret === undefined ? {} : { client_secret: secret }) }
  }

  #keep(idToken: string, refreshToken: string | undefined): void {
    const { issuer, client } = this.#idp
    const claims = claimsOf(idToken)
    if (!claims || claims.iss !== issuer || ![claims.aud].flat().includes(client))
      throw this.#unusable('what it says of the person is not said to this client')
    this.#file.change({ identity: { ...this.#kept, issuer, client, idToken, refreshToken } })
  }

  async #described() {
    const { issuer } = this.#idp
    const place = new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
    const answer = await this.#fetch(place, { headers: { accept: 'application/json' }, redirect: 'error' })
    const described = describedSchema.safeParse(answer.ok ? await answer.json().catch(() => undefined) : undefined)
    if (!described.success) throw this.#unusable(`it does not describe itself at ${place}`)
    if (described.data.issuer !== issuer) throw this.#unusable(`it calls itself ${described.data.issuer}`)
    return described.data
  }

  #unusable(why: string, cause?: unknown): ClawmeshError {
    return new ClawmeshError('UNAUTHENTIC', `The identity provider ${this.#idp.issuer} cannot be used: ${why}.`, {
      hint: `Look at idp in the file of MCP servers, ask who runs the identity provider, or log in anew: clawmesh mcp login ${this.#server}`,
      cause,
    })
  }
}

/** Throws UNREACHABLE for one that does not answer. */
const within =
  (ms: number, fetch: FetchLike, issuer: string): FetchLike =>
  async (url, init = {}) => {
    const late = AbortSignal.timeout(ms)
    try {
      return await fetch(url, { ...init, signal: AbortSignal.any(init.signal ? [late, init.signal] : [late]) })
    } catch (cause) {
      if (!late.aborted) throw cause
      throw new ClawmeshError('UNREACHABLE', `The identity provider ${issuer} has not answered within ${ms} ms.`, {
        hint: 'Try again later, or ask who runs the identity provider.',
        cause,
      })
    }
  }

/** What is written in it; its signature is for others to look at. */
function claimsOf(idToken: string): Claims | undefined {
  try {
    const [, payload = ''] = idToken.split('.')
    return claimsSchema.parse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')))
  } catch {
    return undefined
  }
}
