/** The identity provider of an organisation, behind TLS: OpenID Connect with a code, PKCE and refresh, and grants for authorization servers of others (ID-JAG). It trusts its own signature alone. */
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { Codes } from './code.js'
import { signed, verified } from './jwt.js'
import { type Answer, clientOf, openTlsPeer, type TlsPeer } from './tls-peer.js'

export interface Organisation extends TlsPeer {
  /** What its signatures are looked at with. */
  readonly key: KeyObject
  /** Its one client, and its secret. */
  readonly client: string
  readonly secret: string
  /** Who sits at the browser. */
  person: string
  /** What it calls itself, and whom it says its word is for; itself and its client unless told otherwise. */
  calls: string
  audience: string
  /** For how many seconds its word is good. */
  lasts: number
  /** Whether it lets its people use anything. */
  allows: boolean
  /** How often it was to renew a login, and whose it renews then; the same person's unless told otherwise. */
  renewals: number
  renews: (person: string | undefined) => string | undefined
  /** Nobody is logged in any more. */
  forget(): void
}

/** `grantsTo`: the client at the other server, by what it is known there. */
export async function openOrganisation(file: string, grantsTo: string): Promise<Organisation> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const codes = new Codes()
  const renewable = new Map<string, string>()
  const now = () => Math.floor(Date.now() / 1000)
  const refused = (error: string) => Response.json({ error }, { status: 400 })
  const word = (person: string | undefined) => {
    if (person === undefined) return refused('invalid_grant')
    const refresh_token = randomUUID()
    renewable.set(refresh_token, person)
    const { calls: iss, audience: aud, lasts } = organisation
    const id_token = signed(privateKey, { iss, aud, sub: person, iat: now(), exp: now() + lasts })
    return Response.json({ id_token, refresh_token, access_token: randomUUID(), token_type: 'Bearer' })
  }
  const grant = (form: URLSearchParams) => {
    const claims = verified(publicKey, form.get('subject_token') ?? '')
    if (!claims || !organisation.allows) return refused(claims ? 'access_denied' : 'invalid_grant')
    const [aud, resource] = [form.get('audience'), form.get('resource')]
    const said = { iss: organisation.calls, aud, resource, sub: claims['sub'], client_id: grantsTo, exp: now() + 300 }
    return Response.json({
      access_token: signed(privateKey, said, 'oauth-id-jag+jwt'),
      issued_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
      token_type: 'N_A',
    })
  }
  const routes: Record<string, Answer> = {
    '/.well-known/openid-configuration': () =>
      Response.json({
        issuer: organisation.calls,
        authorization_endpoint: `${organisation.url}/authorize`,
        token_endpoint: `${organisation.url}/token`,
        jwks_uri: `${organisation.url}/keys`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
        scopes_supported: ['openid', 'offline_access'],
      }),
    '/authorize': ({ url }) => {
      const { searchParams } = new URL(url)
      const isOurs = searchParams.get('client_id') === organisation.client
      if (!isOurs || searchParams.get('scope') !== 'openid offline_access') return refused('invalid_request')
      return codes.redirect(new URL(url), organisation.person)
    },
    '/token': (request, body) => {
      const form = new URLSearchParams(body)
      if (clientOf(request, form) !== `${organisation.client}:${organisation.secret}`) return refused('invalid_client')
      if (form.get('grant_type') === 'authorization_code') return word(codes.take(form))
      if (form.get('grant_type') !== 'refresh_token') return grant(form)
      organisation.renewals += 1
      const token = form.get('refresh_token') ?? ''
      const person = organisation.renews(renewable.get(token))
      return word(renewable.delete(token) ? person : undefined)
    },
  }
  const answer: Answer = (request, body) =>
    routes[new URL(request.url).pathname]?.(request, body) ?? new Response(null, { status: 404 })
  const tls = await openTlsPeer(file, answer)
  const client = 'clawmesh-desk'
  const organisation: Organisation = Object.assign(tls, {
    key: publicKey,
    client,
    secret: randomUUID(),
    person: 'anna',
    calls: tls.url,
    audience: client,
    lasts: 3600,
    allows: true,
    renewals: 0,
    renews: (person: string | undefined) => person,
    forget: () => renewable.clear(),
  })
  return organisation
}
