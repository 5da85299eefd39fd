/** The actors that every node runs about itself: others ask it to start and stop actors there, and speak with it about rooms. */
import { z } from 'zod'
import type { MeshNode } from '../node.js'
import type { Rooms } from '../room/rooms.js'
import { type ActorDefinition, actor, on } from './actor.js'
import { message, nothing } from './message.js'

export const StartActor = message('node.start-actor', {
  request: z.object({
    definition: z.string(),
    as: z.string(),
    args: z.unknown(),
    supervisor: z.object({ name: z.string(), run: z.number() }),
  }),
  reply: nothing,
  from: ['authority', 'supervisor'],
})

/** `of`: only if it was started for this supervisor and, where that is said, in this run: what a later one has started is none of an earlier one's. */
export const StopActor = message('node.stop-actor', {
  request: z.object({ name: z.string(), of: z.object({ name: z.string(), run: z.number().optional() }).optional() }),
  reply: nothing,
  from: ['authority', 'supervisor'],
})

/** To a supervisor: a run of one of its children crashed; `run` is what the order to start it said. */
export const ActorDown = message('node.actor-down', {
  request: z.object({ name: z.string(), run: z.number(), reason: z.string() }),
  reply: nothing,
  to: ['authority', 'supervisor'],
})

export const nodeActorName = (node: string) => `node/${node}`

export const roomsActor = (rooms: Rooms): ActorDefinition =>
  actor('rooms', () => rooms.handlers(), { args: z.unknown(), concurrency: 8 })

export function nodeActor(node: MeshNode): ActorDefinition {
  return actor(
    'node',
    () => [
      on(StartActor, async ({ definition, as, args, supervisor }) => {
        await node.spawnHosted(definition, { as, args, supervisor })
        return null
      }),
      on(StopActor, async ({ name, of }) => {
        await node.stop(name, of)
        return null
      }),
    ],
    { args: z.unknown(), concurrency: 8 },
  )
}
