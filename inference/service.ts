/** A model as an actor: what others send to a node that serves one. */

import { z } from 'zod'
import { nothing } from '../mesh/actor/message.js'
import { actor, message, on } from '../mesh/index.js'
import { ClawmeshError } from '../policies/errors.js'
import {
  type Backend,
  embedEventSchema,
  generateEventSchema,
  generateRequestSchema,
  modelInfoSchema,
} from './backend.js'

export const Generate = message('inference.generate', {
  request: generateRequestSchema,
  item: generateEventSchema,
  from: ['worker', 'supervisor', 'router', 'gateway'],
  to: ['inference'],
})

export const Embed = message('inference.embed', {
  request: z.object({ texts: z.array(z.string()).min(1).max(256) }),
  item: embedEventSchema,
  from: ['worker', 'supervisor', 'router', 'gateway'],
  to: ['inference'],
})

export const DescribeModel = message('inference.describe', { request: nothing, reply: modelInfoSchema })

export const inferenceName = (node: string) => `inference/${node}`

/** Requests wait here only as long as the backend's own queue lets them: it says MODEL_BUSY, this never does. */
export const inferenceService = (backend: Backend) =>
  actor(
    'inference',
    () => [
      on(Generate, (request, { signal }) => backend.generate(request, signal)),
      on(Embed, ({ texts }, { signal }) => {
        if (backend.embed) return backend.embed(texts, signal)
        throw new ClawmeshError('MODEL_UNSUITED', `${backend.model.name} makes no embeddings.`, {
          hint: 'Name a model server that does: `--model URL`.',
        })
      }),
      on(DescribeModel, () => backend.model),
    ],
    { args: z.undefined(), concurrency: 256 },
  )
