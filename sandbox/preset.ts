/** The profiles that come with clawmesh, by name, and any other by its file. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { installation } from '../mesh/installation.js'
import { ClawmeshError } from '../policies/errors.js'
import { type Profile, parseProfile } from '../policies/profile.js'

const folder = join(installation, 'policies', 'presets')

export async function presetNames(): Promise<string[]> {
  const files = await readdir(folder)
  return files
    .filter((name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml'))
    .map((name) => basename(name, '.yaml'))
}

/**
 * @param named a preset's name, or a path to a YAML file (with a slash or ending in .yaml or .yml)
 * @throws ClawmeshError POLICY_INVALID where there is none, or it does not hold
 */
export async function loadProfile(named: string): Promise<Profile> {
  const isPath = named.includes('/') || /\.ya?ml$/.test(named)
  const file = isPath ? named : join(folder, `${named}.yaml`)
  const text = await readFile(file, 'utf8').catch(async (cause: NodeJS.ErrnoException) => {
    const known = await presetNames()
    throw new ClawmeshError('POLICY_INVALID', `The policy '${named}' cannot be read: ${cause.code ?? cause.message}.`, {
      hint: `Name a YAML file, or a preset: ${known.join(', ')}.`,
      cause,
    })
  })
  return parseProfile(text, isPath ? named : `${named}.yaml`)
}
