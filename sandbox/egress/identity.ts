/**
 * Who wants a connection, in the words of a policy: the file that was executed and, where that is an interpreter, what it runs. Both are the kernel's word: a
 * process cannot change them, and nothing that it starts inherits them. A script counts where the action can neither change it nor put anything beside it.
 */
import { createHash } from 'node:crypto'
import { dirname, isAbsolute, join } from 'node:path'
import { grantOf, inWorkspace, isWithin } from '../../policies/coverage.js'
import { isInterpreter, loadersOf, scriptOf } from '../../policies/interpreter.js'
import type { Script } from '../../policies/network.js'
import type { Profile } from '../../policies/profile.js'
import type { Image } from '../image.js'
import { findPlace } from '../place.js'
import { realPaths } from '../real.js'
import { executedBy, readAsFirst } from './executed.js'

/** What an action was started as, and the names by which a policy knows that beside its path. */
export interface Own {
  readonly program: string
  readonly names: readonly string[]
  /** Behind the program's name. */
  readonly args?: readonly string[] | undefined
  /** That it was started in. */
  readonly folder?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Whether what it runs came with the call, and so is another each time. */
  readonly runsWhatItIsGiven?: boolean | undefined
}

export interface Identity {
  readonly program: string
  readonly sha256: string
  /** The program, and names of tools that it goes by. */
  readonly names: readonly string[]
  readonly script: Script | undefined
  /** As a person reads it, and answers to it. */
  readonly line: string
  /** Variables that may have made it another program. */
  readonly loaders: readonly string[]
}

/** @throws ClawmeshError DENIED, as `executedBy` does, and for a script that is another than it was first */
export async function identityOf(
  thread: number,
  image: Image | undefined,
  own: Own,
  profile: Profile,
  workspace: string,
): Promise<Identity> {
  const { path: program, sha256 } = await executedBy(thread)
  const interprets = isInterpreter(program)
  const isOwn = program === own.program && (!interprets || isStarted(own, image))
  const names = isOwn ? [program, ...own.names] : [program]
  const known = isOwn ? Object.keys(own.env ?? {}) : []
  const loaders = loadersOf(program, image?.variables ?? []).filter((name) => !known.includes(name))
  const who = { program, sha256, names, loaders }
  if (!interprets) return { ...who, script: undefined, line: program }
  const script = image && (await scriptBy(program, image, profile, workspace))
  if (script) return { ...who, script, line: `${program} running ${script.path} sha256:${script.sha256}` }
  const isKnown = isOwn && own.names.length > 0 && !own.runsWhatItIsGiven
  return { ...who, script, line: isKnown ? program : `${program} running ${codeOf(image)}` }
}

/** No name of a file: an answer to it is one to these words of command alone. */
function codeOf(image: Image | undefined): string {
  if (!image) return 'what cannot be told'
  const hash = createHash('sha256').update([image.folder, ...image.args].join('\0'))
  return `code of its own sha256:${hash.digest('hex')}`
}

/** In the same words, which mean the same only in the same folder. */
const isStarted = ({ args = [], folder }: Own, image: Image | undefined) =>
  image !== undefined &&
  (folder === undefined || image.folder === folder) &&
  image.args.length === args.length + 1 &&
  args.every((arg, index) => arg === image.args[index + 1])

/** Looked up by the name that it was started by, which leads where it led: no part of the way is the action's to change. */
async function scriptBy(
  program: string,
  { folder, args, variables }: Image,
  profile: Profile,
  workspace: string,
): Promise<Script | undefined> {
  const said = scriptOf(program, args, variables)
  if (said === undefined || said.split('/').includes('..')) return undefined
  const path = isAbsolute(said) ? said : join(folder, said)
  const written = await realPaths(profile.write, workspace)
  const isTheActions = (at: string) =>
    isWithin(at, '/tmp') ||
    [...profile.write.map((granted) => inWorkspace(granted, workspace)), ...written].some((each) => isWithin(at, each))
  const { real, kind, links } = await findPlace(path)
  const isReadable = grantOf(profile, real, workspace).includes('read')
  const way = [path, real, dirname(real), ...links.map((link) => link.path)]
  if (kind !== 'file' || !isReadable || way.some(isTheActions)) return undefined
  return { path: real, sha256: await readAsFirst(real) }
}
