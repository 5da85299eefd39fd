/** The router rules as they are written down: those of a mesh in its data folder, the shipped ones where it has none of its own. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeWhole } from '../mesh/disk.js'
import { installation } from '../mesh/installation.js'
import { ClawmeshError } from '../policies/errors.js'
import { parseRouterRules, type RouterRules } from '../policies/router.js'
import { takeLock } from './lock.mjs'

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
  const own = ownFile(data)
  return readRouterRules(existsSync(own) ? own : shippedRouterRules)
}

const ownFile = (data: string): string => join(data, 'router.yaml')

/** Where a mesh writes down what its budgets have given. */
export const spendingFile = (data: string): string => join(data, 'spending.jsonl')

/** Changes those of a mesh, which takes them at its next start. By one at a time, from the reading to the writing: of two at once one would be lost. */
export async function changeRulesOfMesh<Change extends { readonly text: string }>(
  data: string,
  change: (written: string) => Change | Promise<Change>,
): Promise<Change> {
  const file = ownFile(data)
  const lock = takeLock(`${file}.lock`)
  if (!('release' in lock))
    throw new ClawmeshError('DATA_IN_USE', `Process ${lock.holder} is changing the router rules.`, {
      hint: 'Try again.',
    })
  try {
    const changed = await change(rulesOfMesh(data).text)
    writeWhole(file, changed.text)
    return changed
  } finally {
    lock.release()
  }
}
