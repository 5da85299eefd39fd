/** `clawmesh doctor`: each known fault of this machine and of a mesh on it, why it is one, and what to do. */

import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { readConfig } from '../../config.js'
import { type Diagnosis, examine, isWell, type Told } from '../../doctor/examine.js'
import { asTyped } from '../as-typed.js'
import { type Command, text } from '../command.js'
import { dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'

export const doctor: Command = {
  name: 'doctor',
  usage: '[--data DIR] [--fix] [--json]',
  help: 'Looks for every fault that is known: of the machine, the data folder, the way to the mesh. Says what, why and what to do; ends with status 1 if there is one.',
  options: {
    data: {
      ...dataOption,
      help: 'the data folder of the mesh, or of the node that joined one (default: the mesh here, else the node)',
    },
    fix: {
      type: 'boolean',
      help: 'put right what can be without a loss: rights of files, a launcher that is not built',
    },
    json: jsonOption,
  },
  run: async (_, values) => {
    const config = readConfig()
    const named = text(values, 'data')
    const joined = join(dirname(config.data), 'joined')
    const usual = !existsSync(config.data) && existsSync(joined) ? joined : config.data
    const data = resolve(named ?? usual)
    const patient = { data, config, now: Date.now, nodeVersion: process.versions.node }
    const diagnoses = await examine(patient, values['fix'] === true)
    const ok = isWell(diagnoses)
    const lines = values['json'] ? [JSON.stringify({ ok, data, checks: diagnoses })] : diagnoses.flatMap(linesOf)
    process.stdout.write(`${lines.map((line) => (values['json'] ? line : printable(asTyped(line)))).join('\n')}\n`)
    return ok ? 0 : 1
  },
}

function linesOf({ check, well, idle, findings }: Diagnosis): string[] {
  if (idle) return [`-      ${check}: there is no mesh to look at`]
  if (findings.length === 0) return [`ok     ${check}: ${well}`]
  return findings.flatMap((finding) => [
    `${word(finding)}${check}: ${finding.what}`,
    `       ${finding.why}`,
    `       ${finding.mended ?? finding.todo}${finding.mendable && finding.mended === undefined ? ' Or: `clawmesh doctor --fix`.' : ''}`,
  ])
}

const word = ({ severity, mended }: Told): string =>
  mended !== undefined ? 'mended ' : severity === 'fault' ? 'FAULT  ' : 'note   '
