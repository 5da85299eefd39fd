/**
 * Starts the process that holds the providers' keys in a sandbox of its own: no network but to the providers, no file but the code that it is made of, nothing to
 * execute but Node, no variable of ours. What it connects to is decided and recorded here, as for any action.
 *
 *     const egress = Egress.open(store, confined(node, { actor: 'elsewhere/operator', progress }))
 *
 * Where the machine cannot hold it, it is a process of its own without that rule, and `progress` is told: it sends what was cleared and nothing else of its own
 * accord, and the rule is a second barrier. One that could be held once is never started without.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installation } from '../../mesh/installation.js'
import type { MeshNode } from '../../mesh/node.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type Channel, plainly, type StartHolder } from '../../router/egress/channel.js'
import { sandboxAvailability } from '../../sandbox/availability.js'
import { Egress } from '../../sandbox/egress/egress.js'
import { readAsFirst } from '../../sandbox/egress/executed.js'
import { governedEgress } from '../../sandbox/egress/governed.js'
import { type Resolve, resolver } from '../../sandbox/egress/resolve.js'
import { Pool } from '../../sandbox/pool.js'
import { planResident, startResident } from '../../sandbox/resident.js'
import { nodeEnvironment } from '../../sandbox/tools/runtime.js'
import { readConfig } from '../config.js'
import { holderProfile, holderTool, loopback, placeOf } from './profile.js'

export interface ConfinedOptions {
  /** Whose the connections are on the audit trail. */
  readonly actor: string
  /** Told once, where the machine cannot hold the process. */
  readonly progress?: ((text: string) => void) | undefined
  /** Where names lead; left out, as this machine's settings say. */
  readonly resolve?: Resolve
}

export function confined(node: MeshNode, { actor, progress, resolve }: ConfinedOptions): StartHolder {
  const { certificates, nameServers } = readConfig()
  const ask = resolve ?? resolver(nameServers)
  const look: Resolve = async (host) => (host === 'localhost' ? loopback : ask(host))
  const known = new Map<string, readonly string[]>()
  let isHeld: boolean | undefined
  return async (program) => {
    if (isHeld === undefined) {
      const why = await whyNot()
      if (why !== undefined) progress?.(unheld(why))
      isHeld = why === undefined
    }
    if (!isHeld) return plainly(certificates)(program)
    // Once for each name: what it leads to when it is first looked up holds as long as this node runs.
    for (const { host } of program.urls.map(placeOf)) {
      const found = known.get(host) ?? (await look(host))
      if (found.length > 0) known.set(host, found)
    }
    return start(program, known, governedEgress(node, look, { ...asAction, actor }), certificates)
  }
}

/** Why this machine cannot hold the process; undefined where it can. A test that was ended from outside says nothing of the machine, so it is made once more. */
export const whyNot = async (): Promise<string | undefined> => (await looked()) && looked()

async function looked(): Promise<string | undefined> {
  const found = await sandboxAvailability()
  if (!found.available) return found.reason
  return found.connects ? undefined : 'connections cannot be decided on here'
}

const unheld = (why: string): string =>
  `the process that holds the keys of providers is not kept from the rest of the network here: ${why}. \`clawmesh doctor\` says what is missing`

const compiled = fileURLToPath(new URL('../../', import.meta.url))

const asAction = {
  ...{ tool: 'egress', args: {}, workspace: compiled, trace: '' },
  ...{ signal: new AbortController().signal, deadline: Number.POSITIVE_INFINITY },
}

async function start(
  { module, urls }: Parameters<StartHolder>[0],
  known: ReadonlyMap<string, readonly string[]>,
  hooks: ReturnType<typeof governedEgress>,
  certificates: Readonly<Record<string, string>>,
): Promise<Channel> {
  const profile = holderProfile(urls, known)
  const program = {
    ...{ command: 'node', args: [module], env: { ...nodeEnvironment, ...certificates } },
    ...{ code: [...code(), module, ...trusted(certificates)], workspace: compiled, profile },
  }
  const plan = await planResident(program)
  const { args, env } = program
  const own = { program: plan.program, names: [holderTool], args, env, folder: plan.folder }
  const egress = new Egress({ ...hooks, profile, workspace: compiled, own })
  // Of one worker, whose control group it removes when the process has ended.
  const pool = new Pool({ idle: 0 })
  try {
    const resident = await startResident(plan, { pool, egress })
    resident.errors.resume()
    // Its first connection asks for this, and to read the whole of Node takes a while.
    void readAsFirst(plan.program).catch(() => undefined)
    const ended = resident.ended.finally(() => pool.close())
    ended.catch(() => undefined)
    return { input: resident.input, output: resident.output, ended, stop: () => void resident.stop() }
  } catch (error) {
    pool.close()
    throw ClawmeshError.from(error)
  }
}

/** What it is made of. Node asks the nearest package.json whether a .js file is a module. */
const code = (): string[] => [compiled, join(installation, 'package.json'), ...new Set(libraries.map(folderOf))]

const libraries = ['zod', 'libsodium-wrappers']

function folderOf(library: string): string {
  const path = createRequire(import.meta.url).resolve(library)
  const modules = '/node_modules/'
  return path.slice(0, path.lastIndexOf(modules) + modules.length - 1)
}

/** Where authorities are that it may have to know: those that a person named, and those of the system, which some builds of Node ask. Never keys. */
const trusted = (certificates: Readonly<Record<string, string>>): string[] => [
  ...Object.values(certificates).filter((value) => value.startsWith('/')),
  ...systemAuthorities,
]

const systemAuthorities = [
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
  '/usr/lib/ssl',
  '/usr/share/ca-certificates',
  '/usr/local/share/ca-certificates',
  '/etc/pki/tls/certs',
  '/etc/pki/ca-trust/extracted',
]
