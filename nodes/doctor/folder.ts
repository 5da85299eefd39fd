/** What is wrong with a data folder: who may read it, what in it cannot be read, what in it no start would take. */
import { chmodSync, existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readChain } from '../../mesh/audit/chain.js'
import { missingCheckpoints, readCheckpoints } from '../../mesh/audit/checkpoint.js'
import { type Fault, TrailReader } from '../../mesh/audit/reader.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { readCredentials } from '../../mesh/seal/credentials.js'
import type { Edition } from '../../mesh/seal/edition.js'
import { ClawmeshError } from '../../policies/errors.js'
import { parseProfile } from '../../policies/profile.js'
import { Spending } from '../../router/egress/spending.js'
import { readPolicy } from '../../sandbox/preset.js'
import { refusalOf } from '../../sandbox/refusal.js'
import { PolicyBook } from '../authority/policy-book.js'
import { dataPaths, isDataFolder, isRunning } from '../data-folder.js'
import { ApiKeys } from '../gateway/http/keys.js'
import { ofMesh, recallOffer } from '../member/offer.js'
import { ownPeopleFile, StandingPeople } from '../people.js'
import { readKept } from '../process/standing-policy.js'
import { rulesOfMesh, spendingFile } from '../router-rules.js'
import { chainFile } from '../trail.js'
import { checkApart, checkWorkspace } from '../workspace.js'
import { type Check, type Finding, fault, note, type Patient } from './check.js'

const week = 7 * 24 * 60 * 60 * 1000

/** What holds a key, or what happened in the clear; whatever else a person put into the folder is left alone. */
const secretFiles = ['offer.json', 'joining.json', 'gateway-keys.json', 'newest-checkpoint.json', 'providers.sealed']
const secretFolders = ['authority', 'broker', 'nodes']
const isSecret = (name: string) => /\.(json|key|conf|chain|crt)$/.test(name)

const rights: Check = {
  name: 'rights',
  well: 'Nobody else can read the data folder.',
  look: ({ data }) => {
    if (!isDataFolder(data))
      return [
        note(
          `${data} is no data folder of a mesh, nor of a node that joined one.`,
          'There is nothing of clawmesh in it to look at, and nothing in it is changed.',
          '`clawmesh up` or `clawmesh join` makes one; or name the right one with --data.',
        ),
      ]
    const own = process.geteuid?.()
    const wide = [data, ...secretsIn(data)].filter((path) => (statSync(path).mode & 0o077) !== 0)
    const foreign = [data, ...secretsIn(data)].filter(
      (path) => own !== undefined && own !== 0 && statSync(path).uid !== own,
    )
    return [
      ...foreign.map((path) =>
        fault(
          `${path} belongs to somebody else.`,
          'The mesh can neither keep it nor keep it to itself.',
          `As root: chown -R $USER '${data}'`,
        ),
      ),
      ...wide.map((path) => ({
        ...fault(`${path} can be read by others.`, 'Keys of the mesh lie there.', `chmod go= '${path}'`),
        mend: () => {
          chmodSync(path, statSync(path).mode & 0o700)
          return `${path} is yours alone again.`
        },
      })),
    ]
  },
}

const lock: Check = {
  name: 'lock',
  well: 'The data folder can be taken, or a mesh runs in it.',
  ofMesh: true,
  look: ({ data }) => {
    if (!isDataFolder(data)) return []
    try {
      isRunning(data)
      return []
    } catch (error) {
      return [
        fault(
          `Nobody can take ${data}: ${(error as Error).message}.`,
          'One process at a time owns a data folder, by a named pipe in it.',
          'Put it on a local disk, in a folder that you may write, with --data.',
        ),
      ]
    }
  },
}

const authority: Check = {
  name: 'authority',
  well: 'The keys of the mesh are there and can be read.',
  ofMesh: true,
  look: ({ data, now }) => {
    const { authority: folder, nodes } = dataPaths(data)
    if (!existsSync(data)) return []
    const file = join(folder, 'authority.json')
    try {
      if (existsSync(file)) openAuthority(folder, now())
      else if (existsSync(folder))
        return [
          fault(
            `The keys of the mesh are gone: there is no ${file}.`,
            'Its nodes and its trail are known by them alone.',
            'Restore it from a backup.',
          ),
        ]
      for (const name of nodes()) {
        const own = join(data, 'nodes', name, 'credentials.json')
        if (existsSync(own)) readCredentials(own, undefined)
      }
      return []
    } catch (error) {
      const { message, hint } = ClawmeshError.from(error)
      return [fault(message, 'No start gets past it.', hint || 'Restore it from a backup.')]
    }
  },
}

const chains: Check = {
  name: 'chains',
  well: 'Every chain of audit records on this disk is whole.',
  ofMesh: true,
  look: ({ data }) => {
    const folder = dataPaths(data)
    if (!existsSync(data)) return []
    return folder
      .nodes()
      .flatMap((name) => chainOf(name, chainFile(folder, name), join(folder.node(name), 'credentials.json')))
  },
}

function chainOf(name: string, file: string, credentials: string): Finding[] {
  if (!existsSync(file) || !existsSync(credentials)) return []
  const verify =
    '`clawmesh audit verify` compares it with the stream and names the place. Keep the file as it is; restore it from a backup.'
  const { records, sent } = readChain(file)
  if (sent > records.length)
    return [
      fault(
        `The chain of ${name} holds ${records.length} whole records; ${sent} were sent.`,
        'It was damaged: node and mesh refuse to go on with it.',
        verify,
      ),
    ]
  const faults: Fault[] = []
  new TrailReader(readCredentials(credentials, undefined).rootKey, faults).follow(records, file)
  const waiting = records.length - sent
  return [
    ...faults.map(({ place, what }) =>
      fault(`The chain of ${name}: ${place}: ${what}.`, 'What was recorded was changed.', verify),
    ),
    ...(waiting > spoolMost
      ? [
          note(
            `${waiting} records of ${name} were not sent yet.`,
            'The audit stream is away, or behind; actions wait for it.',
            'See that the broker runs: the next start sends them.',
          ),
        ]
      : []),
  ]
}

/** As many are on the way in a busy mesh at any time. */
const spoolMost = 1000

const checkpoints: Check = {
  name: 'checkpoints',
  well: 'The checkpoints are those that the authority wrote.',
  ofMesh: true,
  look: ({ data, now }) => {
    const folder = dataPaths(data)
    if (!existsSync(join(folder.authority, 'authority.json'))) return []
    const todo = 'Restore it from a backup, or from a copy of the note elsewhere, and run `clawmesh audit verify`.'
    const why = 'Without them a stream that was cut is noticed by the chain files alone.'
    try {
      const { root } = openAuthority(folder.authority, now())
      readCheckpoints(folder.checkpoints, root.publicKey)
      return missingCheckpoints(folder, [], root.publicKey).map(({ place, what }) =>
        fault(`${place}: ${what}.`, why, todo),
      )
    } catch (error) {
      return [fault(ClawmeshError.from(error).message, why, todo)]
    }
  },
}

const policy: Check = {
  name: 'policy',
  well: 'The policy, the router rules and the workspace can be used.',
  ofMesh: true,
  look: async (patient) => [...(await offered(patient)), ...rules(patient), ...editions(patient)],
}

async function offered({ data }: Patient): Promise<Finding[]> {
  if (!existsSync(join(data, 'offer.json'))) return []
  try {
    const { workspace, policy: named } = recallOffer(data, {})
    const own = named === ofMesh ? undefined : await readPolicy(named)
    if (workspace === undefined) return []
    checkWorkspace(workspace)
    checkApart(workspace, data)
    const policies = own ? [own] : keptBy(data)
    return (await Promise.all(policies.map((policy) => refusing(policy, workspace)))).flat()
  } catch (error) {
    const { message, hint } = ClawmeshError.from(error)
    return [fault(message, 'The next start by what was remembered would end with this.', hint)]
  }
}

/** That a policy holds says nothing of this workspace: what it is to keep in there may not be there. */
async function refusing({ name, text }: { name: string; text: string }, workspace: string): Promise<Finding[]> {
  const refusal = await refusalOf(parseProfile(text, name), workspace)
  if (!refusal) return []
  return [
    fault(refusal.message, `Every action in ${workspace} is refused with this under the policy ${name}.`, refusal.hint),
  ]
}

/** The versions of the mesh's policy that the nodes of this folder go by; that one cannot be read is said elsewhere. */
function keptBy(data: string): Edition[] {
  return dataPaths(data)
    .nodes()
    .flatMap((name) => {
      try {
        const [file, own] = [join(data, 'nodes', name, 'policy.edition'), join(data, 'nodes', name, 'credentials.json')]
        return existsSync(file) ? [readKept(file, readCredentials(own, undefined)).edition] : []
      } catch {
        return []
      }
    })
}

function rules({ data }: Patient): Finding[] {
  let why = 'Without rules no prompt goes anywhere.'
  try {
    const { budgets } = rulesOfMesh(data).rules
    why = 'The rules have budgets, and nothing leaves while nobody knows what is spent.'
    if (budgets.length > 0) Spending.look(spendingFile(data))
    return []
  } catch (error) {
    const { message, hint } = ClawmeshError.from(error)
    return [fault(message, why, hint)]
  }
}

/** The versions of the mesh's policy that the authority keeps, and the one that each node goes by. */
function editions({ data, now }: Patient): Finding[] {
  const folder = dataPaths(data)
  const attempt = (read: () => unknown, why: string): Finding[] => {
    try {
      read()
      return []
    } catch (error) {
      const { message, hint } = ClawmeshError.from(error)
      return [fault(message, why, hint || 'Restore it from a backup.')]
    }
  }
  if (!existsSync(data)) return []
  const kept = existsSync(join(folder.authority, 'authority.json'))
    ? attempt(
        () => new PolicyBook(folder.authority, openAuthority(folder.authority, now())).editions(),
        'No version is applied, and no mesh starts, while the history does not hold.',
      )
    : []
  return [
    ...kept,
    ...folder.nodes().flatMap((name) => {
      const [file, own] = [join(data, 'nodes', name, 'policy.edition'), join(data, 'nodes', name, 'credentials.json')]
      if (!existsSync(file) || !existsSync(own)) return []
      return attempt(
        () => readKept(file, readCredentials(own, undefined)),
        `Node "${name}" goes by it and does not start without: it is to be what the authority signed. \`rm '${file}'\` has it take the mesh's anew.`,
      )
    }),
  ]
}

const gatewayKeys: Check = {
  name: 'gateway-keys',
  well: 'No key of the gateway ends soon.',
  ofMesh: true,
  look: ({ data, now }) => {
    try {
      return new ApiKeys(data).list().flatMap(({ name, expires }) => {
        if (expires === undefined || expires > now() + week) return []
        const when = new Date(expires).toISOString()
        const todo = `\`clawmesh keys remove ${name}\`, and make another: \`clawmesh keys add\`.`
        return expires <= now()
          ? [note(`The key "${name}" ended at ${when}.`, 'Whoever still uses it is refused.', todo)]
          : [note(`The key "${name}" ends at ${when}.`, 'Whoever uses it is refused from then on.', todo)]
      })
    } catch (error) {
      const { message, hint } = ClawmeshError.from(error)
      return [fault(message, 'A file of keys that cannot be read lets nobody in.', hint)]
    }
  },
}

const people: Check = {
  name: 'people',
  well: 'The policies of who may do what hold.',
  ofMesh: true,
  look: async ({ data }) => {
    if (!existsSync(ownPeopleFile(data))) return []
    try {
      void (await StandingPeople.open(data)).now
      return []
    } catch (error) {
      const { message, hint } = ClawmeshError.from(error)
      return [fault(message, 'The gateway lets nobody do anything, and does not start with them.', hint)]
    }
  },
}

export const folderChecks: readonly Check[] = [
  rights,
  lock,
  authority,
  chains,
  checkpoints,
  policy,
  gatewayKeys,
  people,
]

function secretsIn(data: string): string[] {
  const named = readdirSync(data, { withFileTypes: true }).filter(({ name }) => secretFiles.includes(name))
  const within = secretFolders
    .map((name) => join(data, name))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
    .filter(({ name, parentPath }) => isSecret(name) && !parentPath.includes('/broker/store'))
  return [...named, ...within].filter((entry) => entry.isFile()).map(({ name, parentPath }) => join(parentPath, name))
}
