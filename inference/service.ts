/** The models of a node as an actor: what others send to a node that serves some. */

import { z } from 'zod'
import { actor, message, on } from '../mesh/index.js'
import { generateEventSchema, generateRequestSchema, modelInfoSchema } from './backend.js'
import type { Shelf } from './shelf.js'

export const Generate = message('inference.generate', {
  /** Without a model's name it is the node's first. */
  request: generateRequestSchema.extend({ model: z.string().optional() }),
  item: generateEventSchema,
  from: ['worker', 'supervisor', 'router', 'gateway'],
  to: ['inference'],
})

/** Asked with the name of a model; null: the node's first. */
export const DescribeModel = message('inference.describe', { request: z.string().nullable(), reply: modelInfoSchema })

export const inferenceName = (node: string) => `inference/${node}`

/** Requests wait here only as long as the backend's own queue lets them: it says MODEL_BUSY, this never does. */
export const inferenceService = (shelf: Shelf) =>
  actor(
    'inference',
    () => [
      on(Generate, ({ model, ...request }, { signal }) => shelf.generate(model, request, signal)),
      on(DescribeModel, (model) => shelf.describe(model ?? undefined)),
    ],
    { args: z.undefined(), concurrency: 256 },
  )
