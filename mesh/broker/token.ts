/**
 * The token of a joiner, written by hand so that it can be packed into an invitation: everything in it but the signature can be written down again by
 * whoever knows a few keys and times. The form is NATS's own (RFC 7519 with the algorithm "ed25519-nkey").
 */
import { fromPublic, type KeyPair } from '@nats-io/nkeys'

export interface JoinerClaims {
  name: string
  /** nkey public keys of the user and of the account that the token belongs to. */
  publicKey: string
  account: string
  /** Seconds since 1970. */
  issuedAt: number
  expires: number
}

export interface JoinerToken {
  /** The public key of the account's signing key. */
  issuer: string
  signature: Uint8Array
}

export function signJoinerToken(claims: JoinerClaims, key: KeyPair): JoinerToken {
  const issuer = key.getPublicKey()
  return { issuer, signature: key.sign(Buffer.from(signedPart(claims, issuer))) }
}

export function writeJoinerToken(claims: JoinerClaims, { issuer, signature }: JoinerToken): string {
  return `${signedPart(claims, issuer)}.${Buffer.from(signature).toString('base64url')}`
}

export const joinerTokenVerifies = (claims: JoinerClaims, { issuer, signature }: JoinerToken): boolean =>
  fromPublic(issuer).verify(Buffer.from(signedPart(claims, issuer)), signature)

function signedPart({ name, publicKey, account, issuedAt, expires }: JoinerClaims, issuer: string): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = {
    name,
    sub: publicKey,
    iss: issuer,
    iat: issuedAt,
    exp: expires,
    jti: `${name}-${issuedAt}`,
    nats: { issuer_account: account, type: 'user', version: 2 },
  }
  return `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(body)}`
}
