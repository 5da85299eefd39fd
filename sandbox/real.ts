/**
 * A profile with its grants, and what it hides, where they lead now. A policy may name a place by a link, and an action comes to the same place by another way: it is
 * still what may be executed, or is hidden.
 */
import { inWorkspace } from '../policies/coverage.js'
import type { Profile } from '../policies/profile.js'
import { findPlace } from './place.js'

/** What may be asked for stays as it is named. */
export async function realProfile(profile: Profile, workspace: string): Promise<Profile> {
  const real = (paths: readonly string[]) => realPaths(paths, workspace)
  const [read, write, hidden] = await Promise.all([real(profile.read), real(profile.write), real(profile.hidden)])
  return { ...profile, read, write, hidden, ...(profile.execute && { execute: await real(profile.execute) }) }
}

/** Of paths as a profile names them. What cannot be looked up stays as it is named. */
export function realPaths(paths: readonly string[], workspace: string): Promise<string[]> {
  return Promise.all(
    paths.map(async (each) => {
      const path = inWorkspace(each, workspace)
      return (await findPlace(path).catch(() => undefined))?.real ?? path
    }),
  )
}
