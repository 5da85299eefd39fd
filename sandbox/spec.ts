/**
 * A plan on its way to the launcher: strings, each closed by a NUL, a key and then its values, until the key `end`.
 * launcher/spec.h says the same from the other side.
 */
import { ClawmeshError } from '../policies/errors.js'
import type { LaunchPlan } from './plan.js'

/** @param network whether somebody decides on its connections; without, it has none */
export function encodeSpec(plan: LaunchPlan, network = false): Buffer {
  const fields: string[][] = [
    ['program', plan.program],
    ['folder', plan.folder],
    ...plan.args.map((value) => ['argument', value]),
    ...Object.entries(plan.env).map(([name, value]) => ['variable', `${name}=${value}`]),
    ...plan.mounts.map(({ access, kind, source, target }) => ['mount', access, kind, source, target]),
    ...plan.links.map(({ path, leadsTo }) => ['link', path, leadsTo]),
    ...Object.entries(plan.limits).map(([name, value]) => [name, String(value)]),
    ...(network ? [['network', 'governed']] : []),
    ['end'],
  ]
  const strings = fields.flat()
  if (strings.some((text) => text.includes('\0')))
    throw new ClawmeshError('SANDBOX_FAILED', 'An argument, path or variable of the action holds a NUL character.', {
      hint: 'No program can be given one; leave it out.',
    })
  return Buffer.from(`${strings.join('\0')}\0`)
}
