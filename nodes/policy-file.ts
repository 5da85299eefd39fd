import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installation } from '../mesh/installation.js'
import { ClawmeshError } from '../policies/errors.js'
import { parseProfile } from '../policies/profile.js'

export interface PolicyFile {
  name: string
  path: string
  text: string
}

/** Reads a policy by its preset's name or its path, and refuses one that does not hold before anything is started. */
export async function readPolicy(named: string): Promise<PolicyFile> {
  const preset = join(installation, 'policies', 'presets', `${named}.yaml`)
  const path = existsSync(preset) ? preset : named
  const text = read(path)
  parseProfile(text, named)
  return { name: named, path, text }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ClawmeshError('POLICY_INVALID', `The policy ${path} cannot be read: ${(cause as Error).message}.`, {
      hint: 'Give the path of a policy file, or the name of a preset, with --policy.',
      cause,
    })
  }
}
