/** `--model`: which model the mesh of a command serves. */
import { resolve } from 'node:path'
import type { NodePlan } from '../plan.js'
import type { Option } from './command.js'

export const modelOption: Option = {
  type: 'string',
  value: 'DIR|URL|shipped',
  help: 'a model folder to serve, a model server on this machine (http://… OpenAI-compatible, grpc://HOST:8001/MODEL Triton), or the shipped model (default: a server that is found, else the shipped one)',
}

/** `modelUrl` is what the configuration says. */
export function readModel(model: string | undefined, modelUrl: string | undefined): NonNullable<NodePlan['inference']> {
  if (model === undefined) return { modelUrl, probe: true }
  if (/^[a-z]+:\/\//i.test(model)) return { modelUrl: model, probe: false }
  return { folder: model === 'shipped' ? undefined : resolve(model), probe: false }
}
