/**
 * Sealing between two runs: X25519 of both sides' run keys, hashed with both addresses into one XChaCha20-Poly1305 key
 * for each direction. Only the two can make or open a message. A key lives as long as the shorter of the two runs.
 */
import { ClawmeshError } from '../../policies/errors.js'
import type { Incarnation, Peer } from './incarnation.js'
import { randomBytes, utf8 } from './keys.js'
import { sodium } from './sodium.js'

const nonceLength = 24

interface ChannelKeys {
  send: Uint8Array
  receive: Uint8Array
}

export class Channels {
  readonly #self: Incarnation
  readonly #keys = new Map<string, ChannelKeys>()

  constructor(self: Incarnation) {
    this.#self = self
  }

  /** Nonce and ciphertext. `bound` is authenticated with it and must be given again, byte for byte, to open it. */
  seal(peer: Peer, plain: Uint8Array, bound: Uint8Array): Uint8Array {
    return sealWith(this.#keysFor(peer).send, plain, bound)
  }

  open(peer: Peer, sealed: Uint8Array, bound: Uint8Array): Uint8Array {
    return openWith(this.#keysFor(peer).receive, sealed, bound)
  }

  forget(peerId: string): void {
    this.#keys.delete(peerId)
  }

  #keysFor(peer: Peer): ChannelKeys {
    const known = this.#keys.get(peer.id)
    if (known) return known
    const shared = sodium.crypto_scalarmult(this.#self.agreement.secretKey, peer.agreementPublic)
    const direction = (from: string, to: string) =>
      sodium.crypto_generichash(32, utf8(`clawmesh channel 1\0${from}\0${to}`), shared)
    const keys = { send: direction(this.#self.id, peer.id), receive: direction(peer.id, this.#self.id) }
    this.#keys.set(peer.id, keys)
    return keys
  }
}

export function sealWith(key: Uint8Array, plain: Uint8Array, bound: Uint8Array): Uint8Array {
  const nonce = randomBytes(nonceLength)
  const box = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, bound, null, nonce, key)
  const sealed = new Uint8Array(nonceLength + box.length)
  sealed.set(nonce)
  sealed.set(box, nonceLength)
  return sealed
}

export function openWith(key: Uint8Array, sealed: Uint8Array, bound: Uint8Array): Uint8Array {
  try {
    const nonce = sealed.subarray(0, nonceLength)
    const box = sealed.subarray(nonceLength)
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, box, bound, nonce, key)
  } catch (cause) {
    throw new ClawmeshError('UNAUTHENTIC', 'A message does not open: it was forged, changed or meant for another.', {
      cause,
    })
  }
}
