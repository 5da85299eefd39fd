/**
 * What the authority remembers, in files of its folder: who belongs to the mesh under which name, who was revoked, which invitations are out. The files are the
 * truth: the authority of a running mesh reads them at each question, and the commands `invite` and `revoke` write them beside it.
 *
 * 1. A name belongs to one key until that key is revoked. A revoked key never comes back.
 * 2. An invitation belongs to the first key that uses it. The same key may ask again, since an answer can be lost.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import type { RevokedUsers } from '../../mesh/broker/accounts.js'
import { writeWhole } from '../../mesh/disk.js'
import { labelsSchema } from '../../mesh/seal/certificate.js'
import { ClawmeshError } from '../../policies/errors.js'
import { roles } from '../../policies/roles.js'
import { takeLock } from '../lock.mjs'

const memberSchema = z.object({
  name: z.string(),
  holder: z.string(),
  roles: z.array(z.enum(roles)),
  labels: labelsSchema.optional(),
  /** nkey public keys of its users on the broker: more than one if it lost one. */
  brokerKeys: z.array(z.string()),
  /** Milliseconds since 1970. */
  since: z.number(),
})
export type Member = z.output<typeof memberSchema>

const revokedSchema = z.array(
  z.object({ name: z.string(), holder: z.string(), brokerKeys: z.array(z.string()), at: z.number().int() }),
)
export type Revoked = z.output<typeof revokedSchema>[number]

const invitationSchema = z.object({
  id: z.string(),
  secret: z.string(),
  /** Left out: the newcomer's own choice. */
  name: z.string().optional(),
  roles: z.array(z.enum(roles)),
  labels: labelsSchema.optional(),
  expires: z.number().int(),
  /** The key that used it. */
  holder: z.string().optional(),
})
export type OpenInvitation = z.output<typeof invitationSchema>

const lockWithinMs = 5000

const nodeName = /^[a-z0-9][a-z0-9-]{0,62}$/

/** Nodes that the authority's machine starts by itself. */
const isReserved = (name: string) => name === 'operator' || /^runner-\d+$/.test(name)

/** Throws USAGE for what is no name, and DENIED for one that no machine may take. */
export function checkNodeName(name: string): void {
  if (isReserved(name))
    throw new ClawmeshError('DENIED', `The name "${name}" is kept for the machine of the authority.`, {
      hint: 'Choose another name with --name.',
    })
  if (!nodeName.test(name))
    throw new ClawmeshError('USAGE', `"${name}" is no name for a node.`, {
      hint: 'Use small letters, digits and hyphens, at most 63 of them, and begin with a letter or digit.',
    })
}

export class Register {
  readonly #members: string
  readonly #invitations: string
  readonly #revoked: string
  readonly #lock: string

  constructor(folder: string) {
    this.#members = join(folder, 'nodes')
    this.#invitations = join(folder, 'invitations')
    this.#revoked = join(folder, 'revoked.json')
    this.#lock = join(folder, 'register.lock')
    for (const path of [this.#members, this.#invitations]) mkdirSync(path, { recursive: true, mode: 0o700 })
  }

  members(): Member[] {
    return readdirSync(this.#members)
      .filter((name) => name.endsWith('.json'))
      .flatMap((name) => this.member(name.slice(0, -'.json'.length)) ?? [])
  }

  member(name: string): Member | undefined {
    return nodeName.test(name) ? read(join(this.#members, `${name}.json`), memberSchema) : undefined
  }

  revoked(): Revoked[] {
    return read(this.#revoked, revokedSchema) ?? []
  }

  /** As the broker wants to know them. */
  revokedUsers(): RevokedUsers {
    return Object.fromEntries(this.revoked().flatMap(({ brokerKeys, at }) => brokerKeys.map((key) => [key, at])))
  }

  /** Enters a node, or its new user on the broker. Rejects with DENIED if the key was revoked or the name is another's. */
  admit(member: Member): Promise<void> {
    return this.#alone(() => this.#admit(member))
  }

  /** Ends a node for good, under whatever names its key is known; undefined if there is none of that name. */
  revoke(name: string, now: number): Promise<Member | undefined> {
    return this.#alone(() => {
      const member = this.member(name)
      if (!member) return undefined
      const { holder } = member
      const all = this.members().filter((other) => other.holder === holder)
      const brokerKeys = [...new Set(all.flatMap((other) => other.brokerKeys))]
      const at = Math.ceil(now / 1000)
      writeWhole(this.#revoked, JSON.stringify([...this.revoked(), { name, holder, brokerKeys, at }], null, 2))
      for (const other of all) rmSync(join(this.#members, `${other.name}.json`), { force: true })
      return { ...member, brokerKeys }
    })
  }

  invite(invitation: OpenInvitation): void {
    writeWhole(join(this.#invitations, `${invitation.id}.json`), JSON.stringify(invitation, null, 2))
  }

  invitation(id: string): OpenInvitation | undefined {
    return /^[0-9a-f]{32}$/.test(id) ? read(join(this.#invitations, `${id}.json`), invitationSchema) : undefined
  }

  /** Enters a newcomer under its invitation, in one step: no two keys can use one invitation. */
  redeem(invitation: OpenInvitation, member: Member): Promise<void> {
    return this.#alone(() => {
      const { holder = member.holder } = this.invitation(invitation.id) ?? invitation
      if (holder !== member.holder)
        throw new ClawmeshError('DENIED', 'This invitation was used already.', {
          hint: 'Each serves one machine. Make another one where the mesh runs: clawmesh invite',
        })
      this.#admit(member)
      this.invite({ ...invitation, holder })
    })
  }

  #admit(member: Member): void {
    const { name, holder } = member
    const known = this.member(name)
    if (this.revoked().some((gone) => gone.holder === holder))
      throw new ClawmeshError('DENIED', `Node "${name}" was revoked.`, {
        hint: 'It needs a new key: let it join by a new invitation, in another data folder (--data DIR).',
      })
    if (known && known.holder !== holder)
      throw new ClawmeshError('DENIED', `The mesh has a node named "${name}" already.`, {
        hint: 'Choose another name with --name, or revoke that node first.',
      })
    const otherwise = this.members().find((other) => other.holder === holder && other.name !== name)
    if (otherwise)
      throw new ClawmeshError('DENIED', `This node belongs to the mesh as "${otherwise.name}" already.`, {
        hint: 'A key has one name. A second node on this machine needs a data folder and an invitation of its own.',
      })
    const brokerKeys = [...new Set([...(known?.brokerKeys ?? []), ...member.brokerKeys])]
    const entry: Member = { ...member, brokerKeys, since: known?.since ?? member.since }
    writeWhole(join(this.#members, `${name}.json`), JSON.stringify(entry, null, 2))
  }

  /** Two processes never write at once: the running authority and a command beside it. */
  async #alone<T>(work: () => T): Promise<T> {
    for (const until = performance.now() + lockWithinMs; ; ) {
      const lock = takeLock(this.#lock)
      if ('release' in lock) {
        try {
          return work()
        } finally {
          lock.release()
        }
      }
      if (performance.now() > until)
        throw new ClawmeshError('DATA_IN_USE', `Process ${lock.holder} holds ${this.#lock}.`, {
          hint: 'Try again when it has ended.',
        })
      await setTimeout(20)
    }
  }
}

function read<T>(file: string, schema: z.ZodType<T>): T | undefined {
  if (!existsSync(file)) return undefined
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new ClawmeshError('UNAUTHENTIC', `The authority's file ${file} is damaged.`, {
      hint: 'Restore it from a backup.',
      cause,
    })
  }
}
