/** `clawmesh audit key`: the one thing that whoever verifies an export must know, and must have from somebody they trust. */

import { existsSync } from 'node:fs'
import { openAuthority } from '../../../mesh/seal/authority.js'
import { hex } from '../../../mesh/seal/keys.js'
import { dataPaths, noMesh } from '../../data-folder.js'
import type { Command } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'

export const auditKey: Command = {
  name: 'audit key',
  usage: '[--json] [--data DIR]',
  help: "Prints the root's public key: what `clawmesh audit verify --export` needs.",
  options: { data: dataOption, json: jsonOption },
  run: async (_, values) => {
    const path = dataFolder(values)
    const { authority } = dataPaths(path)
    if (!existsSync(authority)) throw noMesh(path)
    const root = hex(openAuthority(authority, Date.now()).root.publicKey)
    process.stdout.write(values['json'] ? `${JSON.stringify({ ok: true, root })}\n` : `${root}\n`)
    return 0
  },
}
