/** How a command says that it failed: one message for people on stderr, one object for programs on stdout, an exit status for scripts. */
import { ClawmeshError } from '../../policies/errors.js'
import { readConfig } from '../config.js'
import { printable } from './printable.js'

export interface Failure {
  code: string
  message: string
  hint: string
}

export function failureOf(thrown: unknown): Failure {
  const { code, message, hint } = ClawmeshError.from(thrown)
  return { code, message, hint }
}

/** Says what happened and what to do; returns the exit status. A stack trace is shown only for what should not happen, and only on demand. */
export function explain(thrown: unknown): number {
  const error = ClawmeshError.from(thrown)
  process.stderr.write(printable(`clawmesh: ${error.message}\n${error.hint ? `  ${error.hint}\n` : ''}`))
  if (error.code === 'INTERNAL' && readConfig().debug && thrown instanceof Error)
    process.stderr.write(`${thrown.stack}\n`)
  return error.exitStatus
}
