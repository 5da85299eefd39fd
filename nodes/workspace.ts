import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
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
