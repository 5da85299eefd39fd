/**
 * An invitation: one string that brings one machine into one mesh. It says where the broker is, whom to believe (the root key, the broker's TLS authority),
 * and holds one secret seed. From the seed come a user of the broker that may ask for a certificate and do nothing else, and the secret that seals the
 * question. Everything else that a node needs comes with the answer.
 */
import { fromSeed } from '@nats-io/nkeys'
import { z } from 'zod'
import { enrolmentSubject } from '../../mesh/address.js'
import type { BrokerUser } from '../../mesh/broker/accounts.js'
import { type JoinerToken, joinerTokenVerifies, writeJoinerToken } from '../../mesh/broker/token.js'
import { binary, decode, encode } from '../../mesh/codec.js'
import { digest, fingerprint, sameBytes, utf8 } from '../../mesh/seal/keys.js'
import { ClawmeshError } from '../../policies/errors.js'
import { fromBase32, toBase32 } from './base32.js'

/** What the string says. */
export interface InvitationParts {
  servers: string[]
  rootKey: Uint8Array
  /** SHA-256 of the certificate of the mesh's TLS authority, if the broker speaks TLS. */
  tlsFingerprint: Uint8Array | undefined
  seed: string
  account: string
  /** Seconds since 1970. */
  issuedAt: number
  expires: number
  token: JoinerToken
}

export interface Invitation {
  readonly id: string
  readonly secret: Uint8Array
  readonly servers: string[]
  readonly rootKey: Uint8Array
  readonly tlsFingerprint: Uint8Array | undefined
  readonly user: BrokerUser
  /** Where the question goes. */
  readonly subject: string
}

const mark = 'cmj1_'
const markOfAny = /^cmj\d+_/
const checkBytes = 4

const wireSchema = z.tuple([
  z.array(z.string().regex(/^(nats|tls):\/\/[^\s/]+$/)).min(1),
  binary.refine((key) => key.length === 32),
  binary.nullable(),
  binary,
  binary,
  z.number().int(),
  z.number().int(),
  binary,
  binary,
])

/** What both sides make of the seed. */
export function ofSeed(seed: string): { id: string; secret: Uint8Array; publicKey: string } {
  const publicKey = fromSeed(Buffer.from(seed)).getPublicKey()
  return { id: fingerprint(utf8(publicKey)), secret: digest(utf8('clawmesh invitation\0'), utf8(seed)), publicKey }
}

export function writeInvitation(parts: InvitationParts): string {
  const { servers, rootKey, tlsFingerprint, seed, account, issuedAt, expires, token } = parts
  const keys = [fromBase32(seed), fromBase32(account)]
  const wire = [servers, rootKey, tlsFingerprint ?? null, ...keys, issuedAt, expires, fromBase32(token.issuer)]
  const bytes = encode([...wire, token.signature])
  return `${mark}${Buffer.concat([bytes, checkOf(bytes)]).toString('base64url')}`
}

/** Rejects with USAGE what is damaged, of another version or too old. `now` in milliseconds. */
export function readInvitation(text: string, now: number): Invitation {
  // A terminal may have broken the string over several lines.
  const given = text.replaceAll(/\s/g, '')
  if (!given.startsWith(mark)) throw markOfAny.test(given) ? otherVersion() : notOne()
  const whole = Buffer.from(given.slice(mark.length), 'base64url')
  const bytes = new Uint8Array(whole.subarray(0, -checkBytes))
  // Of a last letter a few bits may say nothing: the same bytes in other letters are not what was printed.
  if (whole.toString('base64url') !== given.slice(mark.length)) throw damaged()
  if (!sameBytes(new Uint8Array(whole.subarray(-checkBytes)), checkOf(bytes))) throw damaged()
  const read = wireSchema.safeParse(decode(bytes))
  if (!read.success) throw damaged()
  const [servers, rootKey, tlsFingerprint, seedBytes, accountBytes, issuedAt, expires, issuerBytes, signature] =
    read.data
  if (now >= expires * 1000) throw expired(expires)
  const seed = toBase32(seedBytes)
  const { id, secret, publicKey } = ofSeed(seed)
  const claims = { name: id, publicKey, account: toBase32(accountBytes), issuedAt, expires }
  const token = { issuer: toBase32(issuerBytes), signature: new Uint8Array(signature) }
  if (!joinerTokenVerifies(claims, token)) throw damaged()
  const user = { token: writeJoinerToken(claims, token), seed, inbox: `_INBOX.${id}` }
  const mesh = fingerprint(rootKey).slice(0, 16)
  return {
    id,
    secret,
    servers,
    rootKey: new Uint8Array(rootKey),
    tlsFingerprint: tlsFingerprint ? new Uint8Array(tlsFingerprint) : undefined,
    user,
    subject: enrolmentSubject(mesh),
  }
}

const checkOf = (bytes: Uint8Array) => digest(utf8(mark), bytes).slice(0, checkBytes)

const again = 'Copy the whole string that was printed there (clawmesh invite), or make a new one.'
const notOne = () => new ClawmeshError('USAGE', `This is no invitation: one begins with "${mark}".`, { hint: again })
const damaged = () =>
  new ClawmeshError('USAGE', 'This invitation is damaged: a part of it is missing or changed.', { hint: again })
const otherVersion = () =>
  new ClawmeshError('USAGE', 'This invitation was made by another version of clawmesh.', {
    hint: 'Use the same version on both machines.',
  })
const expired = (expires: number) =>
  new ClawmeshError('USAGE', `This invitation ended at ${new Date(expires * 1000).toISOString()}.`, {
    hint: `If this machine's clock is right, make a new one where the mesh runs: clawmesh invite.`,
  })
