/**
 * Where the authority of a running mesh answers questions for certificates. Whatever is asked, it answers in its own name or not at all, and what it did is
 * written down before the answer goes out.
 */
import type { Addresses } from '../../mesh/address.js'
import type { BrokerAccounts } from '../../mesh/broker/accounts.js'
import { Refusals } from '../../mesh/calls/refusals.js'
import type { MeshNode } from '../../mesh/index.js'
import type { Authority } from '../../mesh/seal/authority.js'
import { holderOf } from '../../mesh/seal/certificate.js'
import { type Asked, type Grant, readQuestion, type Wish } from '../../mesh/seal/enrolment.js'
import { fromHex } from '../../mesh/seal/keys.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import { checkNodeName, type Member, type OpenInvitation, type Register } from './register.js'

export interface DeskOptions {
  authority: Authority
  accounts: BrokerAccounts
  addresses: Addresses
  register: Register
  /** Writes down what was done. */
  node: Pick<MeshNode, 'note'>
  /** Where other machines find the broker, and whose certificate it shows. */
  servers: string[]
  tlsAuthority?: string | undefined
  now?: () => number
}

export class Desk {
  readonly #options: DeskOptions
  readonly #now: () => number
  /** A flood of bad questions must not become a flood of audit events. */
  readonly #refusals: Refusals

  constructor(options: DeskOptions) {
    this.#options = options
    this.#refusals = new Refusals(({ node: kind, ...facts }) => options.node.note('node.refused', { kind, ...facts }))
    this.#now = options.now ?? Date.now
  }

  async answer(wire: Uint8Array): Promise<Uint8Array> {
    const { authority } = this.#options
    const asked = readQuestion(wire)
    if (!asked) return new Uint8Array()
    try {
      const { secret, grant } = asked.kind === 'enrol' ? await this.#enrol(asked) : await this.#renew(asked)
      return asked.grant(secret, grant, authority.root)
    } catch (error) {
      const refusal = ClawmeshError.from(error)
      this.#refusals.count(refusal.code, refusal.message, asked.kind)
      return asked.refuse(refusal, authority.root)
    }
  }

  async #enrol(asked: Asked): Promise<{ secret: Uint8Array; grant: Grant }> {
    const { register, node } = this.#options
    const invitation = register.invitation(asked.id)
    if (!invitation) throw unknownInvitation()
    const now = this.#now()
    if (now >= invitation.expires * 1000)
      throw new ClawmeshError(
        'DENIED',
        `This invitation ended at ${new Date(invitation.expires * 1000).toISOString()}.`,
        {
          hint: 'Make a new one where the mesh runs: clawmesh invite',
        },
      )
    const secret = fromHex(invitation.secret)
    const { wish, publicKey } = asked.open(secret)
    const name = nameFor(invitation, wish)
    const granted = rolesFor(invitation, wish)
    const holder = holderOf(publicKey)
    const { labels = [] } = invitation
    const member = { name, holder, roles: granted, labels, brokerKeys: [wish.brokerKey], since: now }
    await register.redeem(invitation, member)
    await node.note('node.enrolled', { name, holder, roles: granted, labels, invitation: asked.id })
    return { secret, grant: await this.#grantFor(member, publicKey, wish) }
  }

  async #renew(asked: Asked): Promise<{ secret: Uint8Array; grant: Grant }> {
    const { register, authority } = this.#options
    const { wish, publicKey } = asked.open(authority.meshKey)
    const member = register.member(wish.name)
    if (member?.holder !== holderOf(publicKey))
      throw new ClawmeshError('DENIED', `Node "${wish.name}" does not belong to this mesh (any more).`, {
        hint: 'Let it join again by a new invitation, in another data folder (--data DIR).',
      })
    await register.admit({ ...member, brokerKeys: [wish.brokerKey] })
    return { secret: authority.meshKey, grant: await this.#grantFor(member, publicKey, wish) }
  }

  async #grantFor({ name, roles, labels }: Member, publicKey: Uint8Array, { brokerKey }: Wish): Promise<Grant> {
    const { authority, accounts, servers, tlsAuthority } = this.#options
    const certificate = authority.certify(name, roles, publicKey, this.#now(), labels)
    return {
      certificate: certificate.wire,
      meshKey: authority.meshKey,
      auditorKey: authority.auditor.publicKey,
      brokerToken: await accounts.memberToken(certificate, brokerKey),
      servers,
      ...(tlsAuthority === undefined ? {} : { tlsAuthority }),
    }
  }
}

function nameFor({ name }: OpenInvitation, wish: Wish): string {
  const chosen = name ?? wish.name
  checkNodeName(chosen)
  return chosen
}

function rolesFor(invitation: OpenInvitation, wish: Wish): Role[] {
  const granted = wish.roles.filter((role) => invitation.roles.includes(role))
  if (granted.length > 0) return granted
  throw new ClawmeshError(
    'DENIED',
    `The invitation is for ${invitation.roles.join(', ')}; this machine offers ${wish.roles.join(', ') || 'nothing'}.`,
    {
      hint: 'Make an invitation with other --roles, or see what a machine can offer: `clawmesh join --help`.',
    },
  )
}

const unknownInvitation = () =>
  new ClawmeshError('DENIED', 'The mesh knows nothing of this invitation.', {
    hint: 'Make a new one where the mesh runs: clawmesh invite',
  })
