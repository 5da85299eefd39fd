/**
 * Who there is on the broker, as NATS knows it: an operator, three accounts, and users who prove a key of their own and show a token that an account has
 * signed. The broker holds public keys only, and a new node needs no change of it.
 */
import { encodeAccount, encodeOperator, encodeUser, newScopedSigner, type OperatorLimits } from '@nats-io/jwt'
import { createUser, fromPublic, type KeyPair } from '@nats-io/nkeys'
import type { Role } from '../../policies/roles.js'
import type { Addresses } from '../address.js'
import { type BrokerKeys, seedOf } from './keys.js'
import {
  auditorPermissions,
  joinerPermissions,
  memberPermissions,
  nodeTag,
  type Permissions,
  siteAuditPermissions,
  sitePermissions,
  supervisorPermissions,
  watcherPermissions,
} from './permissions.js'
import { signJoinerToken } from './token.js'

/** What lets one in: a token, and the seed of the key that it names. */
export interface BrokerUser {
  readonly token: string
  readonly seed: string
  /** The prefix under which the broker's answers come; the broker's own choice of words if left out. */
  readonly inbox?: string
}

/** As much of a certificate as says what its holder may do on the broker. */
export interface Certified {
  readonly holder: string
  readonly name: string
  readonly roles: readonly Role[]
}

/** All that the broker must be told. */
export interface BrokerClaims {
  operator: string
  system: string
  /** Account tokens by account. */
  accounts: Record<string, string>
}

/** Public keys of users whose tokens are no longer good, with the second since 1970 until which they were issued. */
export type RevokedUsers = Record<string, number>

const unlimited: OperatorLimits = {
  subs: -1,
  conn: -1,
  leaf: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
}
const storing: OperatorLimits = { ...unlimited, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
const scopes = { subs: -1, data: -1, payload: -1 }
/** A question for a certificate is short, and one connection asks it. */
const narrow = { subs: 4, data: -1, payload: 16 * 1024 }

/** What servers must be told that are not ours. */
export interface OutsideClaims {
  operator: string
  /** Its public key. */
  key: string
  accounts: BrokerClaims['accounts']
}

export class BrokerAccounts {
  readonly #keys: BrokerKeys
  readonly #addresses: Addresses

  constructor(keys: BrokerKeys, addresses: Addresses) {
    this.#keys = keys
    this.#addresses = addresses
  }

  async claims(revoked: RevokedUsers): Promise<BrokerClaims> {
    const { operator, system, audit } = this.#keys
    const [operatorToken, systemToken, meshToken, auditToken] = await Promise.all([
      encodeOperator('clawmesh', operator, { system_account: system.getPublicKey() }),
      encodeAccount('system', system, { limits: unlimited }, { signer: operator }),
      this.meshToken(revoked),
      this.#auditToken(),
    ])
    const accounts = {
      [system.getPublicKey()]: systemToken,
      [this.#keys.mesh.getPublicKey()]: meshToken,
      [audit.getPublicKey()]: auditToken,
    }
    return { operator: operatorToken, system: system.getPublicKey(), accounts }
  }

  /** What servers of another operator must be told: ours beside theirs, and our accounts. Their system account stays their own. */
  async claimsOutside(revoked: RevokedUsers): Promise<OutsideClaims> {
    const { operator, mesh, audit } = this.#keys
    const [operatorToken, meshToken, auditToken] = await Promise.all([
      encodeOperator('clawmesh', operator),
      this.meshToken(revoked),
      this.#auditToken(),
    ])
    const accounts = { [mesh.getPublicKey()]: meshToken, [audit.getPublicKey()]: auditToken }
    return { operator: operatorToken, key: operator.getPublicKey(), accounts }
  }

  /** The account of the mesh's traffic: the one that changes when a node is revoked. */
  meshToken(revocations: RevokedUsers): Promise<string> {
    const { operator, mesh, audit, member, supervisor, joiner } = this.#keys
    const permitted = supervisorPermissions(this.#addresses)
    return encodeAccount(
      'mesh',
      mesh,
      {
        limits: storing,
        imports: [{ ...this.#auditService(), account: audit.getPublicKey() }],
        signing_keys: [
          newScopedSigner(member, 'member', { ...permits(memberPermissions(this.#addresses)), ...scopes }),
          newScopedSigner(supervisor, 'supervisor', { ...permits(permitted), ...scopes }),
          newScopedSigner(joiner, 'joiner', { ...permits(joinerPermissions(this.#addresses)), ...narrow }),
        ],
        revocations,
      },
      { signer: operator },
    )
  }

  /** A token for the user of a certified node, who keeps the seed to himself. */
  memberToken({ holder, name, roles }: Certified, publicKey: string): Promise<string> {
    const claims = {
      issuer_account: this.#keys.mesh.getPublicKey(),
      tags: [`${nodeTag}:${this.#addresses.nodeToken(name)}`],
    }
    const signer = roles.includes('supervisor') ? this.#keys.supervisor : this.#keys.member
    return encodeUser(holder, fromPublic(publicKey), signer, claims, { scopedUser: true })
  }

  /** A token for whoever holds an invitation: short, since it is typed in as a part of it. */
  joinerToken(name: string, publicKey: string, issuedAt: number, expires: number) {
    const { mesh, joiner } = this.#keys
    return signJoinerToken({ name, publicKey, account: mesh.getPublicKey(), issuedAt, expires }, joiner)
  }

  /** The public key of the account that joiners and members belong to. */
  get account(): string {
    return this.#keys.mesh.getPublicKey()
  }

  /** A user with every right in one account, for the authority itself; new each time. */
  async administrator(account: 'system' | 'mesh' | 'audit'): Promise<BrokerUser> {
    const user = createUser()
    return { token: await encodeUser('authority', user, this.#keys[account], scopes), seed: seedOf(user) }
  }

  /** A user that may read the audit stream and do nothing else; new each time. */
  async auditor(): Promise<BrokerUser> {
    const user = createUser()
    const claims = { ...permits(auditorPermissions(this.#addresses)), ...scopes }
    return { token: await encodeUser('auditor', user, this.#keys.audit, claims), seed: seedOf(user) }
  }

  /** A user that hears of connections of the mesh's account that have ended, and can do nothing else; new each time. */
  async watcher(): Promise<BrokerUser> {
    const user = createUser()
    const { publish, subscribe } = watcherPermissions(this.#addresses, this.account)
    const claims = { pub: { deny: publish.deny }, sub: { allow: subscribe }, ...scopes }
    return { token: await encodeUser('watcher', user, this.#keys.system, claims), seed: seedOf(user) }
  }

  /** Users for the server of a second site, one in each account that it extends there; new each time. */
  async site(): Promise<{ mesh: BrokerUser; audit: BrokerUser }> {
    const open = async (account: KeyPair, permissions: Permissions) => {
      const user = createUser()
      return {
        token: await encodeUser('site', user, account, { ...permits(permissions), ...scopes }),
        seed: seedOf(user),
      }
    }
    return {
      mesh: await open(this.#keys.mesh, sitePermissions(this.#addresses)),
      audit: await open(this.#keys.audit, siteAuditPermissions(this.#addresses)),
    }
  }

  #auditToken(): Promise<string> {
    const { operator, audit } = this.#keys
    return encodeAccount('audit', audit, { limits: storing, exports: [this.#auditService()] }, { signer: operator })
  }

  /** One message to it is one record, acknowledged; nothing else of the audit account can be reached through it. */
  #auditService() {
    return {
      name: 'audit',
      subject: this.#addresses.auditSubjects,
      type: 'service' as const,
      response_type: 'Singleton' as const,
    }
  }
}

const permits = ({ publish, subscribe }: Permissions) => ({ pub: { allow: publish }, sub: { allow: subscribe } })
