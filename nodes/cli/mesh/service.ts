/** `clawmesh service …`: keeps a mesh, or a node that has joined one, running across reboots, by the service manager of this machine. */
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ClawmeshError } from '../../../policies/errors.js'
import { readConfig, serviceEnvironment } from '../../config.js'
import { isRunning } from '../../data-folder.js'
import { parseGatewayAddress } from '../../gateway/http/address.js'
import { type ServiceKeeper, serviceKeeper } from '../../service/keeper.js'
import {
  checkPlan,
  commandLine,
  type Scope,
  type ServiceCommand,
  type ServicePlan,
  serviceName,
  usualCommand,
} from '../../service/plan.js'
import { type Command, type Option, text, type Values, whole } from '../command.js'
import { givenOffer } from '../offer-options.js'
import { dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'
import { progress } from '../terminal.js'
import { join as joinCommand } from './join.js'
import { up } from './up.js'

const shared: Record<'service' | 'scope' | 'json', Option> = {
  service: {
    type: 'string',
    value: 'NAME',
    help: 'what the service is called (default: clawmesh, or clawmesh-node for a node that has joined)',
  },
  scope: {
    type: 'string',
    value: 'user|system',
    help: 'a service of your own, or of the whole machine (default: system for root, else user)',
  },
  json: jsonOption,
}

const { data: _, json: __, ...ofUp } = up.options

export const serviceInstall: Command = {
  name: 'service install',
  usage: '[up|join] [--data DIR] [--gateway PORT] [options of up or join] [--dry-run]',
  help: 'Has `clawmesh up` (or, where this machine joined a mesh, `clawmesh join`) started now, after each crash, and with the machine.',
  options: {
    data: dataOption,
    ...ofUp,
    account: { type: 'string', value: 'USER', help: 'with --scope system: whose processes they are (default: root)' },
    'dry-run': { type: 'boolean', help: 'print what the service manager would be given, and do nothing' },
    ...shared,
  },
  takes: 'command',
  run: async (given, values) => {
    const plan = servicePlan(given, values)
    const keeper = keeperOf(values)
    if (values['dry-run']) {
      const unit = keeper.textOf(plan)
      if (values['json'])
        print({ ok: true, name: plan.name, file: keeper.fileOf(plan.name), command: plan.command, unit })
      else process.stdout.write(unit)
      return 0
    }
    if (isRunning(plan.data) && !existsSync(keeper.fileOf(plan.name)))
      throw new ClawmeshError('DATA_IN_USE', `A mesh or node runs in ${plan.data} already, by somebody's hand.`, {
        hint: 'Stop it first (Ctrl-C where it was started): the service takes its place.',
      })
    const notes = keeper.install(plan)
    if (values['json'])
      print({ ok: true, name: plan.name, file: keeper.fileOf(plan.name), command: plan.command, notes })
    else {
      progress(`"${plan.name}" is installed and started: ${keeper.fileOf(plan.name)}.`)
      for (const note of notes) progress(note)
      progress('`clawmesh service status` says how it is, `clawmesh service logs` what it says.')
    }
    return 0
  },
}

export const serviceStatus: Command = {
  name: 'service status',
  usage: '[--service NAME] [--json]',
  help: 'Says whether the service is installed and runs. Ends with status 4 if it does not.',
  options: shared,
  run: async (_given, values) => {
    const keeper = keeperOf(values)
    const name = installed(keeper, values)
    const state = keeper.state(name)
    if (values['json']) print({ ok: state.running, name, file: keeper.fileOf(name), ...state })
    else {
      const starts = state.enabled ? 'starts with the machine' : 'does not start with the machine'
      const again = state.restarts ? `, started again ${state.restarts} times` : ''
      const pid = state.pid === null ? '' : `, process ${state.pid}`
      process.stdout.write(`${printable(`${name}: ${state.state}${pid}${again}; ${starts}`)}\n`)
    }
    return state.running ? 0 : 4
  },
}

export const serviceLogs: Command = {
  name: 'service logs',
  usage: '[--service NAME] [--lines N] [--follow] [--json]',
  help: 'Shows what the service said last.',
  options: {
    lines: { type: 'string', value: 'N', help: 'how many lines (default: 100)' },
    follow: { type: 'boolean', help: 'go on with what it says from now on' },
    service: shared.service,
    scope: shared.scope,
    json: { type: 'boolean', help: 'each line as one JSON object' },
  },
  run: async (_given, values) => {
    const lines = whole(values, 'lines', 0, 999_999) ?? 100
    const keeper = keeperOf(values)
    return keeper.logs(installed(keeper, values), lines, values['follow'] === true, sayLine(values))
  },
}

/** What a service says is its own words and those of whom it heard. */
const sayLine = (values: Values) => (line: string) => {
  process.stdout.write(values['json'] ? `${JSON.stringify({ line })}\n` : `${printable(line)}\n`)
}

export const serviceUninstall: Command = {
  name: 'service uninstall',
  usage: '[--service NAME] [--json]',
  help: 'Stops the service in good order and has it started no more. Its data folder stays.',
  options: shared,
  run: async (_given, values) => {
    const keeper = keeperOf(values)
    const name = installed(keeper, values)
    keeper.uninstall(name)
    if (values['json']) print({ ok: true, name })
    else progress(`"${name}" is stopped and starts no more. Its data folder is where it was.`)
    return 0
  },
}

export function servicePlan(given: string | undefined, values: Values): ServicePlan {
  const config = readConfig()
  const named = text(values, 'data')
  const folder = (command: string | undefined) =>
    resolve(named ?? (command === 'join' ? join(dirname(config.data), 'joined') : config.data))
  const command = commandFor(given, usualCommand(folder(given)), folder(given))
  const data = folder(command)
  const scope = scopeOf(values)
  const { username } = userInfo()
  if (scope === 'user' && text(values, 'account') !== undefined)
    throw new ClawmeshError('USAGE', '--account is for a service of the whole machine.', {
      hint: 'Add --scope system, as root.',
    })
  return checkPlan({
    name: serviceName(text(values, 'service'), command),
    description: command === 'up' ? 'clawmesh: a mesh of agents' : 'clawmesh: a node of a mesh of agents',
    scope,
    account: scope === 'system' ? (text(values, 'account') ?? 'root') : username,
    command: commandLine(command, data, optionsFor(command, values)),
    environment: serviceEnvironment(),
    data,
  })
}

/** What was asked for, held against what the folder is. */
function commandFor(given: string | undefined, usual: ServiceCommand | undefined, data: string): ServiceCommand {
  if (given !== undefined && given !== 'up' && given !== 'join')
    throw new ClawmeshError('USAGE', `"${given}" is nothing that runs as a service.`, { hint: 'Say up or join.' })
  if (given !== undefined && usual !== undefined && given !== usual)
    throw new ClawmeshError('USAGE', `${data} is for \`clawmesh ${usual}\`, not for \`clawmesh ${given}\`.`, {
      hint: 'Name the right data folder with --data.',
    })
  if (given === 'join' && usual === undefined)
    throw new ClawmeshError('USAGE', `This machine belongs to no mesh yet: there is no node in ${data}.`, {
      hint: 'Join once by hand, `clawmesh join` with an invitation, and stop it: an invitation is good once, so it has no place in a service.',
    })
  return given ?? usual ?? 'up'
}

/** Those of `up` and `join` that were given, by paths that mean the same from anywhere. */
function optionsFor(command: ServiceCommand, values: Values): string[] {
  const gateway = text(values, 'gateway')
  if (gateway !== undefined && gateway !== 'none') parseGatewayAddress(gateway)
  const given: Record<string, unknown> = { ...values, ...givenOffer(values) }
  for (const [name, { value }] of Object.entries(ofUp)) {
    const file = text(values, name)
    // A preset is a name, unless a file of that name lies here.
    if (file !== undefined && (value === 'FILE' || (name === 'policy' && existsSync(file)))) given[name] = resolve(file)
  }
  const taken = Object.keys(command === 'up' ? ofUp : joinCommand.options).filter(
    (name) => name !== 'data' && name !== 'json',
  )
  const foreign = Object.keys(ofUp).find((name) => given[name] !== undefined && !taken.includes(name))
  if (foreign !== undefined)
    throw new ClawmeshError('USAGE', `--${foreign} is not for \`clawmesh ${command}\`.`, {
      hint: 'See `clawmesh join --help`.',
    })
  return taken.flatMap((name) => (given[name] === undefined ? [] : [`--${name}`, String(given[name])]))
}

function scopeOf(values: Values): Scope {
  const given = text(values, 'scope') ?? (process.getuid?.() === 0 ? 'system' : 'user')
  if (given === 'user' || given === 'system') return given
  throw new ClawmeshError('USAGE', `"${given}" is no scope of a service.`, {
    hint: 'Say --scope user or --scope system.',
  })
}

function keeperOf(values: Values): ServiceKeeper {
  const { home, configHome } = readConfig()
  const { username, uid } = userInfo()
  return serviceKeeper({ platform: process.platform, scope: scopeOf(values), home, configHome, account: username, uid })
}

/** Of a name that was not given, the one that is there. */
function installed(keeper: ServiceKeeper, values: Values): string {
  const named = text(values, 'service')
  const candidates =
    named === undefined ? (['up', 'join'] as const).map((each) => serviceName(undefined, each)) : [named]
  const found = candidates.find((name) => existsSync(keeper.fileOf(serviceName(name, 'up'))))
  if (found !== undefined) return found
  throw new ClawmeshError(
    'UNREACHABLE',
    `There is no service ${candidates.map((name) => `"${name}"`).join(' or ')} here.`,
    {
      hint: 'Install one with `clawmesh service install`; one of the whole machine is seen with --scope system.',
    },
  )
}

const print = (value: object): boolean => process.stdout.write(`${JSON.stringify(value)}\n`)
