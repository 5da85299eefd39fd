/** A question that an MCP server puts to a person in the middle of a call. The person is shown the answers that it proposes, and says yes or no to them: whoever has to be told more is told no. */
import { z } from 'zod'

const valueSchema = z.union([z.string().max(4096), z.number(), z.boolean(), z.array(z.string().max(4096)).max(64)])
const formSchema = z.object({
  properties: z.record(z.string(), z.looseObject({ default: valueSchema.optional() })),
  required: z.array(z.string()).default([]),
})
const longest = 4096

export interface ServerQuestion {
  readonly message: string
  /** By field; what is sent where the person says yes. */
  readonly answers: Record<string, z.output<typeof valueSchema>>
}

/** Undefined for what no yes could answer: a page elsewhere, or a field that must be filled in and proposes nothing. */
export function questionOf(params: {
  message: string
  mode?: string | undefined
  requestedSchema?: unknown
}): ServerQuestion | undefined {
  const form = formSchema.safeParse(params.requestedSchema)
  if (!form.success || (params.mode !== undefined && params.mode !== 'form')) return undefined
  const answers = Object.entries(form.data.properties).flatMap(([name, { default: proposed }]) =>
    proposed === undefined ? [] : [[name, proposed] as const],
  )
  const known = new Set(answers.map(([name]) => name))
  if (form.data.required.some((name) => !known.has(name))) return undefined
  return { message: params.message.slice(0, longest), answers: Object.fromEntries(answers) }
}
