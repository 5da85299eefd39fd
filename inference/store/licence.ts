import { appendFile, mkdir, readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { z } from 'zod'

/** As the hub names it. */
export interface Licence {
  name: string
  link?: string
}

/** Licences that ask nothing of whoever runs a model. */
const free = new Set(['apache-2.0', 'mit', 'bsd-2-clause', 'bsd-3-clause', 'isc', 'cc0-1.0', 'unlicense', 'cc-by-4.0'])

export function isFree(name: string): boolean {
  return free.has(name.toLowerCase())
}

const lineSchema = z.object({ repository: z.string(), licence: z.object({ name: z.string() }) })

/** Who accepted which licence for which model, and when: one JSON object a line, only ever appended to. */
export class LicenceBook {
  private readonly path: string

  constructor(path: string) {
    this.path = path
  }

  async has(repository: string, licence: Licence): Promise<boolean> {
    const lines = (await readFile(this.path, 'utf8').catch(() => '')).split('\n')
    return lines.some((line) => {
      const accepted = parse(line)
      return accepted?.repository === repository && accepted.licence.name === licence.name
    })
  }

  async record(accepted: { repository: string; commit: string; licence: Licence }): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true })
    const line = { ...accepted, by: userInfo().username, at: new Date().toISOString() }
    await appendFile(this.path, `${JSON.stringify(line)}\n`, { mode: 0o600 })
  }
}

function parse(line: string): z.infer<typeof lineSchema> | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}
