/**
 * The pseudonyms of one session, and what they stand for. It lives in memory and dies with the session.
 *
 * 1. One value of one kind has one pseudonym, and one pseudonym one value.
 * 2. A pseudonym ends in the session's own tag: those of other sessions, and invented ones, are none of ours.
 * 3. Text that comes in and looks like one of ours is given a pseudonym itself, so that whoever writes one gets back what they wrote and no more.
 */
import { randomInt } from 'node:crypto'

const consonants = 'bcdfghjklmnpqrstvwxz'
const tagLength = 6
/** A pattern for the tag of any session. */
export const pseudonymEnding = `[${consonants}]{${tagLength}}`

export class Vault {
  readonly tag: string
  readonly #values = new Map<string, string>()
  readonly #pseudonyms = new Map<string, string>()
  readonly #counts = new Map<string, number>()

  constructor() {
    this.tag = Array.from({ length: tagLength }, () => consonants[randomInt(consonants.length)]).join('')
  }

  /** Whatever could be taken for a pseudonym of this session. */
  get lookalike(): RegExp {
    return new RegExp(`\\[?[A-Za-z-]{0,16}_?\\d{0,9}_?${this.tag}\\]?`, 'gi')
  }

  /** `[EMAIL_1_kqzbtw]` */
  pseudonym(kind: string, value: string): string {
    const key = `${kind}\0${value}`
    const known = this.#pseudonyms.get(key)
    if (known !== undefined) return known
    const number = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, number)
    const made = `[${kind.toUpperCase()}_${number}_${this.tag}]`
    this.#pseudonyms.set(key, made)
    this.#values.set(made, value)
    return made
  }

  valueOf(pseudonym: string): string | undefined {
    return this.#values.get(pseudonym)
  }

  get size(): number {
    return this.#values.size
  }
}
