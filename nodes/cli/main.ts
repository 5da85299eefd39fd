#!/usr/bin/env node
/** The command line: finds the command, runs it, turns what went wrong into one clear message and an exit status. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { readConfig } from '../config.js'
import { auditVerify } from './audit.js'
import { type Command, parseConfig } from './command.js'
import { start } from './start.js'

const commands: Command[] = [start, auditVerify]

process.exitCode = await main(process.argv.slice(2)).catch(explain)

async function main(args: string[]): Promise<number> {
  const [first = 'help'] = args
  if (first === 'help' || first === '--help' || first === '-h') return print(overview())
  if (first === '--version') return print(version())
  const command = commands.find(({ name }) => args.slice(0, name.split(' ').length).join(' ') === name)
  if (!command) {
    throw new ClawmeshError('USAGE', `There is no command "${first}".`, {
      hint: `Commands: ${commands.map(({ name }) => name).join(', ')}. See clawmesh help.`,
    })
  }
  const rest = args.slice(command.name.split(' ').length)
  if (rest.includes('--help') || rest.includes('-h')) return print(helpOf(command))
  const { values, positionals } = parse(command, rest)
  return command.run(positionals, values)
}

function parse(command: Command, args: string[]) {
  try {
    return parseArgs({ args, options: parseConfig(command.options), allowPositionals: true, strict: true })
  } catch (cause) {
    throw new ClawmeshError('USAGE', cause instanceof Error ? cause.message : String(cause), {
      hint: `See clawmesh ${command.name} --help.`,
      cause,
    })
  }
}

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  const lines = commands.map(({ name, help }) => `  ${name.padEnd(width)}  ${help}`)
  return [
    'clawmesh: a distributed, actor-based agent mesh',
    '',
    ...lines,
    '',
    'clawmesh COMMAND --help says more.',
  ].join('\n')
}

function helpOf({ name, usage, help, options }: Command): string {
  const rows = Object.entries(options).map(
    ([option, { value, help: text }]) => [`--${option}${value ? ` ${value}` : ''}`, text] as const,
  )
  const width = Math.max(...rows.map(([left]) => left.length))
  return [
    `clawmesh ${name} ${usage}`,
    '',
    help,
    '',
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
  ].join('\n')
}

function version(): string {
  const { version: number } = JSON.parse(readFileSync(join(installation, 'package.json'), 'utf8')) as {
    version: string
  }
  return `clawmesh ${number}`
}

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}

function explain(thrown: unknown): number {
  const error = ClawmeshError.from(thrown)
  process.stderr.write(`clawmesh: ${error.message}\n${error.hint ? `  ${error.hint}\n` : ''}`)
  if (error.code === 'INTERNAL' && readConfig().debug && thrown instanceof Error)
    process.stderr.write(`${thrown.stack}\n`)
  return error.exitStatus
}
