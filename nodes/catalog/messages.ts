/**
 * What a gateway and the program that has a catalog say to one another. The gateway decides who may use what, and has it on the audit trail, before it sends any of these.
 * While something is done the program asks the gateway's desk: under the number of the use, which nobody else is told.
 */
import { z } from 'zod'
import { message, nothing } from '../../mesh/index.js'
import {
  contentSchema,
  elicitedSchema,
  elicitSchema,
  heldSchema,
  levels,
  saidSchema,
  sampledSchema,
  sampleSchema,
} from './content.js'

export const catalogPrefix = 'catalog/'
export const catalogName = (name: string) => `${catalogPrefix}${name}`
export const deskName = (node: string) => `mcp-desk/${node}`

/** Whoever may have things done by the mesh may be trusted to put tools before people; a worker or a sandbox may not. */
const program = { from: ['gateway' as const], to: ['supervisor' as const] }

const described = { name: z.string().max(200), description: z.string().max(4096) }

export const describedToolSchema = z.object({
  ...described,
  schema: z.record(z.string(), z.unknown()),
  readOnly: z.boolean(),
  /** Whether it runs in a sandbox of the mesh. */
  sandboxed: z.boolean(),
})
export const describedResourceSchema = z.object({
  ...described,
  uri: z.string().min(1).max(2000),
  mimeType: z.string().max(200).optional(),
  changes: z.boolean(),
})
export const describedPromptSchema = z.object({
  ...described,
  args: z.array(z.object({ ...described, optional: z.boolean() })),
})
export const descriptionSchema = z.object({
  tools: z.array(describedToolSchema),
  resources: z.array(describedResourceSchema),
  prompts: z.array(describedPromptSchema),
})
export type Description = z.output<typeof descriptionSchema>

export const DescribeCatalog = message('catalog.describe', { request: z.null(), reply: descriptionSchema, ...program })

/** For whom: the name of a key, and where the program may ask while it is done. */
const caller = { by: z.string(), desk: z.string(), use: z.string() }

export const CallTool = message('catalog.call', {
  request: z.object({ ...caller, tool: z.string(), args: z.record(z.string(), z.unknown()) }),
  /** `facts`: of a tool in a sandbox the same for programs, and on which node it was. */
  reply: z.object({ content: z.array(contentSchema), facts: z.record(z.string(), z.unknown()).optional() }),
  ...program,
})
export const ReadResource = message('catalog.read', {
  request: z.object({ ...caller, resource: z.string(), places: z.record(z.string(), z.string()), uri: z.string() }),
  reply: z.object({ contents: z.array(heldSchema) }),
  ...program,
})
export const SayPrompt = message('catalog.say', {
  request: z.object({ ...caller, prompt: z.string(), args: z.record(z.string(), z.string()) }),
  reply: z.object({ messages: z.array(saidSchema) }),
  ...program,
})
export const CompleteArgument = message('catalog.complete', {
  request: z.object({ of: z.enum(['prompt', 'resource']), name: z.string(), argument: z.string(), typed: z.string() }),
  reply: z.object({ values: z.array(z.string()) }),
  ...program,
})
/** An item for each time that it is another. */
export const FollowResource = message('catalog.follow', {
  request: z.object({ resource: z.string(), places: z.record(z.string(), z.string()) }),
  item: nothing,
  ...program,
})

const longestLine = 16_384
const isShort = (data: unknown): boolean => (JSON.stringify(data) ?? '').length <= longestLine

const desk = { from: ['supervisor' as const], to: ['gateway' as const] }
const use = { use: z.string() }

export const TellCaller = message('catalog.tell', {
  request: z.object({
    ...use,
    told: z.discriminatedUnion('type', [
      z.object({
        type: z.literal('progress'),
        done: z.number(),
        of: z.number().optional(),
        words: z.string().max(1000).optional(),
      }),
      z.object({ type: z.literal('log'), level: z.enum(levels), data: z.unknown().refine(isShort, 'is too long') }),
    ]),
  }),
  reply: nothing,
  ...desk,
})
export type Told = z.output<(typeof TellCaller)['request']>['told']

export const ElicitCaller = message('catalog.elicit', {
  request: z.object({ ...use, question: elicitSchema }),
  reply: elicitedSchema,
  ...desk,
})
export const SampleCaller = message('catalog.sample', {
  request: z.object({ ...use, question: sampleSchema }),
  reply: sampledSchema,
  ...desk,
})
