import { onnxruntimeEnvironment } from '../../mesh/onnxruntime.js'

/** For what is tried and measured: nothing is told to the makers of onnxruntime, and a model server that happens to run on this machine is no part of it. */
export const undisturbed = { ...onnxruntimeEnvironment, CLAWMESH_MODEL_URL: 'shipped' } as const
