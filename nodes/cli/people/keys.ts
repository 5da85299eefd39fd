/** `clawmesh keys …` (formerly `gateway key …`): who may use the gateway of the mesh in this data folder. */

import { existsSync } from 'node:fs'
import { ClawmeshError } from '../../../policies/errors.js'
import { type PeopleRole, peopleRoles } from '../../../policies/people.js'
import { ApiKeys } from '../../gateway/http/keys.js'
import { type Command, type Option, text, type Values } from '../command.js'
import { readDuration } from '../duration.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { progress } from '../terminal.js'

const shared: Record<'data' | 'json', Option> = {
  data: dataOption,
  json: jsonOption,
}

export const keysAdd: Command = {
  name: 'keys add',
  usage: `NAME --role ${peopleRoles.join('|')} [--expires 30d]`,
  help: 'Makes an API key for the gateway and prints it, this once. A gateway that runs takes it at once.',
  options: {
    role: { type: 'string', value: 'ROLE', help: 'what the key is for: docs/gateway.md has the table' },
    expires: { type: 'string', value: 'TIME', help: 'how long it is good: 1h, 30d (default: until it is removed)' },
    ...shared,
  },
  takes: 'NAME',
  run: async (given, values) => {
    const name = required(given)
    const role = readRole(text(values, 'role'))
    const expires = text(values, 'expires')
    const lifeMs = expires === undefined ? undefined : readDuration(expires, 'expires')
    const key = keysOf(values).add(name, role, Date.now(), lifeMs)
    progress(`The key "${name}" (${role}) is kept nowhere: note it now.`)
    process.stdout.write(values['json'] ? `${JSON.stringify({ ok: true, name, role, key })}\n` : `${key}\n`)
    return 0
  },
}

export const keysList: Command = {
  name: 'keys list',
  usage: '[--json]',
  help: 'Lists the API keys of the gateway: names, roles and dates. The keys themselves are kept nowhere.',
  options: shared,
  run: async (_, values) => {
    const keys = keysOf(values)
      .list()
      .map(({ name, role, created, expires }) => ({ name, role, created: dateOf(created), expires: dateOf(expires) }))
    if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, keys })}\n`)
    else for (const key of keys) process.stdout.write(`${key.name}  ${key.role}  ${until(key.expires)}\n`)
    return 0
  },
}

export const keysRemove: Command = {
  name: 'keys remove',
  usage: 'NAME',
  help: 'Ends an API key: a gateway that runs refuses it from its next request on.',
  options: shared,
  takes: 'NAME',
  run: async (given, values) => {
    const name = required(given)
    keysOf(values).remove(name)
    if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, name })}\n`)
    else progress(`The key "${name}" is good no more.`)
    return 0
  },
}

const dateOf = (time: number | undefined) => (time === undefined ? null : new Date(time).toISOString())
const until = (expires: string | null) => (expires === null ? 'until it is removed' : `until ${expires}`)

function keysOf(values: Values): ApiKeys {
  const data = dataFolder(values)
  if (existsSync(data)) return new ApiKeys(data)
  throw new ClawmeshError('USAGE', `There is no mesh in ${data}.`, {
    hint: 'Start one with `clawmesh up`, or name its data folder with --data.',
  })
}

function required(name: string | undefined): string {
  if (name !== undefined) return name
  throw new ClawmeshError('USAGE', 'No key is named.', {
    hint: 'Give it a name, for example: `clawmesh keys add laptop --role developer`',
  })
}

function readRole(given: string | undefined): PeopleRole {
  const role = peopleRoles.find((name) => name === given)
  if (role) return role
  throw new ClawmeshError('USAGE', given === undefined ? 'The key has no role.' : `"${given}" is no role of a key.`, {
    hint: `Give --role ${peopleRoles.join(', ')}.`,
  })
}
