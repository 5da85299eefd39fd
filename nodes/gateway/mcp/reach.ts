/** What an MCP client can be asked in the middle of a use: its person, and its model. */
import { type InputRequest, inputRequired, type ServerContext } from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { routerOf } from '../../agents/model/privacy.js'
import { type Elicit, type Sample, type Sampled, sampleSchema } from '../../catalog/content.js'

/** How the caller can be asked: what it said it can do, and how it is done in the protocol that it speaks. */
export interface Reach {
  can: 'elicitation' | 'sampling'
  request: InputRequest
}

/** In the protocol of 2025: a request of the server, answered while its own is still open. */
export async function pushed({ mcpReq }: ServerContext, request: InputRequest, timeout: number): Promise<unknown> {
  try {
    const options = { timeout, signal: mcpReq.signal }
    if (request.method === 'elicitation/create') return await mcpReq.elicitInput(request.params, options)
    if (request.method === 'sampling/createMessage') return await mcpReq.requestSampling(request.params, options)
  } catch (cause) {
    throw new ClawmeshError('USAGE', `The client did not answer: ${(cause as Error).message.slice(0, 300)}`, { cause })
  }
  throw new ClawmeshError('INTERNAL', `Nobody asks a client for ${request.method}.`)
}

export const elicitation = ({ message, form }: Elicit): Reach => ({
  can: 'elicitation',
  // That a client can show such a form is the matter of whoever wrote it: what is no form the SDK refuses.
  request: inputRequired.elicit({ mode: 'form', message, requestedSchema: form as never }),
})

export function sampling(question: Sample): Reach {
  const { messages, system, maxTokens } = sampleSchema.parse(question)
  return {
    can: 'sampling',
    request: inputRequired.createMessage({
      messages: messages.map(({ role, text }) => ({ role, content: { type: 'text', text } })),
      maxTokens,
      ...(system === undefined ? {} : { systemPrompt: system }),
    }),
  }
}

/** What a client says is read through a schema. Throws MESSAGE_INVALID: it is no fault of whoever asked. */
export function readAnswer<S extends z.ZodType>(schema: S, answer: unknown): z.output<S> {
  const read = schema.safeParse(answer)
  if (read.success) return read.data
  throw new ClawmeshError('MESSAGE_INVALID', `What the client answered cannot be used: ${z.prettifyError(read.error)}`)
}

const textSchema = z.object({ type: z.literal('text'), text: z.string() })
const answerSchema = z.object({ model: z.string(), content: z.union([textSchema, z.array(textSchema).min(1)]) })

export function sampledOf(answer: unknown): Sampled {
  const { model, content } = readAnswer(answerSchema, answer)
  return {
    model,
    text: [content]
      .flat()
      .map(({ text }) => text)
      .join('\n'),
  }
}

/** Nobody knows where the model of a client is: what is asked of it leaves the mesh. Throws DENIED where it may not leave as it is. */
export async function mayLeave(node: MeshNode, question: Sample, trace: string): Promise<void> {
  const { messages, system, maxTokens } = sampleSchema.parse(question)
  const router = await routerOf(node)
  const first = system === undefined ? [] : [{ role: 'system' as const, content: system }]
  const said = messages.map(({ role, text }) => ({ role, content: text }))
  const asker = { roles: node.roles, actor: 'mcp', trace }
  const { decision } = await router.judge(router.open(trace), { messages: [...first, ...said], maxTokens }, asker)
  if (decision.effect === 'allow') return
  throw new ClawmeshError(
    'DENIED',
    `By the rule ${decision.rule} this may not be asked of a model outside of the mesh.`,
  )
}
