/** What goes wrong at the gateway, as HTTP and the OpenAI API say it. */
import { ClawmeshError, type ErrorCode } from '../../../policies/errors.js'

/** A request that gets no answer, in the words of HTTP. */
export class Refusal extends Error {
  readonly status: number
  readonly code: ErrorCode
  readonly headers: Record<string, string>

  constructor(status: number, code: ErrorCode, message: string, headers: Record<string, string> = {}) {
    super(message)
    this.name = 'Refusal'
    this.status = status
    this.code = code
    this.headers = headers
  }

  /** The body, in OpenAI's form. */
  get body(): { error: { message: string; type: string; param: null; code: ErrorCode } } {
    return { error: { message: this.message, type: typeOf(this.status), param: null, code: this.code } }
  }
}

/** What the policies of people forbid, and only the body of a request tells. */
export class Forbidden extends Refusal {
  constructor(message: string) {
    super(403, 'DENIED', message)
  }
}

/** What the mesh says, where it is not this server's own fault. */
const statuses: Partial<Record<ErrorCode, number>> = {
  MESSAGE_INVALID: 400,
  USAGE: 400,
  POLICY_INVALID: 400,
  WORKSPACE_UNREADABLE: 400,
  NOT_FOUND: 404,
  ALREADY_DECIDED: 409,
  IN_DOUBT: 409,
  FENCED: 409,
  RATE_LIMITED: 429,
  MODEL_UNSUITED: 400,
  DENIED: 403,
  CANCELLED: 499,
  MODEL_FAILED: 502,
  DISK_FULL: 503,
  MEMORY_FULL: 503,
  BROKER_UNAVAILABLE: 503,
  UNREACHABLE: 503,
  ACTOR_MOVED: 503,
  MAILBOX_FULL: 503,
  AUDIT_UNAVAILABLE: 503,
  MODEL_BROKEN: 503,
  MODEL_BUSY: 503,
  DEADLINE: 504,
}

export function refusalOf(thrown: unknown): Refusal {
  if (thrown instanceof Refusal) return thrown
  const http = httpStatusOf(thrown)
  if (http === 415)
    return new Refusal(http, 'MESSAGE_INVALID', 'A body has to be sent with content-type: application/json.')
  if (http !== undefined) return new Refusal(http, 'MESSAGE_INVALID', (thrown as Error).message)
  const { code, message, hint, retry } = ClawmeshError.from(thrown)
  const status = statuses[code]
  // What nobody foresaw may name files and hosts: that is for the log of this machine alone.
  if (status === undefined) return new Refusal(500, 'INTERNAL', 'The gateway failed. Its own log says why.')
  const wait: Record<string, string> = status === 503 && retry ? { 'retry-after': '1' } : {}
  return new Refusal(status, code, `${message} ${hint}`.trim(), wait)
}

/** Of what the HTTP layer found wrong with a request by itself. */
function httpStatusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('statusCode' in thrown)) return undefined
  const status = thrown.statusCode
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status < 500 ? 'invalid_request_error' : 'server_error'
}
