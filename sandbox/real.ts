/**
 * A profile with its grants, and what it hides, where they lead now. A policy may name a place by a link, and an action comes to the same place by another way: it is
 * still what may be executed, or is hidden.
 */
import { inWorkspace } from '../policies/coverage.js'
import type { Profile } from '../policies/profile.js'
import { findPlace } from './place.js'

/** What cannot be looked up stays as it is named; so does what may be asked for. */
export async function realProfile(profile: Profile, workspace: string): Promise<Profile> {
  const real = (paths: readonly string[]) =>
    Promise.all(
      paths.map(async (each) => {
        const path = inWorkspace(each, workspace)
        return (await findPlace(path).catch(() => undefined))?.real ?? path
      }),
    )
  const [read, write, hidden] = await Promise.all([real(profile.read), real(profile.write), real(profile.hidden)])
  return { ...profile, read, write, hidden, ...(profile.execute && { execute: await real(profile.execute) }) }
}
