/** What nodes say to each other about a room, beside what is said in it. Each goes under the seal of their session. */
import { z } from 'zod'
import { message, nothing } from '../actor/message.js'
import { binary } from '../codec.js'

const room = z.string()
const number = z.int().nonnegative()

/** Of the holder: these are the members from now on. */
export const RoomRoster = message('room.roster', {
  request: z.object({ roster: binary }),
  reply: nothing,
  from: ['authority', 'supervisor'],
})

/** Of the holder: the room was closed or, where it says so, the one who is told was put out of it, by the list of this epoch. */
export const RoomOver = message('room.over', {
  request: z.object({ room, epoch: number, isClosed: z.boolean() }),
  reply: nothing,
  from: ['authority', 'supervisor'],
})

/** Of a publisher: its key from one batch on, and the first batch that was meant for this member. */
export const RoomKey = message('room.key', {
  request: z.object({ announcement: binary, from: number }),
  reply: nothing,
})

/** Of a publisher: it has sent all batches before this number. */
export const RoomReached = message('room.reached', { request: z.object({ room, number }), reply: nothing })

/** To a publisher: batches of these numbers have not come. Sent again as they were, as far as they are kept. */
export const RoomAgain = message('room.again', {
  request: z.object({ room, from: number, to: number }),
  reply: z.object({ frames: z.array(binary), oldest: number }),
})

export const roomsActorName = (node: string): string => `rooms/${node}`
