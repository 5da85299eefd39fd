/**
 * What a person may be asked for while an action runs: what neither the policy as it is written nor the policy as its links lead at the moment keeps.
 *
 * Either alone would let more be asked for. A name that is changed may itself be such a link, which only the written policy knows; and a place that it names by a link is reached by
 * another way, which only the other one does.
 */
import { entryOf, grantOf, inWorkspace, isKernels, isWithin, scopeOf } from '../../policies/coverage.js'
import type { Profile } from '../../policies/profile.js'
import { findPlace } from '../place.js'
import type { Mount } from '../plan.js'
import { realProfile } from '../real.js'
import { isRead, namesOf, type WantedChange } from './change.js'
import type { WantedFile } from './wanted.js'

/** undefined: nobody is asked, and the kernel decides. A program: somebody would be, but what the action may execute is not written. */
export type Ruling = 'ask' | 'program' | undefined

/**
 * What the loader and the C library of nearly every program look for when it starts, and do without. Nobody is asked whether they may be read; a policy can
 * grant them.
 */
const unasked = [
  '/etc/ld.so.cache',
  '/etc/ld.so.preload',
  '/etc/localtime',
  '/etc/nsswitch.conf',
  '/etc/passwd',
  '/etc/group',
  '/etc/host.conf',
  '/etc/hosts',
  '/etc/resolv.conf',
  '/etc/gai.conf',
  '/etc/ssl/openssl.cnf',
  '/etc/pki/tls/openssl.cnf',
  '/etc/locale.alias',
  '/usr/lib/locale',
  '/usr/share/locale',
  '/usr/share/zoneinfo',
]

export interface RuleOptions {
  /** What the action was started under. */
  readonly profile: Profile
  readonly workspace: string
  readonly mounts: readonly Mount[]
}

type File = Pick<WantedFile, 'access' | 'path'>

export class Rule {
  readonly #profile: Profile
  readonly #workspace: string
  readonly #mounts: readonly Mount[]

  constructor({ profile, workspace, mounts }: RuleOptions) {
    this.#profile = profile
    this.#workspace = workspace
    this.#mounts = mounts
  }

  /** Most of what is held is nobody's question by what is written already, and then no link is looked at. */
  async ofFile(file: File): Promise<Ruling> {
    return this.#ofFile(file, this.#profile) && this.#ofFile(file, await this.#real())
  }

  async ofChange(change: WantedChange): Promise<Ruling> {
    const real = await this.#real()
    if (namesOf(change).some((name) => this.#isProgram(name, real))) return 'program'
    return this.#isChangeAskable(change, real) && !(await this.#leadsAstray(change)) ? 'ask' : undefined
  }

  #real(): Promise<Profile> {
    return realProfile(this.#profile, this.#workspace)
  }

  #ofFile(file: File, real: Profile): Ruling {
    if (file.access === 'write' && this.#isProgram(file.path, real)) return 'program'
    return this.#isAskable(file, real) ? 'ask' : undefined
  }

  #isAskable({ access, path }: File, real: Profile): boolean {
    const isMounted = this.#mounts.some(({ target }) => isWithin(path, target))
    // The action's own /tmp is not the machine's.
    if (isKernels(path) || (isWithin(path, '/tmp') && !isMounted && !isWithin(path, this.#workspace))) return false
    if (access === 'read' && unasked.some((each) => isWithin(path, each))) return false
    if (this.#isGranted(access, path) || (access === 'write' && this.#isProgram(path, real))) return false
    return [this.#profile, real].every((each) => scopeOf(each, { kind: access, path }, this.#workspace) !== undefined)
  }

  #isGranted(kind: 'read' | 'write', path: string): boolean {
    return grantOf(this.#profile, path, this.#workspace).includes(kind)
  }

  /** Somebody would be asked to let it be written, but the action could execute it then. */
  #isProgram(path: string, real: Profile): boolean {
    const mount = this.#mounts.findLast(({ target, access }) => access !== 'pin' && isWithin(path, target))
    const isExecuted = mount?.access === 'rx' || grantOf(real, path, this.#workspace).includes('execute')
    return isExecuted && entryOf(this.#profile, { kind: 'write', path }, this.#workspace) !== undefined
  }

  /**
   * Each name has to be one that may be written or asked for. A mount of the action's own goes when its name does, and what it kept from being written would
   * be so no more: such a name is nobody's to give. What is renamed is read by its new name.
   */
  #isChangeAskable(change: WantedChange, real: Profile): boolean {
    const { operation, path } = change
    const names = namesOf(change)
    const may = (access: 'read' | 'write', each: string) =>
      this.#isGranted(access, each) || this.#isAskable({ access, path: each }, real)
    const isMount = (each: string) => this.#mounts.some(({ target }) => isWithin(target, each))
    if (!change.sets && names.some(isMount)) return false
    return names.every((each) => may('write', each)) && (!isRead(operation) || may('read', path))
  }

  /**
   * Nobody gives a name that the policy names, by a link too, or what is above it, or a link on the way, to a link: the next action would be granted where that
   * leads. Nor to a folder, nor from one: what the policy says of something in it, or hides there, would be said of something else.
   */
  async #leadsAstray(change: WantedChange): Promise<boolean> {
    if (!change.leads) return false
    const { read, write, hidden, execute = [] } = this.#profile
    const named = ['.', ...read, ...write, ...hidden, ...execute].map((each) => inWorkspace(each, this.#workspace))
    const ways = await Promise.all(
      named.map(async (each) => {
        const place = await findPlace(each).catch(() => undefined)
        return place ? [each, place.real, ...place.links.map(({ path }) => path)] : [each]
      }),
    )
    return namesOf(change).some((name) => ways.flat().some((each) => isWithin(each, name)))
  }
}
