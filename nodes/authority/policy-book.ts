/**
 * The versions of the mesh's policy, in files of the authority's folder: one each, signed, none ever changed. The newest is in force; going back to an older one
 * is a new version with its text.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Addresses } from '../../mesh/address.js'
import { writeWhole } from '../../mesh/disk.js'
import type { Authority } from '../../mesh/seal/authority.js'
import { openWith, sealWith } from '../../mesh/seal/box.js'
import { type Edition, readEdition, writeEdition } from '../../mesh/seal/edition.js'
import { utf8 } from '../../mesh/seal/keys.js'
import type { Transport } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'
import { parseProfile } from '../../policies/profile.js'
import { takeLock } from '../lock.mjs'

export interface NewEdition {
  name: string
  text: string
  by: string
  reason: string
}

export class PolicyBook {
  readonly #folder: string
  readonly #authority: Authority

  /** `folder`: the authority's. */
  constructor(folder: string, authority: Authority) {
    this.#folder = join(folder, 'policies')
    this.#authority = authority
  }

  /** Oldest first. Throws UNAUTHENTIC if one was changed or is not there. */
  editions(): Edition[] {
    const files = existsSync(this.#folder) ? readdirSync(this.#folder).filter((name) => form.test(name)) : []
    let before: Edition | undefined
    return files.sort().map((file) => {
      const path = join(this.#folder, file)
      const { mesh, root } = this.#authority
      const edition = readEdition(readFileSync(path), mesh, root.publicKey)
      if (edition.version <= (before?.version ?? 0) || edition.previous !== (before?.hash ?? ''))
        throw new ClawmeshError('UNAUTHENTIC', `${path} does not follow the version before it.`, {
          hint: 'Restore the folder from a backup.',
        })
      before = edition
      return edition
    })
  }

  newest(): Edition | undefined {
    return this.editions().at(-1)
  }

  /**
   * @param seen the highest version that is known of in the mesh: where it is above what this folder holds, as after a restore, the next goes above it
   * @throws ClawmeshError POLICY_INVALID: nothing that does not hold becomes a version
   */
  add({ name, text, by, reason }: NewEdition, now: number, seen = 0): Edition {
    parseProfile(text, name)
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const lock = takeLock(join(this.#folder, 'lock'))
    if (!('release' in lock))
      throw new ClawmeshError('DATA_IN_USE', `Process ${lock.holder} is changing the policy.`, { hint: 'Try again.' })
    try {
      const before = this.newest()
      const { mesh, root } = this.#authority
      const version = Math.max(before?.version ?? 0, seen) + 1
      const edition = writeEdition(
        mesh,
        { version, previous: before?.hash ?? '', time: now, by, name, reason, text },
        root,
      )
      writeWhole(join(this.#folder, `${String(version).padStart(6, '0')}.edition`), edition.wire)
      return edition
    } finally {
      lock.release()
    }
  }
}

const form = /^\d{6}\.edition$/

/**
 * Puts it where every node sees it, sealed for members. A later version that is there already, of somebody who was quicker or of before a restore, stays: whoever comes new
 * must not be given an older one.
 */
export async function publishPolicy(
  edition: Edition,
  { authority, transport, addresses }: { authority: Authority; transport: Transport; addresses: Addresses },
): Promise<void> {
  const bucket = await transport.bucket(addresses.directory)
  const key = addresses.policyKey
  const sealed = sealWith(authority.meshKey, edition.wire, utf8(key))
  for (;;) {
    const entry = await bucket.get(key)
    if (entry?.value && versionIn(entry.value, key, authority) > edition.version) return
    if ((await bucket.swap(key, sealed, entry?.revision ?? 0)) !== undefined) return
  }
}

/** 0 for what the authority did not sign: any member can write there. */
function versionIn(value: Uint8Array, key: string, { mesh, meshKey, root }: Authority): number {
  try {
    return readEdition(openWith(meshKey, value, utf8(key)), mesh, root.publicKey).version
  } catch {
    return 0
  }
}
