/**
 * Every error that clawmesh raises, in one table. It lives in the lowest layer because everything above throws from it.
 *
 *     throw new ClawmeshError('POLICY_INVALID', 'policy.yaml: limits.wallMs must be a number', {
 *       hint: 'Give the wall time in milliseconds, for example 10000.',
 *     })
 *
 * The message says what happened and why, the hint what to do next. The code is stable and crosses the wire.
 */

/** What a failure means to a caller, and with which status the command line ends. */
export const outcomes = { failed: 1, usage: 2, denied: 3, unavailable: 4 } as const
export type Outcome = keyof typeof outcomes

/** The codes, each with its outcome and whether the same call may succeed later. */
export const errorCodes = {
  // what a person typed or wrote
  USAGE: { outcome: 'usage', retry: false },
  WORKSPACE_UNREADABLE: { outcome: 'usage', retry: false },
  POLICY_INVALID: { outcome: 'usage', retry: false },
  NOT_FOUND: { outcome: 'usage', retry: false },
  MESSAGE_INVALID: { outcome: 'failed', retry: false },
  // what may not be done
  DENIED: { outcome: 'denied', retry: false },
  UNAUTHENTIC: { outcome: 'denied', retry: false },
  CLOCK_SKEW: { outcome: 'denied', retry: false },
  ALREADY_DECIDED: { outcome: 'denied', retry: false },
  RATE_LIMITED: { outcome: 'denied', retry: true },
  // the machine
  DISK_FULL: { outcome: 'unavailable', retry: true },
  MEMORY_FULL: { outcome: 'unavailable', retry: true },
  PORT_TAKEN: { outcome: 'unavailable', retry: true },
  DATA_IN_USE: { outcome: 'unavailable', retry: true },
  BROKER_UNAVAILABLE: { outcome: 'unavailable', retry: true },
  SANDBOX_UNAVAILABLE: { outcome: 'unavailable', retry: false },
  SANDBOX_FAILED: { outcome: 'failed', retry: false },
  // the mesh
  UNREACHABLE: { outcome: 'unavailable', retry: true },
  ACTOR_MOVED: { outcome: 'unavailable', retry: true },
  MAILBOX_FULL: { outcome: 'unavailable', retry: true },
  UNKNOWN_MESSAGE: { outcome: 'failed', retry: false },
  DEADLINE: { outcome: 'failed', retry: true },
  CANCELLED: { outcome: 'failed', retry: false },
  ACTOR_CRASHED: { outcome: 'failed', retry: true },
  RESTARTS_EXHAUSTED: { outcome: 'failed', retry: false },
  // tasks
  TASK_FAILED: { outcome: 'failed', retry: false },
  BUDGET_SPENT: { outcome: 'failed', retry: false },
  PRICE_UNKNOWN: { outcome: 'failed', retry: false },
  IN_DOUBT: { outcome: 'failed', retry: false },
  FENCED: { outcome: 'failed', retry: false },
  // audit
  AUDIT_UNAVAILABLE: { outcome: 'unavailable', retry: true },
  AUDIT_BROKEN: { outcome: 'failed', retry: false },
  // models
  MODEL_BROKEN: { outcome: 'unavailable', retry: false },
  MODEL_UNSUITED: { outcome: 'failed', retry: false },
  MODEL_BUSY: { outcome: 'unavailable', retry: true },
  MODEL_FAILED: { outcome: 'failed', retry: true },
  // the router
  TAGGER_UNAVAILABLE: { outcome: 'unavailable', retry: true },
  // anything else
  INTERNAL: { outcome: 'failed', retry: false },
} as const satisfies Record<string, { outcome: Outcome; retry: boolean }>

export type ErrorCode = keyof typeof errorCodes

export interface ErrorDetail {
  /** What the reader should do next. */
  hint?: string
  /** Plain facts for programs: paths, limits, numbers. Must not hold anything confidential. */
  data?: Record<string, string | number | boolean>
  cause?: unknown
}

export class ClawmeshError extends Error {
  readonly code: ErrorCode
  readonly hint: string
  readonly data: Record<string, string | number | boolean>

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause })
    this.name = 'ClawmeshError'
    this.code = code
    this.hint = detail.hint ?? ''
    this.data = detail.data ?? {}
  }

  get retry(): boolean {
    return errorCodes[this.code].retry
  }

  get exitStatus(): number {
    return outcomes[errorCodes[this.code].outcome]
  }

  /** Anything that was thrown, as a ClawmeshError; what is not one already becomes INTERNAL and keeps its cause. */
  static from(thrown: unknown): ClawmeshError {
    if (thrown instanceof ClawmeshError) return thrown
    if (isNoSpace(thrown))
      return new ClawmeshError('DISK_FULL', `No space is left on the disk that holds the data: ${thrown.message}`, {
        hint: 'Free some space, or choose another folder with --data, and start again.',
        cause: thrown,
      })
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return new ClawmeshError('INTERNAL', message, { cause: thrown })
  }
}

function isNoSpace(thrown: unknown): thrown is Error {
  return thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOSPC' || thrown.code === 'EDQUOT')
}
