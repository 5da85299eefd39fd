/** What is kept running across reboots: one command on one data folder. How a machine is told so is `unit.ts` (systemd) and `plist.ts` (launchd). */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { dataPaths } from '../data-folder.js'
import { nodeFiles } from '../member/member.js'

/** Of one person's own session manager, or of the machine's. */
export type Scope = 'user' | 'system'

export interface ServicePlan {
  /** Of the unit: letters, digits and hyphens. */
  name: string
  description: string
  scope: Scope
  /** Who the processes belong to, for a service of the machine. */
  account: string
  /** The program by its absolute path, and its arguments. */
  command: readonly string[]
  /** Set for it; what a service manager hands on is none of the person's. */
  environment: Readonly<Record<string, string>>
  data: string
}

export type ServiceCommand = 'up' | 'join'

const nameForm = /^[a-z0-9][a-z0-9-]{0,62}$/
const accountForm = /^[a-z_][a-z0-9_-]*$/

export function serviceName(given: string | undefined, command: ServiceCommand): string {
  const name = given ?? (command === 'up' ? 'clawmesh' : 'clawmesh-node')
  if (nameForm.test(name)) return name
  throw new ClawmeshError('USAGE', `"${name}" is no name for a service.`, {
    hint: 'Use up to 63 small letters, digits and hyphens.',
  })
}

/** @throws ClawmeshError USAGE for what a service manager would read as more than was meant: a line break in a path begins another line of the unit */
export function checkPlan(plan: ServicePlan): ServicePlan {
  const { scope, account, command, environment, data } = plan
  if (scope === 'system' && !accountForm.test(account))
    throw new ClawmeshError('USAGE', `${JSON.stringify(account)} is no account that a service can be of.`, {
      hint: 'Name one by small letters, digits, hyphens and underscores.',
    })
  const odd = [data, ...command, ...Object.values(environment)].find((word) => /\p{Cc}/u.test(word))
  if (odd === undefined) return plan
  throw new ClawmeshError(
    'USAGE',
    `${JSON.stringify(odd)} has a control character in it, and cannot be in a service.`,
    {
      hint: 'Use a path or value without line breaks, tabs and the like.',
    },
  )
}

/** What the data folder is for: a mesh of its own, a node that has joined one, or nothing yet. */
export function usualCommand(data: string): ServiceCommand | undefined {
  if (!existsSync(data)) return undefined
  const folder = dataPaths(data)
  if (existsSync(folder.authority)) return 'up'
  return folder.nodes().some((name) => existsSync(nodeFiles(folder, name).credentials)) ? 'join' : undefined
}

/** By absolute paths throughout: no search path, no working folder, no shell. */
export const commandLine = (command: ServiceCommand, data: string, more: readonly string[]): string[] => [
  process.execPath,
  join(installation, 'dist', 'nodes', 'cli', 'main.js'),
  command,
  '--data',
  data,
  ...more,
]
