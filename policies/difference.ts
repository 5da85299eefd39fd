/** What one policy grants and another does not: by meaning, not by lines. Pure. */
import { answerToConnect, grantOf, inWorkspace, scopeOf } from './coverage.js'
import { type NetworkRule, readConnection } from './network.js'
import type { Access, Limits, Profile } from './profile.js'

export interface Change {
  /** "read", "write", "ask", "network", "limits.wallMs". */
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
const comparisons: Record<keyof Profile, Compare> = {
  read: (before, after) => listed('read', before.read, after.read, (path) => mayMoreAt(before, after, path)),
  write: (before, after) => listed('write', before.write, after.write, (path) => mayMoreAt(before, after, path)),
  ask: (before, after) => {
    const asked = new Map([...before.ask, ...after.ask].map((access) => [accessLine(access), access]))
    return listed('ask', before.ask.map(accessLine), after.ask.map(accessLine), (line, isNew) => {
      const access = asked.get(line)
      return access !== undefined && mayMore(before, after, access, isNew)
    })
  },
  network: (before, after) =>
    listed('network', before.network.flatMap(lines), after.network.flatMap(lines), (_, isNew) => isNew),
  limits: (before, after) =>
    (Object.keys(after.limits) as (keyof Limits)[]).flatMap((name) => {
      const [was, is] = [before.limits[name], after.limits[name]]
      return was === is ? [] : [{ field: `limits.${name}`, before: String(was), after: String(is), looser: is > was }]
    }),
}

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

/** Nobody's folder: what is in the workspace is compared wherever that is. */
const workspace = '/workspace'

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

const lines = ({ endpoints, binaries }: NetworkRule): string[] =>
  endpoints.flatMap(({ host, ports, allowedIps }) =>
    ports.flatMap((port) =>
      binaries.map(
        (program) => `${host}:${port} by ${program}${allowedIps.length > 0 ? ` at ${allowedIps.join(', ')}` : ''}`,
      ),
    ),
  )
