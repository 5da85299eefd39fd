/** `clawmesh whoami`, `users` and `roles`: who this machine is to its mesh, who else is somebody to it, and what each role may do. */
import { existsSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { openAuthority } from '../../../mesh/seal/authority.js'
import { readCredentials } from '../../../mesh/seal/credentials.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type People, type Person, peopleRoles, someone } from '../../../policies/people.js'
import { roles as nodeRoles, type Role } from '../../../policies/roles.js'
import { Register } from '../../authority/register.js'
import { readConfig } from '../../config.js'
import { dataPaths, isRunning } from '../../data-folder.js'
import { ApiKeys } from '../../gateway/http/keys.js'
import { isOpen, routeNames, ruleOn } from '../../gateway/route.js'
import { newestMember } from '../../member/onlooker.js'
import { columns } from '../columns.js'
import { type Command, text, type Values } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'

const options: Command['options'] = { data: dataOption, json: jsonOption }

export const whoamiCommand: Command = {
  name: 'whoami',
  usage: '[--data DIR] [--json]',
  help: 'Says who this machine is: the authority of a mesh, a node, an approver; of which mesh, with which roles, until when.',
  options,
  run: async (_, values) => {
    const found = placesOf(values).flatMap((data) => identityIn(data) ?? [])
    if (found.length === 0)
      throw new ClawmeshError('USAGE', 'This machine belongs to no mesh.', {
        hint: 'Start one with `clawmesh up`, or join one with `clawmesh join`; or name a data folder with --data.',
      })
    if (values['json']) print(JSON.stringify({ ok: true, person: userInfo().username, identities: found }))
    else
      for (const { data, mesh, name, roles, until, authority, running } of found) {
        print(`${name} of mesh ${mesh}: ${roles.join(', ')}`)
        if (authority) print('  holds the root key: whoever may read this folder may do anything in the mesh')
        if (until !== null) print(`  certified until ${until}`)
        print(`  ${data}${running ? '' : ' (does not run)'}`)
      }
    return 0
  },
}

export const usersCommand: Command = {
  name: 'users',
  usage: '[--json]',
  help: 'Lists who is somebody to the mesh: keys of the gateway, approvers who joined, machines; each with its role. Type it where the authority is.',
  options,
  run: async (_, values) => {
    const data = dataFolder(values)
    const { authority } = dataPaths(data)
    if (!existsSync(join(authority, 'authority.json')))
      throw new ClawmeshError('USAGE', `There is no mesh in ${data}, or its authority is kept elsewhere.`, {
        hint: 'Type it where the mesh was made, or name its data folder with --data.',
      })
    const register = new Register(authority)
    const users: User[] = [
      ...new ApiKeys(data).list().map(({ name, role, created, expires }) => ({
        name,
        kind: 'key' as const,
        roles: [role],
        since: dated(created),
        until: expires === undefined ? null : dated(expires),
      })),
      ...register.members().map(({ name, roles, since }) => ({
        name,
        kind: roles.every((role) => role === 'approver') ? ('person' as const) : ('machine' as const),
        roles: [...roles],
        since: dated(since),
        until: null,
      })),
      ...register.revoked().map(({ name, at }) => ({
        name,
        kind: 'revoked' as const,
        roles: [],
        since: null,
        until: dated(at * 1000),
      })),
    ]
    if (values['json']) print(JSON.stringify({ ok: true, users }))
    else
      print(
        columns(
          ['NAME', 'KIND', 'ROLES', 'SINCE', 'UNTIL'],
          users.map(({ name, kind, roles, since, until }) => [
            name,
            kind,
            roles.join(',') || '-',
            since ?? '-',
            until ?? '-',
          ]),
        ),
      )
    return 0
  },
}

export const rolesCommand: Command = {
  name: 'roles',
  usage: '[ROLE] [--key NAME] [--with FILE] [--json]',
  help: 'Says what each role is for: those of keys by the routes of the gateway that they may use, those of nodes by what they do in the mesh.',
  options: {
    key: { type: 'string', value: 'NAME', help: 'what that key may, instead' },
    with: {
      type: 'string',
      value: 'FILE',
      help: 'as it would be with these Cedar policies in the place of people.cedar in the data folder (docs/people.md)',
    },
    data: dataOption,
    json: jsonOption,
  },
  takes: 'role',
  run: async (given, values) => {
    const { people, source } = await peopleOf(values)
    const named = text(values, 'key')
    const whose = named === undefined ? peopleRoles.map(someone) : [keyNamed(dataFolder(values), named)]
    const keys = whose.map((who) => ({ role: who.role, of: 'key', may: routesOf(people, who) }))
    const nodes = named === undefined ? nodeRoles.map((role) => ({ role, of: 'node', may: [meaning[role]] })) : []
    const all = [...keys, ...nodes].filter(({ role }) => given === undefined || role === given)
    if (all.length === 0)
      throw new ClawmeshError('USAGE', `There is no role "${given}".`, {
        hint: `Of keys: ${peopleRoles.join(', ')}. Of nodes: ${nodeRoles.join(', ')}.`,
      })
    if (values['json']) print(JSON.stringify({ ok: true, policies: people.version, roles: all }))
    else {
      for (const { role, of, may } of all) {
        print(named === undefined ? `${role} (of a ${of})` : `key ${named}, ${role}`)
        for (const what of may) print(`  ${what}`)
      }
      if (people.own !== undefined) print(`with the policies of ${source}`)
    }
    return 0
  },
}

const routesOf = (people: People, who: Person) =>
  routeNames.filter((route) => !isOpen(route) && ruleOn(people, who, route).allowed)

/** Loaded when it is wanted: it would be a part of every command's start. */
async function peopleOf(values: Values): Promise<{ people: People; source: string }> {
  const { ownPeopleFile, StandingPeople } = await import('../../people.js')
  const data = dataFolder(values)
  const standing = await StandingPeople.open(data)
  const source = text(values, 'with')
  if (source === undefined) return { people: standing.now, source: ownPeopleFile(data) }
  try {
    return { people: standing.with({ text: readFileSync(source, 'utf8'), source }), source }
  } catch (cause) {
    if (cause instanceof ClawmeshError) throw cause
    throw new ClawmeshError('POLICY_INVALID', `${source} cannot be read: ${(cause as Error).message}.`, {
      hint: 'Give --with the path of a file of Cedar policies.',
      cause,
    })
  }
}

function keyNamed(data: string, name: string): Person {
  const key = new ApiKeys(data).list().find((one) => one.name === name)
  if (key) return key
  throw new ClawmeshError('NOT_FOUND', `There is no key named "${name}".`, { hint: '`clawmesh users` lists them.' })
}

interface User {
  name: string
  kind: 'key' | 'person' | 'machine' | 'revoked'
  roles: string[]
  /** ISO 8601. */
  since: string | null
  until: string | null
}

const meaning: Record<Role, string> = {
  authority: 'certifies nodes, signs the policy, vouches for the audit trail',
  supervisor: 'takes requests, hands parts to workers, keeps tasks',
  worker: 'does a part of a task: asks models, asks for actions',
  sandbox: 'runs actions, held by its policy',
  inference: 'serves a model',
  router: 'decides which models may see a prompt',
  gateway: 'lets programs and people in, and brings them questions',
  auditor: 'reads the audit trail, and nothing else',
  approver: 'a person who answers questions',
}

interface Identity {
  data: string
  mesh: string
  name: string
  roles: readonly string[]
  until: string | null
  authority: boolean
  running: boolean
}

/** Where this person's meshes and memberships are. */
function placesOf(values: Values): string[] {
  const named = text(values, 'data')
  if (named !== undefined) return [resolve(named)]
  const { data } = readConfig()
  return [data, join(dirname(data), 'joined'), join(dirname(data), 'approver')]
}

function identityIn(data: string): Identity | undefined {
  if (!existsSync(data)) return undefined
  const folder = dataPaths(data)
  const running = isRunning(data)
  if (existsSync(join(folder.authority, 'authority.json'))) {
    const { mesh } = openAuthority(folder.authority, Date.now())
    return { data, mesh, name: 'operator', roles: ['authority'], until: null, authority: true, running }
  }
  const names = folder.nodes()
  if (names.length === 0) return undefined
  const { mesh, certificate } = readCredentials(join(data, 'nodes', newestMember(data), 'credentials.json'), undefined)
  const { name, roles, notAfter } = certificate
  return { data, mesh, name, roles, until: dated(notAfter), authority: false, running }
}

const dated = (time: number): string => new Date(time).toISOString()

const print = (line: string): boolean => process.stdout.write(`${printable(line)}\n`)
