/** What a tool brings, a resource holds and a prompt says, in the form of MCP: bytes are base64. Read through these schemas wherever it comes from another process. */
import { z } from 'zod'

/** Characters of text and of base64 that one answer may have in all. */
export const mostText = 65_536
export const mostBase64 = 4 * 1024 * 1024

const base64 = z.base64().max(mostBase64)
const mimeType = z.string().max(200)
const uri = z.string().min(1).max(2000)

/** What a resource holds: a text, or bytes. */
export const heldSchema = z.union([
  z.object({ uri, mimeType: mimeType.optional(), text: z.string() }),
  z.object({ uri, mimeType: mimeType.optional(), blob: base64 }),
])
export type Held = z.output<typeof heldSchema>

export const contentSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('image'), data: base64, mimeType }),
  z.object({ type: z.literal('audio'), data: base64, mimeType }),
  z.object({ type: z.literal('resource'), resource: heldSchema }),
  z.object({ type: z.literal('resource_link'), uri, name: z.string(), mimeType: mimeType.optional() }),
])
export type Content = z.output<typeof contentSchema>

export const saidSchema = z.object({ role: z.enum(['user', 'assistant']), content: contentSchema })
/** One message of a prompt. */
export type Said = z.output<typeof saidSchema>

/** A question to the person at the client: a form of plain fields, as JSON Schema. */
export const elicitSchema = z.object({
  message: z.string().min(1).max(4096),
  form: z.object({
    type: z.literal('object'),
    properties: z.record(z.string(), z.record(z.string(), z.unknown())),
    required: z.array(z.string()).optional(),
  }),
})
export type Elicit = z.output<typeof elicitSchema>

export const elicitedSchema = z.object({
  action: z.enum(['accept', 'decline', 'cancel']),
  content: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))
    .nullish()
    .transform((given) => given ?? {}),
})
export type Elicited = z.output<typeof elicitedSchema>

/** A question to the client's model. */
export const sampleSchema = z.object({
  messages: z
    .array(z.object({ role: z.enum(['user', 'assistant']), text: z.string() }))
    .min(1)
    .max(64),
  system: z.string().optional(),
  maxTokens: z.int().min(1).max(65_536).default(1000),
})
export type Sample = z.input<typeof sampleSchema>

export const sampledSchema = z.object({ model: z.string(), text: z.string() })
export type Sampled = z.output<typeof sampledSchema>

export const levels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const
export type Level = (typeof levels)[number]

/** Throws what is too long in words; undefined for what may go. */
export function tooLong(parts: readonly Content[]): string | undefined {
  const sizes = parts.map(sizeOf)
  const text = sizes.reduce((sum, size) => sum + size.text, 0)
  const bytes = sizes.reduce((sum, size) => sum + size.base64, 0)
  if (text > mostText) return `it has ${text} characters of text, of ${mostText} at most`
  return bytes > mostBase64 ? `it has ${bytes} characters of base64, of ${mostBase64} at most` : undefined
}

function sizeOf(part: Content): { text: number; base64: number } {
  if (part.type === 'text') return { text: part.text.length, base64: 0 }
  if (part.type === 'resource_link') return { text: part.uri.length + part.name.length, base64: 0 }
  if (part.type !== 'resource') return { text: 0, base64: part.data.length }
  const { resource } = part
  return 'text' in resource ? { text: resource.text.length, base64: 0 } : { text: 0, base64: resource.blob.length }
}
