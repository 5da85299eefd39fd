/** One completion, from the question to its last byte. */
import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Answer, GenerateEvent, GenerateRequest } from '../../../inference/backend.js'
import type { MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type People, whyRefused } from '../../../policies/people.js'
import { auto, servedModels, whyDrained } from '../../agents/model/candidate.js'
import { tokensOf } from '../../agents/model/costs.js'
import { openSession } from '../../agents/model/privacy.js'
import { think } from '../../agents/model/think.js'
import type { DataSubject } from '../../data-subject.js'
import { log } from '../../log.js'
import { EventStream } from '../http/event-stream.js'
import type { GatewayLimits } from '../http/limits.js'
import type { Metrics } from '../http/metrics.js'
import { Forbidden, Refusal, refusalOf } from '../http/refusal.js'
import { checkServed } from '../rest/view.js'
import type { AnswerHead, Asked } from './asked.js'

export interface Desk {
  node: MeshNode
  limits: GatewayLimits
  metrics: Metrics
  /** The policies that say who may ask which model, as they are now. */
  people: () => People
  /** Whom it is about what a key asks for; undefined where there is no authority. */
  aboutCaller: (key: string | undefined) => DataSubject | undefined
  /** The gateway is closing. */
  closing: AbortSignal
}

export async function complete(
  desk: Desk,
  request: FastifyRequest,
  reply: FastifyReply,
  parse: (body: unknown) => Asked,
): Promise<unknown> {
  const { node, limits, metrics } = desk
  const asked = parse(request.body)
  const { question, model, misfit } = asked
  checkLength(request, question, limits.body)
  checkTaken(desk, request, model)
  checkServed(node)
  const known = servedModels(node)
  if (model !== auto && !known.includes(model))
    throw new Refusal(404, 'NOT_FOUND', `The mesh serves no model "${model}". It serves ${known.join(', ')}.`)
  const policies = checkModel(desk, request, model === auto ? [auto, ...known] : [model])
  const trace = randomUUID()
  desk.aboutCaller(request.principal?.name)?.file(trace)
  const head: AnswerHead = { id: `${asked.prefix}${trace}`, created: Math.floor(Date.now() / 1000), model }
  const signal = AbortSignal.any([desk.closing, untilGone(reply)])
  const stream = asked.stream ? new EventStream(reply, signal) : undefined
  const chunks = asked.chunks(head)
  const send = async (event: GenerateEvent) => {
    for (const chunk of stream ? chunks(event) : []) await stream?.send(JSON.stringify(chunk))
  }
  const note = (kind: 'gateway.asked' | 'gateway.answered', facts: Record<string, unknown>) =>
    node.note(kind, { key: request.principal?.name, ...facts }, trace, 'gateway')
  let ended = false
  let unfit: string | undefined
  let recording: Promise<unknown> | undefined
  const onRecording = (begun: Promise<unknown>) => {
    recording = begun
  }
  try {
    const answer = await think(node, question, {
      model,
      ...(model === auto ? { among: known } : {}),
      session: await openSession(node, trace, asked.label),
      actor: 'gateway',
      noteAsked: () =>
        note('gateway.asked', {
          role: request.principal?.role,
          policies,
          model,
          messages: question.messages.length,
          characters: question.messages.reduce((sum, { content }) => sum + content.length, 0),
          images: question.messages.reduce((sum, { images = [] }) => sum + images.length, 0),
          tools: question.tools?.map(({ name }) => name) ?? [],
          stream: stream !== undefined,
        }),
      noteAnswered: (whole) => {
        ended = true
        unfit = misfit?.(whole)
        const error = unfit === undefined ? {} : { error: 'MODEL_FAILED' }
        return note('gateway.answered', { reason: whole.reason, tokens: tokensOf(whole.usage), ...error })
      },
      // The end of a stream need not wait for the disk: all of it is out by then.
      ...(stream ? { onRecording } : {}),
      // Of `auto` the answer says what it was.
      onModel: (chosen) => {
        head.model = chosen
      },
      deadline: node.now() + limits.answerMs,
      signal,
      trace,
      stop: asked.stop,
      // What was sent cannot be taken back: an answer that breaks off is told so, not begun again.
      again: () => !stream?.hasBegun,
      // One that must fit is held until it is whole and does.
      onEvent: (event) => (misfit ? undefined : send(event)),
    })
    metrics.used(answer.usage)
    if (unfit !== undefined) throw unfitting(unfit)
    if (!stream) return asked.whole(head, answer)
    if (misfit) for (const event of eventsOf(answer)) await send(event)
    await stream.send('[DONE]')
    return reply
  } catch (error) {
    const refusal = signal.aborted
      ? new Refusal(499, 'CANCELLED', 'The answer is not wanted any more.')
      : refusalOf(error)
    if (!ended) await note('gateway.answered', { error: refusal.code })
    if (!stream?.hasBegun) throw refusal.status === 500 ? error : refusal
    if (!signal.aborted) await stream.send(JSON.stringify(refusal.body))
    return reply
  } finally {
    stream?.end()
    await recording?.catch((error: unknown) => log.error({ err: error }, 'what an answer used could not be recorded'))
  }
}

/** Images have room of their own: what else a body holds is no longer than that of any other request. Throws 413. */
function checkLength({ body }: FastifyRequest, { messages }: GenerateRequest, most: number): void {
  const shown = messages.flatMap(({ images = [] }) => images)
  const length = JSON.stringify(body).length - shown.reduce((sum, { data }) => sum + data.length, 0)
  if (length > most)
    throw new Refusal(
      413,
      'MESSAGE_INVALID',
      `The request is ${length} characters without its images; ${most} are taken.`,
    )
}

/** Throws 503 where nodes have the model and none of them takes requests for it now: it is not one that nobody knows. */
export function checkTaken(desk: Desk, request: FastifyRequest, model: string): void {
  const why = whyDrained(desk.node, model)
  if (why === undefined) return
  checkModel(desk, request, [model])
  throw new ClawmeshError('UNREACHABLE', `The model "${model}" takes no new requests now: ${why}.`, {
    hint: `Ask again later. Served now: ${servedModels(desk.node).join(', ') || 'none'}.`,
  })
}

/** Throws 403 unless each of these may be asked: whoever leaves the choice to the mesh must be allowed all that it can choose. Gives the policies that say so. */
export function checkModel({ people }: Desk, { principal }: FastifyRequest, models: readonly string[]): string[] {
  if (!principal) throw new Refusal(401, 'UNAUTHENTIC', 'There is no key.')
  const by = new Set<string>()
  for (const id of models) {
    const ruling = people().decide(principal, 'askModel', { type: 'Model', id })
    if (!ruling.allowed)
      throw new Forbidden(`The key ${principal.name} may not ask the model ${id}: ${whyRefused(ruling)}.`)
    for (const policy of ruling.by) by.add(policy)
  }
  return [...by]
}

const eventsOf = ({ text, calls, reason, usage }: Answer): GenerateEvent[] => [
  ...(text === '' ? [] : [{ type: 'token' as const, text }]),
  ...calls.map((call) => ({ type: 'call' as const, call })),
  { type: 'done', reason, usage },
]

const unfitting = (why: string) =>
  new ClawmeshError('MODEL_FAILED', `The model's answer is not what response_format asks for: ${why}.`, {
    hint: 'Ask again, allow more tokens, or ask a more capable model.',
  })

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
