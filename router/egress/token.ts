/**
 * Leave to send one body, for another process: what a clearance becomes on the way to the process that holds the keys.
 *
 *     const key = newTokenKey()                        // made for one process, at its start
 *     const token = new TokenMint(key).mint({ provider: 'frontier', model: 'large' }, body)
 *     new TokenCheck(key).check(token, body)           // there: once, and for these bytes
 *
 * It is a MAC over its number, the destination and the SHA-256 of the body. Numbers rise, so one that was used, or is older than one that was, is refused.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import type { Destination } from './clearance.js'

export const tokenSchema = z.strictObject({
  number: z.int().positive(),
  provider: z.string(),
  model: z.string(),
  /** HMAC-SHA-256, Base64. */
  mac: z.string(),
})
export type Token = z.output<typeof tokenSchema>

/** 32 bytes. */
export const newTokenKey = (): Buffer => randomBytes(32)

export class TokenMint {
  readonly #key: Uint8Array
  #last = 0

  constructor(key: Uint8Array) {
    this.#key = key
  }

  mint({ provider, model }: Destination, body: Uint8Array): Token {
    this.#last += 1
    const said = { number: this.#last, provider, model }
    return { ...said, mac: macOf(this.#key, said, body).toString('base64') }
  }
}

export class TokenCheck {
  readonly #key: Uint8Array
  #last = 0

  constructor(key: Uint8Array) {
    this.#key = key
  }

  /** Spends it. Throws DENIED for one that is not of this key, was altered, was used, or is for another body. */
  check(token: Token, body: Uint8Array): Destination {
    const mac = Buffer.from(token.mac, 'base64')
    const own = macOf(this.#key, token, body)
    if (mac.length !== own.length || !timingSafeEqual(mac, own))
      throw denied('its token was altered, or is for another body')
    if (token.number <= this.#last) throw denied('its token was used before')
    this.#last = token.number
    return { provider: token.provider, model: token.model }
  }
}

function macOf(key: Uint8Array, { number, provider, model }: Omit<Token, 'mac'>, body: Uint8Array): Buffer {
  const sha256 = createHash('sha256').update(body).digest('hex')
  return createHmac('sha256', key)
    .update(JSON.stringify(['clawmesh egress 1', number, provider, model, sha256]))
    .digest()
}

const denied = (why: string): ClawmeshError =>
  new ClawmeshError('DENIED', `The process that holds the keys sends nothing: ${why}.`, {
    hint: 'Ask again; if it stays so, start the node again.',
  })
