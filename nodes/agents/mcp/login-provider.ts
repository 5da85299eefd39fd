/**
 * How a machine logs into an MCP server: by OAuth, with the providers of the SDK, as a person who has said yes in a browser once (authorize.ts) or as a program with a secret of its
 * own; or with a token that a person was given. A secret goes to the authorization server that it is for, a token to the server, and neither to anybody else.
 */
import {
  type AuthProvider,
  ClientCredentialsProvider,
  type OAuthClientMetadata,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  PrivateKeyJwtProvider,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
} from '@modelcontextprotocol/client'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Login } from './login.js'
import type { LoginFile } from './login-file.js'

const name = 'clawmesh'
/** Where nobody is sent who has no browser. */
const nowhere = 'http://127.0.0.1/callback'

/** For a machine that nobody sits at. Throws UNAUTHENTIC where a person has to log in first. */
export function providerOf(server: string, login: Login, file: LoginFile): AuthProvider | OAuthClientProvider {
  if (login.as === 'person') return new PersonLogin(login, file, { redirect: nowhere, open: () => missing(server) })
  const { secret } = file.read()
  if (secret === undefined) throw missing(server)
  if (login.as === 'token') return { token: async () => secret, onUnauthorized: () => Promise.reject(missing(server)) }
  const { client: clientId = '', issuer: expectedIssuer = '', scope, signs } = login
  const common = { clientId, expectedIssuer, clientName: name, ...(scope === undefined ? {} : { scope }) }
  return signs === undefined
    ? new ClientCredentialsProvider({ ...common, clientSecret: secret })
    : new PrivateKeyJwtProvider({ ...common, privateKey: secret, algorithm: signs })
}

const missing = (server: string) =>
  new ClawmeshError(
    'UNAUTHENTIC',
    `The MCP server ${server} asks for a login, and this machine has none that is good.`,
    {
      hint: `Type on that machine: clawmesh mcp login ${server}`,
    },
  )

interface Browser {
  redirect: string
  state?: string
  /** Shows the address to a person; or says why not, by what it returns. */
  open: (url: URL) => ClawmeshError | undefined
}

/** The code of a person's yes, and the tokens that it was changed for. */
export class PersonLogin implements OAuthClientProvider {
  readonly #login: Login
  readonly #file: LoginFile
  readonly #browser: Browser
  #verifier = ''
  readonly clientMetadataUrl?: string

  constructor(login: Login, file: LoginFile, browser: Browser) {
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

  clientInformation(): StoredOAuthClientInformation | undefined {
    const { client: id, issuer } = this.#login
    const { client, secret } = this.#file.read()
    if (id === undefined || this.clientMetadataUrl !== undefined)
      return client as unknown as StoredOAuthClientInformation | undefined
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

  saveDiscoveryState(found: OAuthDiscoveryState): void {
    this.#file.change({ discovery: { ...found } })
  }

  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#file.read().discovery as unknown as OAuthDiscoveryState | undefined
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
