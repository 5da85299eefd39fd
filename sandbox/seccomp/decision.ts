/**
 * What becomes of a system call: a verdict, or a question about one of its arguments that leads to one.
 *
 *     hasAny(0, CLONE_NEWUSER, denied(EPERM), allowed) // of clone: no user namespace
 */
export type Decision = Verdict | Question

export interface Verdict {
  /** What the filter returns to the kernel. */
  readonly returns: number
}

export interface Question {
  /** Counted from 0. The low half of it is looked at: for the kernel, too, these are 32 bits. */
  readonly argument: number
  /** What of it counts. */
  readonly mask: number | undefined
  /** one of: it equals one of the values. any of: it has a bit of one. */
  readonly is: 'one of' | 'any of'
  readonly values: readonly number[]
  readonly ifSo: Decision
  readonly ifNot: Decision
}

/** SECCOMP_RET_ALLOW */
export const allowed: Verdict = { returns: 0x7fff0000 }
/** SECCOMP_RET_USER_NOTIF: the worker answers it. */
export const held: Verdict = { returns: 0x7fc00000 }
/** SECCOMP_RET_KILL_PROCESS */
export const killed: Verdict = { returns: 0x80000000 }
/** SECCOMP_RET_ERRNO */
export const denied = (error: number): Verdict => ({ returns: 0x00050000 | error })

/** The same, but that what it would allow is held. */
export function heldWhereAllowed(decision: Decision): Decision {
  if ('returns' in decision) return decision.returns === allowed.returns ? held : decision
  const { ifSo, ifNot } = decision
  return { ...decision, ifSo: heldWhereAllowed(ifSo), ifNot: heldWhereAllowed(ifNot) }
}

export function isOneOf(
  argument: number,
  values: readonly number[],
  ifSo: Decision,
  ifNot: Decision,
  mask?: number,
): Question {
  return { argument, mask, is: 'one of', values, ifSo, ifNot }
}

export function hasAny(argument: number, bits: number, ifSo: Decision, ifNot: Decision): Question {
  return { argument, mask: undefined, is: 'any of', values: [bits], ifSo, ifNot }
}
