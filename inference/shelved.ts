import { ClawmeshError } from '../policies/errors.js'
import type { Backend, ModelInfo } from './backend.js'
import type { MeteredBackend, Pace } from './metered.js'
import { memoryNeeded } from './place.js'

/** A model on this machine's disk, as far as it is known without loading it. */
export interface StoredModel {
  info: ModelInfo
  slots: number
  /** Bytes of the files and of what all slots hold at any length, and of keys and values for each token. */
  weights: number
  kvBytesPerToken: number
  open(): Promise<Backend>
}

/** A model on a shelf, loaded or not. */
export interface Shelved {
  info: ModelInfo
  /** Ids of the GPUs that it computes on. */
  devices: readonly string[]
  /** Left out for one that was opened before, and stays. */
  stored?: StoredModel
  backend?: MeteredBackend
  loading?: Promise<MeteredBackend>
  /** Requests under way, those that wait for the load included. */
  users: number
  /** On this process's clock: when the last of them ended. */
  usedAt: number
  loadMs: number
  pace?: Pace
  /** Why its server would give no answer, when it was last asked. */
  away?: string | undefined
  /** Why it is loaded no more. */
  broken?: string
}

/** What is offered of one that is not loaded. */
export const sizes = ({ weights, kvBytesPerToken }: StoredModel) => ({ weights, kvBytesPerToken })

/** Bytes; 0 for one that stays anyway. */
export function neededBy({ stored, info }: Shelved): number {
  if (!stored) return 0
  const unloaded = { ...sizes(stored), free: 0, loadMs: 0 }
  return memoryNeeded({ unloaded, slots: stored.slots, context: info.context })
}

export function memoryFull(model: string, needed: number, free: number): ClawmeshError {
  return new ClawmeshError('MEMORY_FULL', `${model} needs ${needed} bytes of memory, and ${free} are free for it.`, {
    hint: 'Free some memory, allow more with --model-memory, or ask a smaller model.',
    data: { needed: Math.ceil(needed), free },
  })
}
