/** What is wrong with the machine, whatever mesh it is to run. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { openModel, shippedModelFolder } from '../../inference/models.js'
import { ModelStore } from '../../inference/store/store.js'
import { brokerAtHand } from '../../mesh/broker/binary.js'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { sandboxAvailability } from '../../sandbox/availability.js'
import { controllers } from '../../sandbox/groups.js'
import { launcherPath, launcherProblem, type Problem } from '../../sandbox/launcher.js'
import { readConfig } from '../config.js'
import { providersFile } from '../elsewhere.js'
import { whyNot } from '../keys/confined.js'
import { type Check, type Finding, fault, note } from './check.js'

const oldestNode = [20, 11] as const
const megabyte = 1024 * 1024
/** As a start wants it; with less than the second, a mesh that works soon has none. */
const leastFreeMb = 32
const comfortableMb = 1024

const node: Check = {
  name: 'node',
  well: 'Node is new enough.',
  look: ({ nodeVersion }) => {
    const [major = 0, minor = 0] = nodeVersion.replace(/^v/, '').split('.').map(Number)
    if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return []
    const least = oldestNode.join('.')
    return [fault(`This is Node ${nodeVersion}.`, `clawmesh needs ${least} or newer.`, 'Install Node 22 or 24.')]
  },
}

const launcher: Check = {
  name: 'launcher',
  well: 'The sandbox launcher is built.',
  look: async () => {
    const problem = (await launcherProblem()) ?? staleLauncher()
    if (!problem) return []
    return [
      {
        ...fault(
          `The sandbox launcher cannot be used: ${problem.reason}.`,
          'Each action is held by the launcher, a small C program.',
          problem.hint,
        ),
        mend: async () => {
          spawnSync(process.execPath, [join(installation, 'sandbox', 'launcher', 'build.mjs')])
          const left = (await launcherProblem()) ?? staleLauncher()
          if (left) throw new ClawmeshError('SANDBOX_UNAVAILABLE', left.reason, { hint: left.hint })
          return 'The launcher was built.'
        },
      },
    ]
  },
}

/** One that was built of other sources than these may not understand what it is told. */
function staleLauncher(): Problem | undefined {
  const sources = join(installation, 'sandbox', 'launcher')
  const built = statSync(launcherPath).mtimeMs
  const newer = readdirSync(sources).find(
    (name) => /\.(c|h|mjs)$/.test(name) && statSync(join(sources, name)).mtimeMs > built,
  )
  if (newer === undefined) return undefined
  return { reason: `the launcher is older than its source ${newer}`, hint: 'Run `node sandbox/launcher/build.mjs`.' }
}

const sandbox: Check = {
  name: 'sandbox',
  well: 'An action is held by every layer: namespaces, mounts, Landlock, seccomp.',
  look: async () => {
    // That there is no launcher, or an old one, is another check's to say.
    if ((await launcherProblem()) ?? staleLauncher()) return []
    const found = await sandboxAvailability(readConfig())
    if (!found.available)
      return [
        fault(
          `No action can be run: ${found.reason}.`,
          'A protection that cannot be enforced stops the action.',
          found.hint,
        ),
      ]
    if (found.degraded)
      return found.notes.map((text) =>
        note(`${sentence(text)}.`, 'What stands in for namespaces is less.', degradedTodo),
      )
    const older = found.notes.map((text) =>
      note(`${text}.`, 'The kernel is older than that layer.', 'Use Linux 6.12 or newer.'),
    )
    return found.grouped.length === controllers.length ? older : [...older, ungrouped(found.groups)]
  },
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`
const degradedTodo = 'Allow user namespaces to the launcher, and leave out CLAWMESH_SANDBOX.'

const ungrouped = (groups: string): Finding =>
  note(
    `${sentence(groups)}.`,
    'The kernel holds a group to its limits at once. Without one an action can be over its memory for up to a fifth of a second before it is ended.',
    'Run the mesh as a service of systemd (`clawmesh service install`), which asks for a group of its own.',
  )

const providers: Check = {
  name: 'providers',
  well: 'The process that holds the keys of providers, where there are some, can connect to these alone.',
  look: async ({ data }) => {
    if (!existsSync(providersFile(data))) return []
    const why = await whyNot()
    return why === undefined
      ? []
      : [
          note(
            `The process that holds the keys of providers could connect anywhere: ${why}.`,
            'What leaves is cleared all the same; that the system holds the process to its providers is a second barrier.',
            'Have the checks launcher and sandbox be well.',
          ),
        ]
  },
}

const broker: Check = {
  name: 'nats-server',
  well: 'There is a nats-server that can be used.',
  look: async ({ config: { natsServer: named, searchPath, cache } }) => {
    const { binary, failures } = await brokerAtHand({ named, searchPath, cache })
    const todo =
      'Install nats-server 2.9 or newer (Debian: apt install nats-server), or name one in CLAWMESH_NATS_SERVER.'
    if (!binary)
      return failures.length > 0 || named !== undefined
        ? [fault(failures.join(' '), 'The broker of a mesh is a nats-server.', todo)]
        : [
            note(
              'There is no nats-server on this machine yet.',
              'The first start fetches one, which needs a network.',
              todo,
            ),
          ]
    return failures.map((text) => note(text, `${binary.path} (${binary.version}) is taken instead.`, todo))
  },
}

const disk: Check = {
  name: 'disk',
  well: 'There is room on the disk.',
  look: ({ data }) => {
    const { bavail, bsize } = statfsSync(nearest(data))
    const free = Math.floor((bavail * bsize) / megabyte)
    const says = `${free} MB are free on the disk that holds ${data}.`
    const todo = 'Free some space, or choose another folder with --data.'
    if (free < leastFreeMb)
      return [fault(says, `A mesh starts with ${leastFreeMb} MB or more, so that it can record what happens.`, todo)]
    return free < comfortableMb ? [note(says, 'A mesh that finds none ends, in good order.', todo)] : []
  },
}

const models: Check = {
  name: 'models',
  well: 'The shipped model and those that were fetched are what they were.',
  look: async ({ config }) => {
    const findings: Finding[] = []
    await openModel(shippedModelFolder).catch((error: unknown) => {
      const { message, hint } = ClawmeshError.from(error)
      findings.push(fault(message, 'Nothing loads a model of which a byte differs.', hint))
    })
    const store = new ModelStore(join(config.cache, 'models'))
    for (const model of await store.list())
      for (const { path, why } of await store.verify(model))
        findings.push(
          fault(
            `${model.repository}: ${path}: ${why}.`,
            'Nothing loads a model of which a byte differs.',
            `\`clawmesh models pull ${model.repository}\` fetches what is wrong again.`,
          ),
        )
    return findings
  },
}

const nearest = (path: string): string => (existsSync(path) ? path : nearest(dirname(path)))

export const machineChecks: readonly Check[] = [node, launcher, sandbox, providers, broker, disk, models]
