/** From what was typed to the command that does it: finds it in the table, checks its options, shows help. Throws USAGE for what is none. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { asTyped } from './as-typed.js'
import { type Command, parseConfig } from './command.js'
import { allCommands, chapters, commandsOf, firstWords } from './commands.js'
import { pageOf } from './page.js'

/** Resolves to the exit status. */
export async function dispatch(args: string[]): Promise<number> {
  const [first = 'help'] = args
  if (first === 'help' && args[1] === 'commands') return print(pageOf(await allCommands()).trimEnd())
  if (first === 'help' || first === '--help' || first === '-h') return print(asTyped(contents()))
  if (first === '--version') return print(version())
  const family = await commandsOf(first)
  const command = family.find(({ name }) => args.slice(0, name.split(' ').length).join(' ') === name)
  if (!command) {
    if (family.length > 0 && args.includes('--help')) return print(asTyped(listOf(family)))
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
    const options = parseConfig(command.options)
    return parseArgs({ args: withNegatives(args, options), options, allowPositionals: true, strict: true })
  } catch (cause) {
    throw new ClawmeshError('USAGE', misuse(command, cause), { hint: seeHelp(command), cause })
  }
}

/** No option is called by a digit: what begins like a negative number is the value of the option before it, which says what it takes. */
function withNegatives(args: readonly string[], options: ReturnType<typeof parseConfig>): string[] {
  const joined: string[] = []
  for (const word of args) {
    const option = joined.at(-1) ?? ''
    const isValue = /^-\.?\d/.test(word) && options[option.replace(/^--/, '')]?.type === 'string'
    if (isValue && option.startsWith('--') && !joined.includes('--')) joined[joined.length - 1] = `${option}=${word}`
    else joined.push(word)
  }
  return joined
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

/** The help itself; it needs none of the commands. */
function contents(): string {
  const width = Math.max(...chapters.flatMap(([, words]) => Object.keys(words).map(({ length }) => length)))
  const lines = chapters.flatMap(([title, words]) => [
    '',
    title,
    ...Object.entries(words).map(([word, what]) => `  ${word.padEnd(width)}  ${what}`),
  ])
  const more = '`clawmesh COMMAND --help` says more, and of several commands (tasks, policy, audit …) which there are.'
  return ['clawmesh: a distributed, actor-based agent mesh', ...lines, '', more].join('\n')
}

/** Of the commands that begin with one word. */
function listOf(family: Command[]): string {
  const shown = family.filter(({ old }) => !old)
  const listed = shown.length > 0 ? shown : family
  const width = Math.max(...listed.map(({ name }) => name.length))
  const lines = listed.map(({ name, help }) => `  ${name.padEnd(width)}  ${help}`)
  return [...lines, '', '`clawmesh COMMAND --help` says more.'].join('\n')
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
