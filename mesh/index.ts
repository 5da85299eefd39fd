/**
 * The fabric: sealed, supervised, audited actors.
 *
 *     const Greet = message('greet', { request: z.string(), reply: z.string() })
 *     const greeter = actor('greeter', () => [on(Greet, (name) => `Hello ${name}.`)])
 *
 *     const mesh = await localMesh()
 *     const ref = await mesh.spawn(greeter)
 *     console.log(await ref.ask(Greet, 'Ada'))
 *     await mesh.close()
 */
export {
  type ActorDefinition,
  actor,
  type CallOptions,
  type Context,
  type MailOptions,
  on,
  type Self,
} from './actor/actor.js'
export type { SpawnOptions } from './actor/local-actors.js'
export { type Message, message, nothing, type StreamMessage } from './actor/message.js'
export { ActorRef } from './actor/ref.js'
export { type Child, isHost, type SuperviseOptions, type Supervisor } from './actor/supervision.js'
export { supervise, supervisor } from './actor/supervisor.js'
export type { Span, SpanSink } from './calls/spans.js'
export type { Grant } from './capability/grant.js'
export { type Ability, abilityOf, allows, type Terms, type Use, type Wanted } from './capability/terms.js'
export { localMesh } from './local.js'
export { serveMail } from './mail/serve.js'
export type { NodeInfo } from './membership.js'
export { type JoinOptions, joinMesh, MeshNode } from './node.js'
export type { Lost, Post, SubscribeOptions } from './room/history.js'
export type { Room } from './room/room.js'
export type { PublishOptions } from './room/speaker.js'
