/**
 * The policies of people in force: those that come with clawmesh, and `people.cedar` in the data folder, which may be changed at any time.
 *
 * 1. The file is the truth: it is looked at before each decision, so what it forbids is forbidden from then on.
 * 2. A file that does not hold lets nobody do anything.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { nodeActorName } from '../mesh/actor/system.js'
import type { MeshNode } from '../mesh/index.js'
import { installation } from '../mesh/installation.js'
import { ClawmeshError } from '../policies/errors.js'
import { type Cedar, openCedar, type People, type PolicyText, readPeople } from '../policies/people.js'

export const ownPeopleFile = (data: string): string => join(data, 'people.cedar')

export class StandingPeople {
  readonly #cedar: Cedar
  readonly #file: string
  #read: { stamp: string; people: People | ClawmeshError } | undefined

  private constructor(cedar: Cedar, file: string) {
    this.#cedar = cedar
    this.#file = file
  }

  static async open(data: string): Promise<StandingPeople> {
    return new StandingPeople(await openCedar(), ownPeopleFile(data))
  }

  /** The same ones for as long as the file is. Throws POLICY_INVALID while it does not hold. */
  get now(): People {
    const stamp = stampOf(this.#file)
    if (this.#read?.stamp !== stamp) this.#read = { stamp, people: this.#attempt(stamp !== '') }
    const { people } = this.#read
    if (people instanceof ClawmeshError) throw people
    return people
  }

  /** As they would be with these in the place of the file. Throws POLICY_INVALID. */
  with(own: PolicyText | undefined): People {
    const shipped = { text: read('people.cedar'), source: 'policies/people.cedar' }
    return readPeople(this.#cedar, { schema: read('people.cedarschema'), shipped }, own)
  }

  #attempt(hasOwn: boolean): People | ClawmeshError {
    try {
      return this.with(hasOwn ? { text: readFileSync(this.#file, 'utf8'), source: this.#file } : undefined)
    } catch (error) {
      return ClawmeshError.from(error)
    }
  }
}

/** The policies on the audit trail: what decides stands there first, by version and by the text of the mesh's own. */
export class PeopleRecord {
  readonly #node: MeshNode
  readonly #standing: StandingPeople
  #settled: People | undefined
  #settling: Promise<void> | undefined

  constructor(node: MeshNode, standing: StandingPeople) {
    this.#node = node
    this.#standing = standing
  }

  /** Whether the trail has the policies as they are. Throws POLICY_INVALID while they do not hold. */
  isSettled(): boolean {
    return this.#standing.now === this.#settled
  }

  /** Resolves when the trail has the policies as they are; rejects with AUDIT_UNAVAILABLE, and with POLICY_INVALID while they do not hold. */
  async settle(): Promise<void> {
    while (!this.isSettled()) {
      this.#settling ??= this.#write(this.#standing.now).finally(() => {
        this.#settling = undefined
      })
      await this.#settling
    }
  }

  async #write(people: People): Promise<void> {
    const { version, policies, own = null } = people
    const facts = { policy: 'people', version, policies, text: own }
    const actor = nodeActorName(this.#node.name)
    await this.#node.audit.intend({ kind: 'policy.loaded', trace: '', actor, facts })
    this.#settled = people
  }
}

const read = (name: string) => readFileSync(join(installation, 'policies', name), 'utf8')

/** Another one for each file that was put there; empty for none. */
function stampOf(file: string): string {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  return found ? `${found.ino} ${found.mtimeNs} ${found.ctimeNs} ${found.size}` : ''
}
