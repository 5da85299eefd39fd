/**
 * ChaCha20-Poly1305 (RFC 8439) with a counter for a nonce, as the Noise protocol prescribes it. Letters are sealed by libsodium. From a few
 * kilobytes on OpenSSL does the same four times faster than WebAssembly, and for a short letter three times slower: it depends on the length which
 * of the two is asked, and nothing on the wire shows it.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { ClawmeshError } from '../../policies/errors.js'
import { writeUint32 } from '../numbers.js'
import { sodium } from './sodium.js'

export const tagLength = 16

const nativeFrom = 3000

/** A nonce is never used twice under one key: who seals counts. */
export function seal(key: Uint8Array, counter: number, bound: Uint8Array, plain: Uint8Array): Uint8Array {
  const nonce = nonceOf(counter)
  if (plain.length < nativeFrom) return sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plain, bound, null, nonce, key)
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: tagLength })
  cipher.setAAD(bound, { plaintextLength: plain.length })
  const sealed = new Uint8Array(plain.length + tagLength)
  sealed.set(cipher.update(plain))
  cipher.final()
  sealed.set(cipher.getAuthTag(), plain.length)
  return sealed
}

/** Throws UNAUTHENTIC unless `sealed` was made under this key, counter and associated data. */
export function open(key: Uint8Array, counter: number, bound: Uint8Array, sealed: Uint8Array): Uint8Array {
  const nonce = nonceOf(counter)
  try {
    if (sealed.length < nativeFrom + tagLength)
      return sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, sealed, bound, nonce, key)
    const length = sealed.length - tagLength
    const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: tagLength })
    decipher.setAAD(bound, { plaintextLength: length })
    decipher.setAuthTag(sealed.subarray(length))
    const plain = decipher.update(sealed.subarray(0, length))
    decipher.final()
    return plain
  } catch (cause) {
    throw new ClawmeshError('UNAUTHENTIC', 'A message does not open: it was forged, changed or meant for another.', {
      cause,
    })
  }
}

/** Four zero bytes and the counter, little-endian. */
function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(12)
  writeUint32(nonce, 4, counter)
  writeUint32(nonce, 8, Math.floor(counter / 0x1_0000_0000))
  return nonce
}
