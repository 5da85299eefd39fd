import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { basename, dirname, join, relative, sep } from 'node:path'
import { ClawmeshError } from '../policies/errors.js'

const mostFiles = 1000

/** Throws WORKSPACE_UNREADABLE for what is no folder, or one that may not be read. */
export function checkWorkspace(workspace: string): void {
  try {
    readdirSync(workspace)
  } catch (cause) {
    throw unreadable(workspace, cause)
  }
}

/** The agents must not get at the keys and the trail of the mesh that they run in. Throws USAGE where one folder lies in the other. */
export function checkApart(workspace: string, data: string): void {
  const [outer, inner] = [realpathSync(workspace), realOf(data)]
  if (!isWithin(inner, outer) && !isWithin(outer, inner)) return
  throw new ClawmeshError('USAGE', `The workspace ${workspace} and the data folder ${data} lie in one another.`, {
    hint: 'The data folder holds the keys of the mesh. Choose a smaller workspace, or another data folder with --data.',
  })
}

/** The real path of what may not exist yet. */
const realOf = (path: string): string =>
  existsSync(path) || dirname(path) === path ? realpathSync(path) : join(realOf(dirname(path)), basename(path))

const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(join(folder, sep))

/** The files below a folder, relative to it, sorted; hidden ones and links are left out. */
export function listFiles(workspace: string): string[] {
  const files: string[] = []
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (entry.isFile()) files.push(relative(workspace, path))
      if (files.length > mostFiles) {
        throw new ClawmeshError('USAGE', `The workspace ${workspace} holds more than ${mostFiles} files.`, {
          hint: 'Name a smaller folder with --workspace.',
        })
      }
    }
  }
  try {
    walk(workspace)
  } catch (cause) {
    if (cause instanceof ClawmeshError) throw cause
    throw unreadable(workspace, cause)
  }
  return files.sort()
}

function unreadable(workspace: string, cause: unknown): ClawmeshError {
  return new ClawmeshError(
    'WORKSPACE_UNREADABLE',
    `The workspace ${workspace} cannot be read: ${(cause as Error).message}.`,
    { hint: 'Name a folder that exists and that you may read with --workspace.', cause },
  )
}
