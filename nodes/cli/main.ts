#!/usr/bin/env node
/** The command line: runs what was typed, turns what went wrong into one clear message and an exit status. */
import { existsSync } from 'node:fs'
import { installation } from '../../mesh/installation.js'
import { readTyping } from '../config.js'
import { dispatch } from './dispatch.js'
import { explain, failureOf } from './failure.js'

const given = process.argv.slice(2)
// What nobody expected ends the process at once; nodes and broker see that and end too.
process.on('uncaughtException', (error) => process.exit(fail(error)))
const status = await main().catch(fail)
// A connection that hangs must not keep a command that is done; what was printed goes out first.
process.stdout.write('', () => process.exit(status))

async function main(): Promise<number> {
  // Paths are meant as they are typed.
  const { typedIn } = readTyping()
  if (typedIn !== undefined && process.cwd() === installation && existsSync(typedIn)) process.chdir(typedIn)
  return dispatch(given)
}

/** A program that asked for JSON gets it in failure too. */
function fail(thrown: unknown): number {
  if (given.includes('--json')) process.stdout.write(`${JSON.stringify({ ok: false, error: failureOf(thrown) })}\n`)
  return explain(thrown)
}
