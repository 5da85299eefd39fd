/**
 * What was used of grants here. Every use counts for the grant that was shown and for each that it comes from, so what a holder passes on to many is one
 * amount all the same.
 */
import { ClawmeshError } from '../../policies/errors.js'
import type { Grant } from './grant.js'
import { abilityOf, type Use } from './terms.js'

/** A use that was let in. */
export interface Taken {
  /** It has cost this and no more; what is not billed has cost all that was set aside for it. Counts once. */
  bill(tokens: number): void
  /** Nothing was begun: it does not count. */
  giveBack(): void
}

interface Account {
  until: number
  /** Whose use opened it. */
  by: string
  times: number
  tokens: number
}

/** Grants with limits that one holder may have in use here at a time: what is counted must not be forgotten, so there can be no more. */
const mostAccounts = 10_000

export class Ledger {
  readonly #accounts = new Map<string, Account>()
  readonly #perHolder = new Map<string, number>()

  /** Throws DENIED where a limit of the grant, or of one that it comes from, would be passed. */
  take({ links, holder, id }: Grant, { can, tokens = 0 }: Use, now: number): Taken {
    const limited = links.flatMap(({ id: link, terms }) => {
      const { times, tokens: most } = abilityOf(terms.may, can) ?? {}
      return times === undefined && most === undefined
        ? []
        : [{ key: `${link} ${can}`, times, most, until: terms.until }]
    })
    const accounts = limited.map(({ key, times, most, until }) => {
      const account = this.#accounts.get(key) ?? { until, by: holder, times: 0, tokens: 0 }
      if (times !== undefined && account.times + 1 > times) throw spent(id, `to ${can} was used ${times} times already`)
      if (most !== undefined && account.tokens + tokens > most)
        throw spent(id, `to ${can} has ${most - account.tokens} of ${most} tokens left, and ${tokens} are asked for`)
      return { key, account }
    })
    for (const { key, account } of accounts) this.#open(key, account, now)
    for (const { account } of accounts) {
      account.times += 1
      account.tokens += tokens
    }
    let billed = false
    const settle = (cost: number) => {
      if (!billed) for (const { account } of accounts) account.tokens += cost - tokens
      billed = true
    }
    return {
      bill: settle,
      giveBack: () => {
        if (!billed) for (const { account } of accounts) account.times -= 1
        settle(0)
      },
    }
  }

  #open(key: string, account: Account, now: number): void {
    if (this.#accounts.has(key)) return
    if ((this.#perHolder.get(account.by) ?? 0) >= mostAccounts) this.#sweep(now)
    const open = this.#perHolder.get(account.by) ?? 0
    if (open >= mostAccounts) throw new ClawmeshError('DENIED', `Holder ${account.by} has ${open} grants in use here.`)
    this.#perHolder.set(account.by, open + 1)
    this.#accounts.set(key, account)
  }

  /** A grant that has ended is refused for that. */
  #sweep(now: number): void {
    this.#perHolder.clear()
    for (const [key, { until, by }] of this.#accounts) {
      if (until < now) this.#accounts.delete(key)
      else this.#perHolder.set(by, (this.#perHolder.get(by) ?? 0) + 1)
    }
  }
}

const spent = (grant: string, what: string) => new ClawmeshError('DENIED', `Grant ${grant} ${what}.`)
