/**
 * The policies of people in force: those that come with clawmesh, and `people.cedar` in the data folder, which may be changed at any time.
 *
 * 1. The file is the truth: it is looked at before each decision, so what it forbids is forbidden from then on.
 * 2. A file that does not hold lets nobody do anything.
 */
import { lstatSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { nodeActorName } from '../mesh/actor/system.js'
import type { MeshNode } from '../mesh/index.js'
import { installation } from '../mesh/installation.js'
import { ClawmeshError } from '../policies/errors.js'
import { type Cedar, openCedar, type People, type PolicyText, readPeople } from '../policies/people.js'

export const ownPeopleFile = (data: string): string => join(data, 'people.cedar')

export class StandingPeople {
  #cedar: Cedar
  readonly #file: string
  #read: { stamp: string; people: People | ClawmeshError } | undefined

  private constructor(cedar: Cedar, file: string) {
    this.#cedar = cedar
    this.#file = file
  }

  static async open(data: string): Promise<StandingPeople> {
    return new StandingPeople(openCedar(), ownPeopleFile(data))
  }

  /** The same ones for as long as the file is. Throws POLICY_INVALID while it does not hold. */
  get now(): People {
    const stamp = stampOf(this.#file)
    const isLost = this.#read && 'isLost' in this.#read.people && this.#read.people.isLost
    if (isLost) this.#cedar = openCedar()
    if (isLost || this.#read?.stamp !== stamp) this.#read = { stamp, people: this.#attempt(stamp !== '') }
    const { people } = this.#read
    if (people instanceof ClawmeshError) throw people
    return people
  }

  /** As they would be with these in the place of the file. Throws POLICY_INVALID. */
  with(own: PolicyText | undefined): People {
    const shipped = { text: read('people.cedar'), source: 'policies/people.cedar' }
    try {
      return readPeople(this.#cedar, { schema: read('people.cedarschema'), shipped }, own)
    } catch (error) {
      if (error instanceof ClawmeshError) throw error
      this.#cedar = openCedar()
      throw wrong(own?.source ?? shipped.source, 'is more than Cedar can read', 'Nest less deeply.', error)
    }
  }

  #attempt(hasOwn: boolean): People | ClawmeshError {
    try {
      return this.with(hasOwn ? { text: textOf(this.#file), source: this.#file } : undefined)
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

/** In bytes; more than policies can be. */
const mostBytes = 1024 * 1024

/** Throws POLICY_INVALID for what is no file, or cannot be read. */
function textOf(file: string): string {
  try {
    const found = statSync(file)
    if (!found.isFile() || found.size > mostBytes) throw wrong(file, `is no file of up to ${mostBytes} bytes`)
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw error instanceof ClawmeshError ? error : wrong(file, 'cannot be read', undefined, error)
  }
}

const wrong = (source: string, what: string, hint = 'docs/people.md says what it holds.', cause?: unknown) =>
  new ClawmeshError('POLICY_INVALID', `${source} ${what}.`, { hint, cause })

/** Another one for each file that was put there; empty for none. A link that leads nowhere is not none: what it led to may have forbidden something. */
function stampOf(file: string): string {
  const [link, found] = [stampBy(file, lstatSync), stampBy(file, statSync)]
  return link === '' ? '' : `${link} ${found}`
}

function stampBy(file: string, look: typeof statSync | typeof lstatSync): string {
  try {
    const found = look(file, { bigint: true, throwIfNoEntry: false })
    return found ? `${found.ino} ${found.mtimeNs} ${found.ctimeNs} ${found.size}` : ''
  } catch (error) {
    return String(error)
  }
}
