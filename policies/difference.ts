/** What one policy grants and another does not: by meaning, not by lines. Pure. */
import { answerToConnect, grantOf, inWorkspace, scopeOf } from './coverage.js'
import { binaryLine, type Endpoint, isHost, type NetworkRule, readConnection, splitAskable } from './network.js'
import type { Access, Limits, Profile } from './profile.js'

export interface Change {
  /** "read", "write", "ask", "network", "limits.wall_ms". */
  readonly field: string
  /** Null: nothing was there, or is. */
  readonly before: string | null
  readonly after: string | null
  /** Whether an action may do more than before. */
  readonly looser: boolean
}

type Compare = (before: Profile, after: Profile) => Change[]

/** Looser ones first. Empty where the two mean the same. */
export function differences(before: Profile, after: Profile): Change[] {
  const changes = Object.values(comparisons).flatMap((compare) => compare(before, after))
  return changes.sort((a, b) => Number(b.looser) - Number(a.looser))
}

/** Of each field: one that a profile has and that is not compared does not compile. */
const comparisons: Record<keyof Required<Profile>, Compare> = {
  read: (before, after) => listed('read', before.read, after.read, (path) => mayMoreAt(before, after, path)),
  write: (before, after) => listed('write', before.write, after.write, (path) => mayMoreAt(before, after, path)),
  hidden: (before, after) => listed('hidden', before.hidden, after.hidden, (path) => mayMoreAt(before, after, path)),
  ask: (before, after) => {
    const asked = new Map([...before.ask, ...after.ask].map((access) => [accessLine(access), access]))
    return listed('ask', before.ask.map(accessLine), after.ask.map(accessLine), (line, isNew) => {
      const access = asked.get(line)
      return access !== undefined && mayMore(before, after, access, isNew)
    })
  },
  network: networkChanges,
  execute: ({ execute: was }, { execute: is }) => {
    if (was && is) return listed('exec', was, is, (_, isNew) => isNew)
    return was === is ? [] : [{ field: 'exec', before: said(was), after: said(is), looser: is === undefined }]
  },
  without: (before, after) => listed('syscalls.deny', before.without, after.without, (_, isNew) => !isNew),
  limits: (before, after) =>
    (Object.keys(after.limits) as (keyof Limits)[]).flatMap((name) => {
      const [was, is] = [before.limits[name], after.limits[name]]
      const field = `limits.${asInPolicy(name)}`
      return was === is ? [] : [{ field, before: String(was), after: String(is), looser: is > was }]
    }),
}

/** `wall_ms` of `wallMs`: as whoever wrote the policy knows it. */
const asInPolicy = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** What came and what went. `isLooser` is asked for each, with whether it came. */
function listed(
  field: string,
  was: readonly string[],
  is: readonly string[],
  isLooser: (entry: string, isNew: boolean) => boolean,
): Change[] {
  const [came, went] = [is.filter((entry) => !was.includes(entry)), was.filter((entry) => !is.includes(entry))]
  return [
    ...came.map((entry) => ({ field, before: null, after: entry, looser: isLooser(entry, true) })),
    ...went.map((entry) => ({ field, before: entry, after: null, looser: isLooser(entry, false) })),
  ]
}

const said = (paths: readonly string[] | undefined): string | null => paths?.join(', ') ?? null

/** Nobody's folder: what is in the workspace is compared wherever that is. No path of a policy can hold a NUL. */
const workspace = '/\0workspace'

/** At one path: what is read-only inside a writable folder takes something away, and its end gives something. */
const mayMoreAt = (before: Profile, after: Profile, path: string): boolean =>
  (['read', 'write', 'execute'] as const).some((kind) => mayMore(before, after, { kind, path }, true))

/** Of hosts that a pattern stands for, whether they are more than before is not worked out: they are taken to be, if the pattern is new. */
function mayMore(before: Profile, after: Profile, access: Access, isNew: boolean): boolean {
  if (access.kind === 'connect' && !readConnection(access.path)) return isNew
  return rank(after, access) > rank(before, access)
}

/** 0: denied. 1: a person is asked. 2: granted. */
function rank(profile: Profile, { kind, path }: Access): number {
  if (kind === 'connect') return ['deny', 'ask', 'allow'].indexOf(answerToConnect(profile, path, workspace))
  const at = inWorkspace(path, workspace)
  if (grantOf(profile, at, workspace).includes(kind)) return 2
  return scopeOf(profile, { kind, path: at }, workspace) ? 1 : 0
}

const accessLine = ({ kind, path }: Access): string => `${kind} ${path}`

/** What lets one program connect to one port. Of two that let the same connection, the one that comes first says to which addresses. */
interface Way extends Pick<Endpoint, 'host' | 'allowedIps'> {
  /** Undefined: any. */
  readonly port: number | undefined
  readonly program: string | undefined
  /** How it is said, and by which it is known. */
  readonly line: string
}

/** What goes, or moves behind another, lets more where that one now says to which addresses. */
function networkChanges(before: Profile, after: Profile): Change[] {
  const field = 'network'
  const [was, is] = [waysOf(before.network), waysOf(after.network)]
  const place = new Map(is.map(({ line }, index) => [line, index]))
  const came = is.filter(({ line }) => !was.some((way) => way.line === line))
  const others = was.flatMap((way, index): Change[] => {
    const { line } = way
    const rivals = was.slice(index + 1).filter((other) => place.has(other.line) && isRival(way, other))
    const now = place.get(line)
    if (now === undefined) {
      const looser = rivals.length > 0 || asked(after).some((other) => isRival(way, other))
      return [{ field, before: line, after: null, looser }]
    }
    const ahead = rivals.map((other) => other.line).filter((other) => (place.get(other) ?? 0) < now)
    return ahead.length > 0 ? [{ field, before: line, after: `${line} behind ${ahead.join('; ')}`, looser: true }] : []
  })
  return [...came.map(({ line }) => ({ field, before: null, after: line, looser: true })), ...others]
}

/** In their order, each once: what comes again decides nothing. */
function waysOf(rules: readonly NetworkRule[]): Way[] {
  const ways = rules.flatMap(({ endpoints, binaries }) =>
    endpoints.flatMap(({ host, ports, allowedIps }) =>
      ports.flatMap((port) =>
        binaries.map((binary) => {
          const at = allowedIps.length > 0 ? ` at ${allowedIps.join(', ')}` : ''
          return { host, port, program: binary.path, allowedIps, line: `${host}:${port} by ${binaryLine(binary)}${at}` }
        }),
      ),
    ),
  )
  return [...new Map(ways.map((way) => [way.line, way])).values()]
}

/** What no rule lets, a person may: as the last of all ways. */
const asked = ({ ask }: Profile): Way[] =>
  ask
    .filter(({ kind }) => kind === 'connect')
    .map(({ path: line }) => ({ port: undefined, ...splitAskable(line), program: undefined, allowedIps: [], line }))

/** Whether there can be a connection that both let, and to other addresses. Whether those are fewer is not worked out. */
const isRival = (one: Way, other: Way): boolean =>
  addressLine(one) !== addressLine(other) &&
  (one.port === undefined || other.port === undefined || one.port === other.port) &&
  shareHost(one.host, other.host) &&
  (one.program === undefined || other.program === undefined || shareProgram(one.program, other.program))

const addressLine = ({ allowedIps }: Way): string => allowedIps.toSorted().join(' ')

function shareHost(one: string, other: string): boolean {
  const hostOf = (pattern: string) => pattern.replace(/^\*+/, 'any')
  return isHost(hostOf(one), other) || isHost(hostOf(other), one)
}

/** A tool is started by a program, so one may go by both names; of patterns it is enough that they begin alike. */
function shareProgram(one: string, other: string): boolean {
  if (one.startsWith('tool:') !== other.startsWith('tool:')) return true
  if (!one.includes('*') && !other.includes('*')) return one === other
  const beginning = (pattern: string) => pattern.split('*')[0] ?? ''
  return beginning(one).startsWith(beginning(other)) || beginning(other).startsWith(beginning(one))
}
