/** One chat completion, from the question to its last byte. */
import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { MeshNode } from '../../../mesh/index.js'
import { auto, servedModels, think, tokensOf } from '../../agents/model.js'
import { openSession } from '../../agents/privacy.js'
import { EventStream } from '../http/event-stream.js'
import type { GatewayLimits } from '../http/limits.js'
import type { Metrics } from '../http/metrics.js'
import { Refusal, refusalOf } from '../http/refusal.js'
import { readiness } from '../rest/view.js'
import { type ChatHead, chunksOf, completionOf, generateRequestOf, parseChat } from './chat.js'

export interface Desk {
  node: MeshNode
  limits: GatewayLimits
  metrics: Metrics
  /** The gateway is closing. */
  closing: AbortSignal
}

export async function complete(desk: Desk, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { node, limits, metrics } = desk
  const asked = parseChat(request.body)
  const question = generateRequestOf(asked)
  readiness(node)
  const known = servedModels(node)
  if (asked.model !== auto && !known.includes(asked.model))
    throw new Refusal(404, 'NOT_FOUND', `The mesh serves no model "${asked.model}". It serves ${known.join(', ')}.`)
  const trace = randomUUID()
  const head: ChatHead = { id: `chatcmpl-${trace}`, created: Math.floor(Date.now() / 1000), model: asked.model }
  const signal = AbortSignal.any([desk.closing, untilGone(reply)])
  const stream = asked.stream ? new EventStream(reply, signal) : undefined
  const chunks = chunksOf(head, asked.stream_options?.include_usage === true)
  const note = (kind: 'gateway.asked' | 'gateway.answered', facts: Record<string, unknown>) =>
    node.note(kind, { key: request.principal?.name, ...facts }, trace, 'gateway')
  try {
    const answer = await think(node, question, {
      model: asked.model,
      session: await openSession(node, trace, asked.metadata?.label),
      actor: 'gateway',
      noteAsked: () =>
        note('gateway.asked', {
          role: request.principal?.role,
          model: asked.model,
          messages: question.messages.length,
          characters: question.messages.reduce((sum, { content }) => sum + content.length, 0),
          tools: question.tools?.map(({ name }) => name) ?? [],
          stream: stream !== undefined,
        }),
      noteAnswered: ({ reason, usage }) => note('gateway.answered', { reason, tokens: tokensOf(usage) }),
      // Of `auto` the answer says what it was.
      onModel: (model) => {
        head.model = model
      },
      deadline: node.now() + limits.answerMs,
      signal,
      trace,
      // What was sent cannot be taken back: an answer that breaks off is told so, not begun again.
      again: () => !stream?.hasBegun,
      onEvent: async (event) => {
        for (const chunk of stream ? chunks(event) : []) await stream?.send(JSON.stringify(chunk))
      },
    })
    metrics.used(answer.usage)
    if (!stream) return completionOf(head, answer)
    await stream.send('[DONE]')
    return reply
  } catch (error) {
    const refusal = signal.aborted
      ? new Refusal(499, 'CANCELLED', 'The answer is not wanted any more.')
      : refusalOf(error)
    await note('gateway.answered', { error: refusal.code })
    if (!stream?.hasBegun) throw refusal.status === 500 ? error : refusal
    if (!signal.aborted) await stream.send(JSON.stringify(refusal.body))
    return reply
  } finally {
    stream?.end()
  }
}

/** Aborted when the client has gone away before it had its answer. */
export function untilGone({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  const look = () => {
    if (!raw.writableFinished) gone.abort()
  }
  // It may be gone already: then no event will say so.
  if (raw.closed) look()
  else raw.once('close', look)
  return gone.signal
}
