/**
 * What one line of work has seen. Its label rises with everything that enters and comes down only by a named person, on record.
 */

import { ClawmeshError } from '../policies/errors.js'
import { atLeast, type Category, type Label, type Sensitivity } from '../policies/router-label.js'
import type { RouterAudit } from './audit.js'
import { joinSensitivity } from './label.js'
import { type SignedLowering, within } from './lowering.js'
import { Vault } from './pseudonym/vault.js'

export interface Lowering {
  readonly to: Label
  /** Categories that the person says it is not of. */
  readonly without: readonly Category[]
  /** Who answers for it: a person's name, never an agent's. */
  readonly person: string
  readonly reason: string
}

export class RouterSession {
  readonly vault = new Vault()
  readonly #audit: RouterAudit
  readonly #trace: string
  #sensitivity: Sensitivity = { label: 'PUBLIC', categories: [] }

  constructor(audit: RouterAudit, trace: string) {
    this.#audit = audit
    this.#trace = trace
  }

  get sensitivity(): Sensitivity {
    return this.#sensitivity
  }

  /** Takes note of something that entered: a prompt, a file, a tool's result, a memory. */
  raise(by: Sensitivity): Sensitivity {
    this.#sensitivity = joinSensitivity([this.#sensitivity, by])
    return this.#sensitivity
  }

  /** By the word of a person that was signed, and recorded when it was given. False, and nothing comes down, where more has been seen than it is about. */
  bringDown({ terms: { from, to } }: SignedLowering): boolean {
    const { label, categories } = this.#sensitivity
    if (!within(this.#sensitivity, from)) return false
    this.#sensitivity = {
      label: atLeast(label, to.label) ? to.label : label,
      categories: categories.filter((category) => to.categories.includes(category)),
    }
    return true
  }

  /** Throws USAGE where nobody is named or nothing would come down; rejects, and lowers nothing, if it cannot be recorded. */
  async lower({ to, without, person, reason }: Lowering): Promise<void> {
    const { label, categories } = this.#sensitivity
    if (person.trim() === '' || reason.trim() === '') {
      throw new ClawmeshError('USAGE', 'A label is lowered by a person, for a reason, and one of them is missing.', {
        hint: 'Name the person and the reason.',
      })
    }
    if (!atLeast(label, to)) {
      throw new ClawmeshError('USAGE', `The session is ${label}; ${to} is higher.`, {
        hint: 'Labels rise by themselves.',
      })
    }
    await this.#audit.intend({
      kind: 'label.lowered',
      trace: this.#trace,
      actor: person,
      facts: { from: label, to, categories, without, reason },
    })
    this.#sensitivity = { label: to, categories: categories.filter((category) => !without.includes(category)) }
  }
}
