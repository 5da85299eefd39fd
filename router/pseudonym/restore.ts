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

/**
 * Is the end of what was read so far inside an address? Reads character by character, so that cuts make no difference.
 *
 * A program that shows the answer reads more as an address than a person does: a target in angle brackets goes on behind a space, one of Markdown behind brackets that
 * are closed again, and the value of an HTML attribute up to its quotation mark, over lines too. So nothing is put back in any of these.
 */
class Place {
  isAddress = false
  /** The last few characters. */
  #tail = ''
  /** Open round brackets of a Markdown link, where spaces do not end it. */
  #depth = 0
  /** Behind a `<` that was not closed in its line. */
  #isAngled = false
  /** Inside an HTML tag, and of it the mark that ends the value of an attribute. */
  #isTag = false
  #quote = ''

  move(text: string): void {
    for (const character of text) {
      this.#tail = (this.#tail + character.toLowerCase()).slice(-11)
      if (this.#quote !== '') this.#inValue(character)
      else if (this.#depth > 0) this.#inTarget(character)
      else this.#outside(character)
    }
  }

  #inValue(character: string): void {
    if (character === this.#quote) this.#quote = ''
    this.isAddress = this.#quote !== ''
  }

  #inTarget(character: string): void {
    if (character === '<' && /\(\s*<$/.test(this.#tail)) this.#isAngled = true
    else if (character === '>' || character === '\n') this.#isAngled = false
    else if (character === '(') this.#depth += 1
    else if (character === ')' && !this.#isAngled) this.#depth -= 1
    if (character === '\n') this.#depth = 0
    this.isAddress = this.#depth > 0
  }

  #outside(character: string): void {
    if (character === '<') [this.#isAngled, this.#isTag] = [true, false]
    else if (character === '>') this.#isAngled = this.#isTag = this.isAddress = false
    else if (character === '\n') this.#isAngled = false
    else if (/<[a-z]$/.test(this.#tail)) this.#isTag = true
    if (/\]\($/.test(this.#tail)) {
      this.#depth = 1
      this.isAddress = true
    } else if (this.#isTag && /=\s{0,9}["']$/.test(this.#tail)) {
      this.#quote = character
      this.isAddress = true
    } else if (/\s/.test(character)) {
      this.isAddress &&= this.#isAngled
    } else if (/(?:\/\/|\\\\|www\.|mailto:|tel:|sms:|href=|src=|data:|javascript:|url\()$/.test(this.#tail)) {
      this.isAddress = true
    }
  }
}
