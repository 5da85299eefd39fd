/** How a reader of the audit stream gets in while a broker runs on the store: written when it starts, for the owner of the data folder alone. */
import { existsSync } from 'node:fs'
import { type Access, readAccess, writeAccess } from '../member/access.js'

/** Of a broker user that may read the audit stream and nothing else; new each time the broker is started. */
export const writeAuditAccess = (file: string, access: Access): void => writeAccess(file, access)

/** Undefined while no broker runs, or not yet. */
export const readAuditAccess = (file: string): Access | undefined => (existsSync(file) ? readAccess(file) : undefined)
