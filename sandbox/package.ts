/** The folder that holds package.json: above dist/ when compiled, and there alone is the launcher built. */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** dist/sandbox */
export const sandboxCode = dirname(fileURLToPath(import.meta.url))

export const packageRoot = join(sandboxCode, '..', '..')
