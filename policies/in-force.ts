/** What an action is decided by, and what it is called, so that each decision can say what it was made under. */
import type { Profile } from './profile.js'

export interface PolicyName {
  readonly name: string
  /** Of the mesh's policy; null for one that a machine has of its own. */
  readonly version: number | null
  /** SHA-256 of its text, hex. */
  readonly digest: string
}

export interface PolicyInForce {
  readonly profile: Profile
  readonly policy: PolicyName
}
