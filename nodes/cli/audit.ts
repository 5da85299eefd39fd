/** `clawmesh audit verify`: is the trail of this data folder whole? Starts the broker on the store if no mesh runs there. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ClawmeshError } from '../../policies/errors.js'
import { readConfig } from '../config.js'
import { openDataFolder } from '../data-folder.js'
import { openGround } from '../ground.js'
import { type AuditTrail, inspectTrail } from '../trail.js'
import { type Command, text } from './command.js'
import { progress } from './terminal.js'

export const auditVerify: Command = {
  name: 'audit verify',
  usage: '[--data DIR] [--json]',
  help: 'Checks every audit record of a mesh that does not run now: signatures, chains, checkpoints, completeness. Says where it is broken.',
  options: {
    data: { type: 'string', value: 'DIR', help: 'the data folder of the mesh' },
    json: { type: 'boolean', help: 'print the verdict as one JSON object' },
  },
  run: async (_, values) => {
    const { verdict } = await verifyFolder(text(values, 'data') ?? readConfig().data)
    const { ok, records, producers, checkpointed, unsent, faults } = verdict
    const waiting = unsent.reduce((sum, { records: rest }) => sum + rest.length, 0)
    if (values['json']) {
      const counts = { records: records.length, producers, checkpointed, unsent: waiting }
      process.stdout.write(`${JSON.stringify({ ok, ...counts, faults })}\n`)
    } else {
      for (const { place, what } of faults) process.stdout.write(`${place}: ${what}\n`)
      const state = ok
        ? 'The audit trail is whole'
        : `The audit trail is broken in ${faults.length} place${faults.length > 1 ? 's' : ''}`
      process.stdout.write(
        `${state}: ${records.length} records of ${producers} nodes, ${checkpointed} under a checkpoint.\n`,
      )
      if (waiting > 0) {
        const names = unsent.map(({ name }) => name).join(', ')
        process.stdout.write(
          `${waiting} record${waiting > 1 ? 's' : ''} not sent yet (${names}); the next start sends them.\n`,
        )
      }
    }
    return ok ? 0 : 1
  },
}

async function verifyFolder(path: string): Promise<AuditTrail> {
  if (!existsSync(join(path, 'authority'))) {
    throw new ClawmeshError('USAGE', `There is no mesh in ${path}.`, { hint: 'Name its data folder with --data.' })
  }
  const folder = openDataFolder(path)
  try {
    const ground = await openGround({ config: readConfig(), folder, port: 0, progress })
    try {
      return await inspectTrail({ ...ground, folder })
    } finally {
      await ground.close()
    }
  } finally {
    folder.release()
  }
}
