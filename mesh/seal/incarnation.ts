/**
 * One run of one node. Each run has a fresh X25519 key, announced under the node's signature: what was sealed to a run
 * that has ended can be opened by nobody, so nothing recorded then can be replayed to the node that came after it.
 */
import { z } from 'zod'
import type { Principal } from '../../policies/decide.js'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import { type Certificate, readCertificate } from './certificate.js'
import type { Credentials } from './credentials.js'
import { type AgreementKey, agreementKey, fingerprint, type SigningKey, sign, verifies } from './keys.js'

/** What others know of a run. */
export interface Peer {
  /** 32 hex digits: the address of this run on the broker. */
  readonly id: string
  readonly certificate: Certificate
  readonly agreementPublic: Uint8Array
}

/** Who speaks, to whoever decides. */
export const principalOf = ({ certificate }: Peer): Principal => ({ node: certificate.name, roles: certificate.roles })

/** What the node itself knows of its run. */
export interface Incarnation extends Peer {
  readonly agreement: AgreementKey
  readonly announcement: Uint8Array
}

const announcementSchema = z.tuple([binary, binary, binary])

export function beginIncarnation({ certificate, signing }: Credentials): Incarnation {
  const agreement = agreementKey()
  const announcement = announce(certificate, agreement.publicKey, signing)
  const id = idOf(certificate, agreement.publicKey)
  return { id, certificate, agreement, agreementPublic: agreement.publicKey, announcement }
}

/** The same run under a renewed certificate: the same key and address, with newer papers. */
export function announce(certificate: Certificate, agreementPublic: Uint8Array, signing: SigningKey): Uint8Array {
  const signature = sign('incarnation', signedPart(certificate.wire, agreementPublic), signing)
  return encode([certificate.wire, agreementPublic, signature])
}

export function readAnnouncement(announcement: Uint8Array, rootKey: Uint8Array, now: number): Peer {
  const parsed = announcementSchema.safeParse(decode(announcement))
  if (!parsed.success)
    throw new ClawmeshError('UNAUTHENTIC', 'A node announced itself in a form that is not understood.')
  const [wire, agreementPublic, signature] = parsed.data
  const certificate = readCertificate(wire, rootKey, now)
  if (!verifies('incarnation', signedPart(wire, agreementPublic), signature, certificate.publicKey)) {
    throw new ClawmeshError('UNAUTHENTIC', `A node announced itself as "${certificate.name}" without its signing key.`)
  }
  return { id: idOf(certificate, agreementPublic), certificate, agreementPublic }
}

const idOf = ({ publicKey }: Certificate, agreementPublic: Uint8Array) => fingerprint(publicKey, agreementPublic)

const signedPart = (wire: Uint8Array, agreementPublic: Uint8Array) => encode([wire, agreementPublic])
