#!/usr/bin/env node
/** The command line: finds the command, runs it, turns what went wrong into one clear message and an exit status. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { readConfig } from '../config.js'
import { type Command, parseConfig } from './command.js'
import { allCommands, commandsOf, firstWords } from './commands.js'
import { asTyped, explain, failureOf } from './failure.js'

const given = process.argv.slice(2)
// What nobody expected ends the process at once; nodes and broker see that and end too.
process.on('uncaughtException', (error) => process.exit(fail(error)))
// Paths are meant as they are typed.
const { typedIn } = readConfig()
if (typedIn !== undefined && process.cwd() === installation && existsSync(typedIn)) process.chdir(typedIn)
const status = await main(given).catch(fail)
// A connection that hangs must not keep a command that is done; what was printed goes out first.
process.stdout.write('', () => process.exit(status))

async function main(args: string[]): Promise<number> {
  const [first = 'help'] = args
  if (first === 'help' || first === '--help' || first === '-h') return print(asTyped(overview(await allCommands())))
  if (first === '--version') return print(version())
  const family = await commandsOf(first)
  const command = family.find(({ name }) => args.slice(0, name.split(' ').length).join(' ') === name)
  if (!command) {
    if (family.length > 0 && args.includes('--help')) return print(asTyped(overview(family)))
    throw noCommand(args, family)
  }
  const rest = args.slice(command.name.split(' ').length)
  if (rest.includes('--help') || rest.includes('-h')) return print(asTyped(helpOf(command)))
  const { values, positionals } = parse(command, rest)
  for (const [option, value] of Object.entries(values)) {
    if (value === '') throw new ClawmeshError('USAGE', `--${option} is empty.`, { hint: seeHelp(command) })
  }
  const [request, surplus] = positionals
  if (request !== undefined && !command.takes) {
    throw new ClawmeshError('USAGE', `clawmesh ${command.name} takes no "${request}".`, { hint: seeHelp(command) })
  }
  if (surplus !== undefined) {
    throw new ClawmeshError('USAGE', `There is more than one ${command.takes}.`, {
      hint: `Put the ${command.takes} in quotation marks.`,
    })
  }
  return command.run(request, values)
}

/** The first word of a family of commands ("tasks") asks which there are. */
function noCommand([first = '', second]: string[], family: Command[]): ClawmeshError {
  if (family.length === 0) {
    return new ClawmeshError('USAGE', `There is no command "${first}".`, {
      hint: `Commands: ${firstWords.join(', ')}. See clawmesh help.`,
    })
  }
  const what = second === undefined ? `"${first}" is several commands.` : `There is no command "${first} ${second}".`
  return new ClawmeshError('USAGE', what, { hint: `One of: ${family.map(({ name }) => name).join(', ')}.` })
}

function parse(command: Command, args: string[]) {
  try {
    return parseArgs({ args, options: parseConfig(command.options), allowPositionals: true, strict: true })
  } catch (cause) {
    throw new ClawmeshError('USAGE', misuse(command, cause), { hint: seeHelp(command), cause })
  }
}

/** What is wrong with the options, in our words: Node's speak of positional arguments. */
function misuse({ name, options }: Command, cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException
  const option = /'(?:-\w, )?(--?[\w-]+)/.exec(message)?.[1]
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && option !== undefined) {
    const known = Object.keys(options).map((known) => `--${known}`)
    return `clawmesh ${name} has no option ${option}; it has ${known.join(', ') || 'none'}.`
  }
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE' && option !== undefined) {
    const { value } = options[option.replace(/^-+/, '')] ?? {}
    return value === undefined ? `${option} takes no value.` : `${option} needs a value: ${option} ${value}.`
  }
  return message
}

function seeHelp({ name }: Command): string {
  return `See clawmesh ${name} --help.`
}

function overview(listed: Command[]): string {
  const width = Math.max(...listed.map(({ name }) => name.length))
  const lines = listed.map(({ name, help }) => `  ${name.padEnd(width)}  ${help}`)
  return [
    'clawmesh: a distributed, actor-based agent mesh',
    '',
    ...lines,
    '',
    '`clawmesh COMMAND --help` says more.',
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

/** A program that asked for JSON gets it in failure too. */
function fail(thrown: unknown): number {
  if (given.includes('--json')) print(JSON.stringify({ ok: false, error: failureOf(thrown) }))
  return explain(thrown)
}
