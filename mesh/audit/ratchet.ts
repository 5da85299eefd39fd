/**
 * The keys of one epoch of a producer's chain, one for each record. A key is used once and gone: from what a node holds now, nobody computes what it held
 * before, so whoever steals its memory opens nothing that is recorded already. The auditors hold the first key of each epoch and go on from it.
 *
 *     AES-256-CTR(K, 64 zero bytes, counter from 0)  =  the next K ‖ the key of this record
 *
 * The ciphers are OpenSSL's, which clears its memory when it has finalised one; libsodium's WebAssembly does not.
 */
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'
import { ClawmeshError } from '../../policies/errors.js'
import type { AgreementKey } from '../seal/keys.js'
import { sodium } from '../seal/sodium.js'

const keyLength = 32
const tagLength = 16
const zeros = Buffer.alloc(2 * keyLength)
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
    const cipher = createCipheriv('aes-256-ctr', this.#key, zeros.subarray(0, 16))
    const keys = cipher.update(zeros)
    cipher.final()
    this.#key.set(keys.subarray(0, keyLength))
    try {
      return use(keys.subarray(keyLength))
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
