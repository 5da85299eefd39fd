import { join } from 'node:path'
import { ClawmeshError } from '../policies/errors.js'
import { describeModel } from './models.js'
import { OnnxBackend, type OnnxOptions } from './onnx/backend.js'
import { readConfig } from './onnx/config.js'
import { readCarried } from './onnx/inputs.js'
import type { StoredModel } from './shelved.js'

/** The graph as it is loaded, and weights that lie in files of their own. */
const weightFile = /^model\.onnx$|\.onnx[._]data(_\d+)?$/

/** Answers side by side of a model that comes and goes: each may take its whole context of memory. */
const slots = 4

/**
 * A model folder on this disk, as it can be offered without loading it: sizes from its config.json and from what its graph takes, its digest from the manifest. What the manifest says is checked
 * when it is loaded. Throws MODEL_BROKEN, and MODEL_UNSUITED for a folder without a graph that the built-in backend loads.
 */
export async function readStored(
  folder: string,
  name: string,
  options: Partial<OnnxOptions> = {},
): Promise<StoredModel> {
  const { digest, files, model } = await describeModel(folder, 'config.json')
  const graph = files.find(({ path }) => path === 'model.onnx')
  if (!graph)
    throw new ClawmeshError('MODEL_UNSUITED', `${name} has no single graph: there is no model.onnx in ${folder}.`, {
      hint: 'Pull one with --include, so that it is the only one: "*.json,onnx/model_q4.onnx".',
    })
  const { shape, info } = readConfig(model)
  const { kvHeads, headDim, layers } = shape
  // Of a graph that does not say it, the larger ones.
  const { numberBytes = Float32Array.BYTES_PER_ELEMENT, stateBytes } = await readCarried(join(folder, graph.path))
  return {
    info: { ...info, name, digest },
    slots,
    weights: files.reduce((sum, { path, bytes }) => sum + (weightFile.test(path) ? bytes : 0), slots * stateBytes),
    // Keys and values.
    kvBytesPerToken: 2 * layers * kvHeads * headDim * numberBytes,
    open: () => OnnxBackend.open({ folder, slots, ...options }),
  }
}
