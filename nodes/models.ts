/** Which model a node serves: one that a server on this machine already has, else the small one that ships. */
import type { Backend } from '../inference/backend.js'
import { shippedModelFolder } from '../inference/models.js'
import { OnnxBackend } from '../inference/onnx/backend.js'
import { OpenAiBackend } from '../inference/openai/backend.js'
import { probeServers } from '../inference/openai/probe.js'
import { isTritonUrl } from '../inference/triton/address.js'
import { log } from './log.js'
import type { NodePlan } from './plan.js'

export async function openModels({ modelUrl, probe, folder }: NonNullable<NodePlan['inference']>): Promise<Backend> {
  // One that the person named must be there; one that is found must have a model to be of use.
  if (modelUrl !== undefined)
    return isTritonUrl(modelUrl) ? openTriton(modelUrl) : OpenAiBackend.open({ url: modelUrl })
  const server = probe ? (await probeServers(undefined)).find(({ models }) => models.length > 0) : undefined
  if (server) {
    log.info({ base: server.base, kind: server.kind }, 'a model server was found on this machine')
    return OpenAiBackend.open({ url: server.base })
  }
  return OnnxBackend.open({ folder: folder ?? shippedModelFolder })
}

/** Loaded when it is wanted: gRPC would be a part of every node's start. */
async function openTriton(url: string): Promise<Backend> {
  const { TritonBackend } = await import('../inference/triton/backend.js')
  return TritonBackend.open({ url })
}
