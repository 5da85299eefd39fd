/** A tool as an MCP server describes it, and as an agent's model is offered it. All of it is the server's word: bounded, and held to by its digest. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type ToolSpec, toolArgumentSchema, toolSpecSchema } from '../../../inference/tool.js'

export const definitionSchema = z.object({
  name: z.string(),
  description: z.string(),
  inputSchema: z.record(z.string(), z.unknown()),
  /** SHA-256 of the three above, hex. */
  digest: z.string(),
})
export type Definition = z.output<typeof definitionSchema>

const longestDescription = 2000
const longestSchema = 16_384
const longestName = 64

export interface DescribedTool {
  readonly name: string
  readonly description?: string | undefined
  readonly inputSchema: Readonly<Record<string, unknown>>
}

export function definitionOf({ name, description = '', inputSchema }: DescribedTool): Definition {
  const digest = createHash('sha256')
    .update(JSON.stringify([name, description, sorted(inputSchema)]))
    .digest('hex')
  return { name, description: description.slice(0, longestDescription), inputSchema: { ...inputSchema }, digest }
}

/** What a model is offered, or why it cannot be. The name has the server's before it, so that no server can pass for another or for a tool of the mesh. */
export function specOf(server: string, { name, description, inputSchema }: Definition): ToolSpec | string {
  if (JSON.stringify(inputSchema).length > longestSchema) return 'its schema is too large'
  const properties = Object.entries(z.record(z.string(), z.unknown()).catch({}).parse(inputSchema['properties']))
  const parameters = {
    ...inputSchema,
    type: 'object',
    properties: Object.fromEntries(properties.map(([key, property]) => [key, sayable(property)])),
  }
  const spec = toolSpecSchema.safeParse({ name: offeredName(server, name), description, parameters })
  if (!spec.success) return `it cannot be offered: ${z.prettifyError(spec.error)}`
  return isCheckable(spec.data) ? spec.data : 'its schema cannot be checked'
}

const offeredName = (server: string, name: string): string =>
  `${server}_${name}`.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, longestName)

/** The two words of our own in a schema promise what a server cannot know. A property that says more than a model is offered is left to the server to check. */
function sayable(property: unknown): object {
  const { 'x-copy': _, 'x-charset': __, ...plain } = z.looseObject({}).catch({}).parse(property)
  return toolArgumentSchema.safeParse(plain).success ? plain : {}
}

function isCheckable({ parameters }: ToolSpec): boolean {
  try {
    z.fromJSONSchema(parameters as Parameters<typeof z.fromJSONSchema>[0])
    return true
  } catch {
    return false
  }
}

/** The same schema in another order of keys is the same. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  )
}
