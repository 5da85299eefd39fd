/**
 * Puts what could not be delivered on the stream of dead letters.
 *
 * 1. Nobody waits for it: a node that drowns in messages must not drown in their funerals. So many wait here at a time; the next one is refused, and whoever
 *    asked for it says on the audit trail that it was not kept.
 * 2. One is under way at a time. A broker that is away is waited for.
 */
import type { Addresses } from '../address.js'
import { encode } from '../codec.js'
import { Space } from '../post/space.js'
import type { Credentials } from '../seal/credentials.js'
import type { AppendLog } from '../transport/transport.js'
import { type Lost, mostKeptBytes, writeDeadLetter } from './letter.js'

export interface DeadLettersOptions {
  credentials: Pick<Credentials, 'certificate' | 'signing' | 'auditorKey'>
  addresses: Addresses
  log: AppendLog
  now(): number
}

const mostWaiting = 1000
const mostWaitingBytes = 8 * 1024 * 1024
const firstAgainMs = 200
const lastAgainMs = 5000

interface Waiting {
  lost: Lost
  at: number
  weight: number
  /** Told whether the stream has it. */
  told: ((isStored: boolean) => void) | undefined
}

export class DeadLetters {
  readonly #options: DeadLettersOptions
  readonly #waiting: Waiting[] = []
  readonly #space = new Space(mostWaiting, mostWaitingBytes)
  #sending: Promise<void> | undefined
  #closed = false
  #wake: () => void = () => undefined

  constructor(options: DeadLettersOptions) {
    this.#options = options
  }

  /** Resolves to whether the stream has it. */
  bury(lost: Lost): Promise<boolean> {
    return new Promise((resolve) => {
      if (!this.keep(lost, resolve)) resolve(false)
    })
  }

  /** False if there is no room for it. */
  keep(lost: Lost, told?: (isStored: boolean) => void): boolean {
    const weight = Math.min(encode(lost.content).length, mostKeptBytes)
    if (this.#closed || !this.#space.take(weight)) return false
    this.#waiting.push({ lost, at: this.#options.now(), weight, told })
    this.#sending ??= this.#sendAll()
    return true
  }

  /** Waits until the stream has all, or the time is up; then takes no more. */
  async close(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs)
    })
    await Promise.race([this.#sending, late])
    clearTimeout(timer)
    this.#closed = true
    this.#wake()
    await this.#sending
    for (const { told } of this.#waiting) told?.(false)
  }

  async #sendAll(): Promise<void> {
    const { log, addresses, credentials } = this.#options
    for (let next = this.#waiting[0]; next && !this.#closed; next = this.#waiting[0]) {
      const { id, wire } = writeDeadLetter(next.lost, next.at, credentials)
      const subject = addresses.dead(credentials.certificate.holder, next.lost.from.holder)
      for (let pause = firstAgainMs; !(await isStored(log.append(subject, id, wire))); ) {
        if (this.#closed) return
        await this.#rest(pause)
        pause = Math.min(2 * pause, lastAgainMs)
      }
      this.#waiting.shift()
      this.#space.give(next.weight)
      next.told?.(true)
    }
    this.#sending = undefined
  }

  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

const isStored = (appended: Promise<void>): Promise<boolean> =>
  appended.then(
    () => true,
    () => false,
  )
