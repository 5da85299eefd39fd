/** How a command says that it failed: one message for people on stderr, one object for programs on stdout, an exit status for scripts. */
import { ClawmeshError } from '../../policies/errors.js'
import { readTyping } from '../config.js'
import { asTyped } from './as-typed.js'
import { printable } from './printable.js'

export interface Failure {
  code: string
  message: string
  hint: string
}

export function failureOf(thrown: unknown): Failure {
  const error = ClawmeshError.from(thrown)
  return { code: error.code, message: asTyped(error.message), hint: asTyped(hintOf(error)) }
}

/** Nobody is left without a next step. */
function hintOf({ code, hint }: ClawmeshError): string {
  if (hint !== '') return hint
  return code === 'INTERNAL'
    ? 'This is a fault of clawmesh. Please report it, with what it shows under CLAWMESH_DEBUG=1.'
    : 'Look at the logs in the data folder (nodes/NAME/node.log), and start again.'
}

/** Says what happened and what to do; returns the exit status. A stack trace is shown only for what should not happen, and only on demand. */
export function explain(thrown: unknown): number {
  const { code, message, hint } = failureOf(thrown)
  process.stderr.write(printable(`clawmesh: ${message}\n  ${hint}\n`))
  if (code === 'INTERNAL' && readTyping().debug && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`)
  return ClawmeshError.from(thrown).exitStatus
}
