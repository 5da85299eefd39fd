/**
 * Reads one source for a research: the file in the sandbox of its node, its passages with a model of the mesh, and of what that says only what stands in the
 * file word for word.
 */
import { z } from 'zod'
import { type ChatMessage, usageSchema } from '../../../inference/backend.js'
import type { ToolCall } from '../../../inference/tool.js'
import { actor, type Context, type MeshNode, message, on } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { sensitivitySchema } from '../../../policies/router-label.js'
import type { RouterSession } from '../../../router/session.js'
import { act } from '../act.js'
import { openSession, routerOf, sensitivityOfCall } from '../model/privacy.js'
import { think } from '../model/think.js'
import { type Evidence, evidenceSchema, locate, type Passage, passagesOf } from './evidence.js'
import { readPrompt, readQuotes } from './prompt.js'

export const usedSchema = z.object({
  model: z.string(),
  zone: z.enum(['mesh', 'elsewhere']),
  usage: usageSchema.nullable(),
  seconds: z.number(),
})

export const ReadSource = message('research.read', {
  request: z.object({
    /** Relative to the workspace, or a URL. */
    path: z.string().min(1),
    /** Whose files they are, as `workspaceId` names them; left out as in `act`. */
    workspace: z.string().optional(),
    questions: z.array(z.string().min(1).max(400)).min(1).max(8),
    /** Of the mesh: nothing of a source goes elsewhere before all of the evidence is there. */
    model: z.string(),
    /** How sensitive is what led to the questions. */
    seen: sensitivitySchema,
  }),
  reply: z.object({
    evidence: z.array(evidenceSchema),
    /** Quotes that the model made up. */
    madeUp: z.int(),
    /** Passages of which no answer could be used. */
    unread: z.int(),
    used: z.array(usedSchema),
    /** All that was read, evidence or not. */
    seen: sensitivitySchema,
  }),
  from: ['supervisor'],
  to: ['worker'],
})
type Asked = z.output<(typeof ReadSource)['request']>
type Read = z.output<(typeof ReadSource)['reply']>

/** About a thousand tokens, so that a small model has room for the questions and its answer. */
const passageCharacters = 4000
const answerTokens = 700
const linesAtOnce = 5000
const sourcesAtOnce = 2

export const reader = (node: MeshNode) =>
  actor(
    'reader',
    ({ name }) => [
      on(ReadSource, async ({ path, workspace, questions, model, seen }, context): Promise<Read> => {
        const session = await openSession(node, context.trace, seen)
        const text = await (isUrl(path)
          ? readPage(node, path, context)
          : readFile(node, { path, workspace }, session, context))
        const read: Read = { evidence: [], madeUp: 0, unread: 0, used: [], seen }
        for (const passage of passagesOf(text, passageCharacters)) {
          const quotes = await quotesFrom(
            { node, name, model, session, context },
            readPrompt(questions, path, passage),
            read,
          )
          if (!quotes) read.unread += 1
          for (const quote of quotes ?? []) take(quote, path, passage, session, read)
        }
        return { ...read, seen: session.sensitivity }
      }),
    ],
    { args: z.unknown(), concurrency: sourcesAtOnce },
  )

/** Every piece is as sensitive as all of the source that was read by then: what makes it so may stand elsewhere in it. */
function take(quote: string, path: string, passage: Passage, session: RouterSession, read: Read): void {
  const found = locate(quote, passage)
  if (!found) read.madeUp += 1
  else read.evidence.push({ path, ...found, seen: session.sensitivity } satisfies Evidence)
}

async function readFile(
  node: MeshNode,
  { path, workspace }: Pick<Asked, 'path' | 'workspace'>,
  session: RouterSession,
  context: Context,
): Promise<string> {
  const { rules } = await routerOf(node)
  const parts: string[] = []
  for (let from: number | null = 1; from !== null; ) {
    const call: ToolCall = { name: 'read_lines', arguments: { path, from, count: linesAtOnce } }
    const brings = sensitivityOfCall(rules, call)
    if (brings) session.raise(brings)
    const { outcome } = await act(node, call, context, { workspace })
    if (outcome.status !== 'done')
      throw new ClawmeshError('TASK_FAILED', `${path} cannot be read: ${outcome.reason}.`, {
        hint: 'Leave it out of the sources.',
      })
    const { text, next, truncated } = pageSchema.parse(outcome.result)
    if (truncated)
      throw new ClawmeshError('TASK_FAILED', `${path} cannot be read: line ${from} is too long.`, {
        hint: 'Break its lines.',
      })
    parts.push(text)
    from = next
  }
  return parts.join('')
}

export const isUrl = (source: string): boolean => /^https?:\/\//i.test(source)

/** What the mesh asks for it carries nothing of what was seen: a person named the address. */
async function readPage(node: MeshNode, url: string, context: Context): Promise<string> {
  const { outcome } = await act(node, { name: 'http_fetch', arguments: { url } }, context)
  if (outcome.status !== 'done')
    throw new ClawmeshError('TASK_FAILED', `${url} cannot be read: ${outcome.reason}`, {
      hint: 'Leave it out of the sources.',
    })
  const { status, page } = fetchedSchema.parse(outcome.result)
  if (status >= 200 && status < 300) return page
  throw new ClawmeshError('TASK_FAILED', `${url} cannot be read: it answers ${status}.`, {
    hint: 'Leave it out of the sources.',
  })
}

const fetchedSchema = z.looseObject({ status: z.int(), page: z.string() })
const pageSchema = z.looseObject({ text: z.string(), next: z.int().nullable(), truncated: z.boolean() })

interface Asking {
  node: MeshNode
  name: string
  model: string
  session: RouterSession
  context: Context
}

/** undefined where the model's answers cannot be used. */
async function quotesFrom(
  { node, name, model, session, context }: Asking,
  messages: ChatMessage[],
  read: Read,
): Promise<string[] | undefined> {
  const { deadline, signal, trace, grant } = context
  for (const [attempt, temperature] of [0, 0.5].entries()) {
    const answer = await think(
      node,
      { messages, maxTokens: answerTokens, temperature, ...(attempt > 0 ? { seed: attempt } : {}) },
      {
        model,
        session,
        actor: name,
        deadline,
        signal,
        trace,
        grant,
        onUse: (use) => read.used.push(usedSchema.parse(use)),
      },
    ).catch((error: unknown) => {
      if (ClawmeshError.from(error).code === 'MODEL_FAILED') return undefined
      throw error
    })
    const quotes = answer && readQuotes(answer.text)
    if (quotes) return quotes
  }
  return undefined
}
