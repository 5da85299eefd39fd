/** What a node says to the office that keeps mail. */
import { z } from 'zod'
import { roles } from '../../policies/roles.js'
import { message, nothing } from '../actor/message.js'
import { binary } from '../codec.js'

/** The actor, on a node of the authority. */
export const officeName = 'mail'

/** Answered when the broker has it. Rejects with MESSAGE_INVALID, or MAILBOX_FULL where too much waits. */
export const KeepMail = message('mail.keep', {
  request: z.object({
    actor: z.string().min(1).max(256),
    message: z.string().min(1).max(256),
    content: z.unknown(),
    /** Of the sender's choice: the same again is the same message. */
    key: z.string().min(1).max(256),
    /** How long it may wait, in milliseconds. */
    keepMs: z
      .number()
      .positive()
      .max(30 * 24 * 3_600_000),
    to: z.union([z.literal('members'), z.array(z.enum(roles))]),
    about: binary.optional(),
  }),
  reply: nothing,
  to: ['authority'],
})
export type KeptRequest = z.output<typeof KeepMail.request>

/** Nothing of these tasks is kept any longer, and what is under way of them is called off. Answered with how many messages that were. */
export const ForgetMail = message('mail.forget', {
  request: z.object({ tasks: z.array(z.string()) }),
  reply: z.int().nonnegative(),
  from: ['authority'],
  to: ['authority'],
})
