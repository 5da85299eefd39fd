/**
 * How a machine logs into an MCP server: by OAuth, with the providers of the SDK, as a person who has said yes in a browser once (authorize.ts), there or at the identity provider of an
 * organisation, or as a program with a secret of its own; or with a token that a person was given. A secret goes to the authorization server that it is for, a token to the server, and
 * neither to anybody else.
 */
import {
  type AuthProvider,
  ClientCredentialsProvider,
  CrossAppAccessProvider,
  type FetchLike,
  type OAuthClientMetadata,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  PrivateKeyJwtProvider,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
} from '@modelcontextprotocol/client'
import { ClawmeshError } from '../../../policies/errors.js'
import { Identity } from './identity.js'
import type { Login, LoginOf } from './login.js'
import type { LoginFile } from './login-file.js'

const name = 'clawmesh'
/** Where nobody is sent who has no browser. */
const nowhere = 'http://127.0.0.1/callback'

/** For a machine that nobody sits at. Throws UNAUTHENTIC where a person has to log in first. `fetch`: the way to others that `server` needs. */
export function providerOf(
  server: string,
  login: Login,
  file: LoginFile,
  fetch: FetchLike,
): AuthProvider | OAuthClientProvider {
  if (login.as === 'person') return new PersonLogin(login, file, { redirect: nowhere, open: () => missing(server) })
  const { secret } = file.read()
  if (secret === undefined) throw missing(server)
  if (login.as === 'token') return { token: async () => secret, onUnauthorized: () => Promise.reject(missing(server)) }
  const common = { clientId: login.client, expectedIssuer: login.issuer, clientName: name }
  if (login.as === 'employee')
    return new EmployeeLogin(
      server,
      { ...common, clientSecret: secret },
      new Identity(server, login.idp, file, fetch),
      fetch,
    )
  const { scope, signs } = login
  const program = { ...common, ...(scope === undefined ? {} : { scope }) }
  return signs === undefined
    ? new ClientCredentialsProvider({ ...program, clientSecret: secret })
    : new PrivateKeyJwtProvider({ ...program, privateKey: secret, algorithm: signs })
}

const missing = (server: string) =>
  new ClawmeshError(
    'UNAUTHENTIC',
    `The MCP server ${server} asks for a login, and this machine has none that is good.`,
    {
      hint: `Type on that machine: clawmesh mcp login ${server}`,
    },
  )

/** The SDK asks no authorization server that calls itself otherwise than it was found; but where a person has named the one that is meant, PersonLogin looks at the name itself. */
export const issuerCheck = (login: Login) => ({
  skipIssuerMetadataValidation: login.as === 'person' && login.issuer !== undefined,
})

/** What a person's identity provider says is changed for a token whenever it takes one. The token is not kept, and good for as long as that person is logged in here. */
class EmployeeLogin extends CrossAppAccessProvider {
  readonly #identity: Identity
  #person: string | undefined

  constructor(
    server: string,
    client: { clientId: string; clientSecret: string; expectedIssuer: string },
    identity: Identity,
    fetchFn: FetchLike,
  ) {
    super({
      ...client,
      fetchFn,
      assertion: async ({ authorizationServerUrl: audience, resourceUrl: resource, scope }) => {
        const grant = await identity.grant({ audience, resource, scope })
        if (grant === undefined) throw missing(server)
        return grant
      },
    })
    this.#identity = identity
  }

  override tokens(): StoredOAuthTokens | undefined {
    return this.#person !== undefined && this.#person === this.#identity.person ? super.tokens() : undefined
  }

  override prepareTokenRequest(scope?: string): Promise<URLSearchParams> {
    this.#person = this.#identity.person
    return super.prepareTokenRequest(scope)
  }
}

export const unaddressed = (client: string) =>
  new ClawmeshError('UNAUTHENTIC', `It is not said which authorization server the secret of ${client} is for.`, {
    hint: 'Say so in the file of MCP servers: login: { as: person, client: …, issuer: … }, as that server calls itself.',
  })

interface Browser {
  redirect: string
  state?: string
  /** Shows the address to a person; or says why not, by what it returns. */
  open: (url: URL) => ClawmeshError | undefined
}

/** The code of a person's yes, and the tokens that it was changed for. */
export class PersonLogin implements OAuthClientProvider {
  readonly #login: LoginOf<'person'>
  readonly #file: LoginFile
  readonly #browser: Browser
  #verifier = ''
  readonly clientMetadataUrl?: string

  constructor(login: LoginOf<'person'>, file: LoginFile, browser: Browser) {
    this.#login = login
    this.#file = file
    this.#browser = browser
    if (login.client?.startsWith('https://')) this.clientMetadataUrl = login.client
  }

  get redirectUrl(): string {
    return this.#browser.redirect
  }

  get clientMetadata(): OAuthClientMetadata {
    const { scope } = this.#login
    return {
      client_name: name,
      redirect_uris: [this.#browser.redirect],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      ...(scope === undefined ? {} : { scope }),
    }
  }

  state(): string {
    return this.#browser.state ?? ''
  }

  /** Throws UNAUTHENTIC for a secret of which nobody has said whom it is for: the server itself says where it sends us, and would have it. */
  clientInformation(): StoredOAuthClientInformation | undefined {
    const { client: id, issuer } = this.#login
    const { client, secret } = this.#file.read()
    if (id === undefined || this.clientMetadataUrl !== undefined)
      return client as unknown as StoredOAuthClientInformation | undefined
    if (secret !== undefined && issuer === undefined) throw unaddressed(id)
    return {
      client_id: id,
      ...(secret === undefined ? {} : { client_secret: secret }),
      ...(issuer === undefined ? {} : { issuer }),
    }
  }

  saveClientInformation(client: StoredOAuthClientInformation): void {
    this.#file.change({ client: { ...client } })
  }

  tokens(): StoredOAuthTokens | undefined {
    return this.#file.read().tokens as unknown as StoredOAuthTokens | undefined
  }

  saveTokens(tokens: StoredOAuthTokens): void {
    this.#file.change({ tokens: { ...tokens }, wanted: undefined })
  }

  redirectToAuthorization(url: URL): void {
    const why = this.#browser.open(url)
    if (why === undefined) return
    // What it takes, the next login asks for.
    this.#file.change({ wanted: url.searchParams.get('scope') ?? undefined })
    throw why
  }

  /** The SDK has told nobody anything yet. Throws UNAUTHENTIC for another than the one that is named. */
  saveDiscoveryState(found: OAuthDiscoveryState): void {
    const why = this.#strangeness(found)
    if (why !== undefined)
      throw new ClawmeshError('UNAUTHENTIC', `The authorization server is not the one that is named: ${why}.`, {
        hint: 'Nothing was sent there. If it is meant, say so in the file of MCP servers: login: { issuer: … }, as it calls itself.',
      })
    this.#file.change({ discovery: { ...found } })
  }

  /** One that was found when the file of servers said otherwise is looked for anew. */
  discoveryState(): OAuthDiscoveryState | undefined {
    const found = this.#file.read().discovery as unknown as OAuthDiscoveryState | undefined
    return found && this.#strangeness(found) === undefined ? found : undefined
  }

  #strangeness(found: OAuthDiscoveryState): string | undefined {
    return this.#login.issuer === undefined ? undefined : strangeness(this.#login.issuer, found)
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier
  }

  codeVerifier(): string {
    return this.#verifier
  }

  invalidateCredentials(scope: 'all' | 'client' | 'tokens' | 'verifier' | 'discovery'): void {
    if (scope === 'all' || scope === 'tokens') this.#file.change({ tokens: undefined })
    if (scope === 'all' || scope === 'client') this.#file.change({ client: undefined })
    if (scope === 'all' || scope === 'discovery') this.#file.change({ discovery: undefined })
  }
}

/**
 * Why what was found is not the authorization server of that name; undefined where it is. Anybody can say a name: what was found elsewhere is believed that it is the named one only where all
 * that it has itself asked at is at the origin of the name, so that whoever borrows the name sends to its owner.
 */
function strangeness(
  named: string,
  { authorizationServerUrl: at, authorizationServerMetadata: said }: OAuthDiscoveryState,
) {
  const name = said?.issuer ?? at
  if (name !== named) return `it calls itself ${name}, and not ${named}`
  if (said === undefined || name === at || `${name}/` === at) return undefined
  const { origin } = new URL(named)
  const asked = [said.authorization_endpoint, said.token_endpoint, said.registration_endpoint]
  const strange = asked.find((each) => each !== undefined && new URL(each).origin !== origin)
  return strange && `it was found at ${at}, calls itself ${named}, and would be asked at ${strange}`
}
