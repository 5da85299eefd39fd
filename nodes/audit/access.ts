/** How a reader of the audit stream gets in while a broker runs on the store: written when it starts, for the owner of the data folder alone. */
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { writeWhole } from '../../mesh/disk.js'

const accessSchema = z.object({
  url: z.string(),
  /** Of a broker user that may read the audit stream and nothing else; new each time the broker is started. */
  seed: z.string(),
})
export type Access = z.output<typeof accessSchema>

export function writeAccess(file: string, access: Access): void {
  writeWhole(file, JSON.stringify(access))
}

/** Undefined while no broker runs, or not yet. */
export function readAccess(file: string): Access | undefined {
  return existsSync(file) ? accessSchema.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined
}
