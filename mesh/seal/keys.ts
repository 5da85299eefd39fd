import { createHash, randomFillSync } from 'node:crypto'
import { sodium } from './sodium.js'

/** Ed25519: public 32 bytes, secret 64 bytes. */
export interface SigningKey {
  publicKey: Uint8Array
  secretKey: Uint8Array
}

/** X25519: both 32 bytes. */
export interface AgreementKey {
  publicKey: Uint8Array
  secretKey: Uint8Array
}

export function signingKey(): SigningKey {
  const { publicKey, privateKey } = sodium.crypto_sign_keypair()
  return { publicKey, secretKey: privateKey }
}

export function agreementKey(): AgreementKey {
  const { publicKey, privateKey } = sodium.crypto_box_keypair()
  return { publicKey, secretKey: privateKey }
}

/** A detached Ed25519 signature, 64 bytes. `context` keeps a signature made for one purpose from serving another. */
export function sign(context: string, bytes: Uint8Array, key: SigningKey): Uint8Array {
  return sodium.crypto_sign_detached(inContext(context, bytes), key.secretKey)
}

export function verifies(context: string, bytes: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== 64 || publicKey.length !== 32) return false
  try {
    return sodium.crypto_sign_verify_detached(signature, inContext(context, bytes), publicKey)
  } catch {
    return false
  }
}

/** SHA-256, 32 bytes. */
export function digest(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** The first 16 bytes of a digest in hex: short enough for a subject, long enough never to collide. */
export function fingerprint(...parts: Uint8Array[]): string {
  return hex(digest(...parts)).slice(0, 32)
}

const pool = Buffer.alloc(4096)
let taken = pool.length

/** Random bytes from a pool: asking the kernel for 24 bytes at a time costs more than sealing a message. */
export function randomBytes(length: number): Uint8Array {
  if (taken + length > pool.length) {
    randomFillSync(pool)
    taken = 0
  }
  const bytes = new Uint8Array(pool.subarray(taken, taken + length))
  taken += length
  return bytes
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
export const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf8'))
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

function inContext(context: string, bytes: Uint8Array): Uint8Array {
  return digest(utf8(`clawmesh ${context}\0`), bytes)
}
