/** Policies as files: those that come with clawmesh, by name, and any other by its path. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { installation } from '../mesh/installation.js'
import { ClawmeshError } from '../policies/errors.js'
import { type Profile, parseProfile } from '../policies/profile.js'

export interface PolicyFile {
  /** As it was asked for. */
  name: string
  path: string
  text: string
}

const folder = join(installation, 'policies', 'presets')

export async function presetNames(): Promise<string[]> {
  const files = await readdir(folder)
  return files
    .filter((name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml'))
    .map((name) => basename(name, '.yaml'))
}

/**
 * @param named a preset's name, or a path to a YAML file
 * @throws ClawmeshError POLICY_INVALID where there is none, or it does not hold: before anything is started by it
 */
export async function readPolicy(named: string): Promise<PolicyFile> {
  const presets = await presetNames()
  const path = presets.includes(named) ? join(folder, `${named}.yaml`) : named
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new ClawmeshError('POLICY_INVALID', `The policy ${named} cannot be read: ${cause.code ?? cause.message}.`, {
      hint: `Give the path of a policy file, or the name of a preset: ${presets.join(', ')}.`,
      cause,
    })
  })
  parseProfile(text, named)
  return { name: named, path, text }
}

/** What a policy grants; throws as `readPolicy` does. */
export async function loadProfile(named: string): Promise<Profile> {
  const { name, text } = await readPolicy(named)
  return parseProfile(text, name)
}
