import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { installation } from '../mesh/installation.js'

/** As peers of other protocols are told it. */
export const productVersion = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(join(installation, 'package.json'), 'utf8'))).version
