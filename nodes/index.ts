/**
 * clawmesh as a library.
 *
 *     import { actor, localMesh, message, on } from 'clawmesh'
 *
 *     const Greet = message('greet', { request: z.string(), reply: z.string() })
 *     const mesh = await localMesh()
 *     const ref = await mesh.spawn(actor('greeter', () => [on(Greet, (name) => `Hello ${name}.`)]))
 *     await ref.ask(Greet, 'Ada')     // 'Hello Ada.'
 *     await mesh.close()
 *
 * Agents, debates and coordination stand on actors:
 *
 *     await serveModel(mesh, await OnnxBackend.open({ folder: shippedModelFolder }))
 *     await mesh.spawn(agent(mesh, { name: 'clerk', instructions: 'Do sums.', tools: ['calculate'] }))
 *     const { answer } = await runTask(mesh.ref('clerk'), 'What is 6 times 7?')
 *
 * On a mesh that runs, by an invitation (`clawmesh invite`), the same: `const { node } = await joinByInvitation({ data: 'clerk', invitation })`.
 */
export type { Backend } from '../inference/backend.js'
export { shippedModelFolder } from '../inference/models.js'
export { OnnxBackend } from '../inference/onnx/backend.js'
export { OpenAiBackend } from '../inference/openai/backend.js'
export { addressesOf } from '../mesh/address.js'
export {
  type ActorDefinition,
  ActorRef,
  actor,
  type CallOptions,
  type Child,
  type Context,
  type Grant,
  type JoinOptions,
  joinMesh,
  localMesh,
  type MailOptions,
  MeshNode,
  type Message,
  message,
  type NodeInfo,
  nothing,
  on,
  type Self,
  type Span,
  type SpanSink,
  type SpawnOptions,
  type StreamMessage,
  type SuperviseOptions,
  type Supervisor,
  serveMail,
  supervise,
  supervisor,
  type Wanted,
} from '../mesh/index.js'
export type { LocalMeshOptions } from '../mesh/local.js'
export { type Authority, createAuthority } from '../mesh/seal/authority.js'
export { type Credentials, enrol, readCredentials } from '../mesh/seal/credentials.js'
export { openTasks, type Tasks } from '../mesh/task/tasks.js'
export { MemoryBroker } from '../mesh/transport/memory.js'
export { connectNats, type NatsOptions } from '../mesh/transport/nats.js'
export type { Principal } from '../policies/decide.js'
export { ClawmeshError, type ErrorCode, type ErrorDetail } from '../policies/errors.js'
export type { Role } from '../policies/roles.js'
export { AskApproval } from '../sandbox/approval.js'
export { loadProfile } from '../sandbox/preset.js'
export { type AgentOptions, agent, runTask } from './agents/agent/agent.js'
export { type AgentEvent, type AgentResult, RunTask } from './agents/agent/event.js'
export { answerInterruption, type Interruption, interruptions } from './agents/agent/journal.js'
export { lowerRun } from './agents/agent/label.js'
export { ownTool } from './agents/agent/own-tool.js'
export { type AgentTool, delegate, handoff } from './agents/agent/tool.js'
export type { Part } from './agents/coordinate/assign.js'
export {
  type Coordinated,
  type Coordination,
  coordinate,
  mapFiles,
  planSchema,
} from './agents/coordinate/coordinate.js'
export { type Ballot, CastBallot, JudgeDebate } from './agents/debate/ballot.js'
export { type Outcome, replay } from './agents/debate/course.js'
export { type DebateResult, debate } from './agents/debate/debate.js'
export { debater } from './agents/debate/debater.js'
export type { DebateSpec, Topology } from './agents/debate/rules.js'
export { judges, votes } from './agents/debate/seat.js'
export type { Transcript } from './agents/debate/transcript.js'
export { type McpOptions, serveMcp } from './agents/mcp/host.js'
export { LoginFile } from './agents/mcp/login-file.js'
export type { LocalServer, McpServer, RemoteServer, StdioServer } from './agents/mcp/server.js'
export { type McpTool, mcpTools } from './agents/mcp/tool.js'
export { type Memory, type MemoryOptions, openMemory, type Remembered } from './agents/memory/memory.js'
export { reader } from './agents/research/reader.js'
export { type Research, type ResearchResult, research } from './agents/research/research.js'
export {
  type Caller,
  type Catalog,
  type CatalogPrompt,
  type CatalogResource,
  type CatalogTool,
  catalogTool,
} from './catalog/catalog.js'
export type { Content, Elicit, Elicited, Held, Said, Sample, Sampled } from './catalog/content.js'
export { type CatalogOptions, serveCatalog } from './catalog/host.js'
export { type ElsewhereOptions, serveElsewhere } from './elsewhere.js'
export { joinByInvitation, type Program } from './member/program.js'
export { serveModel, serveSandbox } from './process/serve.js'
