/** One form of tagger, loaded. Runs in the process of the tagger. */
import { InferenceSession } from 'onnxruntime-node'
import type { Tag } from './tagger.js'

export interface Adapter {
  tag(text: string): Promise<Tag[]>
}

export const openSession = (model: Uint8Array): Promise<InferenceSession> =>
  InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: 3,
  })
