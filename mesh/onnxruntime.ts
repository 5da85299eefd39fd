/**
 * What every process that computes by onnxruntime has in its environment. From 1.30 on the library tells its makers of each session, and keeps a file for that
 * where it is started. Nothing of a mesh is told to anybody: this is its own switch, and the processes have no network either, where the kernel takes it away.
 */
export const onnxruntimeEnvironment = { ORT_DISABLE_TELEMETRY: '1' } as const
