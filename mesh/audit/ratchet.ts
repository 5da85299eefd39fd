/**
 * The keys of one epoch of a producer's chain, one for each record. A key is used once and gone: from what a node holds now, nobody computes what it held
 * before, so whoever steals its memory opens nothing that is recorded already. The auditors hold the first key of each epoch and go on from it.
 *
 *     HMAC-SHA-256(K, 00 00 00 01)  =  the next K
 *     HMAC-SHA-256(K, 00 00 00 02)  =  the key of this record
 *
 * All of it is OpenSSL's, which clears its memory when it is done; libsodium's WebAssembly does not.
 */
import { createCipheriv, createDecipheriv, pbkdf2Sync, randomFillSync } from 'node:crypto'
import { ClawmeshError } from '../../policies/errors.js'
import type { AgreementKey } from '../seal/keys.js'
import { sodium } from '../seal/sodium.js'

const keyLength = 32
const tagLength = 16
/** Under a key that is used once, a constant is a nonce that is used once. */
const nonce = Buffer.alloc(12)

export class Ratchet {
  readonly #key: Uint8Array

  /** Takes the key over, and overwrites it. */
  constructor(key: Uint8Array) {
    this.#key = key
  }

  /** Hands the next record's key to `use`, and forgets it. */
  step<T>(use: (key: Uint8Array) => T): T {
    const keys = derive(this.#key)
    this.#key.set(keys.subarray(0, keyLength))
    try {
      return use(keys.subarray(keyLength, 2 * keyLength))
    } finally {
      keys.fill(0)
    }
  }

  skip(steps: number): void {
    for (let left = steps; left > 0; left -= 1) this.step(() => undefined)
  }

  wipe(): void {
    this.#key.fill(0)
  }
}

/**
 * PBKDF2 of one round is HMAC under the key with the number of each block, and the one function of Node that hands out what OpenSSL made without a copy on
 * the way: a cipher's `update` frees its first buffer as it is, key in it, and a hash leaves its digest on the stack. The third block is there for that: the
 * last one is what PBKDF2 itself leaves on the stack, and nothing uses it.
 */
function derive(key: Uint8Array): Buffer {
  return pbkdf2Sync(key, '', 1, 3 * keyLength, 'sha256')
}

/** A new epoch: the ratchet, and its first key sealed to the auditors, whom alone it can be opened by. */
export function beginEpoch(auditorKey: Uint8Array): { ratchet: Ratchet; sealedKey: Uint8Array } {
  // Outside the heap of JavaScript, whose collector leaves copies behind when it moves what is small.
  const key = randomFillSync(new Uint8Array(new ArrayBuffer(keyLength)))
  return { sealedKey: sodium.crypto_box_seal(key, auditorKey), ratchet: new Ratchet(key) }
}

/** Throws if it was not sealed to this auditor. */
export function openEpoch(sealedKey: Uint8Array, auditor: AgreementKey): Ratchet {
  const key = sodium.crypto_box_seal_open(sealedKey, auditor.publicKey, auditor.secretKey)
  if (key.length !== keyLength) throw new ClawmeshError('AUDIT_BROKEN', 'A key of the audit trail has a wrong length.')
  return new Ratchet(key)
}

/** AES-256-GCM: ciphertext and tag. */
export function sealOnce(key: Uint8Array, bound: Uint8Array, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagLength })
  cipher.setAAD(bound)
  const sealed = new Uint8Array(plain.length + tagLength)
  sealed.set(cipher.update(plain))
  cipher.final()
  sealed.set(cipher.getAuthTag(), plain.length)
  return sealed
}

/** Throws unless `sealed` was made under this key and bound to this. */
export function openOnce(key: Uint8Array, bound: Uint8Array, sealed: Uint8Array): Uint8Array {
  const length = sealed.length - tagLength
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagLength })
  decipher.setAAD(bound)
  decipher.setAuthTag(sealed.subarray(length))
  const plain = decipher.update(sealed.subarray(0, length))
  decipher.final()
  return plain
}
