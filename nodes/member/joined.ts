/** The node that a data folder holds: made by an invitation once, and gone on with from then on. */
import { existsSync } from 'node:fs'
import { readCredentials } from '../../mesh/seal/credentials.js'
import { sameBytes } from '../../mesh/seal/keys.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import type { Invitation } from '../authority/invitation.js'
import type { DataFolder } from '../data-folder.js'
import { enrolBy } from './enrol.js'
import { nodeFiles } from './member.js'

/**
 * Its name. With an invitation it is made now, through `by` if these are the servers by which the mesh is reached. Throws USAGE where the folder holds a mesh of its own, holds a
 * node though there is an invitation, or holds none and there is none; and what `enrolBy` throws.
 */
export async function joinedAs(
  folder: DataFolder,
  invitation: Invitation | undefined,
  wish: { name: string; roles: Role[] },
  by?: string[],
): Promise<string> {
  const member = memberOf(folder)
  if (invitation) return enrolBy(fresh(invitation, folder, member), folder, wish, by)
  if (member !== undefined) return member
  throw new ClawmeshError('USAGE', `This machine belongs to no mesh yet: there is no node in ${folder.path}.`, {
    hint: 'Type where the mesh runs: clawmesh invite. Then here: `clawmesh join` with the string that it prints.',
  })
}

function memberOf(folder: DataFolder): string | undefined {
  if (existsSync(folder.authority))
    throw new ClawmeshError('USAGE', `${folder.path} holds a mesh of its own.`, {
      hint: 'Name another folder with --data, or none.',
    })
  return folder.nodes().find((name) => existsSync(nodeFiles(folder, name).credentials))
}

/** Rejects if the folder holds a node already: its chain is written by one key for ever. */
function fresh(invitation: Invitation, folder: DataFolder, member: string | undefined): Invitation {
  if (member === undefined) return invitation
  const { rootKey } = readCredentials(nodeFiles(folder, member).credentials, undefined)
  const whose = sameBytes(rootKey, invitation.rootKey) ? 'that mesh already' : 'another mesh'
  throw new ClawmeshError('USAGE', `${folder.path} is node "${member}" of ${whose}.`, {
    hint: '`clawmesh join` with no string starts it, unless it was revoked. To join anew, name another folder: `clawmesh join INVITATION --data DIR`.',
  })
}
