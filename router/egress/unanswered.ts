/** A question that no model elsewhere can have seen, so that nobody is paid for it: what was held for it is given back. */
import type { ClawmeshError } from '../../policies/errors.js'

/** The data of a failure that says so. */
export const unanswered = { unanswered: true } as const

export const isUnanswered = ({ data }: ClawmeshError): boolean => data['unanswered'] === true

/** Statuses by which a server says that it takes no more for now; 529 is Anthropic's. Behind any other of its own errors, or a gateway's, a model may have answered. */
const takesNoMore = [503, 529]

/** What a status that is an error says of the question. */
export const ofStatus = (status: number): Partial<typeof unanswered> =>
  status < 500 || takesNoMore.includes(status) ? unanswered : {}
