/**
 * A sandbox profile: what an action may touch and use, and what it may at least ask for. Everything else is denied.
 *
 *     filesystem_policy:
 *       read_only: [., /usr]        # `.` is the workspace; what is read-only outside it may also be executed
 *     limits: { wall_ms: 5000 }
 *     ask:
 *       - write: .                  # a write in the workspace is held for a person instead of denied
 *
 * The names and meanings of `filesystem_policy`, `landlock`, `process` and `network_policies` are OpenShell's; `limits`, `ask`,
 * `exec` and `syscalls` are ours. Where OpenShell goes on with less protection, we refuse: a field that we cannot enforce is an error that names it.
 */
import { z } from 'zod'
import { isKernels } from './coverage.js'
import { type Document, parseDocumentAs, readDocument } from './document.js'
import { askableHost, type NetworkRule, networkSchema, toRules } from './network.js'

export type AccessKind = 'read' | 'write' | 'execute' | 'connect'

/**
 * One thing done to one path, which is absolute and without `.`, `..` or a slash at its end; to connect, what stands for the path is `HOST:PORT` or
 * `HOST:PORT by PROGRAM`.
 */
export interface Access {
  readonly kind: AccessKind
  readonly path: string
}

export interface Limits {
  readonly wallMs: number
  readonly cpuSeconds: number
  /** Of each process. */
  readonly memoryMb: number
  /** Of all processes together. */
  readonly memoryTotalMb: number
  /** Of the private /tmp. */
  readonly tmpMb: number
  /** Of each file written. */
  readonly fileMb: number
  /** Processes and threads. */
  readonly processes: number
  readonly openFiles: number
  /** Of standard output and standard error together. */
  readonly outputBytes: number
}

/** System calls that a policy can take away from its actions, by the name of their group. */
export const callGroups = ['processes', 'signals', 'names', 'modes', 'times', 'watching', 'sockets'] as const
export type CallGroup = (typeof callGroups)[number]

/** Paths are absolute, or start with `.` and are then below the workspace. */
export interface Profile {
  readonly read: readonly string[]
  readonly write: readonly string[]
  /** Not to be had by anybody, inside of what is granted. */
  readonly hidden: readonly string[]
  readonly limits: Limits
  readonly network: readonly NetworkRule[]
  readonly ask: readonly Access[]
  /** Of what may be read and lies outside of the workspace, all that may be executed; undefined: all of it. */
  readonly execute?: readonly string[] | undefined
  /** Calls that fail, of those that an action has otherwise. */
  readonly without: readonly CallGroup[]
}

/** There in every sandbox, private to it, and never the host's: a policy that lists them grants nothing more. */
const ownPaths = ['/tmp', '/proc', '/dev/null', '/dev/urandom', '/dev/random']

const path = z
  .string()
  .transform((text) => (text.length > 1 && text.endsWith('/') ? text.slice(0, -1) : text))
  .superRefine((text, context) => {
    const problem = pathProblem(text)
    if (problem) context.addIssue({ code: 'custom', message: problem })
  })

function pathProblem(text: string): string | undefined {
  if (!text.startsWith('/') && text !== '.' && !text.startsWith('./'))
    return 'must be absolute, or start with "." for the workspace'
  if (text === '/') return 'grants the whole machine; name the folders that are needed'
  if (text.includes('\0')) return 'must not hold a NUL character'
  const parts = text.split('/').slice(1)
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return 'must not hold "..", "//" or "/./"'
  if (parts.some((part) => Buffer.byteLength(part) > 255) || Buffer.byteLength(text) > 4095)
    return 'is longer than a path can be'
  if (!ownPaths.includes(text) && isKernels(text))
    return 'is the kernel’s; the sandbox has its own /proc and a minimal /dev, and no /sys'
  return undefined
}

/** Something that OpenShell knows and that is not enforced here: saying it out loud is safer than dropping it. */
function notEnforced(why: string) {
  return z.custom<never>(() => false, { message: why })
}

const count = (most: number) => z.int().min(1).max(most)

/** Where a person decides each time, the whole machine may be named. */
const askPath = z.union([z.literal('/'), path])

const askable = z
  .strictObject({
    read: askPath.optional(),
    write: askPath.optional(),
    execute: askPath.optional(),
    connect: askableHost.optional(),
  })
  .refine(
    (named) => Object.values(named).filter((value) => value !== undefined).length === 1,
    'must name exactly one of read, write, execute and connect',
  )

const schema = z.strictObject({
  version: z.literal(1).optional(),
  filesystem_policy: z
    .strictObject({
      include_workdir: z.boolean().default(false),
      read_only: z.array(path).default([]),
      read_write: z.array(path).default([]),
      /** Ours: Landlock cannot say it. */
      hidden: z.array(path).default([]),
    })
    .prefault({}),
  landlock: z
    .strictObject({
      compatibility: z
        .literal(
          'hard_requirement',
          'only hard_requirement is taken: a protection that cannot be enforced stops the action',
        )
        .optional(),
    })
    .optional(),
  process: z
    .strictObject({
      run_as_user: notEnforced(
        'cannot be chosen: an action always runs under an unprivileged id of its own',
      ).optional(),
      run_as_group: notEnforced(
        'cannot be chosen: an action always runs under an unprivileged id of its own',
      ).optional(),
    })
    .optional(),
  network_policies: networkSchema.default({}),
  limits: z
    .strictObject({
      wall_ms: count(86_400_000).default(10_000),
      cpu_seconds: count(86_400).default(10),
      memory_mb: count(1_048_576).default(512),
      memory_total_mb: count(1_048_576).default(2048),
      tmp_mb: count(65_536).default(16),
      file_mb: count(1_048_576).default(64),
      processes: count(4096).default(32),
      open_files: count(65_536).min(16).default(256),
      output_bytes: count(268_435_456).default(1_048_576),
    })
    .prefault({}),
  ask: z.array(askable).default([]),
  exec: z.array(path).optional(),
  syscalls: z.strictObject({ deny: z.array(z.enum(callGroups)).default([]) }).prefault({}),
})

/**
 * Reads a profile.
 * @param text YAML
 * @param source what the person calls the text, for messages: a file name, usually
 * @throws ClawmeshError POLICY_INVALID naming source, line, field and reason
 */
export function parseProfile(text: string, source = 'policy'): Profile {
  return profileOf(readDocument(text, source))
}

export function profileOf(document: Document): Profile {
  return toProfile(parseDocumentAs(document, schema))
}

function toProfile(parsed: z.output<typeof schema>): Profile {
  const { include_workdir, read_only, read_write, hidden } = parsed.filesystem_policy
  const { limits } = parsed
  const granted = (paths: string[]) => [...new Set(paths)].filter((path) => !ownPaths.includes(path))
  return {
    read: granted(read_only),
    write: granted(include_workdir ? ['.', ...read_write] : read_write),
    hidden: granted(hidden),
    limits: {
      wallMs: limits.wall_ms,
      cpuSeconds: limits.cpu_seconds,
      memoryMb: limits.memory_mb,
      memoryTotalMb: limits.memory_total_mb,
      tmpMb: limits.tmp_mb,
      fileMb: limits.file_mb,
      processes: limits.processes,
      openFiles: limits.open_files,
      outputBytes: limits.output_bytes,
    },
    network: toRules(parsed.network_policies),
    ask: parsed.ask.flatMap((named) =>
      (['read', 'write', 'execute', 'connect'] as const).flatMap((kind) =>
        named[kind] === undefined ? [] : [{ kind, path: named[kind] }],
      ),
    ),
    ...(parsed.exec && { execute: parsed.exec }),
    without: [...new Set(parsed.syscalls.deny)],
  }
}
