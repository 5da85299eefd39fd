/** A policy as it is named on the command line: a file, a preset, or a version of the mesh's. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { openAuthority } from '../../../mesh/seal/authority.js'
import type { Edition } from '../../../mesh/seal/edition.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { readPolicy } from '../../../sandbox/preset.js'
import { PolicyBook } from '../../authority/policy-book.js'
import type { Values } from '../command.js'
import { dataFolder } from '../options.js'

/** What a mesh without a version of its own goes by. */
export const untilThen = 'ask-first'

/** Of the mesh in the data folder. Throws USAGE where there is none. */
export function bookOf(values: Values): PolicyBook {
  const data = dataFolder(values)
  // Opening one that is not there would make another mesh.
  if (existsSync(authorityFile(values)))
    return new PolicyBook(join(data, 'authority'), openAuthority(join(data, 'authority'), Date.now()))
  throw new ClawmeshError('USAGE', `There is no mesh in ${data}, or its authority is kept elsewhere.`, {
    hint: 'Start one with `clawmesh up`, or name its data folder with --data.',
  })
}

/** None where there is no mesh. */
export const editionsHere = (values: Values): Edition[] =>
  existsSync(authorityFile(values)) ? bookOf(values).editions() : []

/** The name by which `namedPolicy` finds it. */
export const nameOf = (edition: Edition | undefined): string => (edition ? String(edition.version) : untilThen)

/** A version by its number, anything else as a file or preset. */
export async function namedPolicy(
  named: string,
  editions: readonly Edition[],
): Promise<{ name: string; text: string }> {
  if (!/^\d+$/.test(named)) return readPolicy(named)
  const found = editions.find(({ version }) => String(version) === named)
  if (found) return { name: `version ${found.version} (${found.name})`, text: found.text }
  throw new ClawmeshError('USAGE', `There is no version ${named}.`, { hint: 'See `clawmesh policy history`.' })
}

const authorityFile = (values: Values) => join(dataFolder(values), 'authority', 'authority.json')
