/**
 * A plan on its way to the launcher: strings, each closed by a NUL, a key and then its values, until the key `end`.
 * launcher/spec.h says the same from the other side.
 */
import { ClawmeshError } from '../policies/errors.js'
import type { Operation } from './opens/change.js'
import type { Holding } from './opens/opens.js'
import type { LaunchPlan, Mount } from './plan.js'

export interface Governed {
  /** Whether somebody decides on its connections; without, it has none. */
  readonly network?: boolean
  /** Which opens somebody decides on, and where the files come in; without, none is held. */
  readonly opens?: { readonly holding: Holding; readonly door: string } | undefined
  /** Whether somebody is told what it executes and writes. */
  readonly deeds?: boolean
}

export function encodeSpec(plan: LaunchPlan, { network = false, opens, deeds = false }: Governed = {}): Buffer {
  const fields: string[][] = [
    ['program', plan.program],
    ['folder', plan.folder],
    ...plan.args.map((value) => ['argument', value]),
    ...Object.entries(plan.env).map(([name, value]) => ['variable', `${name}=${value}`]),
    ...plan.mounts.flatMap((mount) => [mountField(mount), ...identityField(mount)]),
    ...plan.links.map(({ path, leadsTo }) => ['link', path, leadsTo]),
    ...Object.entries(plan.limits).map(([name, value]) => [name, String(value)]),
    ...(network ? [['network', 'governed']] : []),
    ...(opens?.holding ? [['opens', opens.holding, opens.door]] : []),
    ...(deeds ? [['deeds', 'told']] : []),
    ...plan.without.map((group) => ['without', group]),
    ['end'],
  ]
  return encode(fields)
}

/** Of a worker that only opens one file. */
export function encodeHand(
  mount: Mount,
  hand: { door: string; id: number; flags: number; mode: number; device: bigint; inode: bigint },
): Buffer {
  const { door, id, flags, mode, device, inode } = hand
  return encode([mountField(mount), ['hand', door, ...[id, flags, mode, device, inode].map(String)], ['end']])
}

/** Of a worker that only changes one name in a folder. */
export function encodeChange(
  mount: Mount,
  change: {
    operation: Operation
    name: string
    to: string
    mode: number
    device: bigint
    inode: bigint
    toDevice: bigint
    toInode: bigint
  },
): Buffer {
  const { operation, name, to, mode, device, inode, toDevice, toInode } = change
  const numbers = [mode, device, inode, toDevice, toInode].map(String)
  return encode([mountField(mount), ['change', operation, name, to, ...numbers], ['end']])
}

/** Of a worker that only gives one file or folder a mode or times. */
export const encodeAttributes = (mount: Mount, operation: 'mode' | 'times', numbers: readonly bigint[]): Buffer =>
  encode([mountField(mount), [operation, ...numbers.map(String)], ['end']])

const mountField = ({ access, kind, source, target }: Mount) => ['mount', access, kind, source, target]

/** Of the mount before it. */
const identityField = ({ identity }: Mount) => {
  if (!identity) return []
  const { device, inode, unchanged } = identity
  if (!unchanged) return [['identity', `${device}`, `${inode}`]]
  return [['unchanged', ...[device, inode, unchanged.bytes, unchanged.changedNs].map(String)]]
}

function encode(fields: readonly string[][]): Buffer {
  const strings = fields.flat()
  if (strings.some((text) => text.includes('\0')))
    throw new ClawmeshError('SANDBOX_FAILED', 'An argument, path or variable of the action holds a NUL character.', {
      hint: 'No program can be given one; leave it out.',
    })
  return Buffer.from(`${strings.join('\0')}\0`)
}
