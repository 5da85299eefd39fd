import { clockToleranceMs } from './certificate.js'

/**
 * Remembers the ids of messages for as long as their sending time would still be accepted. Two generations: the older
 * one is dropped whole, so that a message costs one insertion and nothing is ever scanned.
 */
export class ReplayGuard {
  #current = new Set<string>()
  #previous = new Set<string>()
  #turned: number

  constructor(now: number) {
    this.#turned = now
  }

  /** False if the id was seen before. */
  first(id: string, now: number): boolean {
    if (now - this.#turned > 2 * clockToleranceMs) {
      this.#previous = this.#current
      this.#current = new Set()
      this.#turned = now
    }
    if (this.#current.has(id) || this.#previous.has(id)) return false
    this.#current.add(id)
    return true
  }
}
