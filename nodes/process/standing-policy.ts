/**
 * The policy that a sandbox node goes by.
 *
 * 1. A machine whose person named a policy keeps to that one. One whose person named none goes by the mesh's, and by `ask-first` until there is one.
 * 2. A version that cannot be taken (not signed by the authority, older than one that was seen, not valid for this node) changes nothing: the one before stays.
 * 3. A version is on the node's disk before it is in force, so that a broker that forgets it, or shows an older one, is not believed after a restart either.
 */
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { writeWhole } from '../../mesh/disk.js'
import type { MeshNode } from '../../mesh/index.js'
import { type Edition, readEdition } from '../../mesh/seal/edition.js'
import { digest, hex, utf8 } from '../../mesh/seal/keys.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { PolicyInForce, PolicyName } from '../../policies/in-force.js'
import { parseProfile } from '../../policies/profile.js'

/** What a node says of it in its advert. */
export const policyAdvertSchema = z.object({
  name: z.string(),
  version: z.number().nullable(),
  digest: z.string(),
  /** False: its person named one, and it does not go by the mesh's. */
  follows: z.boolean(),
  /** The version that it cannot take, if the newest is none for it, and why. */
  refused: z.object({ version: z.number(), why: z.string() }).nullable(),
})
export type PolicyAdvert = z.output<typeof policyAdvertSchema>

export interface StandingOptions {
  name: string
  text: string
  follows: boolean
  /** Where the newest version that was taken is kept. */
  file: string
  mesh: string
  rootKey: Uint8Array
}

/** `source`: what messages call the text. Throws POLICY_INVALID. */
export function inForce(source: string, text: string, version: number | null = null): PolicyInForce {
  return { profile: parseProfile(text, source), policy: { name: source, version, digest: hex(digest(utf8(text))) } }
}

/** The version that a node took last. Throws UNAUTHENTIC for a file that the authority did not sign, POLICY_INVALID for one that is none for this clawmesh. */
export function readKept(
  file: string,
  { mesh, rootKey }: Pick<StandingOptions, 'mesh' | 'rootKey'>,
): { edition: Edition; policy: PolicyInForce } {
  try {
    const edition = readEdition(readFileSync(file), mesh, rootKey)
    return { edition, policy: inForce(edition.name, edition.text, edition.version) }
  } catch (cause) {
    const { code, message } = ClawmeshError.from(cause)
    throw new ClawmeshError(
      code === 'INTERNAL' ? 'UNAUTHENTIC' : code,
      `The policy in ${file} cannot be used: ${message}`,
      {
        hint: "Remove the file: the node takes the mesh's newest when it is back.",
        cause,
      },
    )
  }
}

export class StandingPolicy {
  readonly #options: StandingOptions
  #current: PolicyInForce
  #text: string
  #seen = 0
  #refused: PolicyAdvert['refused'] = null
  #work: Promise<unknown> = Promise.resolve()

  constructor(options: StandingOptions) {
    const { name, text, follows, file, mesh, rootKey } = options
    this.#options = options
    this.#current = inForce(name, text)
    this.#text = text
    if (!follows || !existsSync(file)) return
    const { edition, policy } = readKept(file, { mesh, rootKey })
    this.#current = policy
    this.#text = edition.text
    this.#seen = edition.version
  }

  readonly current = (): PolicyInForce => this.#current

  /** Says what it begins with, takes the mesh's, and each that follows. Resolves when the newest that is known is in force. */
  async begin(node: MeshNode): Promise<void> {
    const newest = node.directory.policy
    if (newest) this.#offer(newest, node)
    node.directory.onPolicy((edition) => this.#offer(edition, node))
    await this.#work
    if (this.#current.policy.version === null || this.#current.policy.version !== newest?.version)
      await note(node, this.#current.policy, this.#text)
    await this.#describe(node)
  }

  /** One after another, in the order in which they came. */
  #offer(edition: Edition, node: MeshNode): void {
    this.#work = this.#work.then(() => this.#take(edition, node)).catch(() => undefined)
  }

  async #take(edition: Edition, node: MeshNode): Promise<void> {
    const { follows, file } = this.#options
    if (!follows || edition.version <= this.#seen) return
    let next: PolicyInForce
    try {
      next = inForce(edition.name, edition.text, edition.version)
    } catch (error) {
      const { code, message } = ClawmeshError.from(error)
      this.#refused = { version: edition.version, why: message }
      await node.note('policy.refused', { ...named(edition), code, why: message, instead: { ...this.#current.policy } })
      return this.#describe(node)
    }
    writeWhole(file, edition.wire)
    await note(node, next.policy, edition.text, edition)
    this.#current = next
    this.#text = edition.text
    this.#seen = edition.version
    this.#refused = null
    await this.#describe(node)
  }

  #describe(node: MeshNode): Promise<void> {
    const policy: PolicyAdvert = {
      ...this.#current.policy,
      follows: this.#options.follows,
      refused: this.#refused,
    }
    return node.directory.describe({ ...node.directory.node(node.name)?.advert, policy })
  }
}

const named = ({ name, version, by, reason }: Edition) => ({ name, version, by, reason })

const note = (node: MeshNode, policy: PolicyName, text: string, edition?: Edition): Promise<void> =>
  node.note('policy.loaded', { ...policy, ...(edition ? named(edition) : {}), text })

/** What is different on a node from what the mesh wants of it; undefined where nothing is. */
export function driftOf({ version, follows, refused }: PolicyAdvert, newest: number | undefined): string | undefined {
  if (newest === undefined) return undefined
  if (!follows) return 'a policy of its own'
  if (refused) return `cannot take version ${refused.version}`
  return version === newest ? undefined : `version ${version ?? 'none'} of ${newest}`
}
