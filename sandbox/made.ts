/**
 * A file that a person allowed to be written, and that the launcher made empty for it. Where the action did not write it after all, it is
 * taken away again: that very file, in that very folder, whatever links lie on its path by then.
 */
import { constants } from 'node:fs'
import { lstat, open, readlink, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export interface MadeFile {
  readonly path: string
  readonly device: bigint
  readonly inode: bigint
}

export async function removeIfEmpty({ path, device, inode }: MadeFile): Promise<void> {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants
  const folder = await open(dirname(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(() => undefined)
  if (!folder) return
  try {
    // The descriptor stays at the folder that it has; its name tells whether that is the one that was meant.
    const held = `/proc/self/fd/${folder.fd}`
    if ((await readlink(held)) !== dirname(path)) return
    const at = join(held, basename(path))
    const found = await lstat(at, { bigint: true }).catch(() => undefined)
    if (found?.dev === device && found.ino === inode && found.size === 0n) await unlink(at).catch(() => undefined)
  } finally {
    await folder.close()
  }
}
