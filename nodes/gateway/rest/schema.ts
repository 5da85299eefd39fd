/** What the REST API takes and gives: types, checks and the OpenAPI document are made of these. */
import { z } from 'zod'
import { auditEventSchema, eventKinds } from '../../../mesh/audit/event.js'
import { budgetStateSchema } from '../../../mesh/task/budget.js'
import { taskRecordSchema } from '../../../mesh/task/record.js'
import { grantSchema, viewSchema } from '../../approvals/question.js'
import { rosterSchema } from '../../roster.js'

const id = z.string().min(1).max(200)
export const byId = z.strictObject({ id })

export const whoamiSchema = z.object({ name: z.string(), role: z.string(), routes: z.array(z.string()) })

export const nodesReplySchema = z.object({
  nodes: z.array(
    z.object({
      name: z.string(),
      roles: z.array(z.string()),
      /** As its certificate says. */
      labels: z.array(z.string()),
      /** What it serves, and where that computes; null for a node that serves none. */
      model: z.string().nullable(),
      zone: z.enum(['mesh', 'elsewhere']).nullable(),
      draining: z.boolean(),
      sandbox: z.boolean(),
      /** Of the model that it serves: answers side by side, tokens a second of one alone; null where it was not measured. */
      slots: z.int().nullable(),
      tokensPerSecond: z.number().nullable(),
      /** Over the last minute what ran or waited to, for each thread (above 1: work waits); bytes of memory that are free. */
      load: z.object({ cpu: z.number(), memoryFree: z.number() }).nullable(),
      /** ISO 8601. */
      since: z.string().nullable(),
      /** As the machine says; null where it does not. Memory in bytes. */
      hardware: z
        .object({
          threads: z.int(),
          memoryTotal: z.number(),
          memoryFree: z.number().nullable(),
          accelerators: z.array(z.string()),
        })
        .nullable(),
      notes: z.array(z.string()),
    }),
  ),
})

export const agentsReplySchema = rosterSchema

/** About the workspace that `clawmesh up` offers. */
export const taskBodySchema = z.strictObject({
  request: z.string().min(1).max(20_000),
  /** The most that it may use: tokens of models, and money in the currency of the gateway's price table. */
  budget: z
    .strictObject({ tokens: z.int().positive().exactOptional(), money: z.number().nonnegative().exactOptional() })
    .exactOptional(),
  /** How long it may take in all, in milliseconds. */
  ms: z
    .int()
    .positive()
    .max(366 * 24 * 3_600_000)
    .exactOptional(),
})
export const taskSchema = z.object({
  id: z.string(),
  begunAt: z.number(),
  by: z.string(),
  facts: z.unknown().optional(),
  state: z.enum(['unfinished', 'in doubt', 'ended', 'damaged']),
  steps: z.array(z.object({ name: z.string(), state: z.string() })),
  outcome: z.unknown().optional(),
  /** Of a task that has one. */
  budget: budgetStateSchema.optional(),
  /** When its time is over, in milliseconds since 1970, where it has an end. */
  until: z.number().optional(),
})
export const tasksSchema = z.object({ tasks: z.array(taskSchema) })
export const begunSchema = z.object({ id: z.string() })
export const settleBodySchema = z.discriminatedUnion('as', [
  z.strictObject({ step: z.string(), as: z.literal('done'), result: z.unknown().optional() }),
  z.strictObject({ step: z.string(), as: z.literal('again') }),
])
export const taskEventSchema = taskRecordSchema

export const approvalsQuerySchema = z.strictObject({ state: z.enum(['open', 'all']).default('open') })
export const approvalsSchema = z.object({ questions: z.array(viewSchema), grants: z.array(grantSchema) })
export const approvalEventsQuerySchema = z.strictObject({ task: z.string().max(200).optional() })

const kindPrefix = z.string().regex(/^[a-z]+(\.[a-z]+)?$/, 'a kind, or the word before its dot')
const time = z.union([z.iso.datetime({ offset: true }), z.iso.datetime()])
const auditFilter = {
  kind: kindPrefix
    .refine((text) => eventKinds.some((kind) => kind === text || kind.startsWith(`${text}.`)), 'no such kind')
    .optional(),
  trace: z.string().max(200).optional(),
  node: z.string().max(100).optional(),
}
export const auditQuerySchema = z.strictObject({
  ...auditFilter,
  from: time.optional(),
  until: time.optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
})
export const auditFollowSchema = z.strictObject(auditFilter)
export const seenEventSchema = auditEventSchema.extend({
  /** Its place in the stream; also the id of the event in SSE. */
  id: z.string(),
  node: z.string(),
  producer: z.string(),
  number: z.int(),
  time: z.string(),
  /** The key of the person whom its facts are about, by its id. */
  subject: z.string().optional(),
})
export type SeenEvent = z.output<typeof seenEventSchema>
export const auditReplySchema = z.object({
  /** The newest that match, oldest first. */
  events: z.array(seenEventSchema),
  /** More match, that are older. */
  more: z.boolean(),
  /** Older events are looked for with `clawmesh audit query`. Null: the trail was looked through from its beginning. */
  since: z.string().nullable(),
})

const costLineSchema = z.object({
  requests: z.int(),
  /** Of them, those that nobody counted the tokens of. */
  uncounted: z.int(),
  promptTokens: z.number(),
  cachedTokens: z.number(),
  outputTokens: z.number(),
  seconds: z.number(),
  /** Of them, those of models on accelerators; answers side by side count whole each. */
  gpuSeconds: z.number(),
  /** As it was run, and at the frontier rates of the table. */
  cost: z.number(),
  frontier: z.number(),
  /** Requests that the table has no price for: not in `cost`. */
  unpriced: z.int(),
})
const namedLineSchema = costLineSchema.extend({ name: z.string() })
export const costsSchema = z.object({
  prices: z.object({ version: z.string(), currency: z.string(), source: z.string(), frontier: z.string() }),
  /** Of older ones `clawmesh costs` knows. Null: these are all. */
  since: z.string().nullable(),
  sum: costLineSchema,
  /** Events that do not say what one says that clawmesh writes; any member may write its own. In no sum. */
  unreadable: z.int(),
  byModel: z.array(namedLineSchema),
  byActor: z.array(namedLineSchema),
  /** Spans of one length, oldest first. */
  byTime: z.array(costLineSchema.extend({ from: z.string(), until: z.string() })),
})

const answer = z.enum(['allow', 'ask', 'deny'])
export const policiesSchema = z.object({
  policies: z.array(
    z.object({
      name: z.string(),
      text: z.string(),
      /** What it is meant to answer, and what it does. */
      table: z.array(
        z.object({
          kind: z.string(),
          path: z.string(),
          expected: answer,
          answer,
          because: z.string(),
        }),
      ),
    }),
  ),
})
export const policyVersionsSchema = z.object({
  /** The newest version that nodes are told of; null while there is none and they go by `ask-first`. */
  inForce: z.int().nullable(),
  /** Oldest first. Each was signed by the authority and names the one before it. */
  versions: z.array(
    z.object({
      version: z.int(),
      time: z.string(),
      by: z.string(),
      name: z.string(),
      reason: z.string(),
      text: z.string(),
      /** SHA-256 of the signed version, hex. */
      hash: z.string(),
    }),
  ),
  /** What each node that runs actions goes by. */
  nodes: z.array(
    z.object({
      name: z.string(),
      policy: z.string(),
      version: z.int().nullable(),
      /** False for one whose person named a policy of its own. */
      follows: z.boolean(),
      /** How that differs from what is in force. */
      drift: z.string().nullable(),
    }),
  ),
})
export const byNameSchema = z.strictObject({ name: z.string().regex(/^[a-z0-9-]{1,64}$/) })
const realPath = z
  .string()
  .max(4095)
  .regex(/^\/[^\0]*$/, 'an absolute path')
export const explainQuerySchema = z.strictObject({
  kind: z.enum(['read', 'write', 'execute']),
  /** Absolute, or `tool:NAME`. No disk is looked at: a link is not followed. */
  path: z.union([realPath, z.string().regex(/^tool:\w+$/)]),
  workspace: realPath.default('/workspace'),
})
export const rulingSchema = z.object({ answer: z.enum(['allow', 'ask', 'deny']), because: z.string() })

export const consoleFileSchema = z.strictObject({ name: z.string().regex(/^[a-z-]{1,32}\.(js|css|svg)$/) })

export const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.null(),
    /** Of the table in docs/messages.md. */
    code: z.string(),
  }),
})
