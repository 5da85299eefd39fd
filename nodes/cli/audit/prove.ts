/** `clawmesh audit prove` and `clawmesh audit checkpoint`: one event, shown to somebody who trusts the root's public key and nothing else; and the authority's word on all up to now. */
import { writeFileSync } from 'node:fs'
import { readCheckpoints } from '../../../mesh/audit/checkpoint.js'
import { Opener } from '../../../mesh/audit/opener.js'
import { prove } from '../../../mesh/audit/proof.js'
import { hex } from '../../../mesh/seal/keys.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { openSource } from '../../audit/source.js'
import { readConfig } from '../../config.js'
import { inspectTrail, sealTrail } from '../../trail.js'
import { type Command, text } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { progress } from '../terminal.js'

export const auditProve: Command = {
  name: 'audit prove',
  usage: 'EVENT [--to FILE] [--disclose] [--json]',
  help: 'Proves that an event stood in the trail when the authority vouched for it, to whoever has the root key of `audit key`: `audit verify --proof` checks it.',
  options: {
    to: { type: 'string', value: 'FILE', help: 'where the proof goes (default: standard output)' },
    disclose: {
      type: 'boolean',
      help: 'give the key of its record away too: the events in it, and no others, can then be read',
    },
    data: dataOption,
    json: jsonOption,
  },
  takes: 'event',
  run: async (given, values) => {
    const [, hash, place] = /^([0-9a-f]{8,64})(?:\.(\d+))?$/.exec(given ?? '') ?? []
    if (hash === undefined)
      throw new ClawmeshError('USAGE', given === undefined ? 'Which event?' : `"${given}" is no event.`, {
        hint: 'Name it as `audit query --json` does, by its id: HASH.INDEX.',
      })
    const source = await openSource({ config: readConfig(), path: dataFolder(values), progress })
    try {
      const { verdict } = await inspectTrail(source)
      if (!verdict.ok)
        throw new ClawmeshError('AUDIT_BROKEN', 'The trail is not whole, so nothing of it is proved.', {
          hint: 'See `clawmesh audit verify`.',
        })
      const found = verdict.records.filter((record) => hex(record.hash).startsWith(hash))
      const [record] = found
      if (!record || found.length > 1 || Number(place ?? 0) >= record.count)
        throw new ClawmeshError(
          'NOT_FOUND',
          `${found.length > 1 ? 'More than one event is' : 'There is no event'} ${given}.`,
          {
            hint: 'Name it as `audit query --json` does, by its id: HASH.INDEX.',
          },
        )
      const { authority, folder } = source
      const checkpoints = readCheckpoints(folder.checkpoints, authority.root.publicKey)
      const opener = values['disclose'] === true ? new Opener(authority.auditor, authority.subjects) : undefined
      const keys = [opener?.keyOf(record), opener?.factKeysOf(record)] as const
      const proof = prove(record, verdict.records, checkpoints, ...keys)
      if (!proof)
        throw new ClawmeshError('UNREACHABLE', `No checkpoint covers ${given} yet.`, {
          hint: '`clawmesh audit checkpoint` adds one; a mesh that runs does so each hour, and one that drains.',
        })
      const written = `${JSON.stringify(proof)}\n`
      const to = text(values, 'to')
      const isJson = values['json'] === true
      if (to === undefined) process.stdout.write(isJson ? `${JSON.stringify({ ok: true, proof })}\n` : written)
      else {
        writeFileSync(to, written, { mode: 0o600 })
        if (isJson) process.stdout.write(`${JSON.stringify({ ok: true, to })}\n`)
        progress(
          `${to} shows it. Whoever checks it needs the key that \`clawmesh audit key\` prints, from you and not from the file.`,
        )
      }
      return 0
    } finally {
      await source.close()
    }
  },
}

export const auditCheckpoint: Command = {
  name: 'audit checkpoint',
  usage: '[--json]',
  help: 'Verifies the whole trail, and has the authority vouch for it as it is now. A mesh that runs does so each hour, and at its end.',
  options: { data: dataOption, json: jsonOption },
  run: async (_, values) => {
    const source = await openSource({ config: readConfig(), path: dataFolder(values), progress })
    try {
      const { ok, records, faults } = (await sealTrail(source, Date.now())).verdict
      if (!ok)
        throw new ClawmeshError('AUDIT_BROKEN', `The trail is broken: ${faults[0]?.place}: ${faults[0]?.what}.`, {
          hint: 'No checkpoint was added. See `clawmesh audit verify`.',
        })
      if (values['json']) process.stdout.write(`${JSON.stringify({ ok, records: records.length })}\n`)
      else progress(`The authority vouches for ${records.length} records.`)
      return 0
    } finally {
      await source.close()
    }
  },
}
