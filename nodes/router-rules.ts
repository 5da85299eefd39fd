/** The router rules as they are written down: those of a mesh in its data folder, the shipped ones where it has none of its own. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installation } from '../mesh/installation.js'
import { ClawmeshError } from '../policies/errors.js'
import { parseRouterRules, type RouterRules } from '../policies/router.js'

export interface WrittenRules {
  /** YAML. */
  readonly text: string
  readonly rules: RouterRules
}

export const shippedRouterRules = join(installation, 'policies', 'router.yaml')

/** @throws ClawmeshError POLICY_INVALID for a file that cannot be read or does not hold */
export function readRouterRules(path = shippedRouterRules): WrittenRules {
  try {
    const text = readFileSync(path, 'utf8')
    return { text, rules: parseRouterRules(text, path) }
  } catch (cause) {
    if (cause instanceof ClawmeshError) throw cause
    throw new ClawmeshError('POLICY_INVALID', `The router rules ${path} cannot be read: ${(cause as Error).message}.`, {
      hint: 'Give the path of a rules file.',
      cause,
    })
  }
}

/** Those that the mesh of this data folder goes by. */
export function rulesOfMesh(data: string): WrittenRules {
  const own = join(data, 'router.yaml')
  return readRouterRules(existsSync(own) ? own : shippedRouterRules)
}
