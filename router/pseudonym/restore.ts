/**
 * Puts the values back in an answer, piece by piece as it streams. However it is cut, what comes out is the same.
 *
 * A pseudonym is restored where a person reads it, never inside an address of the net: a link that a model writes must not carry what was kept from it.
 */
import type { Vault } from './vault.js'

/** The longest `[KIND_NUMBER_tag]`. */
const longest = 48
const whole = /\[[A-Z-]{1,24}_\d{1,9}_[a-z]{6}\]/y
const begun = /^\[(?:[A-Z-]{0,24}|[A-Z-]{1,24}_\d{0,9}|[A-Z-]{1,24}_\d{1,9}_[a-z]{0,6})$/

export class Restorer {
  readonly #vault: Vault
  readonly #place = new Place()
  /** What may turn out to be a pseudonym. */
  #held = ''

  constructor(vault: Vault) {
    this.#vault = vault
  }

  push(chunk: string): string {
    const text = this.#held + chunk
    this.#held = ''
    let out = ''
    let done = 0
    for (let open = text.indexOf('['); open >= 0; open = text.indexOf('[', done)) {
      out += this.#pass(text.slice(done, open))
      whole.lastIndex = open
      const [pseudonym] = whole.exec(text) ?? []
      if (pseudonym !== undefined) {
        const value = this.#place.isAddress ? undefined : this.#vault.valueOf(pseudonym)
        this.#place.move(pseudonym)
        out += value ?? pseudonym
        done = open + pseudonym.length
      } else if (text.length - open < longest && begun.test(text.slice(open))) {
        this.#held = text.slice(open)
        return out
      } else {
        out += this.#pass('[')
        done = open + 1
      }
    }
    return out + this.#pass(text.slice(done))
  }

  /** What was held back and has turned out to be nothing. */
  end(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }

  #pass(text: string): string {
    this.#place.move(text)
    return text
  }
}

/** The whole of a text at once. */
export function restore(vault: Vault, text: string): string {
  const restorer = new Restorer(vault)
  return restorer.push(text) + restorer.end()
}

/** Is the end of what was read so far inside an address? Reads character by character, so that cuts make no difference. */
class Place {
  isAddress = false
  /** The last few characters. */
  #tail = ''
  /** Inside the brackets of a Markdown link, where spaces do not end it. */
  #isTarget = false

  move(text: string): void {
    for (const character of text) {
      this.#tail = (this.#tail + character.toLowerCase()).slice(-6)
      if (this.#isTarget) {
        if (character === ')' || character === '\n') this.#isTarget = this.isAddress = false
      } else if (this.#tail.endsWith('](')) {
        this.#isTarget = this.isAddress = true
      } else if (/\s/.test(character)) {
        this.isAddress = false
      } else if (/(?:\/\/|www\.|mailto:|tel:|href=|src=|data:)$/.test(this.#tail)) {
        this.isAddress = true
      }
    }
  }
}
