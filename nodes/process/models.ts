/** Which model a node serves: one that a server on this machine already has, else the small one that ships. */
import type { Backend } from '../../inference/backend.js'
import { shippedModelFolder } from '../../inference/models.js'
import { OnnxBackend } from '../../inference/onnx/backend.js'
import { OpenAiBackend } from '../../inference/openai/backend.js'
import { nameIt } from '../../inference/openai/owner.js'
import { probeServers } from '../../inference/openai/probe.js'
import { isTritonUrl } from '../../inference/triton/address.js'
import { log } from '../log.js'
import type { NodePlan } from './plan.js'

export interface OpenedModels {
  backend: Backend
  /** What the person should know of the choice. */
  notes: string[]
}

export async function openModels({
  modelUrl,
  probe,
  folder,
}: NonNullable<NodePlan['inference']>): Promise<OpenedModels> {
  // One that the person named must be there; one that is found must have a model to be of use.
  if (modelUrl !== undefined) return { backend: await openNamed(modelUrl), notes: [] }
  const found = probe ? (await probeServers(undefined)).filter(({ models }) => models.length > 0) : []
  const notes = found.flatMap(({ base, distrust }) =>
    distrust === undefined ? [] : [`the model server at ${base} is not used: ${distrust}. ${nameIt}`],
  )
  const server = found.find(({ distrust }) => distrust === undefined)
  if (!server) return { backend: await OnnxBackend.open({ folder: folder ?? shippedModelFolder }), notes }
  log.info({ base: server.base, kind: server.kind }, 'a model server was found on this machine')
  return { backend: await OpenAiBackend.open({ url: server.base, found: true }), notes }
}

async function openNamed(url: string): Promise<Backend> {
  if (!isTritonUrl(url)) return OpenAiBackend.open({ url })
  // Loaded when it is wanted: gRPC would be a part of every node's start.
  const { TritonBackend } = await import('../../inference/triton/backend.js')
  return TritonBackend.open({ url })
}
