/** `clawmesh policy test` and `clawmesh policy explain`: what a policy answers, all that its truth table names or one access, and why. */

import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { isWithin, scopeOf } from '../../../policies/coverage.js'
import { readDocument } from '../../../policies/document.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { explain } from '../../../policies/explain.js'
import { readConnection } from '../../../policies/network.js'
import { type Access, type AccessKind, parseProfile } from '../../../policies/profile.js'
import { type Row, runTable } from '../../../policies/table.js'
import { findPlace, presetNames } from '../../../sandbox/index.js'
import { type PolicyFile, readPolicy } from '../../../sandbox/preset.js'
import { realProfile } from '../../../sandbox/real.js'
import { refusalOf } from '../../../sandbox/refusal.js'
import { ofMesh, recallOffer } from '../../member/offer.js'
import { checkWorkspace } from '../../workspace.js'
import { type Command, text } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'
import { editionsHere, namedPolicy, nameOf } from './named-policy.js'

const kinds: readonly AccessKind[] = ['read', 'write', 'execute', 'connect']

export const policyTest: Command = {
  name: 'policy test',
  usage: '[FILE|PRESET] [--json]',
  help: 'Holds a policy to the truth table beside it (NAME.test.yaml); without a name, every preset.',
  options: { json: { type: 'boolean', help: 'print one JSON object for each row' } },
  takes: 'policy',
  run: async (named, values) => {
    const names = named === undefined ? await presetNames() : [named]
    const held = []
    for (const name of names) held.push(await holdToTable(name, values['json'] === true))
    return held.every(Boolean) ? 0 : 1
  },
}

/** The rows of the table beside a policy; undefined where there is none. */
export function rowsBeside({ name, path, text: policy }: PolicyFile): Row[] | undefined {
  const beside = tableOf(path)
  if (!existsSync(beside)) return undefined
  return runTable(readDocument(policy, name), readDocument(readFileSync(beside, 'utf8'), beside))
}

const tableOf = (path: string) => path.replace(/(\.ya?ml)?$/, '.test.yaml')

async function holdToTable(named: string, json: boolean): Promise<boolean> {
  const policy = await readPolicy(named)
  const [beside, rows] = [tableOf(policy.path), rowsBeside(policy)]
  if (!rows)
    throw new ClawmeshError('USAGE', `The policy ${named} has no truth table: there is no ${beside}.`, {
      hint: 'Write one: docs/policies.md shows its form, policies/presets has examples.',
    })
  const wrong = rows.filter(({ answer, expected }) => answer !== expected)
  if (json)
    for (const { access, ...row } of rows)
      say(JSON.stringify({ policy: named, ...access, ...row, ok: row.answer === row.expected }))
  else {
    for (const { line, access, expected, answer, because } of wrong)
      say(`${beside}:${line}: ${access.kind} ${access.path}: expected ${expected}, is ${answer}: ${because}`)
    say(`${named}: ${rows.length - wrong.length} of ${rows.length} rows hold`)
  }
  return wrong.length === 0
}

export const policyExplain: Command = {
  name: 'policy explain',
  usage:
    '"read|write|execute PATH"|"connect HOST:PORT [by PROGRAM]" [--policy FILE|PRESET|VERSION] [--workspace DIR] [--json]',
  help: 'Says what a policy answers to one access of an action, and by which of its lines. Nothing is run.',
  options: {
    policy: {
      type: 'string',
      value: 'FILE|PRESET|VERSION',
      help: "the policy (default: this machine's own, else the mesh's newest version, ask-first where there is none)",
    },
    workspace: {
      type: 'string',
      value: 'DIR',
      help: 'the workspace (default: that of the mesh or node in the data folder, else this folder)',
    },
    data: dataOption,
    json: jsonOption,
  },
  takes: 'access',
  run: async (given, values) => {
    const { kind, path } = readAccess(given)
    const offer = recallOffer(dataFolder(values), {})
    const folder = resolve(text(values, 'workspace') ?? offer.workspace ?? '.')
    checkWorkspace(folder)
    const editions = editionsHere(values)
    const usual = offer.policy === ofMesh ? nameOf(editions.at(-1)) : offer.policy
    const { name: named, text: policy } = await namedPolicy(text(values, 'policy') ?? usual, editions)
    const workspace = (await findPlace(folder)).real
    // A tool is a name; everything else is decided on by where it really leads, as at a run.
    const isPath = kind !== 'connect' && !path.startsWith('tool:')
    const real = isPath ? (await findPlace(resolve(workspace, path))).real : path
    const profile = parseProfile(policy, named)
    const access = { kind, path: real }
    const ruling = explain(readDocument(policy, named), access, workspace)
    const isOtherByLink =
      isPath && ruling.answer === 'ask' && !scopeOf(await realProfile(profile, workspace), access, workspace)
    const { answer, because } = isOtherByLink ? ruledByLink : ruling
    const refusal = await refusalOf(profile, workspace)
    const refused = refusal && { refused: refusal.message }
    if (values['json']) say(JSON.stringify({ policy: named, workspace, kind, path: real, answer, because, ...refused }))
    else {
      const where = isPath ? ` (${isWithin(real, workspace) ? 'in' : 'outside'} the workspace ${workspace})` : ''
      say(`${kind} ${real}: ${answer}${where}\n  ${because}`)
      if (refusal) say(`  but every action is refused here: ${refusal.message} ${refusal.hint}`)
    }
    return 0
  },
}

const ruledByLink = {
  answer: 'deny',
  because: 'the policy names it by a link too, as what nobody is asked for: hidden, or to be executed or written',
} as const

function readAccess(given = ''): Access {
  const [word, path = ''] = given.split(/\s(.*)/s)
  const kind = kinds.find((each) => each === word)
  if (kind && path !== '' && (kind !== 'connect' || readConnection(path))) return { kind, path }
  throw new ClawmeshError('USAGE', given === '' ? 'No access is named.' : `"${given}" is not an access.`, {
    hint: 'Say what is done to which path or host, in quotation marks: `clawmesh policy explain "write notes.txt"`, or "connect example.org:443".',
  })
}

function say(line: string): void {
  process.stdout.write(`${printable(line)}\n`)
}
