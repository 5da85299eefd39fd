/**
 * The policy that a sandbox node goes by.
 *
 * 1. A machine whose person named a policy keeps to that one. One whose person named none goes by the mesh's, and by `ask-first` until there is one.
 * 2. A version that cannot be taken (not signed by the authority, older than one that was seen, not valid for this node) changes nothing: the one before stays.
 * 3. A version is on the node's disk before it is in force, so that a broker that forgets it, or shows an older one, is not believed after a restart either.
 * 4. Under one number a node takes one text: another that comes under it, from an authority that was restored, is refused and told, never taken for the same.
 * 5. A version that could not be kept or recorded is tried again until it is in force, and what stands in its way is told meanwhile.
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

const firstPauseMs = 1000
const longestPauseMs = 60_000

const digestOf = (text: string): string => hex(digest(utf8(text)))

/** `source`: what messages call the text. Throws POLICY_INVALID. */
export function inForce(source: string, text: string, version: number | null = null): PolicyInForce {
  return { profile: parseProfile(text, source), policy: { name: source, version, digest: digestOf(text) } }
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
  #offer(edition: Edition, node: MeshNode, pauseMs = firstPauseMs): void {
    this.#work = this.#work
      .then(() => this.#take(edition, node))
      .catch((error) => this.#tryAgain(edition, node, pauseMs, error))
  }

  async #take(edition: Edition, node: MeshNode): Promise<void> {
    const { follows, file } = this.#options
    if (!follows || edition.version < this.#seen) return
    if (edition.version === this.#seen && edition.text === this.#text) return
    let next: PolicyInForce
    try {
      if (edition.version === this.#seen)
        throw new ClawmeshError(
          'POLICY_INVALID',
          `Version ${edition.version} was another policy when this node took it: apply it once more, as the next version.`,
        )
      next = inForce(edition.name, edition.text, edition.version)
    } catch (error) {
      const { code, message } = ClawmeshError.from(error)
      this.#refused = { version: edition.version, why: message }
      await node.note('policy.refused', { ...named(edition), code, why: message, instead: { ...this.#current.policy } })
      return this.#tell(node)
    }
    writeWhole(file, edition.wire)
    await note(node, next.policy, edition.text, edition)
    this.#current = next
    this.#text = edition.text
    this.#seen = edition.version
    // One that came later, and is none for this node, is still that.
    if ((this.#refused?.version ?? 0) <= edition.version) this.#refused = null
    await this.#tell(node)
  }

  /** The disk was full, or the trail took no record: it is not in force, which must not stay so. */
  async #tryAgain(edition: Edition, node: MeshNode, pauseMs: number, error: unknown): Promise<void> {
    const { message } = ClawmeshError.from(error)
    this.#refused = { version: edition.version, why: `${message} It is tried again.` }
    setTimeout(() => this.#offer(edition, node, Math.min(2 * pauseMs, longestPauseMs)), pauseMs).unref()
    await this.#tell(node)
  }

  /** What the directory does not take now goes with the next beat. */
  #tell(node: MeshNode): Promise<void> {
    return this.#describe(node).catch(() => undefined)
  }

  #describe(node: MeshNode): Promise<void> {
    const policy: PolicyAdvert = {
      ...this.#current.policy,
      follows: this.#options.follows,
      refused: this.#refused,
    }
    return node.directory.describe({ policy })
  }
}

const named = ({ name, version, by, reason }: Edition) => ({ name, version, by, reason })

const note = (node: MeshNode, policy: PolicyName, text: string, edition?: Edition): Promise<void> =>
  node.note('policy.loaded', { ...policy, ...(edition ? named(edition) : {}), text })

/** What is different on a node from what the mesh wants of it; undefined where nothing is. */
export function driftOf(
  { version, digest: its, follows, refused }: PolicyAdvert,
  newest: Pick<Edition, 'version' | 'text'> | undefined,
): string | undefined {
  if (newest === undefined) return undefined
  if (!follows) return 'a policy of its own'
  if (refused) return `cannot take version ${refused.version}`
  if (version !== newest.version) return `version ${version ?? 'none'} of ${newest.version}`
  return its === digestOf(newest.text) ? undefined : `another version ${version}`
}
