/** `clawmesh audit verify`: is the trail of this data folder whole, or this export? */

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { checkProof, type Proof, type Proven, proofSchema } from '../../../mesh/audit/proof.js'
import type { ReadRecord } from '../../../mesh/audit/record.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type OwnVerdict, verifyOwnChains } from '../../audit/own-chains.js'
import { openSource } from '../../audit/source.js'
import { readConfig } from '../../config.js'
import { dataPaths, isDataFolder, isMemberOnly } from '../../data-folder.js'
import { type AuditTrail, inspectTrail } from '../../trail.js'
import { type Command, text, type Values } from '../command.js'
import { dataFolder, dataOption } from '../options.js'
import { printable } from '../printable.js'
import { progress } from '../terminal.js'
import { provedText, rootKeyOf, verifyExport } from './exported.js'

export const auditVerify: Command = {
  name: 'audit verify',
  usage: '[--data DIR | --export FILE --root KEY [--data DIR] | --proof FILE --root KEY] [--json]',
  help: 'Checks every audit record of a mesh, running or not: signatures, chains, checkpoints, completeness. Says where it is broken.',
  options: {
    data: dataOption,
    export: {
      type: 'string',
      value: 'FILE',
      help: 'check what `audit export` wrote instead; needs no mesh and no secret key. Where the mesh was made, what it says in the clear is compared with its records, and its end with the checkpoints',
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
      process.stdout.write(values['json'] ? `${JSON.stringify({ ok: true, ...proved })}\n` : provedText(proved))
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
