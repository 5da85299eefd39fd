/**
 * What a binary needs to run: the loader that it names, and the libraries that this loader finds for it. The loader itself is asked,
 * so the answer is right on every distribution.
 */
import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'

const interpreterSegment = 3

/** Paths as the loader will look them up; none for a static binary. Rejects for what is not a 64-bit ELF file. */
export async function librariesOf(binary: string): Promise<string[]> {
  const loader = await loaderOf(binary)
  if (loader === undefined) return []
  const { stdout } = await promisify(execFile)(loader, ['--list', binary], { env: { LC_ALL: 'C' } })
  const libraries = [...stdout.matchAll(/(?:=> |^\s*)(\/.*?) \(0x[0-9a-f]+\)$/gm)].flatMap(([, path]) =>
    path ? [path] : [],
  )
  return [...new Set([loader, ...libraries])]
}

async function loaderOf(binary: string): Promise<string | undefined> {
  const file = await open(binary)
  try {
    const { buffer: head } = await file.read(Buffer.alloc(64), 0, 64, 0)
    if (head.readUInt32BE(0) !== 0x7f454c46 || head[4] !== 2 || head[5] !== 1)
      throw new Error(`${binary} is not a little-endian 64-bit ELF program`)
    const segments = Number(head.readBigUInt64LE(32))
    const size = head.readUInt16LE(54)
    const count = head.readUInt16LE(56)
    const { buffer: table } = await file.read(Buffer.alloc(size * count), 0, size * count, segments)
    for (let at = 0; at < table.length; at += size) {
      if (table.readUInt32LE(at) !== interpreterSegment) continue
      const length = Number(table.readBigUInt64LE(at + 32))
      const { buffer: name } = await file.read(Buffer.alloc(length), 0, length, Number(table.readBigUInt64LE(at + 8)))
      return name.toString('utf8', 0, length - 1)
    }
    return undefined
  } finally {
    await file.close()
  }
}
