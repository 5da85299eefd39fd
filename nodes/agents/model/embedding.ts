/**
 * Vectors of texts, by the models of the mesh that make them. The texts are a prompt like any other: judged by the rules before a model sees them, and what
 * they used is on the audit trail. No provider elsewhere is asked for vectors.
 */
import { Embed, inferenceName } from '../../../inference/service.js'
import type { MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Candidate, candidates } from './candidate.js'
import { permitted } from './choice.js'
import { recordUse } from './costs.js'
import { routerOf } from './privacy.js'
import type { Thinking } from './think.js'

export interface Embedding extends Pick<Thinking, 'session' | 'actor' | 'deadline' | 'signal' | 'trace' | 'noteAsked'> {
  model: string
  /** In one breath with what it used. */
  noteAnswered?: (made: Embedded) => Promise<void>
}

export interface Embedded {
  /** One for each text, in their order. */
  vectors: number[][]
  /** null: the server behind the model does not say. */
  promptTokens: number | null
}

/** Names of the models that make vectors now, each once. */
export const embeddingModels = (node: MeshNode): string[] =>
  [...new Set(embedders(node).map(({ model }) => model))].sort()

/** Throws UNREACHABLE where no node has the model, NOT_FOUND where its server makes no vectors, DENIED where the rules keep the texts from all, and what a model throws. */
export async function embed(node: MeshNode, texts: readonly string[], embedding: Embedding): Promise<Embedded> {
  const { model, session, actor, deadline, signal, trace, noteAsked, noteAnswered } = embedding
  const prompt = { messages: texts.map((content) => ({ role: 'user' as const, content })), maxTokens: 1 }
  const router = await routerOf(node)
  const [{ decision }] = await Promise.all([
    router.judge(session, prompt, { roles: node.roles, actor, trace }),
    noteAsked?.(),
  ])
  const able = embedders(node).filter((candidate) => candidate.model === model)
  const [chosen] = able.length > 0 ? permitted(candidates(node), decision, able) : []
  if (!chosen)
    throw new ClawmeshError('UNREACHABLE', `No node in the mesh makes embeddings with the model "${model}".`, {
      hint: 'Start a node with `--model URL` of a server that does.',
    })
  const begun = node.now()
  let made: Embedded | undefined
  let hasBegun = false
  try {
    const vectors: number[][] = []
    const events = node
      .ref(inferenceName(chosen.name))
      .stream(Embed, { texts: [...texts] }, { deadline, signal, trace })
    for await (const event of events) {
      hasBegun = true
      if (event.type === 'vector') vectors.push(event.vector)
      else if (vectors.length === texts.length) made = { vectors, promptTokens: event.promptTokens }
    }
    if (made) return made
    throw new ClawmeshError('MODEL_FAILED', `${model} made no vector for some of the texts.`, { hint: 'Ask again.' })
  } finally {
    const tokens = made?.promptTokens ?? null
    const usage = tokens === null ? null : { promptTokens: tokens, outputTokens: 0 }
    const used = { trace, actor, model, zone: 'mesh' as const, usage, seconds: (node.now() - begun) / 1000 }
    if (hasBegun) await Promise.all([recordUse(node, used), made && noteAnswered?.(made)])
  }
}

function embedders(node: MeshNode): Candidate[] {
  // It is the first model of a node that makes them, if one does.
  const models = new Map(
    node.nodes().flatMap(({ name, advert }) => (advert['embeds'] === true ? [[name, advert['model']] as const] : [])),
  )
  return candidates(node).filter(
    ({ name, model, zone, holder }) => zone === 'mesh' && holder === undefined && models.get(name) === model,
  )
}
