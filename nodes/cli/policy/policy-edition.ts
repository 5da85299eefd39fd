/** `clawmesh policy diff|apply|history|rollback`: the policy of a whole mesh, in versions that the authority signs and every node takes while it runs. */
import { userInfo } from 'node:os'
import type { Edition } from '../../../mesh/seal/edition.js'
import { type Change, differences } from '../../../policies/difference.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { parseProfile } from '../../../policies/profile.js'
import { readPolicy } from '../../../sandbox/preset.js'
import { openLiveGround } from '../../authority/live.js'
import { type NewEdition, publishPolicy } from '../../authority/policy-book.js'
import { isRunning } from '../../data-folder.js'
import { lookAtMesh, type Outlook } from '../../member/onlooker.js'
import { driftOf, type PolicyAdvert, policyAdvertSchema } from '../../process/standing-policy.js'
import { type Command, type Option, text, type Values } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'
import { progress } from '../terminal.js'
import { bookOf, editionsHere, namedPolicy, nameOf, untilThen } from './named-policy.js'
import { rowsBeside } from './policy.js'
import { sayRefusalHere } from './refusal-note.js'

const shared: Record<'data' | 'json', Option> = { data: dataOption, json: jsonOption }
const reasonOption: Option = { type: 'string', value: 'TEXT', help: 'why, for whoever reads the history' }

/** How long nodes that are there get to take a version. */
const takenWithinMs = 5000
/** How far above the mesh's newest version a node's word is taken: numbers are six digits, and no member is to use them up. */
const mostAhead = 100
export const policyDiff: Command = {
  name: 'policy diff',
  usage: '[FILE|PRESET|VERSION] [--against FILE|PRESET|VERSION] [--json]',
  help: "Says what a policy lets an action do that the mesh's does not, and the other way round. Without a name: what the newest version changed.",
  options: {
    against: {
      type: 'string',
      value: 'FILE|PRESET|VERSION',
      help: "what it is held against (default: the mesh's newest version)",
    },
    ...shared,
  },
  takes: 'policy',
  run: async (given, values) => {
    const editions = editionsHere(values)
    const [before, newest] = [editions.at(-2), editions.at(-1)]
    const against = given === undefined ? before : newest
    const [from, to] = await Promise.all([
      namedPolicy(text(values, 'against') ?? nameOf(against), editions),
      namedPolicy(given ?? nameOf(newest), editions),
    ])
    const changes = differences(parseProfile(from.text, from.name), parseProfile(to.text, to.name))
    if (values['json']) say(JSON.stringify({ ok: true, from: from.name, to: to.name, changes }))
    else if (changes.length === 0) say(`${from.name} and ${to.name} mean the same.`)
    else for (const line of [`${from.name} → ${to.name}`, ...changes.map(changeLine)]) say(line)
    return 0
  },
}

export const policyApply: Command = {
  name: 'policy apply',
  usage: 'FILE|PRESET [--reason TEXT] [--json]',
  help: "Makes a policy the mesh's next version: signed, and taken by every running node that was given none of its own. One that does not hold to its truth table is refused.",
  options: { reason: reasonOption, ...shared },
  takes: 'policy',
  run: async (given, values) => {
    if (given === undefined)
      throw new ClawmeshError('USAGE', 'No policy is named.', {
        hint: 'Name a file or a preset: `clawmesh policy apply strict.yaml`',
      })
    const policy = await readPolicy(given)
    const wrong = rowsBeside(policy)?.find(({ answer, expected }) => answer !== expected)
    if (wrong)
      throw new ClawmeshError(
        'POLICY_INVALID',
        `${given} does not hold to its truth table: ${wrong.access.kind} ${wrong.access.path} is ${wrong.answer}, not ${wrong.expected}.`,
        { hint: `See \`clawmesh policy test ${given}\`.` },
      )
    return putInForce({ name: policy.name, text: policy.text }, values)
  },
}

export const policyHistory: Command = {
  name: 'policy history',
  usage: '[--json]',
  help: "Lists the versions of the mesh's policy: when, by whom, why. Each is signed and names the one before it.",
  options: shared,
  run: async (_, values) => {
    const editions = bookOf(values).editions().toReversed()
    if (values['json'])
      say(
        JSON.stringify({
          ok: true,
          versions: editions.map(({ wire, time, ...edition }) => ({ ...edition, time: new Date(time).toISOString() })),
        }),
      )
    else if (editions.length === 0) say(`There is no version yet: nodes that were given no policy go by ${untilThen}.`)
    else
      for (const { version, time, by, name, reason } of editions)
        say(
          `${String(version).padStart(4)}  ${new Date(time).toISOString()}  ${by}  ${name}${reason ? `  ${reason}` : ''}`,
        )
    return 0
  },
}

export const policyRollback: Command = {
  name: 'policy rollback',
  usage: '[VERSION] [--reason TEXT] [--json]',
  help: 'Puts an earlier version in force again (without a number: the one before the newest), as a new version.',
  options: { reason: reasonOption, ...shared },
  takes: 'version',
  run: async (given, values) => {
    const editions = bookOf(values).editions()
    const before = given === undefined ? editions.at(-2) : editions.find(({ version }) => String(version) === given)
    if (!before)
      throw new ClawmeshError(
        'USAGE',
        given === undefined ? 'There is no version to go back to.' : `There is no version ${given}.`,
        {
          hint: 'See `clawmesh policy history`; `clawmesh policy apply ask-first` puts the usual policy in force.',
        },
      )
    const reason = text(values, 'reason') ?? `back to version ${before.version}`
    return putInForce({ name: before.name, text: before.text, reason }, values)
  },
}

async function putInForce(
  { name, text: policy, reason }: Pick<NewEdition, 'name' | 'text'> & Partial<Pick<NewEdition, 'reason'>>,
  values: Values,
): Promise<number> {
  const data = dataFolder(values)
  const book = bookOf(values)
  const earlier = book.newest()
  const said = reason ?? text(values, 'reason') ?? ''
  const seen = isRunning(data) ? await lookAtMesh(data, (outlook) => highestSeen(outlook, earlier?.version ?? 0)) : 0
  const edition = book.add({ name, text: policy, by: userInfo().username, reason: said }, Date.now(), seen)
  const ground = await openLiveGround(data)
  if (ground)
    try {
      await publishPolicy(edition, ground)
    } finally {
      await ground.close()
    }
  const taken = ground && isRunning(data) ? await lookAtMesh(data, (outlook) => takenBy(outlook, edition)) : undefined
  const { version } = edition
  if (values['json']) say(JSON.stringify({ ok: true, version, running: taken !== undefined, ...taken }))
  else {
    const before = earlier ?? (await readPolicy(untilThen))
    for (const change of differences(parseProfile(before.text, before.name), parseProfile(policy, name)))
      say(changeLine(change))
    progress(
      `Version ${version} (${name}) is in force${taken ? '' : ' from the next start on: the mesh does not run'}.`,
    )
    for (const [node, what] of Object.entries(taken?.nodes ?? {})) progress(`${node}: ${what}`)
  }
  await sayRefusalHere(data, edition)
  return 0
}

/** What each node that runs actions made of it. */
async function takenBy({ directory }: Outlook, edition: Edition): Promise<{ nodes: Record<string, string> }> {
  const isTaken = (policy: PolicyAdvert) => driftOf(policy, edition) === undefined
  const settled = () =>
    statesOf(directory).every(
      ({ policy }) => !policy.follows || isTaken(policy) || policy.refused?.version === edition.version,
    ) || undefined
  await directory.wait(settled, takenWithinMs)
  const word = (policy: PolicyAdvert) => {
    if (!policy.follows) return 'keeps to a policy of its own'
    if (policy.refused?.version === edition.version) return `cannot take it: ${policy.refused.why}`
    return isTaken(policy) ? 'taken' : 'not heard from yet'
  }
  return { nodes: Object.fromEntries(statesOf(directory).map(({ name, policy }) => [name, word(policy)])) }
}

const statesOf = (directory: Outlook['directory']): { name: string; policy: PolicyAdvert }[] =>
  directory.nodes().flatMap(({ name, advert }) => {
    const policy = policyAdvertSchema.safeParse(advert['policy']).data
    return policy ? [{ name, policy }] : []
  })

/** The highest version that the directory holds or a node has; `own`: that of the authority's folder, which may be a backup's. */
function highestSeen({ directory }: Outlook, own: number): number {
  const signed = Math.max(own, directory.policy?.version ?? 0)
  const said = statesOf(directory).map(({ policy: { version } }) => version ?? 0)
  return Math.max(signed, ...said.filter((version) => Number.isInteger(version) && version <= signed + mostAhead))
}

const changeLine = ({ field, before, after, looser }: Change): string => {
  const what = before !== null && after !== null ? `${before} → ${after}` : (after ?? before)
  const sign = before === null ? '+' : after === null ? '-' : '~'
  return `${sign} ${field}: ${what}${looser ? '  (lets more be done)' : ''}`
}

function say(line: string): void {
  process.stdout.write(`${printable(line)}\n`)
}
