/**
 * Models, wherever they run, behind one small interface.
 *
 *     const backend = await OnnxBackend.open({ folder: shippedModelFolder })
 *     const messages = [{ role: 'user', content: 'how many lines has notes.txt?' }]
 *     const { calls } = await collect(backend.generate({ messages, tools, maxTokens: 128, temperature: 0 }))
 *     // [{ name: 'count_lines', arguments: { path: 'notes.txt' } }]
 *     await backend.dispose()
 */
export {
  type Answer,
  type Backend,
  type ChatMessage,
  chatMessageSchema,
  checkRequest,
  collect,
  type GenerateEvent,
  type GenerateRequest,
  generateEventSchema,
  generateRequestSchema,
  type ModelInfo,
  modelInfoSchema,
  type Usage,
} from './backend.js'
export { type HardwareAdvert, hardwareAdvertSchema, readHardware } from './hardware.js'
export { openModel, shippedModelFolder } from './models.js'
export { OnnxBackend, type OnnxOptions } from './onnx/backend.js'
export { OpenAiBackend, type OpenAiOptions } from './openai/backend.js'
export { type FoundServer, probeServers } from './openai/probe.js'
export { type ToolCall, type ToolSpec, toolCallSchema, toolSpecSchema } from './tool.js'
