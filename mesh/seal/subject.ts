/**
 * The public key of a data subject, a person whom recorded content is about: whoever records such content seals it to this key and cannot open it again. The
 * root's signature says that the authority keeps the secret key, so that nobody can have content sealed to a key of their own and hide it from the auditors.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { fingerprint, type SigningKey, sign, verifies } from './keys.js'

export interface SubjectKey {
  /** Says nothing of the person: the fingerprint of the public key, 32 hex digits. */
  readonly id: string
  /** X25519. */
  readonly publicKey: Uint8Array
  /** Public key and signature, 96 bytes. */
  readonly wire: Uint8Array
}

const keyLength = 32
const wireLength = keyLength + 64

export function issueSubjectKey(publicKey: Uint8Array, root: SigningKey): SubjectKey {
  const wire = new Uint8Array(wireLength)
  wire.set(publicKey)
  wire.set(sign('subject', publicKey, root), keyLength)
  return { id: fingerprint(publicKey), publicKey, wire }
}

/** Throws UNAUTHENTIC for what this mesh's authority did not give out. */
export function readSubjectKey(wire: Uint8Array, rootKey: Uint8Array): SubjectKey {
  const publicKey = wire.slice(0, keyLength)
  if (wire.length === wireLength && verifies('subject', publicKey, wire.subarray(keyLength), rootKey))
    return { id: fingerprint(publicKey), publicKey, wire: Uint8Array.from(wire) }
  throw new ClawmeshError('UNAUTHENTIC', 'A message is filed under a person whose key the authority did not give out.')
}
