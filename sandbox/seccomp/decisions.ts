/**
 * What becomes of each system call of an action. One that is not named fails with EPERM; some fail with ENOSYS, where a C library then falls
 * back to what is named.
 *
 * Sockets: none can be made, connected or bound. A connected pair of Unix streams is allowed, since Node and others talk to their
 * children over one; datagram pairs are not, because they can send to any address. network.ts has what a network adds.
 * An open that is held may go on by itself, since Landlock and the mounts deny whatever is not granted.
 */
import type { CallGroup } from '../../policies/profile.js'
import { allowedCalls } from './allowed.js'
import type { Architecture, CallName } from './calls.js'
import { constants, openFlags } from './constants.js'
import { allowed, type Decision, denied, hasAny, held, heldWhereAllowed, isOneOf } from './decision.js'
import { groups } from './groups.js'
import { networkDecisions, socketKind } from './network.js'

/** What of an action its filter depends on. */
export interface FilterTerms {
  readonly architecture: Architecture
  /** Groups of calls that fail. */
  readonly without: readonly CallGroup[]
  /** Whether somebody decides on its connections. */
  readonly network: boolean
  /** Which opens somebody decides on, and with these all changes of names, modes and times. */
  readonly opens: 'writes' | 'all' | undefined
  /** Whether somebody is told what it executes and opens for writing. */
  readonly deeds: boolean
}

type Decisions = Map<CallName, Decision>

const { EPERM, ENOSYS, ENOTTY } = constants
const notPermitted = denied(EPERM)
const setId = constants.S_ISUID | constants.S_ISGID

export function decisionsOf(terms: FilterTerms): ReadonlyMap<CallName, Decision> {
  const decisions: Decisions = new Map(allowedCalls.map((call) => [call, allowed]))
  for (const [call, decision] of looks(terms)) decisions.set(call, decision)
  if (terms.network) for (const [call, decision] of networkDecisions) decisions.set(call, decision)
  for (const call of heldCalls(terms)) decisions.set(call, heldWhereAllowed(decisions.get(call) ?? notPermitted))
  takeAway(decisions, terms.without)
  return decisions
}

/** Calls that depend on an argument, and those that fail in another way than most. */
function looks(terms: FilterTerms): [CallName, Decision][] {
  const unlessSetId = (mode: number, otherwise: Decision) => hasAny(mode, setId, notPermitted, otherwise)
  return [
    ['clone', hasAny(0, namespaces, notPermitted, allowed)],
    // Its flags lie in memory, where no filter sees them: every C library falls back to clone.
    ['clone3', denied(ENOSYS)],
    ['openat2', denied(ENOSYS)],
    ['fchmodat2', denied(ENOSYS)],
    // Memory that is shared and has no file is memory that no limit counts.
    ['mmap', isOneOf(3, [MAP_SHARED | MAP_ANONYMOUS], notPermitted, allowed, MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS)],
    // No file of the person's may be left behind that runs as that person for others.
    ['fchmod', unlessSetId(1, allowed)],
    ['fchmodat', unlessSetId(2, allowed)],
    ['chmod', unlessSetId(1, allowed)],
    ['creat', unlessSetId(1, holdingOf(terms) ? held : allowed)],
    ['openat', open(2, terms)],
    ['open', open(1, terms)],
    ['prctl', isOneOf(0, controls, allowed, notPermitted)],
    // Its own.
    ['prlimit64', isOneOf(0, [0], allowed, notPermitted)],
    ['ioctl', isOneOf(1, requests, allowed, denied(ENOTTY))],
    ['socketpair', isOneOf(0, [AF_UNIX], isOneOf(1, [SOCK_STREAM], allowed, notPermitted, socketKind), notPermitted)],
    ['setsockopt', allowed],
  ]
}

const { MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS, AF_UNIX, SOCK_STREAM } = constants

const namespaces =
  constants.CLONE_NEWNS |
  constants.CLONE_NEWCGROUP |
  constants.CLONE_NEWUTS |
  constants.CLONE_NEWIPC |
  constants.CLONE_NEWUSER |
  constants.CLONE_NEWPID |
  constants.CLONE_NEWNET

/** Of prctl. */
const controls = [
  constants.PR_SET_NAME,
  constants.PR_GET_NAME,
  constants.PR_SET_PDEATHSIG,
  constants.PR_GET_PDEATHSIG,
  constants.PR_GET_DUMPABLE,
  constants.PR_GET_NO_NEW_PRIVS,
  constants.PR_CAPBSET_READ,
  // Names of memory areas.
  constants.PR_SET_VMA,
]

/** Of ioctl. */
const requests = [
  constants.TCGETS,
  constants.TIOCGWINSZ,
  constants.FIONREAD,
  constants.FIONBIO,
  constants.FIOCLEX,
  constants.FIONCLEX,
]

/** What is told is held for that. */
const holdingOf = ({ opens, deeds }: FilterTerms) => opens ?? (deeds ? 'writes' : undefined)

/**
 * An open that creates is looked into for its mode; of one that does not, that register may hold anything. Then it is held if it is of the
 * kind that is; not for a folder, nor for a mere place: neither is ever handed over. A file that is made without a name, in a folder, is written all the same.
 */
function open(flags: number, terms: FilterTerms): Decision {
  const { O_CREAT, O_WRONLY, O_RDWR, O_TRUNC, O_PATH } = constants
  const { O_DIRECTORY, O_TMPFILE } = openFlags[terms.architecture]
  const holding = holdingOf(terms)
  const writes = hasAny(flags, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, held, allowed)
  const file = holding === undefined ? allowed : holding === 'all' ? held : writes
  const goesOn = hasAny(flags, O_PATH | O_DIRECTORY, allowed, file)
  const nameless = O_TMPFILE & ~O_DIRECTORY
  const creates = hasAny(flags + 1, setId, notPermitted, hasAny(flags, nameless, holding ? held : allowed, goesOn))
  return hasAny(flags, O_CREAT | nameless, creates, goesOn)
}

/** What is asked for beside opens: the calls that launcher/changes.c and attributes.c can take, and no other. */
const changes: readonly CallName[] = [...groups.names, 'chmod', 'fchmodat', ...groups.times]

function heldCalls(terms: FilterTerms): CallName[] {
  const { network, opens, deeds } = terms
  return [
    // As an open for writing.
    ...(holdingOf(terms) ? (['truncate'] as const) : []),
    // launcher/image.h says what for.
    ...(network || opens || deeds ? (['set_tid_address'] as const) : []),
    ...(opens ? changes : []),
  ]
}

/** A new process is a clone without CLONE_THREAD: threads are none. */
function takeAway(decisions: Decisions, without: readonly CallGroup[]): void {
  const { CLONE_THREAD, PR_SET_PDEATHSIG, F_SETOWN, F_SETOWN_EX, F_NOTIFY, F_SETLEASE } = constants
  const narrow = (call: CallName, by: (before: Decision) => Decision) =>
    decisions.set(call, by(decisions.get(call) ?? notPermitted))
  for (const call of without.flatMap((group) => groups[group])) decisions.set(call, notPermitted)
  if (without.includes('processes')) {
    narrow('clone', (before) => hasAny(0, CLONE_THREAD, before, notPermitted))
    // That it dies with its parent may be all that ends it.
    narrow('prctl', (before) => isOneOf(0, [PR_SET_PDEATHSIG], notPermitted, before))
  }
  // A descriptor signals whoever it is said to belong to, and does so for a folder that changes or a file that is opened.
  if (without.includes('signals'))
    narrow('fcntl', (before) => isOneOf(1, [F_SETOWN, F_SETOWN_EX], notPermitted, before))
  if (without.includes('watching'))
    narrow('fcntl', (before) => isOneOf(1, [F_NOTIFY, F_SETLEASE], notPermitted, before))
}
