/** `clawmesh audit verify`: is the trail of this data folder whole, or this export? */

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Opener } from '../../../mesh/audit/opener.js'
import { checkProof, type Proof, type Proven, proofSchema } from '../../../mesh/audit/proof.js'
import type { ReadRecord } from '../../../mesh/audit/record.js'
import { openAuthority } from '../../../mesh/seal/authority.js'
import { fromHex, sameBytes } from '../../../mesh/seal/keys.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { checkExport, eventFiles } from '../../audit/event-file.js'
import { formatNamed } from '../../audit/format.js'
import { type OwnVerdict, verifyOwnChains } from '../../audit/own-chains.js'
import { openSource } from '../../audit/source.js'
import { readConfig } from '../../config.js'
import { dataPaths, isDataFolder, isMemberOnly } from '../../data-folder.js'
import { type AuditTrail, inspectTrail } from '../../trail.js'
import { type Command, text, type Values } from '../command.js'
import { checkPlain } from '../named-file.js'
import { dataFolder, dataOption } from '../options.js'
import { printable } from '../printable.js'
import { progress } from '../terminal.js'

export const auditVerify: Command = {
  name: 'audit verify',
  usage: '[--data DIR | --export FILE --root KEY [--data DIR] | --proof FILE --root KEY] [--json]',
  help: 'Checks every audit record of a mesh, running or not: signatures, chains, checkpoints, completeness. Says where it is broken.',
  options: {
    data: dataOption,
    export: {
      type: 'string',
      value: 'FILE',
      help: 'check what `audit export` wrote instead; needs no mesh and no secret key, and where the mesh was made compares what it says in the clear with its records',
    },
    partial: {
      type: 'boolean',
      help: 'with --export: earlier files were not kept, so it begins in the middle; what stood before is not looked at',
    },
    proof: {
      type: 'string',
      value: 'FILE',
      help: 'check what `audit prove` wrote instead; needs no mesh and no secret key',
    },
    format: { type: 'string', value: 'jsonl|ocsf', help: 'the form of the export (default: jsonl)' },
    root: { type: 'string', value: 'KEY', help: "the root's public key in hex, from `clawmesh audit key`" },
    json: { type: 'boolean', help: 'print the verdict as one JSON object' },
  },
  run: async (_, values) => {
    const exported = text(values, 'export')
    if (exported !== undefined) {
      const proved = verifyExport(exported, values)
      process.stdout.write(
        values['json']
          ? `${JSON.stringify({ ok: true, ...proved })}\n`
          : `The export is whole${values['partial'] ? ' from where it begins' : ''}: ${proved.events} events in ${proved.files} file${proved.files > 1 ? 's' : ''}.\n${readableLine(proved)}\n`,
      )
      return 0
    }
    const proof = text(values, 'proof')
    if (proof !== undefined) {
      const proven = checkProof(readProof(proof), rootKeyOf(text(values, 'root') ?? ''))
      process.stdout.write(
        values['json'] ? `${JSON.stringify({ ok: true, ...proven })}\n` : `${printable(provenLine(proven))}\n`,
      )
      return 0
    }
    const folder = folderOf(values)
    if (isMemberOnly(folder)) return sayOwn(verifyOwnChains(dataPaths(folder)), values['json'] === true)
    const { verdict, unerased } = await verifyFolder(folder)
    const { ok, records, events, producers, checkpointed, unsent, faults } = verdict
    const waiting = unsent.reduce((sum, { records: rest }) => sum + eventsIn(rest), 0)
    if (values['json']) {
      const counts = { records: records.length, events, producers, checkpointed, unsent: waiting }
      process.stdout.write(`${JSON.stringify({ ok, ...counts, faults, unerased })}\n`)
    } else {
      for (const { place, what } of faults) process.stdout.write(`${printable(`${place}: ${what}`)}\n`)
      const state = ok
        ? 'The audit trail is whole'
        : `The audit trail is broken in ${faults.length} place${faults.length > 1 ? 's' : ''}`
      process.stdout.write(
        `${state}: ${events} events in ${records.length} records of ${producers} nodes, ${checkpointed} under a checkpoint.\n`,
      )
      if (waiting > 0) {
        const names = unsent.map(({ name }) => name).join(', ')
        process.stdout.write(
          `${waiting} event${waiting > 1 ? 's' : ''} not sent yet (${names}); the next start sends them.\n`,
        )
      }
    }
    for (const name of unerased)
      progress(
        `"${name}" was to be erased, and the key is there: that was cut short, or a backup was put back. Type: \`clawmesh audit erase ${JSON.stringify(name)}\``,
      )
    return ok ? 0 : 1
  },
}

/** The folder that is named, or the person's own: of the mesh that was made here, else of the node that joined one. */
function folderOf(values: Values): string {
  const usual = dataFolder(values)
  const joined = join(dirname(usual), 'joined')
  return text(values, 'data') === undefined && !isDataFolder(usual) && isDataFolder(joined) ? joined : usual
}

function sayOwn({ ok, nodes, records, events, unsent, faults }: OwnVerdict, json: boolean): number {
  if (json)
    process.stdout.write(`${JSON.stringify({ ok, of: 'own chains', nodes, records, events, unsent, faults })}\n`)
  else {
    for (const { place, what } of faults) process.stdout.write(`${printable(`${place}: ${what}`)}\n`)
    const state = ok ? 'whole' : `broken in ${faults.length} place${faults.length > 1 ? 's' : ''}`
    process.stdout.write(
      `The chain of this machine (node ${nodes.join(', ')}) is ${state}: ${events} events in ${records} records, ${unsent} not known to be on the stream.\n`,
    )
  }
  progress(
    'That is the part of the trail that this machine has. All of it is verified where the mesh was made: clawmesh audit verify',
  )
  return ok ? 0 : 1
}

const eventsIn = (records: ReadRecord[]): number => records.reduce((sum, { count }) => sum + count, 0)

async function verifyFolder(path: string): Promise<AuditTrail> {
  const source = await openSource({ config: readConfig(), path, progress })
  try {
    return await inspectTrail(source)
  } finally {
    await source.close()
  }
}

interface Proved {
  files: number
  events: number
  /** All that stands in the clear was compared with what the records hold. */
  compared: boolean
}

const readableLine = ({ compared }: Proved): string =>
  compared
    ? 'What it says in the clear is what the records hold.'
    : "What it says in the clear of sealed events was not compared with them: that takes the auditors' key, and the same command where the mesh was made."

/** What an exported file proves by itself: its records are signed, whole and in order. Files that follow one another must do so without a gap. */
function verifyExport(path: string, values: Values): Proved {
  const rootKey = rootKeyOf(text(values, 'root') ?? '')
  const format = formatNamed(text(values, 'format') ?? 'jsonl')
  const files = eventFiles(path)
  if (files.length === 0)
    throw new ClawmeshError('USAGE', `There is no export at ${path}.`, {
      hint: 'Name the file that was given to --to.',
    })
  for (const file of files) checkPlain(file, '--export')
  const opener = openerFor(rootKey, values)
  const events = checkExport(files, format, rootKey, values['partial'] === true, opener)
  return { files: files.length, events, compared: opener !== undefined }
}

/** Of who verifies where the mesh was made. Throws USAGE where another mesh is named. */
function openerFor(rootKey: Uint8Array, values: Values): Opener | undefined {
  const folder = dataPaths(dataFolder(values)).authority
  const authority = existsSync(join(folder, 'authority.json')) ? openAuthority(folder, Date.now()) : undefined
  if (authority && sameBytes(authority.root.publicKey, rootKey))
    return new Opener(authority.auditor, authority.subjects)
  if (text(values, 'data') === undefined) return undefined
  throw new ClawmeshError('USAGE', `The authority of that root key is not in ${dataFolder(values)}.`, {
    hint: 'Leave --data out to verify what the export proves without it.',
  })
}

function rootKeyOf(rootKey: string): Uint8Array {
  if (rootKey === '')
    throw new ClawmeshError('USAGE', '--root KEY is missing.', {
      hint: 'Where the mesh is, this prints it: clawmesh audit key.',
    })
  if (!/^[0-9a-f]{64}$/.test(rootKey))
    throw new ClawmeshError('USAGE', `"${rootKey}" is no root key.`, {
      hint: 'It has 64 hex digits. Where the mesh is, this prints it: clawmesh audit key.',
    })
  return fromHex(rootKey)
}

function readProof(path: string): Proof {
  try {
    return proofSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (cause) {
    throw new ClawmeshError('USAGE', `${path} is no proof: ${(cause as Error).message.split('\n')[0]}`, {
      hint: 'Name the file that `audit prove` was told to write.',
      cause,
    })
  }
}

function provenLine({ node, number, hash, time, vouchedAt, events }: Proven): string {
  const stood = `Record ${number} of node ${node} (${hash}), sealed at ${new Date(time).toISOString()}, stood in the trail at ${new Date(vouchedAt).toISOString()}.`
  const said = events?.map(
    (event) => `  ${new Date(event.time).toISOString()} ${event.kind} ${JSON.stringify(event.facts)}`,
  )
  return [stood, ...(said ?? ['  What it says is sealed.'])].join('\n')
}
