import type { ClawmeshError } from '../../../policies/errors.js'

/** The sandbox was put up and then ended from outside, so the action came to no end of its own. Where it never stood, `stage` says at what it failed. */
export const wasKilled = ({ code, data }: ClawmeshError): boolean =>
  code === 'SANDBOX_FAILED' && data['stage'] === undefined
