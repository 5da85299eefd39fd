/**
 * A plan on its way to the launcher: strings, each closed by a NUL, a key and then its values, until the key `end`; and beside them the
 * filter of its system calls. launcher/spec.h says the same from the other side.
 */
import { ClawmeshError } from '../policies/errors.js'
import { callGroups } from '../policies/profile.js'
import type { Operation } from './opens/change.js'
import type { Holding } from './opens/opens.js'
import type { LaunchPlan, Mount } from './plan.js'
import type { Architecture } from './seccomp/calls.js'
import { filterOf } from './seccomp/filter.js'

export interface Spec {
  readonly text: Buffer
  /** Of an action's system calls; empty where nothing is run. */
  readonly filter: Buffer
}

/** Under which one launch of a plan goes. */
export interface Terms {
  /** Whether somebody decides on its connections; without, it has none. */
  readonly network?: boolean
  /** Which opens somebody decides on, and where the files come in; without, none is held. */
  readonly opens?: { readonly holding: Holding; readonly door: string } | undefined
  /** Whether somebody is told what it executes and writes. */
  readonly deeds?: boolean
  /** Without namespaces, as launcher/degraded.c says. */
  readonly degraded?: boolean
  /** What it prints has no limit: it is talked to, and who listens takes what he wants. */
  readonly endless?: boolean
}

/** What a lone process without namespaces could do to others of its user, and where Landlock does not look. It does look at names. */
const withoutNamespaces = callGroups.filter((group) => group !== 'names')

/** Throws SANDBOX_FAILED for a NUL in it, SANDBOX_UNAVAILABLE on a processor whose calls nobody knows. */
export function encodeSpec(plan: LaunchPlan, terms: Terms = {}): Spec {
  const { network = false, opens, deeds = false, degraded = false, endless = false } = terms
  const { output_bytes, ...limits } = plan.limits
  const fields: string[][] = [
    ['program', plan.program],
    ['folder', plan.folder],
    ...plan.args.map((value) => ['argument', value]),
    ...Object.entries(plan.env).map(([name, value]) => ['variable', `${name}=${value}`]),
    ...plan.mounts.flatMap((mount) => [mountField(mount), ...identityField(mount)]),
    ...plan.links.map(({ path, leadsTo }) => ['link', path, leadsTo]),
    ...Object.entries(limits).map(([name, value]) => [name, String(value)]),
    endless ? ['output', 'endless'] : ['output_bytes', String(output_bytes)],
    ...(network ? [['network', 'governed']] : []),
    ...(opens?.holding ? [['opens', opens.holding, opens.door]] : []),
    ...(deeds ? [['deeds', 'told']] : []),
    ...(degraded ? [['degraded', 'named']] : []),
    ['end'],
  ]
  const filter = filterOf({
    architecture: architectureHere(),
    without: degraded ? [...plan.without, ...withoutNamespaces] : plan.without,
    network,
    opens: opens?.holding,
    deeds,
  })
  return { text: encode(fields), filter }
}

function architectureHere(): Architecture {
  const { arch } = process
  if (arch === 'x64' || arch === 'arm64') return arch
  throw new ClawmeshError('SANDBOX_UNAVAILABLE', `No sandbox here: the launcher does not know ${arch}.`, {
    hint: 'Run the sandbox role on x86_64 or aarch64.',
  })
}

/** Of a worker that only opens one file. */
export function encodeHand(
  mount: Mount,
  hand: { door: string; id: number; flags: number; mode: number; device: bigint; inode: bigint },
): Spec {
  const { door, id, flags, mode, device, inode } = hand
  return errand(mount, ['hand', door, ...[id, flags, mode, device, inode].map(String)])
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
): Spec {
  const { operation, name, to, mode, device, inode, toDevice, toInode } = change
  const numbers = [mode, device, inode, toDevice, toInode].map(String)
  return errand(mount, ['change', operation, name, to, ...numbers])
}

/** Of a worker that only gives one file or folder a mode or times. */
export const encodeAttributes = (mount: Mount, operation: 'mode' | 'times', numbers: readonly bigint[]): Spec =>
  errand(mount, [operation, ...numbers.map(String)])

const errand = (mount: Mount, field: string[]): Spec => ({
  text: encode([mountField(mount), field, ['end']]),
  filter: Buffer.alloc(0),
})

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
