import { pino } from 'pino'

/** The log of this process: JSON lines on stdout, which its keeper sends to the node's file. Never prompts, arguments or results. */
export const log = pino({ base: { pid: process.pid } }, pino.destination({ dest: 1, sync: true }))
