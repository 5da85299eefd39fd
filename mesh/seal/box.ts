/** Sealing under a key that many hold: XChaCha20-Poly1305 with a random nonce in front. For entries that stand and for what is said in a room, not for letters. */
import { ClawmeshError } from '../../policies/errors.js'
import { randomBytes } from './keys.js'
import { sodium } from './sodium.js'

const nonceLength = 24

/** Nonce and ciphertext. `bound` is authenticated with it and must be given again, byte for byte, to open it. */
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
    throw new ClawmeshError(
      'UNAUTHENTIC',
      'An entry does not open: it was forged, changed or meant for another place.',
      {
        cause,
      },
    )
  }
}
