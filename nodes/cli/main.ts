#!/usr/bin/env node
/** The command line: finds the command, runs it, turns what went wrong into one clear message and an exit status. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { readConfig } from '../config.js'
import { auditVerify } from './audit.js'
import { auditExport } from './audit-export.js'
import { auditKey } from './audit-key.js'
import { auditQuery, auditTail } from './audit-show.js'
import { type Command, parseConfig } from './command.js'
import { debateCommand } from './debate.js'
import { explain, failureOf } from './failure.js'
import { gatewayKeyAdd, gatewayKeyList, gatewayKeyRemove } from './gateway-key.js'
import { invite } from './invite.js'
import { join as joinCommand } from './join.js'
import { modelsList, modelsPull, modelsRemove, modelsVerify } from './models.js'
import { nodes } from './nodes.js'
import { policyExplain, policyTest } from './policy.js'
import { revoke } from './revoke.js'
import { route } from './route.js'
import { run } from './run.js'
import { start } from './start.js'
import { tasksCancel, tasksList, tasksSettle, tasksShow } from './tasks.js'
import { up } from './up.js'

const commands: Command[] = [
  start,
  debateCommand,
  up,
  run,
  tasksList,
  tasksShow,
  tasksSettle,
  tasksCancel,
  invite,
  joinCommand,
  nodes,
  revoke,
  auditVerify,
  auditTail,
  auditQuery,
  auditExport,
  auditKey,
  modelsList,
  modelsPull,
  modelsVerify,
  modelsRemove,
  route,
  policyTest,
  policyExplain,
  gatewayKeyAdd,
  gatewayKeyList,
  gatewayKeyRemove,
]

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

function parse(command: Command, args: string[]) {
  try {
    return parseArgs({ args, options: parseConfig(command.options), allowPositionals: true, strict: true })
  } catch (cause) {
    throw new ClawmeshError('USAGE', cause instanceof Error ? cause.message : String(cause), {
      hint: seeHelp(command),
      cause,
    })
  }
}

function seeHelp({ name }: Command): string {
  return `See clawmesh ${name} --help.`
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

/** A program that asked for JSON gets it in failure too. */
function fail(thrown: unknown): number {
  if (given.includes('--json')) print(JSON.stringify({ ok: false, error: failureOf(thrown) }))
  return explain(thrown)
}
