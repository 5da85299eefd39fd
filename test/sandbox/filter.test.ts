/** The filter of system calls, run here as the kernel runs it; and its numbers, held to the kernel's headers. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { callGroups } from '../../policies/profile.js'
import { allowedCalls } from '../../sandbox/seccomp/allowed.js'
import { type Architecture, type CallName, callNames, numberOf } from '../../sandbox/seccomp/calls.js'
import { codeOf } from '../../sandbox/seccomp/code.js'
import { constants as c, openFlags } from '../../sandbox/seccomp/constants.js'
import { allowed, denied, isOneOf } from '../../sandbox/seccomp/decision.js'
import type { FilterTerms } from '../../sandbox/seccomp/decisions.js'
import { filterOf } from '../../sandbox/seccomp/filter.js'
import { groups } from '../../sandbox/seccomp/groups.js'
import { runFilter } from './classic-bpf.js'
import { headersProgram } from './kernel-headers.js'
import { newStage } from './stage.js'

/** Said again, so that none can be mistaken in one place only. */
const words = new Map([
  [0x7fff0000, 'allow'],
  [0x7fc00000, 'hold'],
  [0x80000000, 'kill'],
  [0x00050001, 'EPERM'],
  [0x00050026, 'ENOSYS'],
  [0x00050019, 'ENOTTY'],
  [0x00050061, 'EAFNOSUPPORT'],
])
const architectures = { x64: 0xc000003e, arm64: 0xc00000b7 } as const
const both = Object.keys(architectures) as Architecture[]
/** What the launcher has a form for, in a table of its own. */
const changes: readonly CallName[] = (() => {
  const launcher = join(installation, 'sandbox', 'launcher')
  const files = readdirSync(launcher).filter((name) => name.endsWith('.c'))
  const forms = files.flatMap((name) => [
    ...readFileSync(join(launcher, name), 'utf8').matchAll(/^ {4}\{SYS_(\w+), /gm),
  ])
  return forms.map(([, call]) => call as CallName)
})()

const plain = { without: [], network: false, opens: undefined, deeds: false } as const

/** What becomes of a call under these terms. */
function underTerms(terms: FilterTerms) {
  const filter = filterOf(terms)
  return (number: number, args: readonly number[] = [], architecture = terms.architecture): string => {
    const returned = runFilter(filter, { number, architecture: architectures[architecture], arguments: args })
    return words.get(returned) ?? `0x${returned.toString(16)}`
  }
}

/** Of a group there are all others beside: no two groups take of the same call, but fcntl, which has them together. */
function* everyTerms(): Generator<FilterTerms> {
  const taken = [[], ...callGroups.map((group) => [group]), ['signals', 'watching'], callGroups] as const
  for (const architecture of both)
    for (const without of taken)
      for (const network of [false, true])
        for (const opens of [undefined, 'writes', 'all'] as const)
          for (const deeds of [false, true]) yield { architecture, without, network, opens, deeds }
}

/** Calls that some argument lets through or keeps, and no list names. */
const looked: readonly CallName[] = [
  'clone',
  'mmap',
  'fchmod',
  'fchmodat',
  'chmod',
  'creat',
  'openat',
  'open',
  'prctl',
  'prlimit64',
  'ioctl',
  'socketpair',
  'setsockopt',
]
const ofNetwork: readonly CallName[] = ['socket', 'connect', 'bind']

describe('the filter of system calls', () => {
  test('allows and holds nothing that is not named, whatever its arguments are', () => {
    const samples = [0, 1, 2, 3, 0x22, 0x11000, 0xffffffff].map((value) => Array<number>(6).fill(value))
    for (const terms of everyTerms()) {
      const { architecture, without, network, opens, deeds } = terms
      const verdict = underTerms(terms)
      const numbersOf = (calls: Iterable<CallName>) => [...calls].map((call) => numberOf(call, architecture))
      const taken = new Set(without.flatMap((group) => groups[group]))
      const named = [...allowedCalls, ...looked, ...(network ? ofNetwork : [])].filter((call) => !taken.has(call))
      const known = new Set(numbersOf(named))
      const newer = new Set(numbersOf(['clone3', 'openat2', 'fchmodat2']))
      for (let number = 0; number <= 600; number += 1)
        for (const args of known.has(number) ? [] : [samples[0], samples[6]])
          assert.equal(verdict(number, args), newer.has(number) ? 'ENOSYS' : 'EPERM', `${number}`)
      const held = new Set<CallName>([
        ...(opens || deeds ? (['truncate', 'creat', 'openat', 'open'] as const) : []),
        ...(opens ? changes : []),
        ...(opens || deeds || network ? (['set_tid_address'] as const) : []),
        ...(network ? (['connect'] as const) : []),
      ])
      for (const call of callNames) {
        const number = numberOf(call, architecture)
        if (number === undefined) continue
        const isHeld = samples.some((args) => verdict(number, args) === 'hold')
        assert.equal(isHeld, held.has(call) && !taken.has(call), `${JSON.stringify(terms)} ${call}`)
      }
    }
  })

  test('never allows what no action is to call', () => {
    // ptrace, mount, pivot_root, chroot, unshare, setns, bpf, perf_event_open, userfaultfd, keyctl, process_vm_readv, memfd_create, seccomp,
    // execveat, open_by_handle_at, init_module, listen, accept, io_uring_setup, pidfd_getfd, open_tree, fsopen, mseal
    const newer = [425, 438, 428, 430, 462]
    const never = {
      x64: [101, 165, 155, 161, 272, 308, 321, 298, 323, 250, 310, 319, 317, 322, 304, 175, 50, 43, ...newer],
      arm64: [117, 40, 41, 51, 97, 268, 280, 241, 282, 219, 270, 279, 277, 281, 265, 105, 201, 202, ...newer],
    }
    for (const terms of everyTerms())
      for (const number of never[terms.architecture]) assert.equal(underTerms(terms)(number), 'EPERM', `${number}`)
  })

  test('ends who calls by the numbers of another architecture, or of x32', () => {
    for (const terms of everyTerms()) {
      const verdict = underTerms(terms)
      const other = terms.architecture === 'x64' ? 'arm64' : 'x64'
      const beyond = terms.architecture === 'x64' ? 'kill' : 'EPERM'
      for (let number = 0; number <= 600; number += 1) {
        assert.equal(verdict(number, [], other), 'kill')
        assert.equal(verdict(0x40000000 + number), beyond)
        assert.equal(verdict(0xffffffff - number), beyond)
      }
    }
  })

  test('looks at what decides', () => {
    const network = { network: true }
    const all = { opens: 'all' } as const
    const writes = { opens: 'writes' } as const
    const deeds = { deeds: true }
    const without = (...groups: FilterTerms['without']) => ({ without: groups })
    /** O_DIRECTORY and O_TMPFILE have other bits on each. */
    const folder = 'O_DIRECTORY'
    const nameless = 'O_TMPFILE'
    type Row = [
      terms: Partial<FilterTerms>,
      call: CallName,
      args: (number | 'O_DIRECTORY' | 'O_TMPFILE')[],
      verdict: string,
    ]
    const rows: Row[] = [
      [{}, 'read', [], 'allow'],
      [{}, 'set_tid_address', [], 'allow'],
      [{}, 'clone', [0x3d0f00], 'allow'], // a thread
      [{}, 'clone', [0x11], 'allow'], // a fork
      [{}, 'clone', [0x10000000 | 0x11], 'EPERM'], // a user namespace
      [{}, 'clone', [0x40000000], 'EPERM'],
      [without('processes'), 'clone', [0x11], 'EPERM'],
      [without('processes'), 'clone', [0x3d0f00], 'allow'],
      [without('processes'), 'clone', [0x3d0f00 | 0x20000], 'EPERM'],
      [without('processes'), 'prctl', [1], 'EPERM'],
      [{}, 'prctl', [1], 'allow'],
      [{}, 'prctl', [15], 'allow'],
      [{}, 'prctl', [22], 'EPERM'], // PR_SET_SECCOMP
      [{}, 'prctl', [4], 'EPERM'], // PR_SET_DUMPABLE
      [{}, 'mmap', [0, 1, 3, 0x22], 'allow'],
      [{}, 'mmap', [0, 1, 3, 0x01], 'allow'], // of a file
      [{}, 'mmap', [0, 1, 3, 0x21], 'EPERM'],
      [{}, 'mmap', [0, 1, 3, 0x4021], 'EPERM'],
      [{}, 'fchmod', [3, 0o777], 'allow'],
      [{}, 'fchmod', [3, 0o4755], 'EPERM'],
      [{}, 'fchmodat', [3, 0, 0o2755], 'EPERM'],
      [{}, 'fchmodat', [3, 0, 0o644], 'allow'],
      [{}, 'chmod', [0, 0o6000], 'EPERM'],
      [without('modes'), 'fchmod', [3, 0o644], 'EPERM'],
      [{}, 'creat', [0, 0o644], 'allow'],
      [{}, 'creat', [0, 0o4644], 'EPERM'],
      [deeds, 'creat', [0, 0o644], 'hold'],
      [all, 'creat', [0, 0o4644], 'EPERM'],
      [{}, 'openat', [0, 0, 0x241, 0o644], 'allow'],
      [{}, 'openat', [0, 0, 0x241, 0o4755], 'EPERM'],
      [{}, 'openat', [0, 0, nameless, 0o4755], 'EPERM'],
      [{}, 'openat', [0, 0, 0, 0o4755], 'allow'], // creates nothing: no mode is looked at
      [{}, 'openat', [0, 0, folder, 0o4755], 'allow'],
      [{}, 'open', [0, 0x41, 0o2755], 'EPERM'],
      [all, 'openat', [0, 0, 0], 'hold'],
      [all, 'openat', [0, 0, folder], 'allow'],
      [all, 'openat', [0, 0, 0x200000], 'allow'],
      [all, 'openat', [0, 0, 0x41, 0o4755], 'EPERM'],
      [all, 'open', [0, 0], 'hold'],
      [writes, 'openat', [0, 0, 0], 'allow'],
      [writes, 'openat', [0, 0, 1], 'hold'],
      [writes, 'openat', [0, 0, 2], 'hold'],
      [writes, 'openat', [0, 0, 0x200], 'hold'],
      [deeds, 'openat', [0, 0, 0x40], 'hold'],
      [deeds, 'open', [0, 0x800], 'allow'],
      [deeds, 'openat', [0, 0, nameless], 'hold'],
      [all, 'openat', [0, 0, nameless, 0o4755], 'EPERM'],
      [deeds, 'unlinkat', [], 'allow'],
      [writes, 'unlinkat', [], 'hold'],
      [all, 'rename', [], 'hold'],
      [{ ...all, without: ['names'] }, 'rename', [], 'EPERM'],
      [all, 'fchmodat', [3, 0, 0o600], 'hold'],
      [all, 'fchmodat', [3, 0, 0o4600], 'EPERM'],
      [all, 'chmod', [0, 0o2600], 'EPERM'],
      [{ ...all, without: ['modes'] }, 'chmod', [0, 0o600], 'EPERM'],
      [all, 'utimensat', [], 'hold'],
      [{}, 'truncate', [], 'allow'],
      [deeds, 'truncate', [], 'hold'],
      [{}, 'prlimit64', [0, 3], 'allow'],
      [{}, 'prlimit64', [1, 3], 'EPERM'],
      [{}, 'ioctl', [0, 0x5401], 'allow'],
      [{}, 'ioctl', [0, 0x5412], 'ENOTTY'], // TIOCSTI
      [{}, 'ioctl', [0x5401, 0x541c], 'ENOTTY'], // TIOCLINUX
      [{}, 'fcntl', [3, 8], 'allow'],
      [without('signals'), 'fcntl', [3, 8], 'EPERM'],
      [without('signals'), 'fcntl', [3, 15], 'EPERM'],
      [without('signals'), 'fcntl', [3, 1024], 'allow'],
      [without('signals', 'watching'), 'fcntl', [3, 15], 'EPERM'],
      [without('signals', 'watching'), 'fcntl', [3, 1024], 'EPERM'],
      [without('signals', 'watching'), 'fcntl', [8, 1], 'allow'],
      [without('watching'), 'fcntl', [3, 1026], 'EPERM'],
      [{}, 'socketpair', [1, 1], 'allow'],
      [{}, 'socketpair', [1, 0x80801], 'allow'],
      [{}, 'socketpair', [1, 2], 'EPERM'],
      [{}, 'socketpair', [1, 5], 'EPERM'],
      [{}, 'socketpair', [2, 1], 'EPERM'],
      [without('sockets'), 'socketpair', [1, 1], 'EPERM'],
      [{}, 'socket', [2, 1, 0], 'EPERM'],
      [{}, 'connect', [], 'EPERM'],
      [{}, 'sendto', [0, 0, 0, 0x20000000], 'allow'], // on what it has no connect comes of it
      [network, 'connect', [], 'hold'],
      [{ ...network, without: ['sockets'] }, 'connect', [], 'EPERM'],
      [network, 'bind', [], 'allow'],
      [network, 'socket', [2, 1, 0], 'allow'],
      [network, 'socket', [2, 0x801, 6], 'allow'],
      [network, 'socket', [2, 1, 17], 'EAFNOSUPPORT'],
      [network, 'socket', [2, 1, 132], 'EAFNOSUPPORT'], // SCTP
      [network, 'socket', [2, 1, 262], 'EAFNOSUPPORT'], // MPTCP
      [network, 'socket', [2, 2, 17], 'allow'],
      [network, 'socket', [2, 2, 0], 'allow'],
      [network, 'socket', [2, 2, 1], 'EAFNOSUPPORT'], // ping
      [network, 'socket', [2, 3, 0], 'EAFNOSUPPORT'], // raw
      [network, 'socket', [10, 1, 0], 'EAFNOSUPPORT'],
      [network, 'socket', [16, 3, 0], 'EAFNOSUPPORT'],
      [network, 'socket', [1, 1, 0], 'EAFNOSUPPORT'],
      [network, 'sendto', [0, 0, 0, 0x20000000], 'EPERM'],
      [network, 'sendto', [0, 0, 0, 0x4000], 'allow'],
      [network, 'sendmsg', [0, 0, 0x20004000], 'EPERM'],
      [network, 'sendmmsg', [0, 0, 0, 0x20000000], 'EPERM'],
      [{}, 'setsockopt', [0, 1, 26], 'allow'],
      [network, 'setsockopt', [0, 1, 9], 'allow'],
      [network, 'setsockopt', [0, 1, 26], 'EPERM'], // SO_ATTACH_FILTER
      [network, 'setsockopt', [0, 6, 1], 'allow'],
      [network, 'setsockopt', [0, 6, 30], 'EPERM'], // TCP_FASTOPEN_CONNECT
      [network, 'setsockopt', [0, 0, 1], 'allow'],
      [network, 'setsockopt', [0, 0, 4], 'EPERM'], // IP_OPTIONS
      [network, 'setsockopt', [0, 17, 1], 'EPERM'],
      [network, 'setsockopt', [0, 1, 0xffffffff], 'EPERM'],
    ]
    for (const architecture of both)
      for (const [terms, call, given, wanted] of rows) {
        const number = numberOf(call, architecture)
        if (number === undefined) continue
        const args = given.map((each) => (typeof each === 'number' ? each : openFlags[architecture][each]))
        const became = underTerms({ ...plain, ...terms, architecture })(number, args)
        assert.equal(became, wanted, `${architecture} ${call} ${args}`)
      }
  })

  test('is of a size that the kernel takes', () => {
    for (const terms of everyTerms()) {
      const instructions = filterOf(terms).length / 8
      assert.ok(Number.isInteger(instructions) && instructions < 4096, `${instructions} instructions`)
    }
  })

  test('has jumps that lead where they are to, over any distance, or is not made', () => {
    const long = isOneOf(0, range(150, 1), allowed, isOneOf(1, range(100, 1000), allowed, denied(c.EPERM)))
    const decisions = new Map(callNames.map((call) => [call, long]))
    const code = codeOf('x64', decisions, denied(c.ENOSYS))
    const at = (number: number, ...args: number[]) =>
      words.get(runFilter(code, { number, architecture: architectures.x64, arguments: args }))
    for (const call of callNames) {
      const number = numberOf(call, 'x64') ?? 0
      assert.deepEqual(
        [at(number, 1), at(number, 150), at(number, 0, 1000), at(number, 0, 1099), at(number, 0, 1100)],
        ['allow', 'allow', 'allow', 'allow', 'EPERM'],
        call,
      )
    }
    assert.deepEqual([at(136), at(400), at(600), at(0x40000000)], ['ENOSYS', 'ENOSYS', 'ENOSYS', 'kill'])
    const tooLong = isOneOf(0, range(300, 1), allowed, denied(c.EPERM))
    assert.throws(() => codeOf('x64', new Map([['read', tooLong]]), denied(c.ENOSYS)), RangeError)
  })
})

const range = (length: number, from: number) => Array.from({ length }, (_, place) => from + place)

const compilers: readonly (readonly [Architecture, string])[] = [
  ['arm64', 'aarch64-linux-gnu-gcc'],
  ['x64', 'x86_64-linux-gnu-gcc'],
]
for (const [architecture, cross] of compilers) {
  const compiler = process.arch === architecture ? 'cc' : cross
  const isMissing = spawnSync(compiler, ['--version']).error !== undefined
  test(`the numbers of ${architecture} are those of its headers`, {
    skip: isMissing && `there is no ${compiler} here; \`npm run soak -- arm64\` fetches one`,
  }, async () => {
    const { folder } = await newStage()
    const source = join(folder, 'numbers.c')
    writeFileSync(source, headersProgram(architecture))
    const { status, stderr } = spawnSync(compiler, ['-std=c11', '-fsyntax-only', source], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  })
}
