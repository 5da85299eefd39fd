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
 * A node of a mesh of many processes joins with its credentials: `joinMesh({ credentials: readCredentials(file, Date.now()), transport:
 * await connectNats({ servers, seed, name }) })`.
 */
export {
  type ActorDefinition,
  ActorRef,
  actor,
  type CallOptions,
  type Child,
  type Context,
  type JoinOptions,
  joinMesh,
  localMesh,
  MeshNode,
  type Message,
  message,
  type NodeInfo,
  nothing,
  on,
  type Self,
  type SpawnOptions,
  type StreamMessage,
  type SuperviseOptions,
  type Supervisor,
  supervise,
} from '../mesh/index.js'
export type { LocalMeshOptions } from '../mesh/local.js'
export { type Authority, createAuthority } from '../mesh/seal/authority.js'
export { type Credentials, enrol, readCredentials } from '../mesh/seal/credentials.js'
export { MemoryBroker } from '../mesh/transport/memory.js'
export { connectNats, type NatsOptions } from '../mesh/transport/nats.js'
export type { Principal } from '../policies/decide.js'
export { ClawmeshError, type ErrorCode, type ErrorDetail } from '../policies/errors.js'
export type { Role } from '../policies/roles.js'
