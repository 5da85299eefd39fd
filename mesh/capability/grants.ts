/**
 * The grants of one node: those that it gives with its calls, and those that it is shown.
 *
 * 1. A grant counts from the one to whom it was given, or from the one who gives it to us; from nobody else.
 * 2. It is checked at each use: ended, revoked, meant for another run, not allowing it, used up.
 * 3. The first use of each is on the audit trail before what it was used for: events of one node stand there in the order in which they were said.
 */

import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import type { EventKind } from '../audit/event.js'
import { encode } from '../codec.js'
import type { Certificate } from '../seal/certificate.js'
import type { Peer } from '../seal/incarnation.js'
import { fingerprint, type SigningKey } from '../seal/keys.js'
import { attenuate, type Grant, type GrantWire, mint, mostLinks, readGrant } from './grant.js'
import { Ledger, type Taken } from './ledger.js'
import { allows, beyond, narrowed, type Use, type Wanted } from './terms.js'

export interface GrantsOptions {
  self: Peer
  signing: SigningKey
  rootKey: Uint8Array
  /** The holder's certificate is no longer good. */
  isRevoked(holder: string): boolean
  record(kind: EventKind, facts: Record<string, unknown>, trace: string, actor: string): Promise<void>
  now(): number
}

/** A call with which authority is given. */
export interface Entrusted {
  peer: Peer
  actor: string
  wanted: Wanted
  /** What the giver was given for this; its own authority if left out. */
  parent: Grant | undefined
  /** The call's: a grant does not outlive it. */
  deadline: number
}

/** A grant that is shown for something. */
export interface Shown {
  grant: Grant
  peer: Peer
  use: Use
  /** The message, the actor to which it goes, and who may send it by a right of his own. */
  message: string
  actor: string
  from: readonly Role[] | 'members'
  trace: string
}

const mostKnown = 10_000

export class Grants {
  readonly #options: GrantsOptions
  readonly #ledger = new Ledger()
  #certificate: Certificate
  /** Chains that were read, by the hash of all their bytes: they are not verified twice. */
  readonly #known = new Map<string, Grant>()
  /** Their first use is on the trail. */
  readonly #recorded = new WeakSet<Grant>()

  constructor(options: GrantsOptions) {
    this.#options = options
    this.#certificate = options.self.certificate
  }

  /** Grants begin with a certificate, and end with it. */
  renew(certificate: Certificate): void {
    this.#certificate = certificate
  }

  /** Throws DENIED where more is wanted than the giver has. */
  give({ peer, actor, wanted, parent, deadline }: Entrusted): GrantWire {
    const { signing } = this.#options
    const whole = parent?.terms ?? { may: wanted.may ?? {}, until: deadline }
    const terms = narrowed(whole, { ...wanted, until: Math.min(deadline, wanted.until ?? deadline) })
    const given = { holder: peer.certificate.holder, actor, terms }
    if (!parent) return mint({ certificate: this.#certificate, signing }, given)
    const wider = beyond(terms, parent.terms)
    if (wider !== undefined)
      throw new ClawmeshError('DENIED', `"${actor}" would be given more than there is to give: ${wider}.`, {
        hint: 'Give it a part of what was given.',
      })
    if (parent.links.length >= mostLinks)
      throw new ClawmeshError('DENIED', `The grant for "${actor}" was passed on ${mostLinks} times already.`)
    return attenuate(parent, signing, given)
  }

  /** What came with a message: a good chain, whatever it is worth here. Throws UNAUTHENTIC or DENIED. */
  read(wire: unknown): Grant {
    const { self, rootKey, now } = this.#options
    const key = fingerprint(encode(wire))
    const known = this.#known.get(key)
    if (known) return known
    const grant = readGrant(wire, { mesh: self.certificate.mesh, rootKey, now: now() })
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < mostKnown) break
      this.#known.delete(oldest)
    }
    this.#known.set(key, grant)
    return grant
  }

  /** One that is given to us with a call, to do the work of. */
  accept(wire: unknown, peer: Peer): Grant {
    const grant = this.read(wire)
    if (grant.links.at(-1)?.issuer !== peer.certificate.holder)
      throw stranger(grant, 'given by another node than showed it')
    if (grant.holder !== this.#options.self.certificate.holder) throw stranger(grant, 'meant for another node')
    this.#checkGood(grant)
    return grant
  }

  /** Takes a use of a grant. Throws UNAUTHENTIC where it was not given to who shows it, and DENIED where it does not allow this, now. */
  use({ grant, peer, use, message, actor, from, trace }: Shown): Taken {
    const { self, now } = this.#options
    if (grant.holder !== peer.certificate.holder) throw stranger(grant, 'given to another node than showed it')
    this.#checkGood(grant)
    if (grant.terms.at !== undefined && grant.terms.at !== self.id)
      throw new ClawmeshError('DENIED', `Grant ${grant.id} may be used at another run of a node alone.`)
    const { name, roles } = grant.root
    if (from !== 'members' && !roles.some((role) => from.includes(role)))
      throw new ClawmeshError(
        'DENIED',
        `Grant ${grant.id} begins with node "${name}", which is ${roles.join(', ') || 'without a role'} and has no right to ${message} itself.`,
      )
    const objection = allows(grant.terms, use)
    if (objection !== undefined) throw new ClawmeshError('DENIED', `Grant ${grant.id} for ${message}: ${objection}.`)
    const taken = this.#ledger.take(grant, use, now())
    this.#recordFirst(grant, { message, use: { ...use }, by: peer.certificate.name }, trace, actor)
    return taken
  }

  #checkGood({ id, terms, links, root }: Grant): void {
    const { isRevoked, now } = this.#options
    const until = Math.min(terms.until, root.notAfter)
    if (!(now() <= until)) throw new ClawmeshError('DENIED', `Grant ${id} ended at ${new Date(until).toISOString()}.`)
    if (links.some(({ issuer, holder }) => isRevoked(issuer) || isRevoked(holder)))
      throw new ClawmeshError('UNAUTHENTIC', `Grant ${id} of node "${root.name}" went through a node that was revoked.`)
  }

  #recordFirst(grant: Grant, used: Record<string, unknown>, trace: string, actor: string): void {
    if (this.#recorded.has(grant)) return
    this.#recorded.add(grant)
    const facts = { grant: grant.id, begins: grant.root.name, chain: grant.links.map((link) => ({ ...link })), ...used }
    // Said again with the next use, if this disk did not take it.
    void this.#options.record('grant.used', facts, trace, actor).catch(() => this.#recorded.delete(grant))
  }
}

const stranger = ({ id, root }: Grant, what: string) =>
  new ClawmeshError('UNAUTHENTIC', `Grant ${id} of node "${root.name}" was ${what}.`)
