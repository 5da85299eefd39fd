/**
 * One tool call from its arguments to its result. The order is the promise: check, decide, ask, record, launch.
 *
 *     const outcome = await runTool({ tool: 'count_lines', args: { path: 'notes.txt' }, workspace, profile, ask, before })
 *     outcome.status // 'done' | 'refused' (a person said no) | 'denied' (not even to be asked for) | 'failed'
 *
 * A widened profile lives for one launch. Every path is looked up once, before the decision; what was decided on is what the launcher
 * opens, by its real path and through no link. Whatever has changed on the way while a person was asked ends in a refusal.
 */

import { lstat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { covers, grantOf, inWorkspace, type Need, scopeOf, widen } from '../policies/coverage.js'
import { ClawmeshError } from '../policies/errors.js'
import type { Access, Profile } from '../policies/profile.js'
import { type Answer, byWhom } from './answer.js'
import { Deeds } from './deeds.js'
import { Egress, type EgressHooks } from './egress/egress.js'
import { launch } from './launch.js'
import { isRead, namesOf } from './opens/change.js'
import { type AskedOfFile, Opens, type OpensHooks } from './opens/opens.js'
import { type ToolOutcome, toolOutcome } from './outcome.js'
import { findPlace, findPlaces, type Identity, type Place, recode } from './place.js'
import { type Action, grantedPaths, planLaunch } from './plan.js'
import type { Pool } from './pool.js'
import { findProgram } from './program.js'
import { realProfile } from './real.js'
import { failure } from './report.js'
import { nodeEnvironment, toolRuntime } from './tools/runtime.js'
import type { Tool } from './tools/tool.js'
import { findTool } from './tools/tools.js'

const nobody: Answer = { refusedBy: 'nobody: there is nobody to ask' }

export interface Question {
  readonly tool: string
  readonly args: Readonly<Record<string, unknown>>
  /** What the profile does not cover, and what a yes would add for this one action. */
  readonly missing: readonly Access[]
  readonly workspace: string
}

/** What may be opened, by real paths. */
export type Files = Pick<Need, 'read' | 'write'>

/** What is about to happen, for the record. */
export interface Intent {
  readonly tool: string
  readonly args: Readonly<Record<string, unknown>>
  readonly need: Need
  /** Accesses beyond the profile that a person allowed. */
  readonly granted: readonly Access[]
}

export interface ToolCall {
  readonly tool: string
  readonly args: Readonly<Record<string, unknown>>
  readonly workspace: string
  readonly profile: Profile
  readonly signal?: AbortSignal | undefined
  /** Where a prepared worker comes from; left out, a launcher is started. */
  readonly pool?: Pool | undefined
  /** Without namespaces: a person of this machine has named that (launcher/degraded.c). */
  readonly degraded?: boolean | undefined
  /** Why whoever asks may not have this, whatever the profile says; undefined if nothing stands against it. */
  readonly objection?: ((files: Files, workspace: string) => string | undefined) | undefined
  /** Asks a person; left out, whatever would be asked for is refused. */
  readonly ask?: ((question: Question) => Promise<Answer>) | undefined
  /** Awaited right before the launch; if it throws, nothing runs. */
  readonly before?: ((intent: Intent) => Promise<void>) | undefined
  /** What decides on its connections with the profile; left out, it has no network. */
  readonly egress?: EgressHooks | undefined
  /** What decides on the files that a program opens beyond what it was started with; left out, all of that fails. */
  readonly opens?: OpensHooks | undefined
}

/**
 * @throws ClawmeshError MESSAGE_INVALID (no such tool, or arguments that it does not take), WORKSPACE_UNREADABLE, SANDBOX_UNAVAILABLE,
 * SANDBOX_FAILED, CANCELLED, DENIED (a path is not what was decided on, or leads where nothing can be granted), POLICY_INVALID (a path of
 * the policy cannot be used), DEADLINE (the action was stopped from outside until its time was over), and what `ask` or `before` throw
 */
export async function runTool(call: ToolCall): Promise<ToolOutcome> {
  const { tool, profile, signal } = call
  const definition = knownTool(tool)
  const args = checkedArgs(definition, call.args)
  const workspace = await realWorkspace(call.workspace)
  if (call.degraded && profile.execute) throw cannotList()
  const { need: own, named } = await realNeed(definition, args, workspace)
  const { action: runtime, need } = await actionOf(definition, args, own, call.degraded)
  const objection = call.objection?.(definition.program ? reachOf(profile, need, workspace) : need, workspace)
  if (objection !== undefined) return { status: 'denied', missing: [], reason: objection }
  const writable = profile.write.map((path) => inWorkspace(path, workspace))
  const places = await findPlaces(grantedPaths(profile, workspace, runtime), writable)

  const { covered, missing, askable } = covers(profile, need, workspace)
  const real = covered ? profile : await realProfile(profile, workspace)
  const isExecuted = ({ kind, path }: Access) => kind === 'write' && grantOf(real, path, workspace).includes('execute')
  if (!covered && !(askable && missing.every((access) => scopeOf(real, access, workspace)))) {
    const why = missing.some(isExecuted)
      ? '; what may be executed is not written, whoever is asked: where that is data, `exec` of the policy lists what may be executed'
      : ''
    return { status: 'denied', missing, reason: `the policy does not let ${tool} ${say(missing)}${why}` }
  }
  const shown = await identitiesOf(missing)
  if (!covered) {
    const answer = call.ask ? await call.ask({ tool, args, missing, workspace }) : nobody
    if (answer !== 'allow')
      return { status: 'refused', missing, reason: `${tool} was not allowed to ${say(missing)}${byWhom(answer)}` }
  }
  // An answer can take minutes: the person may have given up on the action meanwhile.
  if (signal?.aborted) throw new ClawmeshError('CANCELLED', `${tool} was cancelled before it began.`)
  await call.before?.({ tool, args, need, granted: missing })

  for (const access of missing) {
    const place = access.kind === 'execute' ? places.get(access.path) : approvedPlace(access, named.get(access.path))
    if (!place) continue
    const isThere = place.kind === 'file' || place.kind === 'folder'
    const identity = isThere ? shown.get(access.path) : undefined
    if (isThere && !identity) throw failure('changed', access.path)
    places.set(access.path, { ...place, identity })
  }
  const widened = widen(profile, missing)
  const plan = planLaunch(widened, workspace, runtime, places)
  const stdin = definition.program ? '' : JSON.stringify({ tool, args })
  const self = {
    program: plan.program,
    args: runtime.args,
    folder: plan.folder,
    env: runtime.env,
    names: [`tool:${tool}`],
    runsWhatItIsGiven: definition.program !== undefined,
  }
  const egress = call.egress && new Egress({ ...call.egress, profile, workspace, own: self })
  // What a tool of our own executes is known, and so is what it writes.
  const deeds = new Deeds()
  // A tool of our own opens what it says that it opens, and nobody has to watch it.
  const opens =
    call.opens && definition.program
      ? new Opens({
          ...withinObjection(call, workspace),
          record: (kind, facts) => {
            if (kind === 'file.opened' && facts.access === 'write') deeds.wrote(facts.path)
            call.opens?.record?.(kind, facts)
          },
          profile: widened,
          workspace,
          mounts: plan.mounts,
          own: self,
          pool: call.pool,
        })
      : undefined
  const told = definition.program ? deeds : undefined
  if (!definition.program) for (const path of need.write) deeds.wrote(path)
  const outcome = await launch(plan, {
    ...{ signal, pool: call.pool, degraded: call.degraded },
    ...{ egress, opens, deeds: told, stdin },
  })
  return toolOutcome(definition, outcome, missing, await deeds.facts())
}

/**
 * What is there while a person is asked for it, by its path: the launcher opens this or nothing. A program is to be as it was, too: whoever writes into it
 * changes that.
 */
async function identitiesOf(missing: readonly Access[]): Promise<Map<string, Identity>> {
  const identities = missing.map(async ({ path }) => {
    const found = await lstat(path, { bigint: true }).catch(() => undefined)
    if (!found) return []
    const isProgram = missing.some((each) => each.kind === 'execute' && each.path === path)
    const unchanged = isProgram && { unchanged: { bytes: found.size, changedNs: found.ctimeNs } }
    return [[path, { device: found.dev, inode: found.ino, ...unchanged }]] as const
  })
  return new Map((await Promise.all(identities)).flat())
}

/** Without mounts nothing is `noexec`. */
const cannotList = (): ClawmeshError =>
  new ClawmeshError(
    'SANDBOX_FAILED',
    'Without namespaces a policy cannot list what may be executed: a loader that may be would load as code whatever can be read.',
    { hint: 'Leave `exec` out of the policy, or allow user namespaces on this machine.' },
  )

function knownTool(name: string): Tool {
  const tool = findTool(name)
  if (tool) return tool
  throw new ClawmeshError('MESSAGE_INVALID', `There is no tool '${name}'.`, {
    hint: 'Take one of the closed set of tools, or a general one.',
  })
}

function checkedArgs({ name, args }: Tool, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const checked = args.safeParse(given)
  if (checked.success) return checked.data
  const issue = checked.error.issues[0]
  throw new ClawmeshError('MESSAGE_INVALID', `${name}: ${issue?.path.join('.') || 'arguments'}: ${issue?.message}`, {
    hint: 'Give the arguments that the tool describes.',
  })
}

export async function realWorkspace(path: string): Promise<string> {
  const { real, kind } = await findPlace(resolve(path)).catch(recode('WORKSPACE_UNREADABLE'))
  if (real === '/') throw unreadable(path, 'it is the whole machine')
  if (kind === 'kernel') throw unreadable(path, 'it is the kernel’s')
  if (kind === 'missing') throw unreadable(path, 'it cannot be reached')
  if (kind !== 'folder') throw unreadable(path, 'it is not a folder')
  return real
}

function unreadable(path: string, why: string): ClawmeshError {
  return new ClawmeshError('WORKSPACE_UNREADABLE', `The workspace ${path} cannot be used: ${why}.`, {
    hint: 'Name a folder that exists and that you may read.',
  })
}

/**
 * The need by real paths: where a link in the workspace leads out of it, the policy sees where it leads. `named` holds the places that
 * were found, by their real paths.
 */
async function realNeed(tool: Tool, args: Record<string, unknown>, workspace: string) {
  const need = tool.need(args, workspace)
  const [read, write] = await Promise.all([
    Promise.all(need.read.map((path) => findPlace(path))),
    Promise.all(need.write.map((path) => findPlace(path))),
  ])
  const real = (places: readonly Place[]) => places.map((place) => place.real)
  const named = new Map([...read, ...write].map((place) => [place.real, place]))
  return { need: { ...need, read: real(read), write: real(write) } satisfies Need, named }
}

/** What is started, and the need with the program that this is. */
async function actionOf(
  tool: Tool,
  args: Record<string, unknown>,
  need: Need,
  degraded = false,
): Promise<{ action: Action; need: Need }> {
  // Its configuration is there to be seen and may not be read: OpenSSL would end the program for that.
  const unread = degraded ? { OPENSSL_CONF: '/dev/null' } : {}
  if (!tool.program) {
    const action = await toolRuntime(tool)
    return { action: { ...action, env: { ...action.env, ...unread } }, need }
  }
  const { command, args: given } = tool.program(args)
  const { program, execute, need: wanted } = await findProgram(command)
  const others = await Promise.all((need.execute ?? []).map((each) => findProgram(each)))
  const paths = others.filter((each) => !each.need.startsWith('tool:')).map((each) => each.program)
  // A look at a repository takes no lock, so that nobody is asked for one.
  const env = { ...(command === 'node' ? nodeEnvironment : { GIT_OPTIONAL_LOCKS: '0' }), ...unread }
  return {
    action: { program, args: given, execute: [...execute, ...paths], env },
    need: { read: need.read, write: need.write, program: wanted, ...(paths.length > 0 && { execute: paths }) },
  }
}

/** Nobody is asked for what whoever asks may not have. */
function withinObjection({ opens, objection }: ToolCall, workspace: string): OpensHooks {
  const refuse = async () => nobody
  if (!opens) return { ask: refuse }
  const isBeyond = (asked: AskedOfFile) => {
    const write = asked.kind === 'write' ? namesOf(asked) : []
    const read = asked.kind === 'read' || isRead(asked.operation) ? [asked.path] : []
    return objection?.({ read, write }, workspace) !== undefined
  }
  return { ...opens, ask: (access, signal) => (isBeyond(access) ? refuse() : opens.ask(access, signal)) }
}

/** A program that an agent wrote may open whatever the policy grants, not what it says that it is for; and what a person is asked for beside that. */
function reachOf(profile: Profile, need: Files, workspace: string): Files {
  const granted = (paths: readonly string[]) => paths.map((path) => inWorkspace(path, workspace))
  const write = granted(profile.write)
  return { read: [...need.read, ...granted(profile.read), ...write], write: [...need.write, ...write] }
}

/**
 * What a yes makes of a place: exactly what was there when the question was asked. A new file is made by the launch, empty, so that it
 * alone is granted and not the folder that it goes into.
 */
function approvedPlace({ kind, path }: Access, found: Place | undefined): Place {
  const there = found?.kind ?? 'missing'
  return { real: path, kind: kind === 'write' && there === 'missing' ? 'new' : there, links: [] }
}

function say(missing: readonly Access[]): string {
  return missing.map(({ kind, path }) => `${kind} ${path}`).join(' and ')
}
